#include "diff/compare.h"

#include <algorithm>
#include <map>

#include "base/try.h"
#include "diff/chain.h"
#include "diff/noise.h"
#include "diff/site_choice.h"
#include "diff/site_sums.h"
#include "diff/suspects.h"
#include "diff/undecided.h"
#include "diff/verdict.h"
#include "session/model_state.h"

namespace layerscope {
namespace {

constexpr std::size_t kHeldBytes = std::size_t{128} << 20;  // values of the rows that are looked at together, a side
constexpr std::size_t kHeatRows = 12;
constexpr std::size_t kSuspectTokens = 128;
constexpr double kBeyondDoubt = 1000;  // times a floor that another input would not lift to that

using Blocks = std::vector<std::vector<SideBlock>>;

class Comparison {
 public:
  Comparison(const Side& a, const Side& b, const DiffOptions& options)
      : a_(a),
        b_(b),
        options_(options),
        live_(a.model() != nullptr   ? &a
              : b.model() != nullptr ? &b
                                     : nullptr) {
    if (live_ != nullptr) model_ = live_->model();
  }

  Result<DiffReport> run() {
    report_.sides = {about(a_), about(b_)};
    report_.tolerance = options_.tolerance;
    report_.times = kNoiseTimes;
    report_.token_times = kTokenTimes;
    LAYERSCOPE_ASSIGN(SiteChoice choice, choose_sites(a_, b_, options_.layers, options_.sites));
    LAYERSCOPE_ASSIGN(AlignedRows aligned, align(a_, b_, options_.texts, options_.tokenize));
    take(aligned);
    if (choice.incomparable.empty() && pairs_.empty() && report_.ids_equal)
      choice.incomparable = "they have no row in common";
    if (!choice.incomparable.empty()) return incomparable(choice.incomparable);
    sites_ = std::move(choice.sites);
    prepare();
    for (std::size_t first = 0; first < pairs_.size();) {
      LAYERSCOPE_TRY(go_on());
      const std::size_t count = chunk_at(first);
      LAYERSCOPE_TRY(compare_rows(std::span(pairs_).subspan(first, count)));
      first += count;
    }
    finish_sites();
    LAYERSCOPE_TRY(go_on());
    if (!pairs_.empty()) {
      LAYERSCOPE_TRY(measure_noise());
    }
    judge(report_);
    if (meter_ != nullptr && !report_.tolerance) {
      LAYERSCOPE_TRY(measure_suspects());
      judge(report_);
    }
    point_at_tokens(aligned);
    LAYERSCOPE_TRY(go_on());
    if (model_ != nullptr && report_.verdict == Verdict::kDiffers) {
      LAYERSCOPE_TRY(look_for_causes());
    }
    report_.sentence = verdict_sentence(report_);
    return std::move(report_);
  }

 private:
  [[nodiscard]] Status go_on() const {
    return options_.stop && options_.stop() ? Status(Error{ErrorCode::kCancelled, "stopped"}) : Status();
  }

  static DiffSide about(const Side& side) {
    const SidePrecision precision = side.precision();
    DiffSide words{.path = side.path(), .live = side.model() != nullptr};
    const std::string stored(dtype_name(precision.stored));
    switch (side.kind()) {
      case SideKind::kModel: words.kind = "model"; break;
      case SideKind::kRun: words.kind = "run"; break;
      case SideKind::kDump: words.kind = "dump"; break;
    }
    if (precision.ours) words.detail = precision.dtype + ", " + precision.isa;
    if (side.kind() != SideKind::kModel) words.detail += (words.detail.empty() ? "" : ", ") + ("stored as " + stored);
    if (side.edits() != nullptr && !side.edits()->empty()) words.detail += ", edited";
    return words;
  }

  void take(AlignedRows& aligned) {
    pairs_ = std::move(aligned.pairs);
    report_.ids_equal = aligned.ids_equal;
    report_.causes = aligned.causes;
    report_.notes = a_.notes();
    for (std::string& note : b_.notes()) report_.notes.push_back(std::move(note));
    for (std::string& note : aligned.notes) report_.notes.push_back(std::move(note));
    report_.rows = static_cast<std::int64_t>(pairs_.size());
    for (const RowPair& pair : pairs_) report_.tokens += static_cast<std::int64_t>(pair.b.tokens.main.ids.size());
  }

