#include <array>
#include <utility>

#include <fmt/format.h>

#include "cli/help.h"

namespace layerscope::cli {
namespace {

/// Text that troff prints as it stands: hyphens stay minus signs, no line begins a request.
std::string roff(std::string_view text) {
  std::string out;
  for (const char letter : text) {
    const bool line_start = out.empty() || out.back() == '\n';
    if (line_start && (letter == '.' || letter == '\'')) out += "\\&";
    if (letter == '\\') {
      out += "\\e";
    } else if (letter == '-') {
      out += "\\-";
    } else if (letter == '~') {
      out += "\\(ti";
    } else {
      out += letter;
    }
  }
  return out;
}

void append_flag(std::string& out, const FlagRow& row) {
  out += ".TP\n";
  if (!row.short_name.empty()) out += fmt::format("\\fB{}\\fR, ", roff(row.short_name));
  out += fmt::format("\\fB{}\\fR", roff(row.long_name));
  if (!row.argument.empty()) out += fmt::format(" \\fI{}\\fR", roff(row.argument));
  out += fmt::format("\n{}", roff(row.help));
  if (!row.choices.empty())
    out += fmt::format(": {}", roff(fmt::format("{}", fmt::join(split_choices(row.choices), ", "))));
  if (!row.fallback.empty()) out += fmt::format(" (default: {})", roff(row.fallback));
  out += ".\n";
}

constexpr std::array<std::pair<std::string_view, std::string_view>, 9> kStatuses{{
    {"0", "done"},
    {"1", "failed at run time: a row that cannot be processed, unreadable input, NaN or infinity, no run folder"},
    {"2", "wrong usage; a locked run folder and a refused resume too"},
    {"3", "done, but rows were skipped under --on-bad skip"},
    {"4", "the model was refused: missing, corrupt, hostile or unsupported"},
    {"5", "a resource ran out: disk, memory or a limit"},
    {"6", "verify found damage"},
    {"130", "stopped by SIGINT; finished shards are kept"},
    {"143", "stopped by SIGTERM; finished shards are kept"},
}};

constexpr std::array<std::pair<std::string_view, std::string_view>, 4> kVariables{{
    {"LAYERSCOPE_ISA", "force a lower instruction set, as --isa does"},
    {"NO_COLOR", "if not empty: no colour"},
    {"COLUMNS", "width of the picture"},
    {"SLURM_ARRAY_TASK_ID, JOB_COMPLETION_INDEX", "read for --shard auto/N only"},
}};

}  // namespace

std::string manual_page() {
  std::string out = fmt::format(
      ".TH LAYERSCOPE 1 \"\" \"{}\" \"User Commands\"\n.SH NAME\nlayerscope \\- every layer's hidden states\n"
      ".SH SYNOPSIS\n.B layerscope\n\\fICOMMAND\\fR [\\fIARGUMENTS\\fR]\n.SH DESCRIPTION\n"
      "Opens Hugging Face model folders, runs them natively and shows, prints or stores the hidden states of every "
      "layer.\n"
      "Data goes to standard output, messages and progress to standard error.\n.SH COMMANDS\n",
      version_text());
  for (const CommandRow& command : command_table()) {
    out += fmt::format(".SS \"layerscope {} {}\"\n{}\n.PP\n.nf\n{}\n.fi\n", roff(command.name),
                       roff(command.positionals), roff(command.description), roff(command.examples));
    for (const FlagRow& flag : flag_table()) {
      if (flag.takes(command.command)) append_flag(out, flag);
    }
  }
  out += ".SH EXIT STATUS\n";
  for (const auto& [status, meaning] : kStatuses) out += fmt::format(".TP\n\\fB{}\\fR\n{}.\n", status, roff(meaning));
  out += ".SH ENVIRONMENT\n";
  for (const auto& [name, meaning] : kVariables) out += fmt::format(".TP\n\\fB{}\\fR\n{}.\n", name, roff(meaning));
  return out;
}

}  // namespace layerscope::cli
