#include "cli/help.h"

#include <fmt/format.h>

namespace layerscope::cli {
namespace {

constexpr std::size_t kColumns = 80;
constexpr std::size_t kIndent = 27;

/// Words filled into lines that start at `indent`; the first line's start stands already.
void append_filled(std::string& out, std::string_view text, std::size_t at, std::size_t indent) {
  while (!text.empty()) {
    const std::size_t end = std::min(text.find(' '), text.size());
    const std::string_view word = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    if (at > indent && at + 1 + word.size() > kColumns) {
      out += '\n';
      out.append(indent, ' ');
      at = indent;
    } else if (at > indent) {
      out += ' ';
      ++at;
    }
    out += word;
    at += word.size();
  }
  out += '\n';
}

void append_entry(std::string& out, const std::string& term, std::string_view text) {
  out += term;
  if (term.size() + 2 > kIndent) out += '\n';
  out.append(term.size() + 2 > kIndent ? kIndent : kIndent - term.size(), ' ');
  append_filled(out, text, kIndent, kIndent);
}

void append_indented(std::string& out, std::string_view lines) {
  while (!lines.empty()) {
    const std::size_t end = std::min(lines.find('\n'), lines.size());
    out += fmt::format("  {}\n", lines.substr(0, end));
    lines.remove_prefix(std::min(end + 1, lines.size()));
  }
}

std::string general_help() {
  std::string out =
      "layerscope opens Hugging Face model folders and shows every layer's hidden states.\n\n"
      "Usage: layerscope COMMAND [ARGUMENTS]\n\nCommands:\n";
  for (const CommandRow& row : command_table()) out += fmt::format("  {:<12}{}\n", row.name, row.summary);
  out +=
      "\n  --help      this help; layerscope COMMAND --help tells more\n"
      "  --version   the program's version\n\nExamples:\n";
  for (const Command command : {Command::kInspect, Command::kStates})
    append_indented(out, command_row(command).examples);
  return out;
}

std::string flag_description(const FlagRow& row) {
  std::string text(row.help);
  if (!row.choices.empty()) text += fmt::format(": {}", fmt::join(split_choices(row.choices), ", "));
  if (!row.fallback.empty()) text += fmt::format(" [{}]", row.fallback);
  return text;
}

}  // namespace

std::string help_text(std::optional<Command> command) {
  if (!command) return general_help();
  const CommandRow& row = command_row(*command);
  std::string out = fmt::format("layerscope {}: {}\n\nUsage: layerscope {}{}{} [FLAGS]\n\n{}\n", row.name, row.summary,
                                row.name, row.positionals.empty() ? "" : " ", row.positionals, row.description);
  const FlagRow* last = nullptr;
  for (const FlagRow& flag : flag_table()) {
    if (!flag.takes(*command)) continue;
    if (last == nullptr || last->group != flag.group) out += fmt::format("\n{}:\n", group_title(flag.group));
    last = &flag;
    const std::string names = flag.short_name.empty() ? fmt::format("      {}", flag.long_name)
                                                      : fmt::format("  {}, {}", flag.short_name, flag.long_name);
    append_entry(out, flag.argument.empty() ? names : fmt::format("{} {}", names, flag.argument),
                 flag_description(flag));
  }
  out += "\nExamples:\n";
  append_indented(out, row.examples);
  return out;
}

std::string version_text() { return "layerscope " LAYERSCOPE_VERSION; }

}  // namespace layerscope::cli
