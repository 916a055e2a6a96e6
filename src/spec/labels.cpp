#include "spec/labels.h"

#include <algorithm>
#include <charconv>

namespace layerscope {
namespace {

// The labels by number; where "id2label" counts, "num_labels" does not. (transformers, configuration_utils.py)
std::vector<std::string> label_names(Config& c) {
  const Json* named = c.json().find("id2label");
  const Json::Object* object = named == nullptr ? nullptr : named->object();
  c.require(object == nullptr || !object->empty(), "\"id2label\" names no label");
  const std::size_t count = object != nullptr ? object->size() : static_cast<std::size_t>(c.size("num_labels", 2));
  c.require(count <= kMostLabels, "more than " + std::to_string(kMostLabels) + " labels");
  std::vector<std::string> names;
  for (std::size_t i = 0; i < std::min(count, kMostLabels); ++i) names.push_back("LABEL_" + std::to_string(i));
  if (object == nullptr) return names;
  for (const auto& [key, value] : *object) {
    std::size_t number = 0;
    const auto read = std::from_chars(key.data(), key.data() + key.size(), number);
    const bool whole = read.ec == std::errc() && read.ptr == key.data() + key.size();
    c.require(whole && number < count, "\"id2label\" has a key that is no number below its size");
    if (whole && number < names.size() && value.string() != nullptr) names[number] = *value.string();
  }
  return names;
}

// As the text-classification pipeline of transformers reads the same keys.
LabelProblem label_problem(Config& c, std::size_t labels, bool each_token) {
  const std::string type = c.text("problem_type", "");
  if (each_token) return LabelProblem::kOneLabel;
  if (type == "regression") return LabelProblem::kRegression;
  return type == "multi_label_classification" || labels == 1 ? LabelProblem::kManyLabels : LabelProblem::kOneLabel;
}

constexpr Bind kBinds[] = {
    {"labels.transform", "classifier.dense"},
    {"labels.transform", "classification_head.dense"},
    {"labels.transform", "pre_classifier"},
    {"labels.transform", "head.dense"},
    {"labels.transform", "pooler.dense"},
    {"labels.transform", "pooler"},
    {"labels.transform", "dense"},
    {"labels.norm", "head.norm"},
    {"labels.out", "classifier.out_proj"},
    {"labels.out", "classification_head.out_proj"},
    {"labels.out", "score"},
    {"labels.out", "classifier"},
};

}  // namespace

const std::span<const Bind> kLabelBinds = kBinds;

std::optional<LabelHead> describe_labels(Config& c) {
  const bool each = c.architecture_ends_in({"ForTokenClassification"});
  if (!each && !c.architecture_ends_in({"ForSequenceClassification"})) return std::nullopt;
  LabelHead labels;
  labels.names = label_names(c);
  labels.problem = label_problem(c, labels.names.size(), each);
  labels.head.outputs = static_cast<std::int64_t>(labels.names.size());
  labels.head.bias = each;
  labels.reads = each ? LabelHead::Reads::kEach : LabelHead::Reads::kLast;
  labels.token = c.token("pad_token_id");
  return labels;
}

void read_first_token(LabelHead& labels, std::int64_t width, Activation activation) {
  if (labels.reads == LabelHead::Reads::kEach) return;
  labels.reads = LabelHead::Reads::kFirst;
  labels.head.transform = Head::Transform{.width = width, .activation = activation};
  labels.head.bias = true;
}

ModelSpec describe_model(const Family& family, Config& config) {
  ModelSpec spec = family.describe(config);
  if (spec.head || !(spec.encoder || spec.decoder)) return spec;
  spec.labels = describe_labels(config);
  if (spec.labels && family.adapt_labels != nullptr) family.adapt_labels(config, spec, *spec.labels);
  return spec;
}

}  // namespace layerscope
