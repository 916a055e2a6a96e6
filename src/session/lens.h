// What each layer would predict: the end of the stack and the head applied to every layer's stream (the logit lens,
// nostalgebraist 2020; Belrose et al. 2023, arXiv:2303.08112).
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "analysis/scores.h"
#include "layerscope/edits.h"
#include "layerscope/error.h"
#include "layerscope/model.h"
#include "layerscope/tap.h"
#include "session/tuned_lens.h"

namespace layerscope {

struct LensOptions {
  std::string layers = "all";                           ///< as --layers; of the stack that has the head
  std::string positions = "all";                        ///< as --positions
  std::uint64_t seed = 0;                               ///< of sample:K
  std::vector<Edit> edits;                              ///< of the stream, before the lens sees it
  std::size_t top = 5;                                  ///< tokens kept of every prediction
  int threads = 1;                                      ///< the values do not depend on it
  std::int64_t held_elements = std::int64_t{64} << 20;  ///< of streams at a time; nor on this
};

/// One layer's prediction at one position.
struct Prediction {
  std::vector<ScoredId> top;  ///< highest first
  Distribution of;
  double answer_p = 0;    ///< probability of the model's own first choice
  std::int64_t rank = 0;  ///< its place here, 0 = first
  double kl = 0;          ///< KL(the model's own output ‖ this prediction), nats
};

struct LensLayer {
  std::string site;
  std::optional<int> hf_index;
  std::vector<Prediction> positions;  ///< one a kept position
};

struct LensRow {
  std::vector<std::int32_t> positions;  ///< that were kept, ascending
  std::vector<std::int32_t> answers;    ///< the model's own first choice at each
  std::vector<LensLayer> layers;        ///< by layer; the last layer is the model's own output
};

/// A model seen through the lens. Streams of a bounded number of positions are held at a time, and scores of a tile of
/// them (score_tiles.h): never layers × positions × vocabulary.
class Lens {
 public:
  /// Errors: kModel for a model without a head over the vocabulary; kUsage for options. `tuned` may be null; it and the
  /// model outlive the lens.
  [[nodiscard]] static Result<Lens> open(const Model& model, const LensOptions& options, const TunedLens* tuned);

  /// The stack that is looked at: the decoder where there is one.
  [[nodiscard]] StackId stack() const noexcept { return stack_; }
  /// One row, its number deciding sample:K. Errors: as Model::run.
  [[nodiscard]] Result<LensRow> look(const ModelRow& row, std::int64_t number) const;

 private:
  struct Layer {
    StoredSite site;
    bool finished = false;  ///< `final` itself: no end of the stack to apply
    bool shown = false;     ///< asked for; the last layer is needed in any case
  };
  Lens(const Model& model, const LensOptions& options, const TunedLens* tuned)
      : model_(model), options_(options), tuned_(tuned) {}
  [[nodiscard]] Status compile();
  [[nodiscard]] Status look_at(const RowStates& states, std::size_t first, LensRow& into) const;
  [[nodiscard]] Status look_at_tile(const RowStates& states, std::int64_t first, std::int64_t count,
                                    std::size_t into_at, LensRow& into) const;
  [[nodiscard]] Status scores_of(std::size_t layer, const RowsView& streams, std::vector<float>& scores) const;

  const Model& model_;
  LensOptions options_;
  const TunedLens* tuned_;
  StackId stack_ = StackId::kDecoder;
  std::string layers_;  // asked for, and the last
  TapPlan picks_;       // of the positions asked for
  EditPlan edits_;
  std::vector<Layer> layer_;
};

/// A list of --layers that means layers of that stack where the model has two. Errors: kUsage for a list that names the
/// other one.
[[nodiscard]] Result<std::string> layers_of_stack(const Model& model, StackId stack, const std::string& list);

}  // namespace layerscope
