#include "session/generation_config.h"

#include <cmath>
#include <filesystem>
#include <limits>

#include "base/try.h"
#include "base/utf8.h"

namespace layerscope {
namespace {

constexpr double kLeastTemperature = 1e-6;  // below it scores divided by it leave the range of float32
constexpr std::int64_t kMostTokens = std::int64_t{1} << 40;

/// Settings that would change the text and are not built.
constexpr const char* kNotBuilt[] = {"guidance_scale",
                                     "sequence_bias",
                                     "exponential_decay_length_penalty",
                                     "watermarking_config",
                                     "constraints",
                                     "force_words_ids",
                                     "prompt_lookup_num_tokens",
                                     "assistant_early_exit",
                                     "dola_layers",
                                     "speculation_type",
                                     "top_h",
                                     "max_time",
                                     "token_healing",
                                     "num_return_sequences"};

bool changes_nothing(std::string_view key, const Json& value) {
  if (value.is_null() || (value.boolean() != nullptr && !*value.boolean())) return true;
  const bool one =
      (value.integer() != nullptr && *value.integer() == 1) || (value.real() != nullptr && *value.real() == 1);
  return one && (key == "guidance_scale" || key == "num_return_sequences");
}

/// Settings of one file; the first that makes no sense is remembered.
class Settings {
 public:
  Settings(std::string file, const Json& json, bool legacy, std::int64_t vocabulary)
      : file_(std::move(file)), json_(json), vocabulary_(vocabulary) {
    for (const char* key : {"decoder", "generator", "text_config"}) {
      const Json* found = legacy && nested_ == nullptr ? json.find(key) : nullptr;
      if (found != nullptr && found->object() != nullptr) nested_ = found;
    }
  }

  /// The value of a key that is set, or null.
  [[nodiscard]] const Json* find(std::string_view key) const {
    for (const Json* place : {&json_, nested_}) {
      const Json* value = place == nullptr ? nullptr : place->find(key);
      if (value != nullptr && !value->is_null()) return value;
    }
    return nullptr;
  }

  void number(const char* key, double least, double most, double& into) {
    const Json* value = find(key);
    if (value == nullptr) return;
    const double read = value->real() != nullptr      ? *value->real()
                        : value->integer() != nullptr ? static_cast<double>(*value->integer())
                                                      : std::numeric_limits<double>::quiet_NaN();
    if (!(read >= least && read <= most)) return fail(key, *value, "a number in its range");
    into = read;
  }
  void count(const char* key, std::int64_t& into) {
    const Json* value = find(key);
    if (value == nullptr) return;
    if (value->integer() == nullptr || *value->integer() < 0 || *value->integer() > kMostTokens)
      return fail(key, *value, "a whole number from 0 on");
    into = *value->integer();
  }
  void flag(const char* key, bool& into) {
    const Json* value = find(key);
    if (value == nullptr) return;
    if (value->boolean() == nullptr) return fail(key, *value, "true or false");
    into = *value->boolean();
  }
  void token(const char* key, std::optional<std::int32_t>& into) {
    const Json* value = find(key);
    if (value == nullptr) return;
    if (value->integer() == nullptr || *value->integer() < 0 || *value->integer() >= vocabulary_)
      return fail(key, *value, "an id of the vocabulary");
    into = static_cast<std::int32_t>(*value->integer());
  }
  /// One id or a list. `lenient`: ids that no token has are left out, as a comparison with them never holds.
  void tokens(const char* key, bool lenient, std::vector<std::int32_t>& into) {
    const Json* value = find(key);
    if (value == nullptr) return;
    const Json::Array one = {*value};
    into.clear();
    for (const Json& item : value->array() != nullptr ? *value->array() : one) {
      const bool known = item.integer() != nullptr && *item.integer() >= 0 && *item.integer() < vocabulary_;
      if (!known && !(lenient && item.integer() != nullptr)) return fail(key, *value, "ids of the vocabulary");
      if (known) into.push_back(static_cast<std::int32_t>(*item.integer()));
    }
  }
  void token_lists(const char* key, std::vector<std::vector<std::int32_t>>& into) {
    const Json* value = find(key);
    if (value == nullptr) return;
    const char* expected = "lists of ids of the vocabulary";
    if (value->array() == nullptr) return fail(key, *value, expected);
    for (const Json& list : *value->array()) {
      if (list.array() == nullptr || list.array()->empty()) return fail(key, *value, expected);
      std::vector<std::int32_t>& ids = into.emplace_back();
      for (const Json& item : *list.array()) {
        if (item.integer() == nullptr || *item.integer() < 0 || *item.integer() >= vocabulary_)
          return fail(key, *value, expected);
        ids.push_back(static_cast<std::int32_t>(*item.integer()));
      }
    }
  }
  void texts(const char* key, std::vector<std::string>& into) {
    const Json* value = find(key);
    if (value == nullptr) return;
    const Json::Array one = {*value};
    for (const Json& item : value->array() != nullptr ? *value->array() : one) {
      if (item.string() == nullptr || item.string()->empty()) return fail(key, *value, "texts");
      into.push_back(*item.string());
    }
  }
  void refuse_not_built() {
    for (const char* key : kNotBuilt) {
      const Json* value = find(key);
      if (value != nullptr && !changes_nothing(key, *value))
        return fail(key, *value, "nothing: generation with it is not built");
    }
  }
  [[nodiscard]] const std::optional<Error>& error() const noexcept { return error_; }

