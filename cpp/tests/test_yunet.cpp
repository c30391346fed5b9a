// The steps before and after YuNet. The comparison with OpenCV is in tests/core, in Python.
#include <algorithm>
#include <cstdint>
#include <vector>

#include "agegender/yunet.hpp"
#include "check.hpp"

using namespace agegender;

namespace {

void test_input_is_planes_with_black_beside_them() {
  std::vector<std::uint8_t> bytes(3 * 5 * 3);
  for (std::size_t i = 0; i < bytes.size(); ++i) bytes[i] = static_cast<std::uint8_t>(i * 11);
  const ImageView view{bytes.data(), 3, 5, 3};
  std::vector<float> planes(3 * 4 * 8, -1.0f);
  yunet_input(view, 8, 4, planes.data());
  for (std::size_t channel = 0; channel < 3; ++channel)
    for (std::size_t y = 0; y < 4; ++y)
      for (std::size_t x = 0; x < 8; ++x) {
        const float expected = y < 3 && x < 5 ? static_cast<float>(bytes[(y * 5 + x) * 3 + 2 - channel]) : 0.0f;
        CHECK(planes[(channel * 4 + y) * 8 + x] == expected);
      }
}

void test_the_better_of_two_that_overlap_stays() {
  // Two rows of three cells of 8 pixels: boxes of 8 x 8 around the cells' corners.
  const std::vector<float> cls{0.81f, 0.25f, 0, 0.64f, 0.5f, 0}, ones(6, 1.0f);
  std::vector<float> box(24, 0.0f), points(60, 0.0f);
  box[4] = -0.75f;  // the second lies mostly on the first, which is better
  const std::vector<YuNetCells> cells{{cls.data(), ones.data(), box.data(), points.data(), 6, 3, 8.0f}};
  YuNetDecoder decoder;
  std::vector<YuNetFace> faces;
  decoder.decode(cells, 0.1f, 0.3f, 5000, faces);
  CHECK(faces.size() == 3);
  CHECK(faces[0].score == 0.9f && faces[1].score == 0.8f);
  CHECK(faces[1].box[0] == -4 && faces[1].box[1] == 4 && faces[1].box[3] == 12 && faces[1].points[1] == 8);
  decoder.decode(cells, 0.1f, 0.9f, 5000, faces);
  CHECK(faces.size() == 4);
  decoder.decode(cells, 0.8f, 0.3f, 5000, faces);
  CHECK(faces.size() == 1);
  decoder.decode(cells, 0.1f, 0.3f, 2, faces);
  CHECK(faces.size() == 2);
  decoder.decode(std::vector<YuNetCells>{}, 0.1f, 0.3f, 2, faces);
  CHECK(faces.empty());
}

}  // namespace

int main() {
  test_input_is_planes_with_black_beside_them();
  test_the_better_of_two_that_overlap_stays();
  return test::report();
}
