#include "cli/cli.h"

#include <algorithm>
#include <cstdlib>
#include <exception>
#include <new>
#include <string>
#include <vector>

#include <fcntl.h>
#include <unistd.h>

#include "cli/commands.h"
#include "cli/help.h"
#include "cli/signals.h"

namespace layerscope {
namespace {

using namespace cli;

/// A file opened later must never land on the number of a standard stream that the caller had closed. Opened for
/// reading, so that writing to a closed stdout still fails.
void occupy_standard_descriptors() noexcept {
  for (int descriptor = 0; descriptor <= 2; ++descriptor) {
    if (fcntl(descriptor, F_GETFD) == -1 && open("/dev/null", O_RDONLY) == -1) return;
  }
}

struct Dispatch {
  Context& context;
  Result<int> print(const std::string& text) {
    context.out.write(text);
    return 0;
  }
  Result<int> operator()(const HelpArguments& arguments) { return print(help_text(arguments.command)); }
  Result<int> operator()(const VersionArguments&) { return print(version_text() + "\n"); }
  Result<int> operator()(const ManArguments&) { return print(manual_page()); }
  Result<int> operator()(const CompletionArguments& arguments) { return print(completion_script(arguments.shell)); }
  Result<int> operator()(const InspectArguments& arguments) { return run_inspect(arguments, context); }
  Result<int> operator()(const TokenizeArguments& arguments) { return run_tokenize(arguments, context); }
  Result<int> operator()(const StatesArguments& arguments) { return run_states(arguments, context); }
  Result<int> operator()(const EmbedArguments& arguments) { return run_embed(arguments, context); }
  Result<int> operator()(const SearchArguments& arguments) { return run_search(arguments, context); }
  Result<int> operator()(const ClusterArguments& arguments) { return run_cluster(arguments, context); }
  Result<int> operator()(const LogitsArguments& arguments) { return run_logits(arguments, context); }
  Result<int> operator()(const LensArguments& arguments) { return run_lens(arguments, context); }
  Result<int> operator()(const GenerateArguments& arguments) { return run_generate(arguments, context); }
  Result<int> operator()(const DiffArguments& arguments) { return run_diff(arguments, context); }
  Result<int> operator()(const SimilarityArguments& arguments) { return run_similarity(arguments, context); }
  Result<int> operator()(const ProbeArguments& arguments) { return run_probe(arguments, context); }
  Result<int> operator()(const VerifyArguments& arguments) { return run_verify(arguments, context); }
  Result<int> operator()(const ExportArguments& arguments) { return run_export(arguments, context); }
};

int failed(Messages& messages, const Error& error) {
  messages.error(error);
  return error.code == ErrorCode::kCancelled && signal_status() != 0 ? signal_status() : exit_status(error.code);
}

int run(const std::vector<std::string>& arguments, const Streams& streams) {
  Output out(streams.out);
  Output err(streams.err);
  const Environment environment = [](const char* name) { return std::getenv(name); };
  const auto invocation = parse_arguments(arguments, environment);
  if (!invocation) {
    const auto texts = std::ranges::find(arguments, "--");
    Messages messages(err, std::find(arguments.begin(), texts, "--json") != texts, false);
    return failed(messages, invocation.error());
  }
  const CommonArguments& common = invocation->common;
  const bool writes_run = std::visit(
      [](const auto& request) {
        if constexpr (std::is_base_of_v<FolderArguments, std::decay_t<decltype(request)>>)
          return !request.output.empty();
        return false;
      },
      invocation->request);
  catch_signals(writes_run);
  const Terminal terminal = detect_terminal(streams.out, streams.err, common, environment);
  Messages messages(err, common.json, common.quiet);
  Context context{common, terminal, out, messages};
  const Result<int> status = std::visit(Dispatch{context}, invocation->request);
  const Status written = out.finish();
  if (!status) return failed(messages, status.error());
  return written ? *status : failed(messages, written.error());
}

}  // namespace

int cli_main(int argc, const char* const* argv, const Streams& streams) noexcept {
  occupy_standard_descriptors();
  Output err(streams.err);
  Messages messages(err, false, false);
  try {
    return run({argv + std::min(argc, 1), argv + argc}, streams);
  } catch (const std::bad_alloc&) {
    messages.error({ErrorCode::kResource, "out of memory (fewer --threads and a smaller --shard-size need less)"});
    return exit_status(ErrorCode::kResource);
  } catch (const std::exception& error) {
    messages.error({ErrorCode::kRuntime, error.what()});
    return exit_status(ErrorCode::kRuntime);
  }
}

}  // namespace layerscope
