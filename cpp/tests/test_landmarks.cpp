// Landmarks: what the model refuses, and that faces together get what each gets alone. That they are dlib's is tested
// from Python, beside dlib's own binding.
#include <cmath>
#include <stdexcept>
#include <string>
#include <vector>

#include "agegender/landmarks.hpp"
#include "check.hpp"
#include "noise.hpp"

using namespace agegender;
using agegender::test::noise;

namespace {

void test_landmarks(const std::string& models) {
  CHECK_THROWS(std::runtime_error, LandmarkModel("no such file"));
  CHECK_THROWS(std::runtime_error, LandmarkModel(models + "/README.md"));
  const LandmarkModel model(models + "/landmarks5.dat");
  const auto pixels = noise(120 * 100 * 3);
  const ImageView image{pixels.data(), 100, 120, 3};
  // Boxes may lie partly or wholly outside the picture: a detector's do.
  std::vector<BoxXyxy> boxes{{10, 10, 90, 90}, {-50, -50, 20, 20}, {500, 500, 600, 600}};
  for (float x = -20; x < 80; x += 3) boxes.push_back({x, 5, x + 40, 45});
  std::vector<Landmarks> together(boxes.size());
  model.predict(image, boxes.data(), boxes.size(), together.data());
  for (std::size_t face = 0; face < boxes.size(); ++face) {
    for (const float value : together[face]) CHECK(std::isfinite(value) && value == std::round(value));
    Landmarks alone;
    model.predict(image, &boxes[face], 1, &alone);
    CHECK(alone == together[face]);
  }
  model.predict(image, nullptr, 0, nullptr);

  Landmarks none;
  for (const BoxXyxy& bad : {BoxXyxy{50, 50, 10, 90}, BoxXyxy{0, 0, std::nanf(""), 90}})
    CHECK_THROWS(std::invalid_argument, model.predict(image, &bad, 1, &none));
  const BoxXyxy good{0, 0, 9, 9};
  CHECK_THROWS(std::invalid_argument, model.predict({pixels.data(), 0, 0, 3}, &good, 1, &none));
}

}  // namespace

int main(int, char** arguments) {
  test_landmarks(arguments[1]);
  return test::report();
}
