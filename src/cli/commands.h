// The commands, one file each. A command writes data to `out` and messages to `messages`, and returns the exit status
// of a run that did not fail (0, 3 or 6).
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "cli/arguments.h"
#include "cli/output.h"
#include "cli/terminal.h"
#include "job/states_job.h"
#include "layerscope/error.h"
#include "session/embedder.h"

namespace layerscope::cli {

struct Context {
  const CommonArguments& common;
  const Terminal& terminal;
  Output& out;
  Messages& messages;
};

/// The model that MODEL names: a folder, or a name in the hub cache.
[[nodiscard]] Result<std::unique_ptr<Model>> open_model(const std::string& model, const Context& context, bool weights);

[[nodiscard]] Result<int> run_inspect(const InspectArguments& arguments, Context& context);
[[nodiscard]] Result<int> run_tokenize(const TokenizeArguments& arguments, Context& context);
/// `states`: chooses between the three below.
[[nodiscard]] Result<int> run_states(const StatesArguments& arguments, Context& context);
[[nodiscard]] Result<int> run_states_picture(const Model& model, const StatesArguments& arguments,
                                             const EditPlan& edits, Context& context);
[[nodiscard]] Result<int> run_states_json(const Model& model, const StatesArguments& arguments, const EditPlan& edits,
                                          Context& context);
[[nodiscard]] Result<int> run_states_folder(const Model& model, const StatesArguments& arguments,
                                            std::vector<Edit> edits, Context& context);
/// `embed`: chooses between a run folder, a .npy file, JSON lines and the matrix.
[[nodiscard]] Result<int> run_embed(const EmbedArguments& arguments, Context& context);
[[nodiscard]] Result<int> run_embed_npy(const Embedder& embedder, const EmbedArguments& arguments, Context& context);

/// `logits`: chooses between a run folder, JSON lines and the picture.
[[nodiscard]] Result<int> run_logits(const LogitsArguments& arguments, Context& context);
[[nodiscard]] Result<int> run_logits_folder(const Model& model, const LogitsArguments& arguments, Context& context);
[[nodiscard]] Result<int> run_logits_json(const Model& model, const LogitsArguments& arguments, Context& context);
[[nodiscard]] Result<int> run_logits_picture(const Model& model, const LogitsArguments& arguments, Context& context);
/// `lens`: trains one, or looks through it: JSON lines, a page or the picture.
[[nodiscard]] Result<int> run_lens(const LensArguments& arguments, Context& context);
[[nodiscard]] Result<int> run_lens_training(const Model& model, const LensArguments& arguments, Context& context);
/// `generate`: text, JSON lines or a run folder.
[[nodiscard]] Result<int> run_generate(const GenerateArguments& arguments, Context& context);

/// `similarity`: a table and pictures, JSON or a page.
[[nodiscard]] Result<int> run_similarity(const SimilarityArguments& arguments, Context& context);

/// A bulk job into a run folder, with progress, signals and the summary.
struct FolderJob {
  const InputArguments& input;
  StatesJobOptions options;
  ProgressMode progress = ProgressMode::kAuto;
  std::function<Result<JobResult>(RowReader&, const StatesJobOptions&, const JobHooks&)> run;
};
[[nodiscard]] Result<int> run_folder_job(const FolderJob& job, Context& context);

[[nodiscard]] Result<int> run_search(const SearchArguments& arguments, Context& context);
[[nodiscard]] Result<int> run_cluster(const ClusterArguments& arguments, Context& context);
/// `diff`: 0 where the sides are the same, else 6.
[[nodiscard]] Result<int> run_diff(const DiffArguments& arguments, Context& context);
[[nodiscard]] Result<int> run_probe(const ProbeArguments& arguments, Context& context);
[[nodiscard]] Result<int> run_verify(const VerifyArguments& arguments, Context& context);
[[nodiscard]] Result<int> run_export(const ExportArguments& arguments, Context& context);

}  // namespace layerscope::cli
