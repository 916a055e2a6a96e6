#include "diff/dump_sites.h"

#include <algorithm>
#include <charconv>
#include <optional>
#include <set>
#include <string_view>
#include <tuple>

#include "base/try.h"
#include "base/utf8.h"

namespace layerscope {
namespace {

constexpr std::string_view kInputs[] = {"input_ids",           "attention_mask",    "token_type_ids",
                                        "position_ids",        "decoder_input_ids", "decoder_attention_mask",
                                        "decoder_position_ids"};
constexpr int kMaxLayers = 100'000;

/// The number behind `prefix`, where the name is just that.
std::optional<int> numbered(std::string_view name, std::string_view prefix) {
  if (!name.starts_with(prefix)) return std::nullopt;
  const std::string_view digits = name.substr(prefix.size());
  int value = 0;
  const auto [end, code] = std::from_chars(digits.data(), digits.data() + digits.size(), value);
  if (digits.empty() || code != std::errc() || end != digits.data() + digits.size() || value < 0 || value > kMaxLayers)
    return std::nullopt;
  return value;
}

/// Names of ours, without a model that lists them: [enc.|dec.] and embed, final, or block.{i}. and more.
struct OwnName {
  std::optional<StackId> stack;
  int block = -1;
  std::string_view rest;  ///< behind "block.{i}."
};
std::optional<OwnName> own_name(std::string_view name) {
  OwnName own;
  if (name.starts_with("enc.")) own.stack = StackId::kEncoder;
  if (name.starts_with("dec.")) own.stack = StackId::kDecoder;
  if (own.stack) name.remove_prefix(4);
  if (name == "embed" || name == "final") {
    own.rest = name;
    return own;
  }
  if (!name.starts_with("block.")) return std::nullopt;
  name.remove_prefix(6);
  const std::size_t dot = name.find('.');
  const std::optional<int> block = numbered(name.substr(0, dot), "");
  if (!block || dot == std::string_view::npos || dot + 1 == name.size()) return std::nullopt;
  own.block = *block;
  own.rest = name.substr(dot + 1);
  return own;
}

class Finder {
 public:
  Finder(const TensorSource& dump, const SiteTable* like, const std::string& path)
      : dump_(dump), like_(like), path_(path) {}

  Result<DumpSites> run() {
    LAYERSCOPE_TRY(find_stacks());
    for (const SourceTensor& tensor : dump_.tensors()) LAYERSCOPE_TRY(take(tensor));
    if (like_ == nullptr) name_the_top();
    std::set<std::string_view> names;
    for (const DumpSite& one : found_.sites) {
      if (!names.insert(one.site.name).second)
        return bad("holds \"" + printable(one.site.name) + "\" twice: \"" + printable(one.tensor->name) +
                   "\" is another name of it");
    }
    std::ranges::stable_sort(found_.sites, {}, [&](const DumpSite& one) { return order_of(one.site); });
    return std::move(found_);
  }

 private:
  Error bad(const std::string& what) const { return Error{ErrorCode::kRuntime, path_ + ": " + what}; }
  bool has_prefix(std::string_view prefix) const {
    return std::ranges::any_of(dump_.tensors(),
                               [&](const SourceTensor& tensor) { return tensor.name.starts_with(prefix); });
  }

  Status find_stacks() {
    if (like_ != nullptr) {
      found_.two_stacks = like_->layers[0] > 0 && like_->layers[1] > 0;
      found_.main = like_->layers[0] > 0 ? StackId::kEncoder : StackId::kDecoder;
    } else {
      found_.two_stacks = has_prefix("decoder_input_ids") || has_prefix("dec.") ||
                          (has_prefix("encoder_hidden_states.") && has_prefix("decoder_hidden_states."));
    }
    if (found_.two_stacks && has_prefix("hidden_states."))
      return bad(
          "\"hidden_states.{k}\" does not say which stack; expected \"encoder_hidden_states.{k}\" and "
          "\"decoder_hidden_states.{k}\"");
    return {};
  }

  std::string prefix(StackId stack) const {
    return !found_.two_stacks ? "" : stack == StackId::kEncoder ? "enc." : "dec.";
  }

  Status take(const SourceTensor& tensor) {
    if (std::ranges::find(kInputs, std::string_view(tensor.name)) != std::end(kInputs)) return {};
    SideSite site{.name = tensor.name, .stack = found_.main, .dtype = tensor.view.dtype};
    if (found_.two_stacks && tensor.name.starts_with("dec")) site.stack = StackId::kDecoder;
    std::optional<int> state;
    for (const std::string_view name : {"hidden_states.", "encoder_hidden_states.", "decoder_hidden_states."}) {
      if (!state) state = numbered(tensor.name, name);
    }
    if (state) {
      int& highest = found_.layers[static_cast<std::size_t>(site.stack)];
      highest = std::max(highest, *state);
      site.hf_index = state;
      const int layers = like_ == nullptr ? -1 : like_->layers[static_cast<std::size_t>(site.stack)];
      site.name = prefix(site.stack) + (*state == 0        ? "embed"
                                        : *state == layers ? "final"
                                                           : "block." + std::to_string(*state - 1) + ".out");
    } else if (const Site* known = like_ == nullptr ? nullptr : like_->find(tensor.name)) {
      site.stack = known->stack;
      site.cross = known->cross;
      site.hf_index = known->hf_index;
      if (known->kind == SiteKind::kProbs) site.unit = StoredUnit::kProbs;
    } else if (tensor.name == "logits") {
      if (found_.two_stacks) site.stack = StackId::kDecoder;
    } else if (const auto own = like_ == nullptr ? own_name(tensor.name) : std::nullopt) {
      site.cross = own->rest == "cross.k" || own->rest == "cross.v";
      if (own->rest.ends_with(".probs")) site.unit = StoredUnit::kProbs;
    } else {
      found_.unknown.push_back(tensor.name);
      return {};
    }
    found_.sites.push_back({std::move(site), &tensor});
    return {};
  }

  /// Without a model the highest state is what stands behind the top.
  void name_the_top() {
    for (DumpSite& one : found_.sites) {
      const int layers = found_.layers[static_cast<std::size_t>(one.site.stack)];
      if (one.site.hf_index && *one.site.hf_index == layers && layers > 0)
        one.site.name = prefix(one.site.stack) + "final";
    }
  }

  std::tuple<int, int, int> order_of(const SideSite& site) const {
    if (like_ != nullptr) {
      const Site* known = like_->find(site.name);
      return {0, 0,
              known == nullptr ? static_cast<int>(like_->sites.size()) : static_cast<int>(known - like_->sites.data())};
    }
    const auto own = own_name(site.name);
    const int stack = static_cast<int>(site.stack);
    if (!own) return {2, 0, 0};  // logits
    if (own->rest == "embed") return {stack, -1, 0};
    if (own->rest == "final") return {stack, kMaxLayers + 1, 0};
    return {stack, own->block, own->rest == "out" ? 1 : 0};
  }

  const TensorSource& dump_;
  const SiteTable* like_;
  const std::string& path_;
  DumpSites found_;
};

}  // namespace

Result<DumpSites> find_dump_sites(const TensorSource& dump, const SiteTable* like, const std::string& path) {
  return Finder(dump, like, path).run();
}

}  // namespace layerscope
