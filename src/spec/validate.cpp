#include "spec/validate.h"

#include "base/try.h"

namespace layerscope {
namespace {

constexpr std::int64_t kMaxExperts = std::int64_t{1} << 17;   // of all blocks together; real models have up to 15,000
constexpr std::int64_t kMaxComputed = std::int64_t{1} << 26;  // elements of a computed position table
constexpr std::int64_t kMaxElements = std::int64_t{1} << 56;  // of one tensor
constexpr std::int64_t kMaxTaps = 1024;

class Validator {
 public:
  Validator(const ModelSpec& spec, const std::string& file) : spec_(spec), file_(file) {}

  Status run() {
    require(spec_.encoder || spec_.decoder, "a model has an encoder or a decoder");
    for (const auto* stack : {&spec_.encoder, &spec_.decoder}) {
      if (*stack) check(**stack);
    }
    if (spec_.head) tensor(spec_.scores(), spec_.width, "a head");
    if (spec_.labels) tensor(*spec_.labels->head.outputs, spec_.width, "a head over labels");
    if (spec_.head && spec_.head->transform) {
      tensor(spec_.scores(), spec_.head->transform->width, "a head");
      tensor(spec_.head->transform->width, spec_.width, "a head's transform");
    }
    return status_;
  }

 private:
  void require(bool holds, const std::string& what) {
    if (!holds && status_.ok()) status_ = Error{ErrorCode::kModel, file_ + ": cannot be right: " + what};
  }
  void tensor(std::int64_t rows, std::int64_t columns, const char* what) {
    require(rows >= 1 && columns >= 1 && rows <= kMaxElements / columns,
            std::string(what) + " of " + std::to_string(rows) + " x " + std::to_string(columns));
  }

  void check(const Stack& stack) {
    const Embedding& embedding = stack.embedding;
    tensor(embedding.vocabulary_size, spec_.width, "a token table");
    if (const auto& positions = embedding.positions) {
      tensor(positions->rows, spec_.width, "a position table");
      require(positions->offset >= 0 && positions->offset < positions->rows,
              "the position table ends before its first usable row");
      if (positions->computed) {
        require(spec_.width >= 4, "computed positions need a width of 4");
        require(positions->rows <= kMaxComputed / spec_.width,
                "a computed position table of " + std::to_string(positions->rows) + " rows");
      }
    }
    require(!stack.blocks.empty(), "a stack has no blocks");
    for (std::size_t i = 0; i < stack.blocks.size(); ++i) {
      const Block& block = stack.blocks[i];
      require(!block.same_as || (*block.same_as >= 0 && *block.same_as < static_cast<std::int64_t>(i)),
              "a block shares the weights of a later one");
      for (const Step& step : block.steps) std::visit([&](const auto& mixer) { check(mixer); }, step.mixer);
    }
  }

  void check(const Attention& attention) {
    const bool heads = attention.heads >= 1 && attention.kv_heads >= 1 && attention.heads % attention.kv_heads == 0;
    require(heads,
            std::to_string(attention.heads) + " heads over " + std::to_string(attention.kv_heads) + " key heads");
    require(attention.d_qk >= 1 && attention.d_v >= 1, "heads without width");
    if (!status_.ok()) return;
    tensor(attention.heads * attention.d_qk, spec_.width, "a query matrix");
    tensor(attention.heads * attention.d_v, spec_.width, "an output matrix");
    require(!attention.window || *attention.window >= 1, "a window without keys");
    const std::int64_t turning = attention.latent ? attention.latent->rotated : attention.d_qk;
    require(!attention.rope || 2 * attention.rope->pairs <= turning, "more elements turn than a head has");
    require(!attention.latent || attention.latent->rotated <= attention.d_qk, "more elements turn than a head has");
    if (const auto* alibi = std::get_if<Alibi>(&attention.score))
      require(static_cast<std::int64_t>(alibi->slopes.size()) == attention.heads, "too many heads for slopes");
    if (const auto* relative = std::get_if<Disentangled>(&attention.score))
      tensor(2 * relative->span, spec_.width, "a table of relative positions");
  }
  void check(const Mlp& mlp) { tensor(mlp.hidden, spec_.width, "an MLP"); }
  void check(const Experts& experts) {
    const Router& router = experts.router;
    experts_ += router.experts;
    require(router.experts >= 1 && experts_ <= kMaxExperts, std::to_string(router.experts) + " experts a block");
    require(router.chosen >= 1 && router.chosen <= router.experts,
            std::to_string(router.chosen) + " chosen of " + std::to_string(router.experts) + " experts");
    require(router.groups >= 1 && router.experts % router.groups == 0 && router.chosen_groups >= 1 &&
                router.chosen_groups <= router.groups,
            "groups that do not divide the experts");
    if (!status_.ok()) return;
    require(router.chosen <= router.chosen_groups * (router.experts / router.groups),
            "more experts chosen than the chosen groups have");
    tensor(experts.hidden, spec_.width, "an expert");
    if (experts.shared) tensor(experts.shared->hidden, spec_.width, "a shared expert");
  }
  void check(const ShortConv& conv) { require(conv.taps >= 1 && conv.taps <= kMaxTaps, "a convolution's taps"); }
  void check(const TokenConv& conv) {
    require(conv.taps >= 1 && conv.taps <= kMaxTaps && conv.taps % 2 == 1, "a convolution of even taps");
    require(conv.groups >= 1 && spec_.width % conv.groups == 0, "convolution groups that do not divide the width");
  }

  const ModelSpec& spec_;
  const std::string& file_;
  Status status_;
  std::int64_t experts_ = 0;
};

}  // namespace

Status validate(const ModelSpec& spec, const std::string& file) { return Validator(spec, file).run(); }

}  // namespace layerscope
