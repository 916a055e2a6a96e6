#include "job/generate_job.h"

#include <algorithm>
#include <cstring>
#include <new>

#include "base/try.h"
#include "job/estimate.h"
#include "job/identity.h"
#include "job/planner.h"
#include "job/resume.h"
#include "job/row_record.h"
#include "session/model_state.h"
#include "session/workers.h"
#include "store/run_writer.h"
#include "store/spooled_shard.h"

namespace layerscope {
namespace {

/// Values of one row on their way into its shard.
class RowSink final : public Sink {
 public:
  RowSink(SpooledShard& shard, std::int64_t row) : shard_(shard), row_(row) {}
  Status accept(const StateFrame& frame) override {
    const std::size_t width = static_cast<std::size_t>(frame.rows.width) * dtype_size(frame.rows.dtype);
    const std::size_t stride = static_cast<std::size_t>(frame.rows.stride) * dtype_size(frame.rows.dtype);
    for (std::size_t i = 0; i < static_cast<std::size_t>(frame.rows.rows); ++i)
      LAYERSCOPE_TRY(shard_.append(row_, static_cast<std::size_t>(frame.site), {frame.rows.data + i * stride, width}));
    return {};
  }

 private:
  SpooledShard& shard_;
  std::int64_t row_;
};

class GenerateJob {
 public:
  GenerateJob(const Model& model, RowReader& rows, const GenerateJobOptions& options, const JobHooks& hooks)
      : model_(model), rows_(rows), options_(options), hooks_(hooks), info_(model.info()) {
    const std::string& file = options.generation.config.file;
    if (!file.empty() && std::find(info_.files.begin(), info_.files.end(), file) == info_.files.end())
      info_.files.push_back(file);
  }

  Result<JobResult> run() {
    const StatesJobOptions& job = options_.job;
    LAYERSCOPE_ASSIGN(plan_, TapPlan::compile(model_.sites(), job.request));
    LAYERSCOPE_ASSIGN(edits_, EditPlan::compile(model_.sites(), job.edits));
    schema_.sites = plan_.stored();
    schema_.two_stacks = info_.two_stacks;
    schema_.main = StackId::kDecoder;
    schema_.generated = true;
    describe();
    result_.sites = schema_.sites;
    if (job.dry_run) return estimate();
    LAYERSCOPE_ASSIGN(RunWriter run, RunWriter::open(job.run_folder, {job.part, job.overwrite}));
    LAYERSCOPE_ASSIGN(const Resumed resumed, resume_run(run, info_, manifest_, rows_, hooks_));
    result_.done = resumed.begin;
    result_.already_complete = resumed.complete;
    if (resumed.complete) return result_;
    const Status status = write(run);
    if (status) return result_;
    if (const Status cleaned = run.recover(); !cleaned && hooks_.note) hooks_.note(cleaned.error().message);
    return status.error();
  }

 private:
  void describe() {
    manifest_ = describe_run(info_, schema_, rows_, options_.job);
    manifest_.config.emplace_back("generation",
                                  Json(Json::Object{{"max_new_tokens", Json(options_.generation.max_new_tokens)},
                                                    {"last_state", Json(options_.generation.last_state)},
                                                    {"choice", generation_json(options_.generation.config)}}));
  }

  [[nodiscard]] Result<std::unique_ptr<Generator>> generator(RowRecord& record) const {
    GenerationOptions own = options_.generation;
    own.threads = all_cores(options_.job.threads);
    own.edits = edits_.empty() ? nullptr : &edits_;
    return Generator::create(model_, own, &plan_, &record);
  }
  [[nodiscard]] GenerateRows::Options row_options() const {
    const StatesJobOptions& job = options_.job;
    return {.tokenize = job.tokenize, .skip_bad = job.skip_bad, .part = job.part};
  }

  /// What the rows that wait come to at most, extrapolated to the whole input.
  void reckon(const GenerateRows& rows, std::uint64_t begin) {
    ShardCounts counts;
    counts.elements.resize(schema_.sites.size());
    const std::int64_t outputs = options_.generation.max_new_tokens;
    for (const auto& tokens : rows.waiting_tokens()) {
      ++counts.rows;
      for (std::size_t stack = 0; stack < 2; ++stack) counts.tokens[stack] += tokens[stack];
      counts.output_tokens += outputs;
      for (std::size_t site = 0; site < schema_.sites.size(); ++site)
        counts.elements[site] += plan_.stored_elements(site, 0, tokens);
    }
    const GenerateRows::Plan plan = rows.plan();
    const std::optional<std::uint64_t> total = rows_.total_bytes();
    double factor = 1;
    if (!plan.whole_input && total && plan.input_bytes > begin && *total > begin)
      factor = static_cast<double>(*total - begin) / static_cast<double>(plan.input_bytes - begin);
    const auto scaled = [&](auto value) { return static_cast<decltype(value)>(static_cast<double>(value) * factor); };
    result_.estimated_rows = scaled(counts.rows);
    result_.estimated_tokens = scaled(counts.all_tokens());
    result_.estimated_bytes = scaled(shard_tensor_bytes(schema_, counts));
  }

  Result<JobResult> estimate() {
    const std::string folder = existing_folder(options_.job.run_folder);
    RowRecord record(plan_, folder);
    LAYERSCOPE_ASSIGN(const auto writer, generator(record));
    GenerateRows rows(*writer, rows_, row_options(), hooks_);
    LAYERSCOPE_TRY(rows.read_ahead());
    reckon(rows, 0);
    LAYERSCOPE_ASSIGN(result_.free_bytes, free_bytes(folder));
    if (options_.planned) options_.planned(rows.plan());
    return result_;
  }