 private:
  void fail(const char* key, const Json& value, const std::string& expected) {
    if (error_) return;
    error_ =
        Error{ErrorCode::kModel, file_ + ": \"" + key + "\" is " + printable(value.dump()) + ", expected " + expected};
  }

  std::string file_;
  const Json& json_;
  const Json* nested_ = nullptr;
  std::int64_t vocabulary_;
  std::optional<Error> error_;
};

/// Which search the folder asks for, where it is neither the greedy one nor plain sampling.
/// (transformers, configuration_utils.py: get_generation_mode)
std::string strategy_of(const Settings& settings) {
  const auto above = [&](const char* key, double least) {
    const Json* value = settings.find(key);
    if (value == nullptr) return false;
    return (value->integer() != nullptr && static_cast<double>(*value->integer()) > least) ||
           (value->real() != nullptr && *value->real() > least);
  };
  if (above("num_beams", 1)) return "\"num_beams\" is " + settings.find("num_beams")->dump() + " (beam search)";
  const Json* sample = settings.find("do_sample");
  const bool samples = sample != nullptr && sample->boolean() != nullptr && *sample->boolean();
  if (!samples && above("penalty_alpha", 0) && above("top_k", 1))
    return "\"penalty_alpha\" is " + settings.find("penalty_alpha")->dump() + " (contrastive search)";
  return {};
}

Json tokens_json(const std::vector<std::int32_t>& ids) {
  Json::Array list;
  for (const std::int32_t id : ids) list.push_back(Json(std::int64_t{id}));
  return Json(std::move(list));
}

Json token_json(const std::optional<std::int32_t>& id) { return id ? Json(std::int64_t{*id}) : Json(); }

}  // namespace

Result<GenerationConfig> read_generation_config(const std::string& folder, std::int64_t vocabulary) {
  std::string file = folder + "/generation_config.json";
  std::error_code error;
  const bool legacy = !std::filesystem::exists(file, error);
  if (legacy) file = folder + "/config.json";
  LAYERSCOPE_ASSIGN(const Json json, read_json_file(file, ErrorCode::kModel));
  if (json.object() == nullptr) return Error{ErrorCode::kModel, file + ": is no JSON object"};
  Settings settings(file, json, legacy, vocabulary);
  constexpr double kMost = std::numeric_limits<float>::max();
  constexpr double kLeast = std::numeric_limits<float>::min();
  GenerationConfig config;
  settings.number("repetition_penalty", kLeast, kMost, config.repetition_penalty);
  settings.number("encoder_repetition_penalty", kLeast, kMost, config.encoder_repetition_penalty);
  settings.count("no_repeat_ngram_size", config.no_repeat_ngram_size);
  settings.count("encoder_no_repeat_ngram_size", config.encoder_no_repeat_ngram_size);
  settings.token_lists("bad_words_ids", config.bad_words_ids);
  settings.count("min_length", config.min_length);
  settings.count("min_new_tokens", config.min_new_tokens);
  settings.token("forced_bos_token_id", config.forced_bos_token_id);
  settings.tokens("forced_eos_token_id", false, config.forced_eos_token_id);
  settings.flag("remove_invalid_values", config.remove_invalid_values);
  settings.tokens("suppress_tokens", true, config.suppress_tokens);
  settings.tokens("begin_suppress_tokens", true, config.begin_suppress_tokens);
  settings.count("top_k", config.top_k);
  settings.number("top_p", 0, 1, config.top_p);
  settings.number("min_p", 0, 1, config.min_p);
  settings.number("typical_p", kLeast, 1, config.typical_p);
  settings.number("epsilon_cutoff", 0, 1, config.epsilon_cutoff);
  settings.number("eta_cutoff", 0, 1, config.eta_cutoff);
  settings.tokens("eos_token_id", true, config.eos_token_id);
  settings.texts("stop_strings", config.stop_strings);
  settings.refuse_not_built();
  std::vector<std::int32_t> bos;  // of which only one can start a text, and only for an encoder-decoder
  settings.tokens("bos_token_id", true, bos);
  if (bos.size() == 1) config.bos_token_id = bos.front();
  settings.token("decoder_start_token_id", config.decoder_start_token_id);
  bool forced_bos = false;
  if (legacy) settings.flag("force_bos_token_to_be_generated", forced_bos);
  if (forced_bos) config.forced_bos_token_id = config.bos_token_id;
  if (settings.error()) return *settings.error();
  config.file = file;
  config.strategy = strategy_of(settings);
  return config;
}

Result<GenerationConfig> with_flags(GenerationConfig config, const GenerationFlags& flags) {
  const auto wrong = [](const char* flag, double value, const char* expected) {
    std::string text;
    append_json_number(text, value);
    return Error{ErrorCode::kUsage, std::string(flag) + " " + text + ": expected " + expected};
  };
  if (!flags.temperature && !config.strategy.empty()) {
    return Error{ErrorCode::kModel,
                 config.file + ": " + config.strategy +
                     ", which is not built; --temperature 0 takes the most likely token at each step, "
                     "--temperature 1 samples"};
  }
  config.temperature = flags.temperature.value_or(0);
  if (config.temperature != 0 && config.temperature < kLeastTemperature)
    return wrong("--temperature", config.temperature, "0 (greedy), or 0.000001 or more");
  if (flags.top_k) config.top_k = *flags.top_k;
  if (flags.top_p) config.top_p = *flags.top_p;
  if (config.top_p < 0 || config.top_p > 1) return wrong("--top-p", config.top_p, "a number from 0 to 1");
  if (flags.min_p) config.min_p = *flags.min_p;
  if (config.min_p < 0 || config.min_p > 1) return wrong("--min-p", config.min_p, "a number from 0 to 1");
  if (flags.repetition_penalty) config.repetition_penalty = *flags.repetition_penalty;
  if (config.repetition_penalty <= 0)
    return wrong("--repetition-penalty", config.repetition_penalty, "a number above 0");
  if (flags.ignore_eos) config.eos_token_id.clear();
  config.stop_strings.insert(config.stop_strings.end(), flags.stop_strings.begin(), flags.stop_strings.end());
  return config;
}

Json generation_json(const GenerationConfig& config) {
  Json::Array bad_words, stops;
  for (const auto& ids : config.bad_words_ids) bad_words.push_back(tokens_json(ids));
  for (const std::string& text : config.stop_strings) stops.push_back(Json(text));
  return Json(Json::Object{{"temperature", Json(config.temperature)},
                           {"top_k", Json(config.top_k)},
                           {"top_p", Json(config.top_p)},
                           {"min_p", Json(config.min_p)},
                           {"typical_p", Json(config.typical_p)},
                           {"epsilon_cutoff", Json(config.epsilon_cutoff)},
                           {"eta_cutoff", Json(config.eta_cutoff)},
                           {"repetition_penalty", Json(config.repetition_penalty)},
                           {"encoder_repetition_penalty", Json(config.encoder_repetition_penalty)},
                           {"no_repeat_ngram_size", Json(config.no_repeat_ngram_size)},
                           {"encoder_no_repeat_ngram_size", Json(config.encoder_no_repeat_ngram_size)},
                           {"bad_words_ids", Json(std::move(bad_words))},
                           {"min_length", Json(config.min_length)},
                           {"min_new_tokens", Json(config.min_new_tokens)},
                           {"forced_bos_token_id", token_json(config.forced_bos_token_id)},
                           {"forced_eos_token_id", tokens_json(config.forced_eos_token_id)},
                           {"remove_invalid_values", Json(config.remove_invalid_values)},
                           {"suppress_tokens", tokens_json(config.suppress_tokens)},
                           {"begin_suppress_tokens", tokens_json(config.begin_suppress_tokens)},
                           {"eos_token_id", tokens_json(config.eos_token_id)},
                           {"decoder_start_token_id", token_json(config.decoder_start_token_id)},
                           {"stop_strings", Json(std::move(stops))}});
}

}  // namespace layerscope
