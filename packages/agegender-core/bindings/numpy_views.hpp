// The array types that cross from Python, once. Mirrored in src/agegender_core/_core.pyi.
#pragma once

#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>

#include <initializer_list>
#include <stdexcept>
#include <string>

#include "agegender/image.hpp"

namespace agegender::python {

namespace py = pybind11;

/// `py::array_t` would cast silently; these check and refuse instead.
template <typename T>
using Array = py::array_t<T, py::array::c_style>;

inline std::string shape_of(const py::array& array) {
  std::string text = "(";
  for (py::ssize_t i = 0; i < array.ndim(); ++i) text += (i ? ", " : "") + std::to_string(array.shape(i));
  return text + ")";
}

/// The array as `T`, not copied; anything of another dtype or order is refused with the argument's name.
template <typename T>
Array<T> require(const py::object& object, const char* name, const char* expected) {
  if (!py::isinstance<py::array>(object))
    throw py::type_error(std::string(name) + " must be a NumPy array " + expected + ", got " +
                         py::str(py::type::of(object)).cast<std::string>());
  auto array = py::reinterpret_borrow<py::array>(object);
  if (!array.dtype().is(py::dtype::of<T>()))
    throw std::invalid_argument(std::string(name) + " must be an array " + expected + ", got dtype " +
                                py::str(array.dtype()).cast<std::string>());
  if (!(array.flags() & py::array::c_style))
    throw std::invalid_argument(std::string(name) +
                                " must be C-contiguous: pass numpy.ascontiguousarray(...), got strides of shape " +
                                shape_of(array));
  return py::reinterpret_borrow<Array<T>>(object);
}

/// As `require`, with a shape; -1 stands for any size.
template <typename T>
Array<T> require(const py::object& object, const char* name, const char* expected,
                 std::initializer_list<py::ssize_t> shape) {
  auto array = require<T>(object, name, expected);
  bool fits = array.ndim() == static_cast<py::ssize_t>(shape.size());
  py::ssize_t axis = 0;
  for (auto size : shape) {
    if (fits && size >= 0 && array.shape(axis) != size) fits = false;
    ++axis;
  }
  if (!fits) throw std::invalid_argument(std::string(name) + " must be " + expected + ", got shape " + shape_of(array));
  return array;
}

/// A picture as a view: (H, W) grey or (H, W, 3) RGB, uint8.
inline ImageView image_view(const Array<std::uint8_t>& image) {
  const bool grey = image.ndim() == 2;
  if (!grey && !(image.ndim() == 3 && image.shape(2) == 3))
    throw std::invalid_argument("image must be uint8 (H, W) grey or (H, W, 3) RGB, got shape " + shape_of(image));
  return ImageView{image.data(), image.shape(0), image.shape(1), grey ? 1 : 3};
}

}  // namespace agegender::python
