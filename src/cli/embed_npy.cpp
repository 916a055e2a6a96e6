#include <algorithm>
#include <chrono>
#include <cmath>
#include <filesystem>
#include <limits>

#include <fmt/format.h>

#include "base/json.h"
#include "base/try.h"
#include "cli/commands.h"
#include "cli/embed_rows.h"
#include "cli/progress.h"
#include "store/file_io.h"
#include "store/npy.h"

namespace layerscope::cli {
namespace {

/// One vector in the type it is stored in. The ranges of int8 and uint8 are the least and greatest values of each
/// element (sentence_transformers 6.2, util/quantization.py, quantize_embeddings: computed in float32).
class Quantizer {
 public:
  Quantizer(VectorPrecision precision, std::size_t width)
      : precision_(precision),
        least_(width, std::numeric_limits<float>::infinity()),
        most_(width, -std::numeric_limits<float>::infinity()) {}

  [[nodiscard]] bool needs_ranges() const {
    return precision_ == VectorPrecision::kInt8 || precision_ == VectorPrecision::kUint8;
  }
  [[nodiscard]] DType dtype() const {
    if (precision_ == VectorPrecision::kFloat32) return DType::kF32;
    const bool sign = precision_ == VectorPrecision::kInt8 || precision_ == VectorPrecision::kBinary;
    return sign ? DType::kI8 : DType::kU8;
  }
  [[nodiscard]] std::size_t elements() const {
    const bool bits = precision_ == VectorPrecision::kBinary || precision_ == VectorPrecision::kUbinary;
    return bits ? (least_.size() + 7) / 8 : least_.size();
  }
  void widen(std::span<const float> vector) {
    for (std::size_t i = 0; i < vector.size(); ++i) {
      least_[i] = std::min(least_[i], vector[i]);
      most_[i] = std::max(most_[i], vector[i]);
    }
  }
  /// Appends the stored bytes of a vector.
  void append(std::span<const float> vector, std::vector<std::byte>& out) const {
    if (precision_ == VectorPrecision::kFloat32) {
      const auto bytes = std::as_bytes(vector);
      out.insert(out.end(), bytes.begin(), bytes.end());
    } else if (needs_ranges()) {
      const float shift = precision_ == VectorPrecision::kInt8 ? 128.0F : 0.0F;
      for (std::size_t i = 0; i < vector.size(); ++i) {
        const float step = (most_[i] - least_[i]) / 255.0F;
        const float bucket = std::floor((vector[i] - least_[i]) / (step == 0 ? 1.0F : step));
        out.push_back(static_cast<std::byte>(static_cast<int>(std::clamp(bucket, 0.0F, 255.0F) - shift)));
      }
    } else {
      const unsigned shift = precision_ == VectorPrecision::kBinary ? 128 : 0;
      for (std::size_t first = 0; first < vector.size(); first += 8) {
        unsigned bits = 0;
        for (std::size_t k = 0; k < 8; ++k)
          bits = bits << 1 | (first + k < vector.size() && vector[first + k] > 0 ? 1U : 0U);
        out.push_back(static_cast<std::byte>((bits - shift) & 0xFFU));
      }
    }
  }

 private:
  VectorPrecision precision_;
  std::vector<float> least_, most_;
};

/// A .npy that grows by rows under a temporary name and appears whole.
class NpyStream {
 public:
  NpyStream(std::string path, DType dtype, std::size_t elements)
      : path_(std::move(path)), temporary_(path_ + ".partial"), dtype_(dtype), elements_(elements) {}
  ~NpyStream() {
    if (!file_.is_open() || done_) return;
    [[maybe_unused]] const Status removed = remove_file(temporary_);
  }
  NpyStream(const NpyStream&) = delete;
  NpyStream& operator=(const NpyStream&) = delete;

  Status open() {
    LAYERSCOPE_ASSIGN(file_, File::create(temporary_));
    position_ = header(0).size();
    return {};
  }
  Status write(std::span<const std::byte> rows) {
    LAYERSCOPE_TRY(file_.write_at(position_, rows));
    position_ += rows.size();
    return {};
  }
  Status finish(std::int64_t rows) {
    // NumPy pads headers to 64 bytes; with two dimensions they all take 128.
    const std::string text = header(rows);
    LAYERSCOPE_TRY(file_.write_at(0, std::as_bytes(std::span(text))));
    LAYERSCOPE_TRY(file_.sync());
    LAYERSCOPE_TRY(rename_file(temporary_, path_));
    done_ = true;
    const std::string folder = std::filesystem::path(path_).parent_path().string();
    return sync_folder(folder.empty() ? "." : folder);
  }
  [[nodiscard]] std::uint64_t bytes() const { return position_; }

