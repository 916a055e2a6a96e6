// A reference dump: rectangular tensors with padding, brought to rows without.
#include <algorithm>
#include <cmath>

#include "base/try.h"
#include "base/utf8.h"
#include "diff/dump_file.h"
#include "diff/dump_sites.h"
#include "diff/side.h"
#include "kernels/scalar.h"

namespace layerscope {
namespace {

constexpr std::int64_t kMaxId = std::int64_t{1} << 31;

bool is_float(DType dtype) {
  return dtype == DType::kF64 || dtype == DType::kF32 || dtype == DType::kF16 || dtype == DType::kBF16;
}

std::int64_t load_integer(const TensorView& view, std::int64_t index) {
  const std::byte* const at = view.data + index * static_cast<std::int64_t>(dtype_size(view.dtype));
  const auto read = [at](auto value) {
    std::memcpy(&value, at, sizeof value);
    return static_cast<std::int64_t>(value);
  };
  switch (view.dtype) {
    case DType::kI64: return read(std::int64_t{});
    case DType::kU64: return read(std::uint64_t{});
    case DType::kI32: return read(std::int32_t{});
    case DType::kU32: return read(std::uint32_t{});
    case DType::kI16: return read(std::int16_t{});
    case DType::kU16: return read(std::uint16_t{});
    case DType::kI8: return read(std::int8_t{});
    case DType::kU8:
    case DType::kBool: return read(std::uint8_t{});
    default: return 0;
  }
}

/// The ids of one stack: [batch, length] and the tokens of each row that are no padding.
struct Grid {
  const SourceTensor* ids = nullptr;
  std::int64_t length = 0;
  std::vector<Padding> padding;  ///< by row of the batch
  [[nodiscard]] std::int64_t tokens(std::size_t row) const { return length - padding[row].left - padding[row].right; }
};

class DumpSide final : public Side {
 public:
  static Result<std::unique_ptr<Side>> open(const std::string& path, const SiteTable* like) {
    auto side = std::make_unique<DumpSide>();
    side->path_ = path;
    LAYERSCOPE_ASSIGN(side->file_, DumpFile::open(path));
    LAYERSCOPE_ASSIGN(side->found_, find_dump_sites(*side->file_, like, path));
    LAYERSCOPE_TRY(side->read_grids());
    LAYERSCOPE_TRY(side->read_rows());
    LAYERSCOPE_TRY(side->check_sites());
    return std::unique_ptr<Side>(std::move(side));
  }

  SideKind kind() const noexcept override { return SideKind::kDump; }
  const std::string& path() const noexcept override { return path_; }
  SidePrecision precision() const override {
    SidePrecision precision{.ours = false};
    for (const SideSite& site : sites_) {
      if (site.hf_index) precision.stored = site.dtype;
    }
    if (precision.stored == DType::kBF16) precision.dtype = "bf16";
    return precision;
  }
  const std::vector<SideSite>& sites() const noexcept override { return sites_; }
  const std::vector<SideRow>& rows() const noexcept override { return rows_; }
  std::array<int, 2> layers() const noexcept override { return found_.layers; }

  std::vector<std::string> notes() const override {
    std::vector<std::string> notes;
    if (empty_rows_ > 0) notes.push_back(path_ + ": " + std::to_string(empty_rows_) + " rows have an empty mask");
    std::string names;
    for (const std::string& name : found_.unknown) names += (names.empty() ? "" : ", ") + printable(name);
    if (!names.empty()) notes.push_back(path_ + ": not compared, as no site has these names: " + printable(names, 400));
    return notes;
  }

  Result<std::vector<std::vector<SideBlock>>> read(std::span<const SideRow> rows,
                                                   std::span<const std::string> sites) const override {
    std::vector<std::vector<SideBlock>> blocks(rows.size());
    for (std::size_t i = 0; i < rows.size(); ++i) {
      for (const std::string& name : sites) {
        const auto found = std::ranges::find(found_.sites, name, [](const DumpSite& one) { return one.site.name; });
        if (found == found_.sites.end() || rows[i].number < 0 || rows[i].number >= batch_)
          return Error{ErrorCode::kUsage, path_ + ": has no row " + std::to_string(rows[i].number) + " of " + name};
        blocks[i].push_back(block_of(*found, static_cast<std::size_t>(rows[i].number)));
      }
    }
    return blocks;
  }

 private:
  Error bad(const std::string& what) const { return Error{ErrorCode::kRuntime, path_ + ": " + what}; }
  const Grid& grid(StackId stack) const { return grids_[static_cast<std::size_t>(stack)]; }
  /// Whose tokens a site's rows are; those of probabilities are queries.
  const Grid& grid_of(const SideSite& site) const {
    return grid(site.cross && site.unit != StoredUnit::kProbs ? StackId::kEncoder : site.stack);
  }

