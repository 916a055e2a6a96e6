#include "cli/arguments.h"

#include <map>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace layerscope::cli {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

Environment environment_of(std::map<std::string, std::string> variables) {
  return [variables = std::move(variables)](const char* name) -> const char* {
    const auto found = variables.find(name);
    return found == variables.end() ? nullptr : found->second.c_str();
  };
}

Result<Invocation> parse(std::vector<std::string> words, std::map<std::string, std::string> variables = {}) {
  return parse_arguments(words, environment_of(std::move(variables)));
}

template <class T>
T parsed(std::vector<std::string> words) {
  Result<Invocation> invocation = parse(std::move(words));
  if (!invocation) {
    ADD_FAILURE() << invocation.error().message;
    return {};
  }
  const T* const request = std::get_if<T>(&invocation->request);
  if (request == nullptr) ADD_FAILURE() << "another command was parsed";
  return request == nullptr ? T{} : *request;
}

std::string usage_error(std::vector<std::string> words) {
  const Result<Invocation> invocation = parse(std::move(words));
  if (invocation) {
    ADD_FAILURE() << "parsed, but should have failed";
    return {};
  }
  EXPECT_EQ(invocation.error().code, ErrorCode::kUsage);
  EXPECT_EQ(invocation.error().message.find('\n'), std::string::npos);
  return invocation.error().message;
}

TEST(Arguments, StatesTakesEverythingItNames) {
  const auto states = parsed<StatesArguments>({"states",
                                               "m",
                                               "-i",
                                               "in.jsonl",
                                               "-o",
                                               "run",
                                               "--layers",
                                               "-1",
                                               "--sites=block.*.out",
                                               "--positions",
                                               "-2,-1",
                                               "--mix",
                                               "0..3",
                                               "--save-dtype",
                                               "bf16",
                                               "--seed",
                                               "18446744073709551615",
                                               "--shard-size",
                                               "8MB",
                                               "--shard",
                                               "1/4",
                                               "--on-bad",
                                               "skip",
                                               "--on-long",
                                               "truncate",
                                               "--max-length",
                                               "12",
                                               "--no-special-tokens",
                                               "--overwrite",
                                               "--dry-run",
                                               "--progress",
                                               "json"});
  EXPECT_EQ(states.model, "m");
  EXPECT_EQ(states.input.path, "in.jsonl");
  EXPECT_EQ(states.output, "run");
  EXPECT_EQ(states.request.layers, "-1");
  EXPECT_EQ(states.request.sites, "block.*.out");
  EXPECT_EQ(states.request.positions, "-2,-1");
  EXPECT_EQ(states.request.mix, "0..3");
  EXPECT_EQ(states.request.save_dtype, DType::kBF16);
  EXPECT_EQ(states.request.seed, 18446744073709551615U);
  EXPECT_EQ(states.shard_bytes, 8'000'000U);
  EXPECT_EQ(states.part, (std::pair{1, 4}));
  EXPECT_TRUE(states.input.skip_bad && states.input.tokenize.truncate && states.overwrite && states.dry_run);
  EXPECT_EQ(states.input.tokenize.max_length, 12);
  EXPECT_FALSE(states.input.tokenize.add_special_tokens);
  EXPECT_EQ(states.progress, ProgressMode::kJson);
}

TEST(Arguments, StatesDefaults) {
  const auto states = parsed<StatesArguments>({"states", "m", "text"});
  EXPECT_TRUE(states.output.empty() && states.request.layers.empty() && states.request.sites.empty() &&
              states.request.mix.empty());
  EXPECT_EQ(states.request.positions, "all");
  EXPECT_EQ(states.request.pool, Pooling::kNone);
  EXPECT_EQ(states.request.save_dtype, DType::kF32);
  EXPECT_EQ(states.shard_bytes, std::uint64_t{256} << 20);
  EXPECT_FALSE(states.part || states.input.skip_bad || states.input.tokenize.truncate ||
               states.input.tokenize.max_length);
  EXPECT_TRUE(states.input.tokenize.add_special_tokens);
  EXPECT_EQ(states.measure, Measure::kNorm);
}

TEST(Arguments, TextsStayAsTheyAreWritten) {
  const auto states = parsed<StatesArguments>(
      {"states", "m", "[CLS]", "[a,b]", "", "verify", "a b", "--json", "--", "--json", "-x", "--"});
  EXPECT_THAT(states.input.texts, ElementsAre("[CLS]", "[a,b]", "", "verify", "a b", "--json", "-x", "--"));
}

TEST(Arguments, CommonFlagsHoldForEveryCommand) {
  for (const std::vector<std::string>& command : {std::vector<std::string>{"inspect", "m"},
                                                  {"tokenize", "m", "t"},
                                                  {"states", "m", "t"},
                                                  {"verify", "r"},
                                                  {"export", "r", "--to", "npz", "-o", "x"}}) {
    std::vector<std::string> words = command;
    words.insert(words.end(), {"--json", "-q", "--threads", "3", "--dtype", "bf16", "--device", "cpu", "--isa", "avx2",
                               "--no-color"});
    const Result<Invocation> invocation = parse(words);
    ASSERT_TRUE(invocation) << command.front() << ": " << invocation.error().message;
    const CommonArguments& common = invocation->common;
    EXPECT_TRUE(common.json && common.quiet && common.no_color);
    EXPECT_EQ(common.threads, 3);
    EXPECT_EQ(common.dtype, "bf16");
    EXPECT_EQ(common.isa, "avx2");
  }
}

