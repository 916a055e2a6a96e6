// Every model family there is.
#pragma once

#include <span>
#include <string_view>

#include "spec/bind.h"

namespace layerscope {

/// All families, one entry a file of this folder.
[[nodiscard]] std::span<const Family* const> families();
/// The family of a config's model_type, or null.
[[nodiscard]] const Family* family_of(std::string_view model_type);

extern const Family kAlbert;
extern const Family kApertus;
extern const Family kBart;
extern const Family kBert;
extern const Family kBioGpt;
extern const Family kBloom;
extern const Family kCodeGen;
extern const Family kCohere;
extern const Family kDeberta;
extern const Family kDeepSeek;
extern const Family kDistilbert;
extern const Family kElectra;
extern const Family kErnie45;
extern const Family kEsm;
extern const Family kEurobert;
extern const Family kExaone;
extern const Family kFalcon;
extern const Family kGemma;
extern const Family kGemmaLater;
extern const Family kGlm;
extern const Family kGpt2;
extern const Family kGptBigCode;
extern const Family kGptJ;
extern const Family kGptNeo;
extern const Family kGptNeoX;
extern const Family kGptOss;
extern const Family kGraniteMoe;
extern const Family kHelium;
extern const Family kHunyuan;
extern const Family kLfm2;
extern const Family kLlama;
extern const Family kMegatronBert;
extern const Family kMistral;
extern const Family kMixtral;
extern const Family kModernbert;
extern const Family kMpnet;
extern const Family kMpt;
extern const Family kNemotron;
extern const Family kNomicBert;
extern const Family kOlmo;
extern const Family kOlmoe;
extern const Family kOlmoLater;
extern const Family kOpt;
extern const Family kPersimmon;
extern const Family kPhi;
extern const Family kPhi3;
extern const Family kQwen;
extern const Family kQwenMoe;
extern const Family kRoberta;
extern const Family kRoformer;
extern const Family kSmolLm;
extern const Family kStableLm;
extern const Family kStarcoder2;
extern const Family kT5;
extern const Family kXglm;

}  // namespace layerscope
