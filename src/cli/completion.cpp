#include <fmt/format.h>

#include "cli/help.h"

namespace layerscope::cli {
namespace {

std::string joined(std::string_view choices) { return fmt::format("{}", fmt::join(split_choices(choices), " ")); }

bool takes_path(const FlagRow& row) { return row.argument == "FILE" || row.argument == "PATH"; }

std::string names_of(const FlagRow& row) {
  return row.short_name.empty() ? std::string(row.long_name) : fmt::format("{} {}", row.short_name, row.long_name);
}

std::string command_names() {
  std::string names;
  for (const CommandRow& row : command_table()) names += fmt::format("{}{}", names.empty() ? "" : " ", row.name);
  return names;
}

std::string bash_script() {
  std::string out = fmt::format(
      "_layerscope() {{\n"
      "  local word=\"${{COMP_WORDS[COMP_CWORD]}}\" before=\"${{COMP_WORDS[COMP_CWORD-1]}}\" flags=\"\"\n"
      "  COMPREPLY=()\n"
      "  if [ \"$COMP_CWORD\" -eq 1 ]; then\n"
      "    COMPREPLY=($(compgen -W \"{} help --help --version\" -- \"$word\"))\n"
      "    return\n"
      "  fi\n"
      "  case \"$before\" in\n",
      command_names());
  for (const FlagRow& row : flag_table()) {
    if (row.argument.empty()) continue;
    const std::string names =
        row.short_name.empty() ? std::string(row.long_name) : fmt::format("{}|{}", row.short_name, row.long_name);
    if (!row.choices.empty()) {
      out +=
          fmt::format("    {}) COMPREPLY=($(compgen -W \"{}\" -- \"$word\")); return ;;\n", names, joined(row.choices));
    } else if (takes_path(row)) {
      out += fmt::format("    {}) COMPREPLY=($(compgen -f -- \"$word\")); return ;;\n", names);
    } else {
      out += fmt::format("    {}) return ;;\n", names);
    }
  }
  out += "  esac\n  case \"${COMP_WORDS[1]}\" in\n";
  for (const CommandRow& command : command_table()) {
    std::string flags;
    for (const FlagRow& row : flag_table()) {
      if (row.takes(command.command)) flags += fmt::format("{}{}", flags.empty() ? "" : " ", names_of(row));
    }
    const std::string_view words = command.command == Command::kCompletion ? command.positionals : std::string_view();
    out += fmt::format("    {}) flags=\"{}{}{}\" ;;\n", command.name, flags, words.empty() ? "" : " ", joined(words));
  }
  out += fmt::format("    help) flags=\"{}\" ;;\n", command_names());
  out +=
      "  esac\n"
      "  case \"${COMP_WORDS[1]}:$word\" in\n"
      "    *:-*|help:*|completion:*) COMPREPLY=($(compgen -W \"$flags\" -- \"$word\")) ;;\n"
      "    *) COMPREPLY=($(compgen -f -- \"$word\")) ;;\n"
      "  esac\n"
      "}\n"
      "complete -o filenames -F _layerscope layerscope\n";
  return out;
}

/// For single quotes inside zsh's _arguments specifications, where : [ ] are special too.
std::string zsh_quoted(std::string_view text) {
  std::string out;
  for (const char letter : text) {
    if (letter == '\'') {
      out += "'\\''";
    } else {
      if (letter == ':' || letter == '[' || letter == ']') out += '\\';
      out += letter;
    }
  }
  return out;
}

std::string zsh_script() {
  std::string out = "#compdef layerscope\n_layerscope() {\n  local -a commands\n  commands=(\n";
  for (const CommandRow& row : command_table()) out += fmt::format("    '{}:{}'\n", row.name, zsh_quoted(row.summary));
  out +=
      "  )\n  if (( CURRENT == 2 )); then\n    _describe command commands\n    return\n  fi\n"
      "  local chosen=$words[2]\n  shift words\n  (( CURRENT-- ))\n  case $chosen in\n";
  for (const CommandRow& command : command_table()) {
    out += fmt::format("    {}) _arguments -s", command.name);
    for (const FlagRow& row : flag_table()) {
      if (!row.takes(command.command)) continue;
      std::string value;
      if (!row.argument.empty()) {
        value = fmt::format(":{}:{}", row.argument,
                            !row.choices.empty() ? fmt::format("({})", joined(row.choices))
                            : takes_path(row)    ? "_files"
                                                 : " ");
      }
      const std::string names = row.short_name.empty() ? fmt::format("'{}", row.long_name)
                                                       : fmt::format("'({} {})'{{{},{}}}'", row.short_name,
                                                                     row.long_name, row.short_name, row.long_name);
      out += fmt::format(" \\\n      {}[{}]{}'", names, zsh_quoted(row.help), value);
    }
    if (command.command == Command::kCompletion) {
      out += fmt::format(" \\\n      '1:shell:({})'", joined(command.positionals));
    } else if (!command.positionals.empty()) {
      out += " \\\n      '*:argument:_files'";
    }
    out += " ;;\n";
  }
  out += "  esac\n}\ncompdef _layerscope layerscope\n";
  return out;
}

std::string fish_quoted(std::string_view text) {
  std::string out = "'";
  for (const char letter : text) {
    if (letter == '\'' || letter == '\\') out += '\\';
    out += letter;
  }
  return out + "'";
}

std::string fish_script() {
  std::string out;
  for (const CommandRow& row : command_table()) {
    out += fmt::format("complete -c layerscope -n __fish_use_subcommand -f -a {} -d {}\n", row.name,
                       fish_quoted(row.summary));
  }
  for (const FlagRow& row : flag_table()) {
    std::string commands;
    for (const CommandRow& command : command_table()) {
      if (row.takes(command.command)) commands += fmt::format(" {}", command.name);
    }
    out += fmt::format("complete -c layerscope -n '__fish_seen_subcommand_from{}' -l {}", commands,
                       row.long_name.substr(2));
    if (!row.short_name.empty()) out += fmt::format(" -s {}", row.short_name.substr(1));
    if (!row.choices.empty()) {
      out += fmt::format(" -x -a '{}'", joined(row.choices));
    } else if (!row.argument.empty()) {
      out += takes_path(row) ? " -r -F" : " -x";
    }
    out += fmt::format(" -d {}\n", fish_quoted(row.help));
  }
  out += fmt::format("complete -c layerscope -n '__fish_seen_subcommand_from completion' -f -a '{}'\n",
                     joined(command_row(Command::kCompletion).positionals));
  return out;
}

}  // namespace

std::string completion_script(std::string_view shell) {
  if (shell == "bash") return bash_script();
  return shell == "zsh" ? zsh_script() : fish_script();
}

}  // namespace layerscope::cli
