#include "family/registry.h"

#include <algorithm>
#include <array>

namespace layerscope {

std::span<const Family* const> families() {
  static constexpr std::array kFamilies = {
      &kAlbert,  &kApertus,   &kBart,       &kBert,      &kBioGpt,     &kBloom,      &kCodeGen,   &kCohere,
      &kDeberta, &kDeepSeek,  &kDistilbert, &kElectra,   &kErnie45,    &kEsm,        &kEurobert,  &kExaone,
      &kFalcon,  &kGemma,     &kGemmaLater, &kGlm,       &kGpt2,       &kGptBigCode, &kGptJ,      &kGptNeo,
      &kGptNeoX, &kGptOss,    &kGraniteMoe, &kHelium,    &kHunyuan,    &kLfm2,       &kLlama,     &kMegatronBert,
      &kMistral, &kMixtral,   &kModernbert, &kMpnet,     &kMpt,        &kNemotron,   &kNomicBert, &kOlmo,
      &kOlmoe,   &kOlmoLater, &kOpt,        &kPersimmon, &kPhi,        &kPhi3,       &kQwen,      &kQwenMoe,
      &kRoberta, &kRoformer,  &kSmolLm,     &kStableLm,  &kStarcoder2, &kT5,         &kXglm,
  };
  return kFamilies;
}

const Family* family_of(std::string_view model_type) {
  for (const Family* family : families()) {
    const auto types = family->model_types;
    if (std::find(types.begin(), types.end(), model_type) != types.end()) return family;
  }
  return nullptr;
}

}  // namespace layerscope
