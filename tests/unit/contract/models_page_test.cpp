// docs/models.md is made from the registry and the committed models; a page that says something else fails.
// LAYERSCOPE_WRITE_PAGES=1 writes it anew.
#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>
#include <map>
#include <set>
#include <sstream>

#include "family/registry.h"
#include "spec/print.h"
#include "support/golden.h"

namespace layerscope::testing {
namespace {

std::string page_path() { return std::string(LAYERSCOPE_SOURCE_DIR) + "/docs/models.md"; }

// What the committed models of one model_type have in common or between them.
struct Entry {
  std::string kind;
  std::vector<std::string> programs, widths;
  std::map<std::string, std::string> limits;
  int models = 0;
};

void add_once(std::vector<std::string>& list, const std::string& text) {
  if (std::find(list.begin(), list.end(), text) == list.end()) list.push_back(text);
}

// "x = ...; x = ..." of every kind of block, without the numbers below it.
void add_programs(const Stack& stack, const std::string& prefix, Entry& entry) {
  std::vector<std::string> blocks;
  for (const std::string& line : block_program(stack)) {
    if (line.starts_with("block ")) add_once(blocks, line.substr(line.find(": ") + 2));
  }
  for (const std::string& block : blocks) add_once(entry.programs, prefix + block);
}

std::string widths(const ModelSpec& spec) {
  const Stack& stack = spec.encoder ? *spec.encoder : *spec.decoder;
  for (const Block& block : stack.blocks) {
    for (const Step& step : block.steps) {
      const auto* attention = std::get_if<Attention>(&step.mixer);
      if (attention == nullptr) continue;
      std::string text = std::to_string(spec.width) + " (" + std::to_string(attention->heads) + " × " +
                         std::to_string(attention->d_qk);
      if (attention->kv_heads != attention->heads) text += ", " + std::to_string(attention->kv_heads) + " key heads";
      return text + ")";
    }
  }
  return std::to_string(spec.width);
}

std::map<std::string, Entry> entries() {
  std::map<std::string, Entry> all;
  for (const std::string& name : golden_models()) {
    const std::string path = golden_folder() + "/" + name + "/config.json";
    auto config = Config::open(path);
    EXPECT_TRUE(config.ok()) << path;
    if (!config.ok()) continue;
    const std::string type = config->model_type();
    const Family* family = family_of(type);
    EXPECT_NE(family, nullptr) << path << ": \"" << type << "\" is not in the registry";
    if (family == nullptr) continue;
    const ModelSpec spec = family->describe(*config);
    const Status status = config->finish();
    EXPECT_TRUE(status.ok()) << status.error().message;
    Entry& entry = all[type];
    ++entry.models;
    if (spec.two_stacks()) {
      entry.kind = "encoder-decoder";
    } else if (entry.kind.empty()) {
      entry.kind = spec.encoder ? "encoder" : "decoder";
    }
    if (spec.encoder) add_programs(*spec.encoder, spec.two_stacks() ? "enc: " : "", entry);
    if (spec.decoder) add_programs(*spec.decoder, spec.two_stacks() ? "dec: " : "", entry);
    add_once(entry.widths, widths(spec));
    for (const auto& [key, expected] : config->limits()) entry.limits[key] = expected;
  }
  return all;
}

template <class List>
std::string joined(const List& list, const std::string& separator) {
  std::string text;
  for (const auto& item : list) text += (text.empty() ? "" : separator) + std::string(item);
  return text;
}

std::string page() {
  std::ostringstream out;
  out << "# Models\n\n"
         "This page is made from the registry and from the models in `tests/golden`; the suite fails when it is stale, "
         "and\n"
         "`LAYERSCOPE_WRITE_PAGES=1 test_contract --gtest_filter='ModelsPage.*'` makes it anew.\n\n"
         "`x = norm(x + step(x))` is one residual step: where the norm stands is all that sets pre-norm and post-norm "
         "apart.\n"
         "Widths are those of the committed models, stream (heads × head width). A folder is refused, with the key and "
         "the\n"
         "value, when its `config.json` sets what its model type does not do: the keys in the last column to anything "
         "but\n"
         "the value given, and, for every type that has no use of them, these to anything but \"off\":\n\n";
  out << "`" << joined(settings_that_matter(), "`, `") << "`.\n\n";
  out << "| model_type | kind | blocks | widths | only |\n|---|---|---|---|---|\n";
  for (const auto& [type, entry] : entries()) {
    std::vector<std::string> limits;
    for (const auto& [key, expected] : entry.limits) limits.push_back("`" + key + "` " + expected);
    out << "| `" << type << "` | " << entry.kind << " | `" << joined(entry.programs, "`<br>`") << "` | "
        << joined(entry.widths, "<br>") << " | " << joined(limits, "<br>") << " |\n";
  }
  return out.str();
}

TEST(ModelsPage, EveryModelTypeHasAReference) {
  const std::map<std::string, Entry> all = entries();
  for (const Family* family : families()) {
    for (const std::string_view type : family->model_types)
      EXPECT_TRUE(all.contains(std::string(type))) << type << " has no model in tests/golden";
  }
}

TEST(ModelsPage, SaysWhatTheRegistrySays) {
  const std::string expected = page();
  if (std::getenv("LAYERSCOPE_WRITE_PAGES") != nullptr) std::ofstream(page_path()) << expected;
  std::ifstream file(page_path());
  const std::string found{std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
  EXPECT_TRUE(found == expected) << page_path() << " is stale: LAYERSCOPE_WRITE_PAGES=1 with this test writes it anew";
}

}  // namespace
}  // namespace layerscope::testing
