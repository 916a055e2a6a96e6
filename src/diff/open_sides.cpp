#include "diff/open_sides.h"

#include <array>

#include "base/try.h"
#include "diff/dump_file.h"
#include "diff/run_model.h"
#include "store/run_reader.h"

namespace layerscope {
namespace {

SideKind kind_of(const std::string& path) {
  if (is_dump(path)) return SideKind::kDump;
  const auto parts = run_parts(path);
  return parts.ok() ? SideKind::kRun : SideKind::kModel;
}

}  // namespace

Result<OpenedSides> open_sides(const NamedSide& a, const NamedSide& b, bool allow_incomplete, int threads) {
  struct Place {
    const NamedSide& named;
    SideKind kind;
    std::unique_ptr<Side>& side;
  };
  OpenedSides opened;
  const std::array places{Place{a, kind_of(a.path), opened.a}, Place{b, kind_of(b.path), opened.b}};
  std::shared_ptr<const Model> like;
  for (const auto& [named, kind, side] : places) {
    if (kind != SideKind::kModel) {
      if (named.edited) return Error{ErrorCode::kUsage, named.path + ": only the stream of a model can be edited"};
      continue;
    }
    LAYERSCOPE_ASSIGN(const EditedModel edited, named.model());
    if (like == nullptr) like = edited.model;
    LAYERSCOPE_ASSIGN(side, make_model_side(edited.model, edited.edits, threads));
  }
  for (const auto& [named, kind, side] : places) {
    if (kind != SideKind::kRun) continue;
    std::shared_ptr<const Model> model;
    if (like == nullptr) {
      std::string why;
      model = model_of_run(named.path, why);
      if (model == nullptr)
        opened.notes.push_back(named.path + ": its model cannot be run: " + why);
      else
        like = model;
    }
    LAYERSCOPE_ASSIGN(side, open_run_side(named.path, std::move(model), allow_incomplete));
  }
  for (const auto& [named, kind, side] : places) {
    if (kind != SideKind::kDump) continue;
    LAYERSCOPE_ASSIGN(side, open_dump_side(named.path, like == nullptr ? nullptr : &like->sites()));
  }
  return opened;
}

}  // namespace layerscope
