// docs/models.md is made from the registry and the committed models; a page that says something else fails.
// LAYERSCOPE_WRITE_PAGES=1 writes it anew.
#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>
#include <map>
#include <regex>
#include <sstream>

#include "family/registry.h"
#include "spec/print.h"
#include "support/golden.h"

namespace layerscope::testing {
namespace {

std::string page_path() { return std::string(LAYERSCOPE_SOURCE_DIR) + "/docs/models.md"; }

// What the committed models of one model_type are between them, and what all of them are held to.
struct Entry {
  std::vector<std::string> kinds, programs, widths;
  std::map<std::string, std::string> limits;
};

void add_once(std::vector<std::string>& list, const std::string& text) {
  if (std::find(list.begin(), list.end(), text) == list.end()) list.push_back(text);
}

// "x = ...; x = ..." of every kind of block, without the lines below it and with scales by name.
void add_programs(const Stack& stack, const std::string& prefix, Entry& entry) {
  static const std::regex number("[0-9.]+ \\* ");
  for (const std::string& line : block_program(stack)) {
    if (!line.starts_with("block ")) continue;
    add_once(entry.programs, prefix + std::regex_replace(line.substr(line.find(": ") + 2), number, "scale * "));
  }
}

// Widths that a config repeats follow from others, so that the value says nothing.
bool follows(std::string_view key) { return key.ends_with("_dim") || key.ends_with("_size"); }

// Keeps what every model of the type is held to.
void intersect(std::map<std::string, std::string>& limits, const std::map<std::string, std::string>& others) {
  std::erase_if(limits, [&](const auto& limit) {
    const auto other = others.find(limit.first);
    return other == others.end() || other->second != limit.second;
  });
}

std::string widths(const ModelSpec& spec) {
  const Stack& stack = spec.encoder ? *spec.encoder : *spec.decoder;
  for (const Block& block : stack.blocks) {
    for (const Step& step : block.steps) {
      const auto* attention = std::get_if<Attention>(&step.mixer);
      if (attention == nullptr) continue;
      std::string text = std::to_string(spec.width) + " (" + std::to_string(attention->heads) + " × " +
                         std::to_string(attention->d_qk);
      if (attention->kv_heads != attention->heads)
        text += ", " + std::to_string(attention->kv_heads) + (attention->kv_heads == 1 ? " key head" : " key heads");
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
    std::map<std::string, std::string> limits;
    for (const auto& [key, expected] : config->limits()) {
      if (!follows(key)) limits[key] = expected;
    }
    const Status status = config->finish();
    EXPECT_TRUE(status.ok()) << status.error().message;
    const auto [at, first] = all.try_emplace(type);
    Entry& entry = at->second;
    if (first)
      entry.limits = limits;
    else
      intersect(entry.limits, limits);
    add_once(entry.kinds, spec.two_stacks() ? "encoder-decoder" : spec.encoder ? "encoder" : "decoder");
    if (spec.encoder) add_programs(*spec.encoder, spec.two_stacks() ? "enc: " : "", entry);
    if (spec.decoder) add_programs(*spec.decoder, spec.two_stacks() ? "dec: " : "", entry);
    add_once(entry.widths, widths(spec));
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
         "Widths are those of the committed models: stream (heads × head width). A folder is refused, with the key and "
         "the\n"
         "value, when its `config.json` sets one of the keys in the last column to anything but the value given there, "
         "a\n"
         "rotation, activation or layer type that is not known, or, where its model type has no use of them, one of "
         "these:\n\n";
  out << "`" << joined(settings_that_matter(), "`, `") << "`.\n\n";
  out << "| model_type | kind | blocks | widths | only |\n|---|---|---|---|---|\n";
  for (const auto& [type, entry] : entries()) {
    std::vector<std::string> limits;
    for (const auto& [key, expected] : entry.limits) limits.push_back("`" + key + "` " + expected);
    out << "| `" << type << "` | " << joined(entry.kinds, " or ") << " | `" << joined(entry.programs, "`<br>`")
        << "` | " << joined(entry.widths, "; ") << " | " << joined(limits, "<br>") << " |\n";
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
