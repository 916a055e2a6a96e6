// layerscope_bench_kernels [ISA]: every kernel as a share of the matrix rate or of a block's time, and a whole encoder
// block over a ragged batch of 1,024 tokens.
#include <cstdio>
#include <string>

#include "measure.h"

namespace layerscope::bench {
namespace {

struct Model {
  const char* name;
  std::int64_t width, inner, heads;
};
constexpr Model kModels[] = {{"BERT-base", 768, 3072, 12}, {"MiniLM", 384, 1536, 12}};
/// Lengths as texts have them (median 55), 1,024 tokens in all.
constexpr std::int64_t kLengths[] = {55, 12, 130, 40, 71, 28, 300, 55, 90, 18, 64, 161};

double operations_of(const Model& m, std::int64_t rows) {
  return 2.0 * static_cast<double>(rows) * static_cast<double>(4 * m.width * m.width + 2 * m.width * m.inner);
}
double attention_operations(std::int64_t length, std::int64_t width) {
  return 4.0 * static_cast<double>(length) * static_cast<double>(length) * static_cast<double>(width);
}

struct Block {
  Block(const Backend& backend, const Model& model)
      : qkv(random_linear(backend, model.width, 3 * model.width)),
        out(random_linear(backend, model.width, model.width)),
        up(random_linear(backend, model.width, model.inner, Activation::kGeluErf)),
        down(random_linear(backend, model.inner, model.width)),
        plain_up(random_linear(backend, model.width, model.inner)) {}
  std::unique_ptr<PackedLinear> qkv, out, up, down, plain_up;
};

/// A post-norm encoder block as the engine runs it, for one worker's batch.
class Worker {
 public:
  Worker(const Backend& backend, const Model& model, const Block& block, std::int64_t rows)
      : backend_(backend),
        model_(model),
        block_(block),
        operand_(backend.info().operand),
        scratch_(backend.make_scratch()),
        weight_(static_cast<std::size_t>(model.width), 1.0F),
        norm_{NormKind::kLayer, 1e-12F, weight_.data(), weight_.data()},
        x_(DType::kF32, rows, model.width),
        entry_(operand_, rows, model.width),
        qkv_(DType::kF32, rows, 3 * model.width),
        z_(operand_, rows, model.width),
        term_(DType::kF32, rows, model.width),
        inner_(operand_, rows, model.inner) {}

  void products(bool gelu) {
    check(backend_.linear(*block_.qkv, entry(), qkv_.to(), *scratch_));
    check(backend_.linear(*block_.out, z_.view(), term_.to(), *scratch_));
    check(backend_.linear(gelu ? *block_.up : *block_.plain_up, entry(), inner_.to(), *scratch_));
    check(backend_.linear(*block_.down, inner_.view(), term_.to(), *scratch_));
  }
  void attention(std::int64_t row, std::int64_t length) {
    const std::int64_t d = model_.width / model_.heads;
    AttentionArguments a{qkv_.columns(row, length, 0, model_.width),
                         qkv_.columns(row, length, model_.width, model_.width),
                         qkv_.columns(row, length, 2 * model_.width, model_.width),
                         model_.heads,
                         model_.heads,
                         d,
                         d,
                         1.0F / std::sqrt(static_cast<float>(d)),
                         {},
                         0,
                         nullptr};
    backend_.attention(a, z_.to(row, length), *scratch_);
  }
  void convert() {
    if (operand_ != DType::kF32) backend_.convert(x_.view(), entry_.to());
  }
  void add() { backend_.add(x_.to(), term_.view(), 1.0F, &norm_); }
  void whole() {
    convert();
    check(backend_.linear(*block_.qkv, entry(), qkv_.to(), *scratch_));
    std::int64_t row = 0;
    for (const std::int64_t length : kLengths) {
      attention(row, length);
      row += length;
    }
    check(backend_.linear(*block_.out, z_.view(), term_.to(), *scratch_));
    add();
    convert();
    check(backend_.linear(*block_.up, entry(), inner_.to(), *scratch_));
    check(backend_.linear(*block_.down, inner_.view(), term_.to(), *scratch_));
    add();
  }

 private:
  void check(const Status& status) {
    if (!status.ok()) std::fprintf(stderr, "%s\n", status.error().message.c_str());
  }
  [[nodiscard]] RowsView entry() const { return operand_ == DType::kF32 ? x_.view() : entry_.view(); }
  const Backend& backend_;
  const Model& model_;
  const Block& block_;
  DType operand_;
  std::unique_ptr<Scratch> scratch_;
  std::vector<float> weight_;
  NormView norm_;
  Matrix x_, entry_, qkv_, z_, term_, inner_;
};

void report(const Backend& backend, const Model& model) {
  std::int64_t rows = 0;
  double attention = 0;
  for (const std::int64_t length : kLengths) {
    rows += length;
    attention += attention_operations(length, model.width);
  }
  const Block block(backend, model);
  const auto run = [&](int worker) {
    Worker w(backend, model, block, rows), tile(backend, model, block, 256);
    const double tile_seconds = seconds_of([&] { tile.products(false); });
    const double rate = operations_of(model, 256) / tile_seconds;
    const double whole = seconds_of([&] { w.whole(); });
    const double share = (operations_of(model, rows) + attention) / whole / rate;
    if (worker != 0) return share;
    const double products = seconds_of([&] { w.products(false); }), with_gelu = seconds_of([&] { w.products(true); });
    std::printf("  %-10s matrix rate %.1f GFLOP/s a core\n", model.name, rate * 1e-9);
    std::printf("    products over %lld rows   %5.3f of the matrix rate\n", static_cast<long long>(rows),
                operations_of(model, rows) / products / rate);
    std::printf("    gelu in the product     %5.3f of the block's time\n", (with_gelu - products) / whole);
    std::printf("    add and norm, twice     %5.3f of the block's time\n", 2 * seconds_of([&] { w.add(); }) / whole);
    std::printf("    conversion, twice       %5.3f of the block's time\n",
                2 * seconds_of([&] { w.convert(); }) / whole);
    for (const std::int64_t length : {32, 55, 64, 128, 256, 512}) {
      const double seconds = seconds_of([&] { w.attention(0, length); });
      std::printf("    attention of %3lld        %5.3f of the matrix rate\n", static_cast<long long>(length),
                  attention_operations(length, model.width) / seconds / rate);
    }
    const double attention_seconds = seconds_of([&] {
      std::int64_t row = 0;
      for (const std::int64_t length : kLengths) {
        w.attention(row, length);
        row += length;
      }
    });
    std::printf("    attention               %5.3f of the block's time, %5.3f of its operations\n",
                attention_seconds / whole, attention / (attention + operations_of(model, rows)));
    return share;
  };
  const std::vector<double> shares = on_workers(backend, 2, run);
  std::printf("    the whole block         %5.3f of the matrix rate (%5.3f, %5.3f)\n", (shares[0] + shares[1]) / 2,
              shares[0], shares[1]);
}

}  // namespace
}  // namespace layerscope::bench

int main(int argc, char** argv) {
  using namespace layerscope;
  for (const Precision precision : {Precision::kF32, Precision::kBF16}) {
    const auto made = make_cpu_backend({precision, argc > 1 ? argv[1] : ""});
    if (!made.ok()) {
      std::fprintf(stderr, "%s\n", made.error().message.c_str());
      return 2;
    }
    std::printf("%s, %s, %s\n", (*made)->info().isa.c_str(), (*made)->info().library.c_str(),
                precision == Precision::kF32 ? "f32" : "bf16");
    for (const bench::Model& model : bench::kModels) bench::report(**made, model);
  }
  return 0;
}