  /// An integer tensor [batch, length], or null where it may be missing.
  Result<const SourceTensor*> table(const std::string& name, std::int64_t length, bool needed) const {
    const SourceTensor* tensor = file_->find(name);
    if (tensor == nullptr) {
      if (!needed) return tensor;
      return bad("lacks \"" + name + "\", the tokens that it was made from, [batch, length]");
    }
    const Shape& shape = tensor->view.shape;
    if (shape.rank() != 2 || (length >= 0 && !(shape == Shape{batch_, length})))
      return bad("tensor \"" + name + "\" is " + shape.text() + ", expected [batch, length]" +
                 (length < 0 ? "" : " as the ids: " + Shape{batch_, length}.text()));
    if (is_float(tensor->view.dtype) && name.find("mask") == std::string::npos)
      return bad("tensor \"" + name + "\" is " + std::string(dtype_name(tensor->view.dtype)) + ", expected integers");
    return tensor;
  }

  Status read_grids() {
    LAYERSCOPE_TRY(read_grid(found_.main, "input_ids", "attention_mask"));
    if (found_.two_stacks && file_->find("decoder_input_ids") != nullptr) {
      LAYERSCOPE_TRY(read_grid(StackId::kDecoder, "decoder_input_ids", "decoder_attention_mask"));
    }
    return {};
  }

  Status read_grid(StackId stack, const std::string& ids, const std::string& mask) {
    Grid& grid = grids_[static_cast<std::size_t>(stack)];
    LAYERSCOPE_ASSIGN(grid.ids, table(ids, -1, true));
    const Shape& shape = grid.ids->view.shape;
    if (batch_ >= 0 && shape[0] != batch_)
      return bad("tensor \"" + ids + "\" has " + std::to_string(shape[0]) + " rows, \"input_ids\" has " +
                 std::to_string(batch_));
    batch_ = shape[0];
    grid.length = shape[1];
    LAYERSCOPE_ASSIGN(const SourceTensor* masks, table(mask, grid.length, false));
    for (std::int64_t row = 0; row < batch_; ++row) {
      Padding padding;
      if (masks != nullptr) {
        LAYERSCOPE_ASSIGN(padding, padding_of(*masks, row, grid.length));
      }
      grid.padding.push_back(padding);
    }
    return {};
  }

  Result<Padding> padding_of(const SourceTensor& mask, std::int64_t row, std::int64_t length) const {
    const auto value = [&](std::int64_t at) {
      const std::int64_t index = row * length + at;
      return is_float(mask.view.dtype) ? load_element<double>(mask.view.dtype, mask.view.data, index)
                                       : static_cast<double>(load_integer(mask.view, index));
    };
    std::int64_t first = length, last = -1, ones = 0;
    for (std::int64_t at = 0; at < length; ++at) {
      const double marked = value(at);
      if (marked != 0 && marked != 1)
        return bad("tensor \"" + mask.name + "\" holds a value that is neither 0 nor 1 in row " + std::to_string(row));
      if (marked == 0) continue;
      first = std::min(first, at);
      last = at;
      ++ones;
    }
    if (ones == 0) return Padding{length, 0};
    if (last - first + 1 != ones)
      return bad("tensor \"" + mask.name + "\" has a hole in row " + std::to_string(row) +
                 ", expected 1 for tokens that stand together and 0 for padding on either side");
    return Padding{first, length - 1 - last};
  }

  Result<std::vector<std::int32_t>> ids_of(const Grid& grid, const SourceTensor& table, std::size_t row) const {
    std::vector<std::int32_t> ids;
    for (std::int64_t i = 0; i < grid.tokens(row); ++i) {
      const std::int64_t at = static_cast<std::int64_t>(row) * grid.length + grid.padding[row].left + i;
      const std::int64_t id = load_integer(table.view, at);
      if (id < 0 || id >= kMaxId)
        return bad("tensor \"" + table.name + "\" holds " + std::to_string(id) + " in row " + std::to_string(row));
      ids.push_back(static_cast<std::int32_t>(id));
    }
    return ids;
  }

  Status read_rows() {
    const Grid& main = grid(found_.main);
    LAYERSCOPE_ASSIGN(const SourceTensor* types, table("token_type_ids", main.length, false));
    LAYERSCOPE_ASSIGN(const SourceTensor* positions, table("position_ids", main.length, false));
    const Grid& decoder = grid(StackId::kDecoder);
    const bool second = found_.two_stacks && decoder.ids != nullptr;
    for (std::size_t b = 0; b < static_cast<std::size_t>(batch_); ++b) {
      SideRow row{.number = static_cast<std::int64_t>(b)};
      if (main.tokens(b) == 0 || (second && decoder.tokens(b) == 0)) {
        ++empty_rows_;
        continue;
      }
      LAYERSCOPE_ASSIGN(row.tokens.main.ids, ids_of(main, *main.ids, b));
      row.tokens.main.special.assign(row.tokens.main.ids.size(), 0);
      if (types != nullptr) {
        LAYERSCOPE_ASSIGN(const std::vector<std::int32_t> values, ids_of(main, *types, b));
        if (std::ranges::any_of(values, [](std::int32_t type) { return type > 255; }))
          return bad("tensor \"token_type_ids\" holds a value above 255");
        if (std::ranges::any_of(values, [](std::int32_t type) { return type != 0; }))
          row.tokens.main.type_ids.assign(values.begin(), values.end());
      }
      const auto at = static_cast<std::size_t>(found_.main);
      row.padding[at] = main.padding[b];
      if (positions != nullptr) {
        LAYERSCOPE_ASSIGN(row.position_ids[at], ids_of(main, *positions, b));
      }
      if (second) {
        Tokens& tokens = row.tokens.decoder.emplace();
        LAYERSCOPE_ASSIGN(tokens.ids, ids_of(decoder, *decoder.ids, b));
        tokens.special.assign(tokens.ids.size(), 0);
        row.padding[1] = decoder.padding[b];
      }
      rows_.push_back(std::move(row));
    }
    return {};
  }

