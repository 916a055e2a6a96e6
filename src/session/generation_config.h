// What a model folder says about generating text, and what of it holds.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/json.h"
#include "layerscope/error.h"

namespace layerscope {

/// How the next token is chosen, and where a text ends. Names and meanings are those of transformers 5
/// (generation/configuration_utils.py); what is not set changes nothing.
struct GenerationConfig {
  double repetition_penalty = 1;          ///< of tokens that the sequence holds already
  double encoder_repetition_penalty = 1;  ///< the other way round, of tokens that the prompt does not hold
  std::int64_t no_repeat_ngram_size = 0;
  std::int64_t encoder_no_repeat_ngram_size = 0;
  std::vector<std::vector<std::int32_t>> bad_words_ids;
  std::int64_t min_length = 0;      ///< tokens, the prompt's included, before which no end token is chosen
  std::int64_t min_new_tokens = 0;  ///< the same, without the prompt's
  std::optional<std::int32_t> forced_bos_token_id;
  std::vector<std::int32_t> forced_eos_token_id;
  bool remove_invalid_values = false;
  std::vector<std::int32_t> suppress_tokens, begin_suppress_tokens;

  double temperature = 0;  ///< 0: the token with the highest score; the folder's own is not looked at
  std::int64_t top_k = 0;  ///< 0: all
  double top_p = 1, min_p = 0, typical_p = 1, epsilon_cutoff = 0, eta_cutoff = 0;

  std::vector<std::int32_t> eos_token_id;
  std::optional<std::int32_t> bos_token_id, decoder_start_token_id;
  std::vector<std::string> stop_strings;

  std::string file;      ///< that was read, empty if the folder has none
  std::string strategy;  ///< why the folder asks for another search than this one, empty if it does not
};

/// Flags stand above the folder.
struct GenerationFlags {
  std::optional<double> temperature;  ///< given at all, even as 0, it stands above a search that the folder asks for
  std::optional<std::int64_t> top_k;
  std::optional<double> top_p, min_p, repetition_penalty;
  bool ignore_eos = false;
  std::vector<std::string> stop_strings;
};

/// Reads generation_config.json or, in a folder without one, the keys that older folders have in config.json (its
/// "decoder", "generator" or "text_config" where it has none itself), as transformers does. Errors (kModel): a value
/// that makes no sense, a token beyond `vocabulary`, and settings that change the text and are not built, by name.
[[nodiscard]] Result<GenerationConfig> read_generation_config(const std::string& folder, std::int64_t vocabulary);

/// The folder's settings with the flags on top. Errors: kUsage for a flag that makes no sense, kModel where the folder
/// asks for another search and no flag says what to do instead.
[[nodiscard]] Result<GenerationConfig> with_flags(GenerationConfig config, const GenerationFlags& flags);

/// All that decides which tokens are chosen, for a manifest.
[[nodiscard]] Json generation_json(const GenerationConfig& config);

}  // namespace layerscope