 private:
  [[nodiscard]] std::string header(std::int64_t rows) const {
    return npy_header(dtype_, {rows, static_cast<std::int64_t>(elements_)});
  }
  std::string path_, temporary_;
  DType dtype_;
  std::size_t elements_;
  File file_;
  std::uint64_t position_ = 0;
  bool done_ = false;
};

/// Vectors on their way into a .npy: straight, or through an unnamed file until the ranges are known.
class VectorFile {
 public:
  VectorFile(const EmbedArguments& arguments, std::size_t width)
      : quantizer_(arguments.precision, width),
        width_(width),
        path_(arguments.output),
        out_(path_, quantizer_.dtype(), quantizer_.elements()) {}

  Status open() {
    if (quantizer_.needs_ranges()) {
      const std::string folder = std::filesystem::path(path_).parent_path().string();
      LAYERSCOPE_ASSIGN(waiting_, File::create_unnamed(folder.empty() ? "." : folder));
    }
    return out_.open();
  }
  Status add(std::span<const float> vector) {
    ++rows_;
    if (quantizer_.needs_ranges()) {
      quantizer_.widen(vector);
      const auto bytes = std::as_bytes(vector);
      buffer_.insert(buffer_.end(), bytes.begin(), bytes.end());
    } else {
      quantizer_.append(vector, buffer_);
    }
    return buffer_.size() < kBuffer ? Status() : flush();
  }
  Status finish() {
    LAYERSCOPE_TRY(flush());
    if (quantizer_.needs_ranges()) {
      if (rows_ == 1)
        return Error{ErrorCode::kUsage, path_ + ": one vector has no ranges to quantize by, give more rows or float32"};
      LAYERSCOPE_TRY(quantize());
    }
    return out_.finish(rows_);
  }
  [[nodiscard]] std::uint64_t bytes() const { return out_.bytes(); }

 private:
  static constexpr std::size_t kBuffer = std::size_t{1} << 20;

  Status flush() {
    if (quantizer_.needs_ranges()) {
      LAYERSCOPE_TRY(waiting_.write_at(waiting_bytes_, buffer_));
      waiting_bytes_ += buffer_.size();
    } else {
      LAYERSCOPE_TRY(out_.write(buffer_));
    }
    buffer_.clear();
    return {};
  }
  Status quantize() {
    std::vector<float> vector(width_);
    for (std::int64_t row = 0; row < rows_; ++row) {
      const std::uint64_t at = static_cast<std::uint64_t>(row) * width_ * sizeof(float);
      LAYERSCOPE_TRY(waiting_.read_at(at, std::as_writable_bytes(std::span(vector))));
      quantizer_.append(vector, buffer_);
      if (buffer_.size() < kBuffer && row + 1 < rows_) continue;
      LAYERSCOPE_TRY(out_.write(buffer_));
      buffer_.clear();
    }
    return {};
  }

  Quantizer quantizer_;
  std::size_t width_;
  std::string path_;
  NpyStream out_;
  File waiting_;
  std::uint64_t waiting_bytes_ = 0;
  std::vector<std::byte> buffer_;
  std::int64_t rows_ = 0;
};

}  // namespace

Result<int> run_embed_npy(const Embedder& embedder, const EmbedArguments& arguments, Context& context) {
  if (path_exists(arguments.output) && !arguments.overwrite)
    return Error{ErrorCode::kUsage, arguments.output + ": exists already; --overwrite replaces it"};
  VectorFile file(arguments, static_cast<std::size_t>(embedder.width()));
  LAYERSCOPE_TRY(file.open());
  ProgressReporter progress(arguments.progress, context.terminal.stderr_is_terminal, context.terminal.columns,
                            context.messages);
  JobProgress done;
  const auto take = [&](const InputRow&, std::span<const float> vector) -> Result<bool> {
    LAYERSCOPE_TRY(file.add(vector));
    return true;
  };
  const auto told = [&](const JobProgress& so_far) {
    done = so_far;
    done.bytes_written = file.bytes();
    progress.report(done);
  };
  Result<RowCounts> counts = embed_rows(embedder, arguments.input, context, take, told);
  progress.finish();
  if (!counts) return std::move(counts).error();
  LAYERSCOPE_TRY(file.finish());
  done.bytes_written = file.bytes();
  if (context.common.json) {
    std::string out = "{\"npy\":";
    append_json_string(out, arguments.output);
    context.out.write(out + fmt::format(",\"rows\":{},\"skipped\":{},\"tokens\":{},\"width\":{},\"bytes_written\":{},"
                                        "\"seconds\":{:.3f}}}\n",
                                        done.rows, done.skipped, done.tokens, embedder.width(), done.bytes_written,
                                        done.seconds));
  } else {
    context.messages.note(fmt::format("{}: {} vectors of {} elements from {} tokens, {}, {}", arguments.output,
                                      count_text(done.rows), embedder.width(), count_text(done.tokens),
                                      byte_text(done.bytes_written), duration_text(done.seconds)));
  }
  return counts->status();
}

}  // namespace layerscope::cli