  DiffReport incomparable(const std::string& why) {
    report_.verdict = Verdict::kIncomparable;
    report_.sentence = "incomparable: " + why;
    report_.notes.push_back(why);
    return std::move(report_);
  }

  [[nodiscard]] const Side& other() const { return live_ == &a_ ? b_ : a_; }

  void prepare() {
    const DType stored_a = a_.precision().stored, stored_b = b_.precision().stored;
    const bool a_coarser = unit_roundoff(stored_a) > unit_roundoff(stored_b);
    for (const SideSite& site : sites_) {
      names_.push_back(site.name);
      report_.sites.push_back({.site = site.name, .stack = site.stack, .hf_index = site.hf_index, .width = site.width});
    }
    sums_.emplace(names_, a_coarser ? stored_a : stored_b);
    known_ = names_;
    if (model_ == nullptr) return;
    // What the live side's blocks can start from, besides the sites that are compared.
    std::vector<std::string> all = names_;
    for (const SideSite& site : other().sites()) {
      const Site* own = model_->sites().find(site.name);
      if (own != nullptr && own->hf_index && site.unit == StoredUnit::kTokens && site.width == own->width &&
          std::ranges::find(all, site.name) == all.end())
        all.push_back(site.name);
    }
    std::vector<std::string> whole;  // every token is there
    for (const std::string& name : all) {
      if (find_site(other(), name)->unit == StoredUnit::kTokens || find_site(other(), name)->unit == StoredUnit::kProbs)
        whole.push_back(name);
    }
    chain_ = chain_of(*model_, whole, names_);
    for (const ChainLink& link : chain_) {
      for (const std::string& name : {link.input, link.encoded}) {
        if (!name.empty() && std::ranges::find(known_, name) == known_.end()) known_.push_back(name);
      }
    }
  }

  /// Rows from `first` on whose values are held at the same time.
  std::size_t chunk_at(std::size_t first) const {
    std::int64_t width = 0;
    for (const std::string& name : known_) width += std::max<std::int64_t>(1, find_site(other_or_a(), name)->width);
    std::size_t bytes = 0, count = 0;
    while (first + count < pairs_.size()) {
      const Tokens& tokens = pairs_[first + count].b.tokens.main;
      bytes += tokens.ids.size() * static_cast<std::size_t>(width) * sizeof(double);
      if (count > 0 && bytes > kHeldBytes) break;
      ++count;
    }
    return count;
  }
  [[nodiscard]] const Side& other_or_a() const { return live_ == nullptr ? a_ : other(); }

  Status compare_rows(std::span<const RowPair> pairs) {
    std::vector<SideRow> rows_a, rows_b;
    for (const RowPair& pair : pairs) {
      rows_a.push_back(pair.a);
      rows_b.push_back(pair.b);
    }
    const bool b_is_other = live_ == nullptr || live_ == &a_;
    LAYERSCOPE_ASSIGN(const Blocks a, a_.read(rows_a, b_is_other ? names_ : known_));
    LAYERSCOPE_ASSIGN(const Blocks b, b_.read(rows_b, b_is_other ? known_ : names_));
    const Blocks& others = b_is_other ? b : a;
    const std::vector<SideRow>& rows = b_is_other ? rows_b : rows_a;
    const LiveOptions live{.edits = live_ == nullptr ? nullptr : live_->edits(), .threads = options_.threads};
    Undecided undecided;
    if (model_ != nullptr) {
      LAYERSCOPE_ASSIGN(undecided, Undecided::find(*model_, chain_, rows, others, known_, live));
      aside_ += undecided.tokens();
    }
    const std::size_t first_text = report_.texts.size();
    for (std::size_t i = 0; i < pairs.size(); ++i) {
      begin_text(pairs[i]);
      for (std::size_t s = 0; s < names_.size(); ++s) {
        const int block = model_ == nullptr ? 0 : block_of_site(model_->sites(), names_[s]);
        const auto counts = [&](std::size_t t) { return undecided.counts(i, t, block); };
        LAYERSCOPE_TRY(sums_->add(s, a[i][s], b[i][s], counts, report_.texts.back()));
      }
    }
    for (const ChainLink& link : chain_) {
      LAYERSCOPE_ASSIGN(const Blocks own, run_link(*model_, link, rows, others, known_, live));
      for (std::size_t o = 0; o < link.outputs.size(); ++o) {
        const std::size_t s = index_of(names_, link.outputs[o]);
        for (std::size_t i = 0; i < pairs.size(); ++i) {
          const auto counts = [&](std::size_t t) { return undecided.counts_alone(i, t, link.block); };
          LAYERSCOPE_TRY(sums_->add_alone(s, own[i][o], others[i][s], counts, report_.texts[first_text + i]));
        }
      }
    }
    return {};
  }

