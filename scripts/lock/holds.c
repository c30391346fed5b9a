// Where a thread could hand over Python's lock, and how long it held it in between. Loaded before the interpreter by
// scripts/measure_gil.py.
//
// CPython looks whether somebody waits for the lock when a Python function starts, after each call and when a loop
// jumps back; C code that lets go of it calls PyEval_SaveThread. Between two of these nobody else runs.
#define _GNU_SOURCE
#include <Python.h>
#include <dlfcn.h>
#include <frameobject.h>
#include <stdint.h>
#include <time.h>

enum { kMost = 1 << 20, kFrames = 4096 };

struct Place {
  PyObject* code;  // NULL where C lets go of the lock or takes it
  int line;
};

struct Hold {
  double microseconds;
  struct Place from, to;
};

static struct Hold holds[kMost];
static int count, watching, is_free;
static double since;
static struct Place before;
static char hands_over[256];  // by opcode, once it has been executed
// The frames whose last opcode was such a one.
static PyFrameObject* called[kFrames];

static double now(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return 1e6 * (double)time.tv_sec + 1e-3 * (double)time.tv_nsec;
}

static void hand_over(struct Place at) {
  const double time = now();
  if (count < kMost) holds[count++] = (struct Hold){time - since, before, at};
  before = at;
  since = now();
}

/// Keeps a reference for ever: code objects live as long as the process anyway.
static struct Place place_of(PyFrameObject* frame) {
  return (struct Place){(PyObject*)PyFrame_GetCode(frame), PyFrame_GetLineNumber(frame)};
}

static int opcode_at(PyFrameObject* frame) {
  PyCodeObject* code = PyFrame_GetCode(frame);
  PyObject* bytes = PyCode_GetCode(code);
  const int opcode = (unsigned char)PyBytes_AS_STRING(bytes)[PyFrame_GetLasti(frame)];
  Py_DECREF(bytes);
  Py_DECREF(code);
  return opcode;
}

static int on_event(PyObject* self, PyFrameObject* frame, int what, PyObject* arg) {
  (void)self, (void)arg;
  PyFrameObject** last = &called[(uintptr_t)frame / sizeof(void*) % kFrames];
  if (what == PyTrace_CALL) {
    hand_over(place_of(frame));
    *last = NULL;
    return PyObject_SetAttrString((PyObject*)frame, "f_trace_opcodes", Py_True);
  }
  if (what == PyTrace_OPCODE) {
    if (*last == frame) hand_over(place_of(frame));
    *last = hands_over[opcode_at(frame)] ? frame : NULL;
  }
  return 0;
}

void after_opcode(int opcode) { hands_over[opcode] = 1; }

void watch_holds(int on) {
  watching = 0;
  PyEval_SetTrace(on ? on_event : NULL, NULL);
  if (!on) return;
  count = 0;
  before = (struct Place){NULL, 0};
  since = now();
  watching = 1;
}

int count_holds(void) { return count; }
double microseconds_of(int hold) { return holds[hold].microseconds; }
static PyObject* code_of(struct Place place) {
  PyObject* code = place.code ? place.code : Py_None;
  Py_INCREF(code);
  return code;
}
PyObject* start_of(int hold) { return code_of(holds[hold].from); }
PyObject* end_of(int hold) { return code_of(holds[hold].to); }
int start_line_of(int hold) { return holds[hold].from.line; }
int end_line_of(int hold) { return holds[hold].to.line; }

PyThreadState* PyEval_SaveThread(void) {
  static PyThreadState* (*original)(void);
  if (!original) original = (PyThreadState * (*)(void)) dlsym(RTLD_NEXT, "PyEval_SaveThread");
  if (watching && !is_free) {
    hand_over((struct Place){NULL, 0});
    is_free = 1;
  }
  return original();
}

void PyEval_RestoreThread(PyThreadState* state) {
  static void (*original)(PyThreadState*);
  if (!original) original = (void (*)(PyThreadState*))dlsym(RTLD_NEXT, "PyEval_RestoreThread");
  original(state);
  if (watching && is_free) {
    is_free = 0;
    since = now();
  }
}