  Status check_sites() {
    for (DumpSite& one : found_.sites) {
      const TensorView& view = one.tensor->view;
      const std::string what = "tensor \"" + printable(one.tensor->name) + "\" is " + view.shape.text();
      if (!is_float(view.dtype))
        return bad(what + " of " + std::string(dtype_name(view.dtype)) + ", expected F32, F16, BF16 or F64");
      if (one.site.name == "logits" && view.shape.rank() == 2) {  // a classifier's: a row, not a token
        found_.unknown.emplace_back("logits");
        one.tensor = nullptr;
        continue;
      }
      const Grid& own = grid_of(one.site);
      if (own.ids == nullptr) return bad(what + ", but the dump lacks \"decoder_input_ids\"");
      if (one.site.unit == StoredUnit::kProbs) {
        const bool cross = one.site.name.find(".cross.") != std::string::npos;
        const std::int64_t keys = cross ? grid(StackId::kEncoder).length : own.length;
        if (view.shape.rank() != 4 || view.shape[0] != batch_ || view.shape[2] != own.length || view.shape[3] != keys)
          return bad(what + ", expected [batch, heads, queries, keys] as the ids");
      } else {
        if (view.shape.rank() != 3 || view.shape[0] != batch_ || view.shape[1] != own.length || view.shape[2] < 1)
          return bad(what + ", expected [batch, length, width] with batch " + std::to_string(batch_) + " and length " +
                     std::to_string(own.length) + " as the ids");
        one.site.width = view.shape[2];
      }
      sites_.push_back(one.site);
    }
    std::erase_if(found_.sites, [](const DumpSite& one) { return one.tensor == nullptr; });
    if (sites_.empty()) return bad("holds no states, expected tensors \"hidden_states.{k}\" of [batch, length, width]");
    return {};
  }

  SideBlock block_of(const DumpSite& one, std::size_t b) const {
    const TensorView& view = one.tensor->view;
    const auto row = static_cast<std::int64_t>(b);
    SideBlock block;
    const auto append = [&](std::vector<double>& into, std::int64_t first, std::int64_t count) {
      for (std::int64_t j = 0; j < count; ++j) into.push_back(load_element<double>(view.dtype, view.data, first + j));
    };
    const auto take = [&](std::int64_t first, std::int64_t count) { append(block.values, first, count); };
    const Grid& own = grid_of(one.site);
    const std::int64_t tokens = own.tokens(b), left = own.padding[b].left;
    if (one.site.unit == StoredUnit::kProbs) {
      const bool cross = one.site.name.find(".cross.") != std::string::npos;
      const Grid& keys = grid(cross ? StackId::kEncoder : one.site.stack);
      const std::int64_t heads = view.shape[1];
      block.rows = heads * tokens;
      block.width = keys.tokens(b);
      block.values.reserve(static_cast<std::size_t>(block.rows * block.width));
      for (std::int64_t head = 0; head < heads; ++head) {
        for (std::int64_t query = left; query < left + tokens; ++query) {
          take(((row * heads + head) * own.length + query) * keys.length + keys.padding[b].left, block.width);
        }
      }
      return block;
    }
    block.rows = tokens;
    block.width = view.shape[2];
    block.values.reserve(static_cast<std::size_t>(block.rows * block.width));
    const std::int64_t begin = row * own.length, end = begin + own.length;
    take((begin + left) * block.width, tokens * block.width);
    append(block.padding, begin * block.width, left * block.width);
    append(block.padding, (begin + left + tokens) * block.width, (end - begin - left - tokens) * block.width);
    return block;
  }

  std::string path_;
  std::unique_ptr<DumpFile> file_;
  DumpSites found_;
  std::array<Grid, 2> grids_;
  std::int64_t batch_ = -1;
  std::int64_t empty_rows_ = 0;
  std::vector<SideSite> sites_;
  std::vector<SideRow> rows_;
};

}  // namespace

Result<std::unique_ptr<Side>> open_dump_side(const std::string& path, const SiteTable* like) {
  return DumpSide::open(path, like);
}

}  // namespace layerscope