  void begin_text(const RowPair& pair) {
    DiffText text{.row = pair.b.number};
    text.rel_l2.resize(names_.size());
    const bool heat = report_.texts.size() < kHeatRows;
    if (heat) text.token_errors.resize(names_.size());
    const std::size_t main = model_ != nullptr && model_->state().spec.encoder == std::nullopt ? 1 : 0;
    const auto add = [&](std::size_t stack, const Tokens& tokens) {
      text.tokens[stack] = static_cast<std::int64_t>(tokens.ids.size());
      for (std::size_t i = 0; heat && i < tokens.ids.size(); ++i) text.labels[stack].push_back(label(tokens.ids[i]));
    };
    add(main, pair.b.tokens.main);
    if (pair.b.tokens.decoder) add(1, *pair.b.tokens.decoder);
    report_.texts.push_back(std::move(text));
  }

  std::string label(std::int32_t id) const {
    if (model_ != nullptr && model_->state().tokenizer != nullptr) {
      if (auto token = model_->state().tokenizer->token(id)) return *token;
    }
    return std::to_string(id);
  }

  void finish_sites() {
    sums_->fill(report_.sites, model_ != nullptr);
    if (aside_ > 0)
      report_.notes.push_back(std::to_string(aside_) + " of " + std::to_string(report_.tokens) +
                              " tokens were set aside where a router chooses between experts by less than rounding");
  }

  Status measure_noise() {
    if (model_ == nullptr) {
      report_.noise_estimated = true;
      report_.notes.emplace_back("no side can be run: the noise floor is estimated from the types, not measured");
      for (DiffSite& site : report_.sites) {
        const int depth = site.hf_index.value_or(std::max(a_.layers()[0], a_.layers()[1]));
        const Floor floor = estimated_floor(a_.precision(), b_.precision(), depth);
        site.noise = floor.all;
        site.token_noise = floor.token;
      }
      return {};
    }
    std::vector<const SideRow*> rows;
    for (const RowPair& pair : pairs_) rows.push_back(&pair.b);
    std::vector<std::string> measured;
    for (const std::string& name : names_) {
      if (model_->sites().find(name) != nullptr) measured.push_back(name);
    }
    NoiseSample sample{sample_rows(*model_, rows), measured, known_, options_.threads};
    LAYERSCOPE_ASSIGN(meter_, NoiseMeter::open(model_, sample));
    if (!meter_->has_reference())
      report_.notes.emplace_back(
          "the model is too large for a float64 run: the noise floor comes from another order of "
          "summation alone");
    LAYERSCOPE_ASSIGN(const NoiseTable of_live, meter_->measure(live_->precision()));
    NoiseTable of_other;
    const auto second = other().model();
    if (second != nullptr && second != model_ && second->info().path != model_->info().path) {
      LAYERSCOPE_ASSIGN(const auto own, NoiseMeter::open(second, std::move(sample)));
      LAYERSCOPE_ASSIGN(of_other, own->measure(other().precision()));
    } else {
      LAYERSCOPE_ASSIGN(of_other, meter_->measure(other().precision()));
    }
    for (DiffSite& site : report_.sites) {
      const auto floor_in = [&](const std::map<std::string, Floor>& table) {
        const auto found = table.find(site.site);
        return found == table.end() ? Floor{} : found->second;
      };
      const Floor all = together(floor_in(of_live.from_tokens), floor_in(of_other.from_tokens));
      site.noise = all.all;
      site.token_noise = all.token;
      if (!site.local) continue;
      Floor local = together(floor_in(of_live.alone), floor_in(of_other.alone));
      if (local.all == 0) local = all;
      site.local_noise = local.all;
      site.local_token_noise = local.token;
    }
    return {};
  }

