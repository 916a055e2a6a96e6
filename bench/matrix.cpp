// layerscope_bench_matrix [ISA]: what the matrix products alone reach, two single-threaded workers sharing packed
// weights, 256 rows at a time. Everything else is measured against this.
#include <cstdio>
#include <string>

#include "measure.h"

int main(int argc, char** argv) {
  using namespace layerscope;
  using namespace layerscope::bench;
  constexpr std::int64_t kRows = 256;
  constexpr int kWorkers = 2;
  for (const Precision precision : {Precision::kF32, Precision::kBF16}) {
    const auto made = make_cpu_backend({precision, argc > 1 ? argv[1] : ""});
    if (!made.ok()) {
      std::fprintf(stderr, "%s\n", made.error().message.c_str());
      return 2;
    }
    const Backend& backend = **made;
    const DType operand = backend.info().operand;
    std::printf("%s, %s, %s\n", backend.info().isa.c_str(), backend.info().library.c_str(),
                precision == Precision::kF32 ? "f32" : "bf16");
    for (const char* model : {"BERT-base", "MiniLM"}) {
      double all_operations = 0, all_seconds = 0;
      for (const MatrixShape& shape : kMatrixShapes) {
        if (std::string(shape.model) != model) continue;
        const auto linear = random_linear(backend, shape.inputs, shape.outputs);
        const auto seconds = on_workers(backend, kWorkers, [&](int) {
          const Matrix in(operand, kRows, shape.inputs);
          Matrix out(DType::kF32, kRows, shape.outputs);
          const auto scratch = backend.make_scratch();
          return seconds_of([&] { (void)backend.linear(*linear, in.view(), out.to(), *scratch); });
        });
        const double operations = 2.0 * static_cast<double>(kRows * shape.inputs * shape.outputs);
        double rate = 0, mean = 0;
        for (const double each : seconds) {
          rate += operations / each * 1e-9;
          mean += each / kWorkers;
        }
        all_operations += kWorkers * operations;
        all_seconds += mean;
        std::printf("  %-10s %5lld x %5lld  %8.1f GFLOP/s\n", model, static_cast<long long>(shape.inputs),
                    static_cast<long long>(shape.outputs), rate);
      }
      std::printf("  %-10s all           %8.1f GFLOP/s\n", model, all_operations / all_seconds * 1e-9);
    }
  }
  return 0;
}