TEST(Arguments, IsaComesFromTheEnvironmentUnlessTheFlagSaysOtherwise) {
  EXPECT_EQ(parse({"inspect", "m"}, {{"LAYERSCOPE_ISA", "avx2"}})->common.isa, "avx2");
  EXPECT_EQ(parse({"inspect", "m", "--isa", "sse4"}, {{"LAYERSCOPE_ISA", "avx2"}})->common.isa, "sse4");
}

TEST(Arguments, ExportNeedsFormatAndTarget) {
  const auto arguments =
      parsed<ExportArguments>({"export", "run", "--to", "npz", "-o", "x.npz", "--overwrite", "--allow-incomplete"});
  EXPECT_EQ(arguments.format, ExportFormat::kNpz);
  EXPECT_EQ(arguments.target, "x.npz");
  EXPECT_TRUE(arguments.options.overwrite && arguments.options.allow_incomplete);
  EXPECT_EQ(parsed<ExportArguments>({"export", "r", "--to", "npy", "-o", "x"}).format, ExportFormat::kNpy);
  EXPECT_EQ(parsed<ExportArguments>({"export", "r", "--to", "safetensors", "-o", "x"}).format,
            ExportFormat::kSafetensors);
  const auto dataset = parsed<ExportArguments>({"export", "r", "--to", "hf-dataset", "-o", "x", "--shard-size", "2MB"});
  EXPECT_EQ(dataset.format, ExportFormat::kHfDataset);
  EXPECT_EQ(dataset.options.shard_bytes, 2'000'000U);
  EXPECT_THAT(usage_error({"export", "r", "--to", "npz", "-o", "x", "--shard-size", "2MB"}), HasSubstr("hf-dataset"));
  EXPECT_THAT(usage_error({"export", "run", "-o", "x"}), HasSubstr("--to"));
  EXPECT_THAT(usage_error({"export", "run", "--to", "npz"}), HasSubstr("-o"));
}

TEST(Arguments, EmbedTakesEverythingItNames) {
  const auto plain = parsed<EmbedArguments>({"embed", "m", "t"});
  EXPECT_TRUE(plain.options.tokenize.truncate);
  EXPECT_FALSE(plain.options.pool || plain.options.normalize || plain.options.prompt || plain.options.truncate_dim);
  const auto embed = parsed<EmbedArguments>({"embed",
                                             "m",
                                             "t",
                                             "-o",
                                             "v.npy",
                                             "--precision",
                                             "ubinary",
                                             "--prompt-name",
                                             "query",
                                             "--layer",
                                             "-2",
                                             "--pool",
                                             "last",
                                             "--truncate-dim",
                                             "64",
                                             "--no-normalize",
                                             "--on-long",
                                             "error",
                                             "--max-length",
                                             "9",
                                             "--overwrite"});
  EXPECT_TRUE(embed.npy());
  EXPECT_EQ(embed.precision, VectorPrecision::kUbinary);
  EXPECT_EQ(embed.options.prompt_name, "query");
  EXPECT_EQ(embed.options.layers, "-2");
  EXPECT_EQ(embed.options.pool, Pooling::kLast);
  EXPECT_EQ(embed.options.truncate_dim, 64);
  EXPECT_EQ(embed.options.normalize, false);
  EXPECT_FALSE(embed.options.tokenize.truncate);
  EXPECT_EQ(embed.options.tokenize.max_length, 9);
  EXPECT_TRUE(embed.overwrite);
  EXPECT_EQ(parsed<EmbedArguments>({"embed", "m", "t", "--prompt", ""}).options.prompt, "");
  EXPECT_THAT(usage_error({"embed", "m", "t", "--normalize", "--no-normalize"}), HasSubstr("--no-normalize"));
  EXPECT_THAT(usage_error({"embed", "m", "t", "-o", "run", "--precision", "int8"}), HasSubstr(".npy"));
}

TEST(Arguments, HelpAndVersion) {
  EXPECT_FALSE(parsed<HelpArguments>({"--help"}).command);
  EXPECT_EQ(parsed<HelpArguments>({"states", "--help"}).command, Command::kStates);
  EXPECT_EQ(parsed<HelpArguments>({"export", "-h"}).command, Command::kExport);
  EXPECT_EQ(parsed<HelpArguments>({"help", "verify"}).command, Command::kVerify);
  EXPECT_TRUE(std::holds_alternative<VersionArguments>(parse({"--version"})->request));
}