  /// Rounding depends on what a part reads: those that seem to differ are measured on the other side's own input.
  Status measure_suspects() {
    std::vector<const SideRow*> all;
    const bool b_is_other = live_ == &a_;
    for (const RowPair& pair : pairs_) all.push_back(b_is_other ? &pair.b : &pair.a);
    for (const ChainLink& link : chain_) {
      const auto suspect = std::ranges::find_if(report_.sites, [&](const DiffSite& site) {
        return site.local_differs && std::ranges::find(link.outputs, site.site) != link.outputs.end();
      });
      if (suspect == report_.sites.end() || suspect->local_times > kBeyondDoubt) continue;
      const std::vector<SideRow> rows = rows_with(all, suspect->local_row);
      LAYERSCOPE_ASSIGN(const Blocks states, other().read(rows, known_));
      LAYERSCOPE_ASSIGN(const auto of_live, meter_->measure_part(live_->precision(), link, rows, states, known_));
      LAYERSCOPE_ASSIGN(const auto of_other, meter_->measure_part(other().precision(), link, rows, states, known_));
      for (DiffSite& site : report_.sites) {
        const auto one = of_live.find(site.site), two = of_other.find(site.site);
        if (one == of_live.end() && two == of_other.end()) continue;
        const Floor floor =
            together(one == of_live.end() ? Floor{} : one->second, two == of_other.end() ? Floor{} : two->second);
        site.local_noise = std::max(site.local_noise.value_or(0), floor.all);
        site.local_token_noise = std::max(site.local_token_noise, floor.token);
      }
    }
    return {};
  }

  /// A few rows, among them the one of that number.
  static std::vector<SideRow> rows_with(const std::vector<const SideRow*>& all, std::int64_t number) {
    std::vector<SideRow> rows;
    std::size_t tokens = 0;
    for (const bool wanted : {true, false}) {
      for (const SideRow* row : all) {
        if ((row->number == number) != wanted || (!rows.empty() && tokens > kSuspectTokens)) continue;
        tokens += row->tokens.main.ids.size();
        rows.push_back(*row);
      }
    }
    return rows;
  }

  /// Other tokens come before everything else that differs.
  void point_at_tokens(const AlignedRows& aligned) {
    if (report_.ids_equal || report_.first) return;
    report_.first = {.site = report_.causes.front().site, .row = aligned.row, .token = aligned.token};
    if (const SideSite* site = find_site(a_, report_.first->site)) report_.first->hf_index = site->hf_index;
  }

  Status look_for_causes() {
    const Suspects suspects{.model = *model_,
                            .other = other(),
                            .chain = chain_,
                            .known = known_,
                            .pairs = pairs_,
                            .b_is_other = live_ == &a_};
    return add_causes(suspects, report_);
  }

  const Side &a_, &b_;
  const DiffOptions& options_;
  const Side* live_;
  std::shared_ptr<const Model> model_;
  DiffReport report_;
  std::vector<RowPair> pairs_;
  std::vector<SideSite> sites_;
  std::vector<std::string> names_;  // of the sites that are compared,
  std::vector<std::string> known_;  // and behind them those that blocks start from
  std::vector<ChainLink> chain_;
  std::optional<SiteSums> sums_;
  std::int64_t aside_ = 0;
  std::unique_ptr<NoiseMeter> meter_;  // of the live side; null without one
};

}  // namespace

Result<DiffReport> compare(const Side& a, const Side& b, const DiffOptions& options) try {
  return Comparison(a, b, options).run();
} catch (const std::bad_alloc&) {
  return Error{ErrorCode::kResource, "out of memory while comparing " + a.path() + " with " + b.path()};
}

}  // namespace layerscope
