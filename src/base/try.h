// Passing errors on. LAYERSCOPE_TRY(f()); and LAYERSCOPE_ASSIGN(auto x, g()); return the Error of a failed call.
#pragma once

#include "layerscope/error.h"

#define LAYERSCOPE_CONCAT_INNER(a, b) a##b
#define LAYERSCOPE_CONCAT(a, b) LAYERSCOPE_CONCAT_INNER(a, b)

#define LAYERSCOPE_TRY(expression)                                      \
  do {                                                                  \
    if (auto layerscope_status = (expression); !layerscope_status) {    \
      return ::layerscope::Error(std::move(layerscope_status).error()); \
    }                                                                   \
  } while (false)

#define LAYERSCOPE_ASSIGN_IMPL(result, target, expression)            \
  auto result = (expression);                                         \
  if (!result) return ::layerscope::Error(std::move(result).error()); \
  target = std::move(result).value()

#define LAYERSCOPE_ASSIGN(target, expression) \
  LAYERSCOPE_ASSIGN_IMPL(LAYERSCOPE_CONCAT(layerscope_result_, __LINE__), target, expression)
