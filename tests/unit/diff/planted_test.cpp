// Faults planted in tiny models, one in a part and two in a part: the search names what was done.
#include <gtest/gtest.h>

#include <cmath>

#include "analysis/random.h"
#include "diff/block_lab.h"
#include "diff/cause_search.h"
#include "diff/hypotheses.h"
#include "evidence.h"

namespace layerscope::testing {
namespace {

struct Part {
  std::unique_ptr<Model> model;
  BlockEvidence evidence;
  std::unique_ptr<BlockLab> lab;
};

// A part of a tiny model, or nothing where the file lacks a site.
std::optional<Part> any_part(SplitMix64& random) {
  const std::vector<std::string> names = golden_models();
  const std::string folder = golden_folder() + "/" + names[random.below(names.size())];
  auto model = Model::open(folder, {});
  EXPECT_TRUE(model.ok()) << model.error().message;
  const Reference reference(folder + "/reference.safetensors");
  StackId stack = random.below(2) == 0 ? StackId::kEncoder : StackId::kDecoder;
  if ((*model)->sites().layers[static_cast<std::size_t>(stack)] == 0)
    stack = stack == StackId::kEncoder ? StackId::kDecoder : StackId::kEncoder;
  const int blocks = (*model)->sites().layers[static_cast<std::size_t>(stack)];
  const int block = static_cast<int>(random.below(static_cast<std::uint64_t>(blocks) + 2)) - 1;
  const bool through_end = block + 1 == blocks && random.below(2) == 0;
  Part part{.model = std::move(*model)};
  part.evidence = evidence_of(*part.model, reference, stack, block, through_end);
  if (part.evidence.rows.empty()) return std::nullopt;
  auto lab = BlockLab::make(*part.model, part.evidence, 1 << 20);
  EXPECT_TRUE(lab.ok()) << lab.error().message;
  part.lab = std::move(*lab);
  return part;
}

struct Plant {
  std::string site, kind, says;
  std::function<void(BlockSetup&)> apply;
};

// Any fault of the part that changes its values clearly.
std::optional<Plant> any_plant(const BlockLab& lab, SplitMix64& random, std::size_t theme) {
  Hypotheses all;
  using Suspect = void (*)(const BlockLab&, Hypotheses&);
  constexpr std::array<Suspect, 9> kThemes = {suspect_activations, suspect_norms,     suspect_scores,
                                              suspect_masks,       suspect_rotations, suspect_steps,
                                              suspect_weights,     suspect_embedding, suspect_other_weights};
  kThemes[theme % kThemes.size()](lab, all);
  const std::size_t count = all.variants.size() + all.scalars.size();
  if (count == 0) return std::nullopt;
  for (int tries = 0; tries < 8; ++tries) {
    const std::size_t choice = random.below(count);
    Plant plant;
    if (choice < all.variants.size()) {
      const Variant& variant = all.variants[choice];
      plant = {variant.site, variant.kind, variant.says, variant.apply};
    } else {
      const ScalarVariant& scalar = all.scalars[choice - all.variants.size()];
      const double value = scalar.tried[random.below(scalar.tried.size())];
      plant = {scalar.site, scalar.kind, scalar.name + " " + number_text(value),
               [apply = scalar.apply, value](BlockSetup& setup) { apply(setup, value); }};
    }
    BlockSetup setup = lab.base();
    plant.apply(setup);
    const auto was = lab.run(lab.base()), is = lab.run(setup);
    if (!was || !is) continue;
    double apart = 0, size = 0;
    for (std::size_t i = 0; i < was->size(); ++i) {
      apart += ((*was)[i] - (*is)[i]) * ((*was)[i] - (*is)[i]);
      size += (*is)[i] * (*is)[i];
    }
    if (apart > 1e-9 * size) return plant;
  }
  return std::nullopt;
}

// The evidence with the outputs that the part has under a setup.
BlockEvidence planted(const Part& part, const BlockSetup& setup) {
  BlockEvidence evidence = part.evidence;
  evidence.rows = part.lab->rows();
  const auto output = part.lab->run(setup);
  EXPECT_TRUE(output.ok());
  std::size_t at = 0;
  for (std::size_t r = 0; r < evidence.rows.size(); ++r) {
    BlockEvidence::Row& row = evidence.rows[r];
    for (float& value : row.output) value = static_cast<float>((*output)[at++]);
    for (const BlockEvidence::Row& own : part.evidence.rows) {
      if (own.number == row.number) row.ids = own.ids;  // the laboratory's are places in a shortened table
    }
  }
  return evidence;
}

std::string name_of(const Part& part, const Plant& plant) {
  return part.model->info().path + " " + part.lab->site_name(plant.site) + " " + plant.kind + ": " + plant.says;
}

bool names(const Part& part, const Plant& plant, const std::vector<Cause>& causes) {
  return std::ranges::any_of(causes, [&](const Cause& cause) {
    return cause.site == part.lab->site_name(plant.site) && cause.kind == plant.kind;
  });
}

std::string taken_for(const std::vector<Cause>& causes) {
  std::string text;
  for (const Cause& cause : causes)
    text += "  taken for " + cause.site + " " + cause.kind + ": " + cause.evidence + "\n";
  return text;
}

// What is left of an error once its causes are undone: the error is explained.
bool explained(const std::vector<Cause>& causes) {
  return !causes.empty() && causes.back().after * 20 < causes.front().before;
}

constexpr std::size_t kSingles = 60, kPairs = 12;

TEST(Planted, SingleFaultsAreProvedAndNamed) {
  std::size_t done = 0, proved = 0, named = 0;
  std::string missed;
  for (std::uint64_t seed = 0; done < kSingles; ++seed) {
    SplitMix64 random(seed);
    const auto part = any_part(random);
    if (!part) continue;
    const auto plant = any_plant(*part->lab, random, seed);
    if (!plant) continue;
    BlockSetup setup = part->lab->base();
    plant->apply(setup);
    const auto causes = find_causes(*part->model, planted(*part, setup));
    ASSERT_TRUE(causes.ok()) << causes.error().message;
    ASSERT_FALSE(causes->empty()) << name_of(*part, *plant);
    ++done;
    proved += explained(*causes) ? 1 : 0;
    named += names(*part, *plant, *causes) ? 1 : 0;
    if (!names(*part, *plant, *causes)) missed += name_of(*part, *plant) + "\n" + taken_for(*causes);
  }
  EXPECT_GE(proved, 59U) << missed;
  EXPECT_GE(named, 57U) << missed;
}

TEST(Planted, TwoFaultsInOnePartAreBothNamed) {
  std::size_t done = 0, both = 0, proved = 0;
  std::string missed;
  for (std::uint64_t seed = 1000; done < kPairs; ++seed) {
    SplitMix64 random(seed);
    const auto part = any_part(random);
    if (!part || part->lab->is_embedding() || part->lab->is_end()) continue;
    const auto one = any_plant(*part->lab, random, seed % 3), two = any_plant(*part->lab, random, 4 + seed % 3);
    if (!one || !two || one->site == two->site) continue;
    BlockSetup setup = part->lab->base();
    one->apply(setup);
    two->apply(setup);
    if (!part->lab->run(setup)) continue;
    const auto causes = find_causes(*part->model, planted(*part, setup));
    ASSERT_TRUE(causes.ok()) << causes.error().message;
    ++done;
    proved += explained(*causes) ? 1 : 0;
    const bool named = names(*part, *one, *causes) && names(*part, *two, *causes);
    both += named ? 1 : 0;
    if (!named) missed += name_of(*part, *one) + "\n" + name_of(*part, *two) + "\n" + taken_for(*causes);
  }
  EXPECT_GE(both, 6U) << missed;
  EXPECT_GE(proved, 6U) << missed;
}

// Other values of one matrix, of which nothing is known but what they do.
TEST(Planted, AnUnknownChangeOfAMatrixIsToldByItsShape) {
  const std::string folder = golden_folder() + "/bert-base-v5";
  auto model = Model::open(folder, {});
  ASSERT_TRUE(model.ok());
  const Reference reference(folder + "/reference.safetensors");
  Part part{.model = std::move(*model)};
  part.evidence = evidence_of(*part.model, reference, StackId::kEncoder, 1);
  part.lab = std::move(*BlockLab::make(*part.model, part.evidence, 1 << 20));
  for (const auto& [slot, site] : {std::pair{"attn.v", "block.1.attn.v"}, std::pair{"mlp.up", "block.1.mlp.act"}}) {
    BlockSetup setup = part.lab->base();
    SplitMix64 random(7);
    for (float& value : setup.change("block.0." + std::string(slot) + ".weight")->values)
      value += 0.002F * static_cast<float>(random.unit() - 0.5);
    const auto causes = find_causes(*part.model, planted(part, setup));
    ASSERT_TRUE(causes.ok()) << causes.error().message;
    ASSERT_EQ(causes->size(), 1U);
    EXPECT_EQ(causes->front().site, site);
    EXPECT_EQ(causes->front().kind, "weights");
  }
}

TEST(Planted, HonestOutputsHaveNoCause) {
  for (std::uint64_t seed = 0; seed < 20; ++seed) {
    SplitMix64 random(seed);
    const auto part = any_part(random);
    if (!part) continue;
    const auto causes = find_causes(*part->model, part->evidence);
    ASSERT_TRUE(causes.ok()) << causes.error().message;
    EXPECT_TRUE(causes->empty()) << part->model->info().path << " " << causes->front().evidence;
  }
}

TEST(Planted, EvidenceOfOtherShapesIsRefused) {
  SplitMix64 random(3);
  auto part = any_part(random);
  ASSERT_TRUE(part);
  BlockEvidence evidence = part->evidence;
  evidence.rows.front().output.pop_back();
  EXPECT_FALSE(find_causes(*part->model, evidence).ok());
  evidence = part->evidence;
  evidence.block = 1000;
  EXPECT_FALSE(find_causes(*part->model, evidence).ok());
  evidence.rows.clear();
  EXPECT_FALSE(find_causes(*part->model, evidence).ok());
}

}  // namespace
}  // namespace layerscope::testing