TEST(Arguments, NearMissesAreSuggested) {
  EXPECT_THAT(usage_error({"states", "m", "t", "--layer", "0"}), HasSubstr("did you mean --layers?"));
  EXPECT_THAT(usage_error({"states", "m", "t", "--sheed=1"}), HasSubstr("did you mean --seed?"));
  EXPECT_THAT(usage_error({"states", "m", "t", "--pool", "maen"}), HasSubstr("did you mean mean?"));
  EXPECT_THAT(usage_error({"sattes", "m"}), HasSubstr("did you mean states?"));
  EXPECT_THAT(usage_error({"completion", "bsh"}), HasSubstr("did you mean bash?"));
  EXPECT_THAT(usage_error({"states", "m", "t", "--frobnicate"}), testing::Not(HasSubstr("did you mean")));
}

TEST(Arguments, WrongUsage) {
  EXPECT_THAT(usage_error({}), HasSubstr("no command"));
  EXPECT_THAT(usage_error({"--json", "inspect", "m"}), HasSubstr("after the command"));
  EXPECT_THAT(usage_error({"inspect"}), HasSubstr("MODEL is missing"));
  EXPECT_THAT(usage_error({"inspect", "m", "n"}), HasSubstr("'n'"));
  EXPECT_THAT(usage_error({"inspect", "m", "--layers", "0"}), HasSubstr("not a flag of inspect"));
  EXPECT_THAT(usage_error({"states", "m"}), HasSubstr("nothing to read"));
  EXPECT_THAT(usage_error({"states", "m", "t", "-i", "f"}), HasSubstr("only one"));
  EXPECT_THAT(usage_error({"states", "m", "t", "--overwrite"}), HasSubstr("-o RUN"));
  EXPECT_THAT(usage_error({"states", "m", "t", "--dry-run"}), HasSubstr("-o RUN"));
  EXPECT_THAT(usage_error({"states", "m", "t", "-o", "r", "--measure", "step"}), HasSubstr("picture"));
  EXPECT_THAT(usage_error({"states", "m", "t", "--layers"}), HasSubstr("--layers"));
  EXPECT_THAT(usage_error({"states", "m", "t", "--layers", ""}), HasSubstr("empty"));
  EXPECT_THAT(usage_error({"states", "m", "t", "--layers", "0", "--layers", "1"}), HasSubstr("given 2 times"));
  EXPECT_THAT(usage_error({"states", "m", "t", "--threads", "0"}), HasSubstr("whole number"));
  EXPECT_THAT(usage_error({"states", "m", "t", "--threads", "2x"}), HasSubstr("2x"));
  EXPECT_THAT(usage_error({"states", "m", "t", "--seed", "-1"}), HasSubstr("-1"));
  EXPECT_THAT(usage_error({"states", "m", "t", "--dtype", "f16"}), HasSubstr("f32, bf16"));
  EXPECT_THAT(usage_error({"states", "m", "t", "--device", "cuda"}), HasSubstr("not built"));
  EXPECT_THAT(usage_error({"states", "m", "t", "-o", "r", "--shard-size", "0"}), HasSubstr("--shard-size 0"));
  EXPECT_THAT(usage_error({"states", "m", "t", "--color", "--no-color"}), HasSubstr("only one"));
  EXPECT_THAT(usage_error({"states", "m", "-i", "f.txt", "--input-format", "jsonl"}), HasSubstr("-i -"));
  EXPECT_THAT(usage_error({"states", "m", "-x"}), HasSubstr("after --"));
}

TEST(Arguments, Sizes) {
  EXPECT_EQ(parse_size("256MiB"), std::uint64_t{256} << 20);
  EXPECT_EQ(parse_size("8MB"), 8'000'000U);
  EXPECT_EQ(parse_size("1000000"), 1'000'000U);
  EXPECT_EQ(parse_size("12B"), 12U);
  EXPECT_EQ(parse_size("2tib"), std::uint64_t{2} << 40);
  EXPECT_EQ(parse_size("1KB"), 1000U);
  for (const char* const text :
       {"", "0", "-1", "1.5MB", "8 MB", "8M", "MB", "8XB", "8MBB", "99999999999999999999", "9999999TiB"}) {
    EXPECT_FALSE(parse_size(text)) << text;
  }
}

TEST(Arguments, Shards) {
  EXPECT_EQ(*parse_shard("0/1", environment_of({})), (std::pair{0, 1}));
  EXPECT_EQ(*parse_shard("7/8", environment_of({})), (std::pair{7, 8}));
  for (const char* const text : {"8/8", "-1/8", "1", "1/", "/8", "1/0", "a/8", "1/8/2", "auto/4"}) {
    EXPECT_FALSE(parse_shard(text, environment_of({}))) << text;
  }
  EXPECT_EQ(*parse_shard("auto/4", environment_of({{"SLURM_ARRAY_TASK_ID", "3"}})), (std::pair{3, 4}));
  EXPECT_EQ(*parse_shard("auto/4", environment_of({{"JOB_COMPLETION_INDEX", "2"}})), (std::pair{2, 4}));
  EXPECT_FALSE(parse_shard("auto/4", environment_of({{"SLURM_ARRAY_TASK_ID", "4"}})));
  EXPECT_EQ(*parse_shard("1/4", environment_of({{"SLURM_ARRAY_TASK_ID", "3"}})), (std::pair{1, 4}))
      << "the environment was read unasked";
}

}  // namespace
}  // namespace layerscope::cli
