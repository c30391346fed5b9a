// What stages take from the heap once they have seen a frame like the one at hand: nothing, but for what they return.
#include <algorithm>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <new>
#include <string>
#include <vector>

#include "agegender/align.hpp"
#include "agegender/blend.hpp"
#include "agegender/face_detector.hpp"
#include "agegender/landmarks.hpp"
#include "agegender/preprocess.hpp"
#include "agegender/resize.hpp"
#include "agegender/yunet.hpp"
#include "agegender/yunet_network.hpp"
#include "check.hpp"
#include "made_yunet.hpp"

namespace {
std::atomic<int> allocations{0};

void* allocate(std::size_t bytes, std::size_t line) {
  ++allocations;
  // aligned_alloc wants a multiple of the alignment.
  if (void* memory = std::aligned_alloc(line, (bytes + line - 1) / line * line)) return memory;
  throw std::bad_alloc();
}
}  // namespace

void* operator new(std::size_t bytes) { return allocate(std::max<std::size_t>(bytes, 1), alignof(std::max_align_t)); }
void* operator new(std::size_t bytes, std::align_val_t line) { return allocate(bytes, static_cast<std::size_t>(line)); }
void operator delete(void* memory) noexcept { std::free(memory); }
void operator delete(void* memory, std::size_t) noexcept { std::free(memory); }
void operator delete(void* memory, std::align_val_t) noexcept { std::free(memory); }
void operator delete(void* memory, std::size_t, std::align_val_t) noexcept { std::free(memory); }

namespace agegender {
namespace {

/// Of a call, after two that are like it.
template <typename Call>
int allocations_of(Call call) {
  call();
  call();
  const int before = allocations;
  call();
  return allocations - before;
}

struct Frame {
  std::vector<std::uint8_t> bytes;
  ImageView view;

  Frame(int height, int width) : bytes(static_cast<std::size_t>(3 * height * width)), view{} {
    for (std::size_t i = 0; i < bytes.size(); ++i) bytes[i] = static_cast<std::uint8_t>((i / 40) * 37 % 251);
    view = {bytes.data(), height, width, 3};
  }
};

void test_hog() {
  const Frame frame(240, 320);
  const HogFaceDetector detector;
  for (const bool exact : {true, false}) {
    CHECK(detector.detect(frame.view, {0, 5, exact, 1, 0}).empty());
    CHECK(allocations_of([&] { detector.detect(frame.view, {0, 5, exact, 1, 0}); }) == 0);
    const auto faces = detector.detect(frame.view, {1, -3, exact, 1, 0});
    CHECK(!faces.empty());
    // The faces that are returned: a vector that grows.
    int growing = 1;
    for (std::size_t room = 1; room < faces.size(); room *= 2) ++growing;
    CHECK(allocations_of([&] { detector.detect(frame.view, {1, -3, exact, 1, 0}); }) == growing);
  }
}

void test_yunet() {
  const Frame frame(60, 90);
  std::vector<float> planes(3 * 64 * 96);
  CHECK(allocations_of([&] { yunet_input(frame.view, 96, 64, planes.data()); }) == 0);
  const std::vector<float> score(6, 0.9f), box(24, 0.0f), points(60, 0.0f);
  const std::vector<YuNetCells> cells{{score.data(), score.data(), box.data(), points.data(), 6, 3, 8.0f}};
  YuNetDecoder decoder;
  std::vector<YuNetFace> faces;
  CHECK(allocations_of([&] { decoder.decode(cells, 0.5f, 0.3f, 5000, faces); }) == 0);
  CHECK(faces.size() == 6);

  const test::MadeYuNet made;
  const YuNetNetwork network(made.layers);
  YuNetNetwork::Scratch scratch;
  YuNetMaps maps;
  network.run(frame.view, 1, scratch, maps);
  decoder.decode(maps, 0.1f, 0.3f, 5000, faces);
  CHECK(!faces.empty());
  CHECK(allocations_of([&] {
          network.run(frame.view, 1, scratch, maps);
          decoder.decode(maps, 0.1f, 0.3f, 5000, faces);
        }) == 0);
}

void test_preprocess() {
  const Frame chip(140, 140);
  PreprocessOptions options;
  options.crop = {10, 10, 130, 130};
  options.size = 96;
  options.scale = {1, 1, 1};
  Preprocessor preprocess(140, options);
  std::vector<float> out(96 * 96 * 3);
  CHECK(allocations_of([&] { preprocess(chip.bytes.data(), out.data()); }) == 0);
}

void test_resize() {
  const Frame frame(90, 160);
  std::vector<std::uint8_t> out(50 * 70 * 3);
  CHECK(allocations_of([&] { shrink(frame.view, {5, 3, 155, 90}, 70, 50, out.data()); }) == 0);
}

void test_landmarks(const std::string& models) {
  const Frame frame(120, 160);
  const LandmarkModel model(models + "/landmarks5.dat");
  const std::vector<BoxXyxy> boxes(20, {10, 10, 90, 90});
  std::vector<Landmarks> landmarks(boxes.size());
  for (const std::size_t count : {std::size_t{1}, boxes.size()})
    CHECK(allocations_of([&] { model.predict(frame.view, boxes.data(), count, landmarks.data()); }) == 0);
}

void test_chips() {
  const Frame frame(600, 800);
  for (const float side : {20.0f, 60.0f, 200.0f}) {
    const Landmarks face{400 + 0.36f * side, 300 - 0.2f * side,  400 + 0.15f * side,
                         300 - 0.2f * side,  400 - 0.36f * side, 300 - 0.2f * side,
                         400 - 0.15f * side, 300 - 0.2f * side,  400.0f,
                         300 + 0.3f * side};
    std::vector<std::uint8_t> chip(140 * 140 * 3);
    CHECK(allocations_of([&] { extract_chip(frame.view, face, {}, chip.data()); }) == 0);
  }
}

void test_blend() {
  Frame frame(30, 40);
  const std::vector<std::uint8_t> mask(10 * 10, 200);
  CHECK(allocations_of([&] { blend(frame.bytes.data(), 30, 40, {mask.data(), 10, 10}, 5, 5, {255, 0, 0}, 0.5); }) == 0);
}

}  // namespace
}  // namespace agegender

int main(int, char** arguments) {
  agegender::test_resize();
  agegender::test_landmarks(arguments[1]);
  agegender::test_chips();
  agegender::test_blend();
  agegender::test_hog();
  agegender::test_yunet();
  agegender::test_preprocess();
  return agegender::test::report();
}
