#include "cli/words.h"

#include <algorithm>
#include <cmath>

#include <CLI/CLI.hpp>

#include "base/try.h"
#include "cli/suggest.h"

namespace layerscope::cli {
namespace {

std::vector<std::string_view> flag_names(Command command) {
  std::vector<std::string_view> names;
  for (const FlagRow& row : flag_table()) {
    if (row.takes(command)) names.push_back(row.long_name);
  }
  return names;
}

Error unknown_flag(std::string_view word, Command command) {
  const std::string_view name = word.substr(0, word.find('='));
  const std::string_view command_name = command_row(command).name;
  const std::string hint = suggestion(name, flag_names(command));
  for (const FlagRow& row : flag_table()) {
    if (!row.takes(command) && (name == row.long_name || name == row.short_name)) {
      return usage(fmt::format("{}: not a flag of {}{}", name, command_name, hint));
    }
  }
  if (!hint.empty()) return usage(fmt::format("{}: unknown flag{}", name, hint));
  return usage(fmt::format("{}: unknown flag (see layerscope {} --help; a text that begins with - goes after --)", name,
                           command_name));
}

}  // namespace

/// Positional words are what CLI11 leaves over: its own positionals would split a text such as "[a,b]".
Result<Words> split_words(Command command, std::span<const std::string> arguments) {
  Words words;
  words.command = command;
  const auto separator = std::ranges::find(arguments, "--");
  const std::size_t before = static_cast<std::size_t>(separator - arguments.begin());

  CLI::App app;
  app.set_help_flag();
  app.allow_extras();
  for (const FlagRow& row : flag_table()) {
    if (!row.takes(command)) continue;
    const std::size_t index = static_cast<std::size_t>(row.flag);
    const std::string names =
        row.short_name.empty() ? std::string(row.long_name) : fmt::format("{},{}", row.short_name, row.long_name);
    if (row.argument.empty()) {
      app.add_flag(names, words.switches[index]);
    } else if (row.repeats) {
      app.add_option(names, words.lists[index])->type_name(std::string(row.argument))->allow_extra_args(false);
    } else {
      app.add_option(names, words.values[index])->type_name(std::string(row.argument));
    }
  }
  try {
    std::vector<std::string> reversed(arguments.begin(), arguments.begin() + static_cast<std::ptrdiff_t>(before));
    std::ranges::reverse(reversed);
    app.parse(std::move(reversed));
  } catch (const CLI::ArgumentMismatch&) {
    for (const FlagRow& row : flag_table()) {
      if (!row.takes(command) || row.argument.empty()) continue;
      const std::size_t times = app.get_option(std::string(row.long_name))->count();
      if (times > 1) return usage(fmt::format("{}: given {} times", row.long_name, times));
    }
    return usage(fmt::format("{}: {} is missing", arguments[before - 1], "its value"));
  } catch (const CLI::ParseError& error) {
    return usage(error.what());
  }
  for (std::string& word : words.positionals = app.remaining()) {
    if (word.size() > 1 && word.front() == '-') return unknown_flag(word, command);
  }
  if (before < arguments.size()) {
    words.positionals.insert(words.positionals.end(), arguments.begin() + static_cast<std::ptrdiff_t>(before) + 1,
                             arguments.end());
  }
  return words;
}

Status check_choices(const Words& words) {
  for (const FlagRow& row : flag_table()) {
    const std::optional<std::string>& value = words.values[static_cast<std::size_t>(row.flag)];
    if (!value || row.choices.empty()) continue;
    const std::vector<std::string_view> choices = split_choices(row.choices);
    if (std::ranges::find(choices, std::string_view(*value)) == choices.end()) {
      return usage(fmt::format("{} {}: not one of {}{}", row.long_name, *value, fmt::join(choices, ", "),
                               suggestion(*value, choices)));
    }
  }
  return {};
}

Status expect_positionals(const Words& words, std::size_t least, std::size_t most) {
  const CommandRow& row = command_row(words.command);
  if (words.positionals.size() < least) {
    return usage(fmt::format("{}: {} is missing (usage: layerscope {} {})", row.name,
                             row.positionals.substr(0, row.positionals.find(' ')), row.name, row.positionals));
  }
  if (words.positionals.size() > most) {
    return usage(fmt::format("{}: one argument too many, '{}' (usage: layerscope {} {})", row.name,
                             words.positionals[most], row.name, row.positionals));
  }
  return {};
}

Status expect_values(const Words& words, std::initializer_list<Flag> flags) {
  for (const Flag flag : flags) {
    if (words.given(flag) && words.text(flag, "").empty())
      return usage(fmt::format("{}: an empty value", flag_row(flag).long_name));
  }
  return {};
}

Result<double> real(Flag flag, const std::string& text) {
  double value = 0;
  const auto [end, code] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (code != std::errc() || end != text.data() + text.size() || !std::isfinite(value))
    return usage(fmt::format("{} {}: expected a number", flag_row(flag).long_name, text));
  return value;
}

}  // namespace layerscope::cli
