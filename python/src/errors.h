// The library's errors as Python's exceptions.
#pragma once

#include <utility>

#include "layerscope/error.h"

namespace layerscope::python {

/// Throws the exception of layerscope.errors that stands for the code. The interpreter lock must be held.
[[noreturn]] void raise(const Error& error);

inline void check(const Status& status) {
  if (!status) raise(status.error());
}

/// The value, or the error as an exception.
template <class T>
[[nodiscard]] T take(Result<T>&& result) {
  if (!result) raise(result.error());
  return std::move(result).value();
}

}  // namespace layerscope::python
