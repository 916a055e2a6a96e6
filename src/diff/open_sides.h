// The two sides of a comparison by what was named: models, run folders, dumps.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "diff/side.h"
#include "layerscope/edits.h"

namespace layerscope {

/// A model, and changes of its stream.
struct EditedModel {
  std::shared_ptr<const Model> model;
  std::vector<Edit> edits;
};

struct NamedSide {
  std::string path;
  bool edited = false;                         ///< changes of a stream were asked for
  std::function<Result<EditedModel>()> model;  ///< called for what is neither a run nor a dump
};

struct OpenedSides {
  std::unique_ptr<Side> a, b;
  std::vector<std::string> notes;  ///< why the model of a run cannot be run
};

/// Opens models first: a dump is read by the names of the model that it is held against; of two sides without one, the
/// model that made a run. Errors: kUsage for edits of what is no model; those of `model`, open_run_side and
/// open_dump_side.
[[nodiscard]] Result<OpenedSides> open_sides(const NamedSide& a, const NamedSide& b, bool allow_incomplete,
                                             int threads);

}  // namespace layerscope