  Status write(RunWriter& run) {
    RowRecord record(plan_, run.folder());
    LAYERSCOPE_ASSIGN(const auto generator, this->generator(record));
    JobHooks hooks = hooks_;
    hooks.progress = nullptr;
    GenerateRows rows(*generator, rows_, row_options(), hooks);
    LAYERSCOPE_TRY(rows.read_ahead());
    reckon(rows, result_.done.input_bytes);
    LAYERSCOPE_ASSIGN(result_.free_bytes, free_bytes(run.folder()));
    if (result_.estimated_bytes > result_.free_bytes) {
      return Error{ErrorCode::kResource, run.folder() + ": the run needs up to " + size_text(result_.estimated_bytes) +
                                             ", " + size_text(result_.free_bytes) +
                                             " free; make room, or store less (--layers, --pool, --save-dtype f16)"};
    }
    if (!run.found()) {
      LAYERSCOPE_TRY(hash_model_files(info_, manifest_));
      LAYERSCOPE_TRY(run.start(manifest_));
    }
    next_.shard = static_cast<std::int64_t>(run.records().size());
    LAYERSCOPE_TRY(rows.run([&](const WrittenRow& row) { return store(row, record, run); }));
    if (shard_) LAYERSCOPE_TRY(commit(run));
    manifest_.input_bytes = rows_.bytes();
    manifest_.input_xxh128 = rows_.prefix_hash();
    manifest_.skipped = rows.trailing_skipped();
    for (const ShardRecord& past : run.records()) manifest_.skipped += past.skipped;
    result_.done.skipped = manifest_.skipped;
    return run.complete(manifest_);
  }

  Result<bool> store(const WrittenRow& row, RowRecord& record, RunWriter& run) {
    const GeneratedRow& made = row.made;
    const ModelRow whole = whole_row(made);
    PlannedRow planned = plan_row(plan_, schema_, made.number, row.id, whole);
    planned.prompt_tokens =
        static_cast<std::int32_t>((made.prompt.decoder ? *made.prompt.decoder : made.prompt.main).ids.size());
    planned.output_ids = made.output_ids;
    if (!shard_) shard_ = std::make_unique<SpooledShard>(schema_, run.folder());
    std::array<std::int64_t, 2> tokens{};
    for (std::size_t stack = 0; stack < 2; ++stack)
      tokens[stack] = static_cast<std::int64_t>(planned.stacks[stack].ids.size());
    RowSink sink(*shard_, made.number);
    LAYERSCOPE_TRY(record.replay(made.tag, made.number, tokens, sink));
    LAYERSCOPE_TRY(shard_->finish_row(planned));
    next_.next_row = made.number + 1;
    next_.input_bytes = row.input_bytes;
    next_.input_prefix_xxh128 = row.prefix_hash;
    next_.skipped += row.skipped;
    ++result_.done.rows;
    result_.done.tokens += tokens[0] + tokens[1];
    result_.done.input_bytes = row.input_bytes;
    const ShardCounts counts = shard_->counts();
    const double work = static_cast<double>(counts.all_tokens()) * static_cast<double>(info_.parameters);
    if (shard_tensor_bytes(schema_, counts) >= options_.job.shard_bytes || work >= ShardPlanner::kMaxShardWork)
      LAYERSCOPE_TRY(commit(run));
    if (hooks_.progress) hooks_.progress(result_.done);
    return true;
  }

  Status commit(RunWriter& run) {
    LAYERSCOPE_ASSIGN(const ShardWriter writer, shard_->assemble(run.temporary_path(next_.shard)));
    next_.rows = writer.counts().rows;
    next_.tokens = writer.counts().all_tokens();
    LAYERSCOPE_TRY(run.commit(writer, next_));
    result_.done.bytes_written += writer.layout().file_bytes();
    ++result_.done.shards;
    ++next_.shard;
    next_.skipped = 0;
    shard_ = nullptr;
    return {};
  }

  /// Prompt and output as one sequence, as far as it has states.
  [[nodiscard]] ModelRow whole_row(const GeneratedRow& made) const {
    ModelRow whole = made.prompt;
    Tokens& tokens = whole.decoder ? *whole.decoder : whole.main;
    for (const std::int32_t id : made.output_ids) {
      if (static_cast<std::int64_t>(tokens.ids.size()) == made.states) break;
      const ModelState& state = model_.state();
      tokens.ids.push_back(id);
      tokens.special.push_back(state.tokenizer ? state.tokenizer->is_special(id) : state.special_ids.contains(id));
      if (!tokens.type_ids.empty()) tokens.type_ids.push_back(0);
    }
    return whole;
  }

  const Model& model_;
  RowReader& rows_;
  const GenerateJobOptions& options_;
  const JobHooks& hooks_;
  ModelInfo info_;
  TapPlan plan_;
  EditPlan edits_;
  ShardSchema schema_;
  Manifest manifest_;
  JobResult result_;
  std::unique_ptr<SpooledShard> shard_;
  ShardRecord next_;  // of the shard that is being filled
};

}  // namespace

Result<JobResult> run_generate_job(const Model& model, RowReader& rows, const GenerateJobOptions& options,
                                   const JobHooks& hooks) {
  try {
    return GenerateJob(model, rows, options, hooks).run();
  } catch (const std::bad_alloc&) {
    return Error{ErrorCode::kResource, options.job.run_folder + ": memory ran out"};
  }
}

}  // namespace layerscope
