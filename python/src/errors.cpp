#include "errors.h"

#include <nanobind/nanobind.h>

namespace nb = nanobind;

namespace layerscope::python {

void raise(const Error& error) {
  const nb::object types = nb::module_::import_("layerscope.errors").attr("BY_CODE");
  const nb::object type = types[error_code_name(error.code)];
  // A message may hold bytes of a file that are no text.
  const nb::object message =
      nb::steal(PyUnicode_DecodeUTF8(error.message.data(), static_cast<Py_ssize_t>(error.message.size()), "replace"));
  if (!message.is_valid()) throw nb::python_error();
  PyErr_SetObject(type.ptr(), message.ptr());
  throw nb::python_error();
}

}  // namespace layerscope::python
