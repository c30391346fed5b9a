// Where a thread could hand over Python's lock, and how long it held it in between. Loaded before the interpreter by
// scripts/measure_gil.py.
//
// CPython looks whether somebody waits for the lock when a Python function starts, after each call, and when a loop
// jumps back; C code that lets go of it calls PyEval_SaveThread. Between two of these nobody else runs.
#define _GNU_SOURCE
#include <Python.h>
#include <dlfcn.h>
#include <frameobject.h>
#include <time.h>

enum { kMost = 1 << 20 };

struct Hold {
  double microseconds;
  PyObject *from, *to;  // code objects and builtins; NULL where C lets go of the lock or takes it
};

static struct Hold holds[kMost];
static int count, watching, free_now;
static double since;
static PyObject* before;
static PyFrameObject* frame_of_line;
static int last_line_at;

static double now(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return 1e6 * (double)time.tv_sec + 1e-3 * (double)time.tv_nsec;
}

/// Borrowed references are kept: a bound method would be gone when the holds are read.
static void hand_over(PyObject* at) {
  const double time = now();
  Py_XINCREF(at);
  if (count < kMost) holds[count++] = (struct Hold){time - since, before, at};
  before = at;
  since = now();
}

static PyObject* code_of(PyFrameObject* frame) { return (PyObject*)PyFrame_GetCode(frame); }

static int on_call(PyObject* self, PyFrameObject* frame, int what, PyObject* arg) {
  (void)self;
  if (what == PyTrace_CALL) hand_over(code_of(frame));
  if (what == PyTrace_C_RETURN || what == PyTrace_C_EXCEPTION) hand_over(arg);
  return 0;
}

static int on_line(PyObject* self, PyFrameObject* frame, int what, PyObject* arg) {
  (void)self, (void)arg;
  if (what != PyTrace_LINE) return 0;
  const int at = PyFrame_GetLasti(frame);
  // A line that begins before the one before it: a loop has jumped back.
  if (frame == frame_of_line && at <= last_line_at) hand_over(code_of(frame));
  frame_of_line = frame;
  last_line_at = at;
  return 0;
}

void watch_holds(int on) {
  if (!on) watching = 0;
  PyEval_SetProfile(on ? on_call : NULL, NULL);
  PyEval_SetTrace(on ? on_line : NULL, NULL);
  if (!on) return;
  count = 0;
  before = NULL;
  frame_of_line = NULL;
  since = now();
  watching = 1;
}

int count_holds(void) { return count; }
double microseconds_of(int hold) { return holds[hold].microseconds; }
static PyObject* or_none(PyObject* object) {
  PyObject* given = object ? object : Py_None;
  Py_INCREF(given);
  return given;
}
PyObject* start_of(int hold) { return or_none(holds[hold].from); }
PyObject* end_of(int hold) { return or_none(holds[hold].to); }

PyThreadState* PyEval_SaveThread(void) {
  static PyThreadState* (*original)(void);
  if (!original) original = (PyThreadState * (*)(void)) dlsym(RTLD_NEXT, "PyEval_SaveThread");
  if (watching && !free_now) {
    hand_over(NULL);
    free_now = 1;
  }
  return original();
}

void PyEval_RestoreThread(PyThreadState* state) {
  static void (*original)(PyThreadState*);
  if (!original) original = (void (*)(PyThreadState*))dlsym(RTLD_NEXT, "PyEval_RestoreThread");
  original(state);
  if (watching && free_now) {
    free_now = 0;
    since = now();
  }
}
