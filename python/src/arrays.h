// Arrays of numpy, in both directions.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>

namespace layerscope::python {

/// Arrays that come in: contiguous, in the machine's memory, of this very type.
template <class T, std::size_t Rank>
using ArrayIn = nanobind::ndarray<const T, nanobind::ndim<Rank>, nanobind::c_contig, nanobind::device::cpu>;
/// Memory that results are written to.
using FloatsOut = nanobind::ndarray<float, nanobind::ndim<1>, nanobind::c_contig, nanobind::device::cpu>;

template <class T, std::size_t Rank>
using NumpyArray = nanobind::ndarray<nanobind::numpy, T, nanobind::ndim<Rank>>;

/// An array that owns what the vector held.
template <class T, std::size_t Rank>
[[nodiscard]] NumpyArray<T, Rank> array_of(std::vector<T> values, const std::size_t (&shape)[Rank]) {
  auto owned = std::make_unique<std::vector<T>>(std::move(values));
  T* data = owned->data();
  nanobind::capsule owner(owned.get(), [](void* vector) noexcept { delete static_cast<std::vector<T>*>(vector); });
  owned.release();
  return NumpyArray<T, Rank>(data, Rank, shape, owner);
}
template <class T>
[[nodiscard]] NumpyArray<T, 1> array_of(std::vector<T> values) {
  const std::size_t size = values.size();
  return array_of<T, 1>(std::move(values), {size});
}

}  // namespace layerscope::python
