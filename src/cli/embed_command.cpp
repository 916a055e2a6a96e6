#include <fmt/format.h>

#include "base/json.h"
#include "base/try.h"
#include "cli/commands.h"
#include "cli/embed_picture.h"
#include "cli/embed_rows.h"
#include "job/embed_job.h"
#include "layerscope/hub.h"

namespace layerscope::cli {
namespace {

template <class Values, class Append>
void append_list(std::string& line, const Values& values, Append append) {
  line += '[';
  for (std::size_t i = 0; i < values.size(); ++i) {
    if (i > 0) line += ',';
    append(values[i]);
  }
  line += ']';
}

std::string json_line(const Embedder& embedder, const InputRow& row, const ModelRow& tokens, const TextVectors& made) {
  std::string line = fmt::format("{{\"row\":{},\"id\":{},", row.number, row.id.value_or("null"));
  const auto number = [&](float value) { append_json_number(line, value); };
  const bool sparse = embedder.kind() == VectorKind::kSparse;
  if (embedder.kind() == VectorKind::kDense) {
    line += "\"embedding\":";
    append_list(line, made.values, number);
    return line + "}\n";
  }
  line += "\"tokens\":";
  append_list(line, made.places, [&](std::int32_t place) {
    const std::int32_t id = sparse ? place : tokens.main.ids[static_cast<std::size_t>(place)];
    append_json_string(line, token_of(embedder, id));
  });
  line += ",\"embedding\":";
  if (sparse) {
    line += "{\"indices\":";
    append_list(line, made.places, [&](std::int32_t place) { line += std::to_string(place); });
    line += ",\"values\":";
    append_list(line, made.values, number);
    return line + "}}\n";
  }
  const auto width = static_cast<std::size_t>(embedder.width());
  append_list(line, made.places, [&, first = std::size_t{0}](std::int32_t) mutable {
    append_list(line, std::span(made.values).subspan(first, width), number);
    first += width;
  });
  return line + "}\n";
}

Result<int> run_json(const Embedder& embedder, const EmbedArguments& arguments, Context& context) {
  const auto take = [&](const InputRow& row, const ModelRow& tokens, const TextVectors& made) -> Result<bool> {
    context.out.write(json_line(embedder, row, tokens, made));
    return !context.out.closed();
  };
  LAYERSCOPE_ASSIGN(const RowCounts counts, embed_texts(embedder, arguments.input, context, take));
  return counts.status();
}

Result<int> run_folder(const Embedder& embedder, const EmbedArguments& arguments, Context& context) {
  StatesJobOptions options;
  options.run_folder = arguments.output;
  options.skip_bad = arguments.input.skip_bad;
  options.shard_bytes = arguments.shard_bytes;
  options.threads = context.common.threads;
  options.overwrite = arguments.overwrite;
  options.dry_run = arguments.dry_run;
  options.part = arguments.part;
  const auto run = [&](RowReader& rows, const StatesJobOptions& asked, const JobHooks& hooks) {
    return run_embed_job(embedder, rows, asked, hooks);
  };
  return run_folder_job({arguments.input, options, arguments.progress, run}, context);
}

}  // namespace

Result<int> run_embed(const EmbedArguments& arguments, Context& context) {
  LAYERSCOPE_ASSIGN(const std::string folder, find_model_folder(arguments.model));
  LAYERSCOPE_ASSIGN(const std::unique_ptr<Embedder> embedder,
                    Embedder::open(folder, context.common.open_options(true), arguments.options));
  const VectorKind kind = embedder->kind();
  if (!arguments.output.empty() && (kind == VectorKind::kSparse || (kind == VectorKind::kTokens && arguments.npy()))) {
    return Error{
        ErrorCode::kUsage,
        fmt::format("-o {}: {} vectors are ragged, one row has more of them than another; {}", arguments.output,
                    vector_kind_name(kind), kind == VectorKind::kTokens ? "-o RUN stores them" : "--json prints them")};
  }
  if (arguments.npy()) return run_embed_npy(*embedder, arguments, context);
  if (!arguments.output.empty()) return run_folder(*embedder, arguments, context);
  return context.common.json ? run_json(*embedder, arguments, context)
                             : run_embed_picture(*embedder, arguments, context);
}

}  // namespace layerscope::cli
