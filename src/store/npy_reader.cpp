// The header of a .npy is a Python literal; only the form that NumPy writes is read, with its keys in any order.
#include <array>
#include <charconv>
#include <optional>
#include <string_view>

#include "base/numbers.h"
#include "base/try.h"
#include "base/utf8.h"
#include "store/npy.h"

namespace layerscope {
namespace {

constexpr std::string_view kMagic = "\x93NUMPY";
constexpr std::size_t kMaxHeader = std::size_t{1} << 20;

class Literal {
 public:
  explicit Literal(std::string_view text) : text_(text) {}

  bool take(char wanted) {
    skip_blanks();
    if (at_ == text_.size() || text_[at_] != wanted) return false;
    ++at_;
    return true;
  }
  bool take_word(std::string_view word) {
    skip_blanks();
    if (!text_.substr(at_).starts_with(word)) return false;
    at_ += word.size();
    return true;
  }
  /// 'text' or "text", without escapes.
  std::optional<std::string_view> quoted() {
    for (const char quote : {'\'', '"'}) {
      if (!take(quote)) continue;
      const std::size_t end = text_.find(quote, at_);
      if (end == std::string_view::npos) return std::nullopt;
      const std::string_view inside = text_.substr(at_, end - at_);
      at_ = end + 1;
      return inside;
    }
    return std::nullopt;
  }
  std::optional<std::int64_t> number() {
    skip_blanks();
    std::int64_t value = 0;
    const auto [end, code] = std::from_chars(text_.data() + at_, text_.data() + text_.size(), value);
    if (code != std::errc() || value < 0) return std::nullopt;
    at_ = static_cast<std::size_t>(end - text_.data());
    return value;
  }
  bool at_end() {
    skip_blanks();
    return at_ == text_.size();
  }

 private:
  void skip_blanks() {
    while (at_ < text_.size() && (text_[at_] == ' ' || text_[at_] == '\n')) ++at_;
  }
  std::string_view text_;
  std::size_t at_ = 0;
};

std::optional<DType> dtype_of(std::string_view description) {
  constexpr std::array kTypes = {
      std::pair("f8", DType::kF64), std::pair("f4", DType::kF32), std::pair("f2", DType::kF16),
      std::pair("i8", DType::kI64), std::pair("i4", DType::kI32), std::pair("i2", DType::kI16),
      std::pair("i1", DType::kI8),  std::pair("u8", DType::kU64), std::pair("u4", DType::kU32),
      std::pair("u2", DType::kU16), std::pair("u1", DType::kU8),  std::pair("b1", DType::kBool)};
  if (description.empty()) return std::nullopt;
  const char order = description.front();
  for (const auto& [name, dtype] : kTypes) {
    const bool known = order == '<' || order == '|' || (order == '>' && dtype_size(dtype) == 1);
    if (known && description.substr(1) == name) return dtype;
  }
  return std::nullopt;
}

std::optional<Shape> shape_of(Literal& literal) {
  Shape shape;
  if (!literal.take('(')) return std::nullopt;
  while (!literal.take(')')) {
    const auto dim = literal.number();
    if (!dim || !shape.push_back(*dim)) return std::nullopt;
    if (literal.take(',')) continue;
    if (!literal.take(')')) return std::nullopt;
    break;
  }
  return shape;
}

Result<NpyHeader> parse_dict(std::string_view text, const std::string& name) {
  const auto bad = [&](const std::string& what) { return Error{ErrorCode::kRuntime, name + ": " + what}; };
  Literal literal(text);
  std::optional<DType> dtype;
  std::optional<Shape> shape;
  bool order = false;
  if (!literal.take('{')) return bad("its .npy header is no dictionary");
  while (!literal.take('}')) {
    const auto key = literal.quoted();
    if (!key || !literal.take(':')) return bad("its .npy header is no dictionary of fields");
    if (*key == "descr") {
      const auto description = literal.quoted();
      if (description) dtype = dtype_of(*description);
      if (!dtype) {
        return bad("elements of another type (field \"descr\"" +
                   (description ? " is \"" + printable(*description) + "\"" : std::string(" is no plain type")) +
                   ", expected a little-endian number such as \"<f4\")");
      }
    } else if (*key == "fortran_order") {
      order = literal.take_word("False");
      if (!order) return bad("field \"fortran_order\" is not False (numpy.ascontiguousarray puts rows in C order)");
    } else if (*key == "shape") {
      shape = shape_of(literal);
      if (!shape) return bad("field \"shape\" of its .npy header is no tuple of sizes");
    } else {
      return bad("unknown field \"" + printable(*key) + "\" in its .npy header");
    }
    if (!literal.take(',')) {
      if (!literal.take('}')) return bad("its .npy header is cut off");
      break;
    }
  }
  if (!literal.at_end() || !dtype || !order || !shape)
    return bad("its .npy header lacks \"descr\", \"fortran_order\" or \"shape\"");
  return NpyHeader{*dtype, *shape, 0};
}

}  // namespace

Result<NpyHeader> parse_npy_header(std::span<const std::byte> file, const std::string& name) {
  const auto bad = [&](const std::string& what) { return Error{ErrorCode::kRuntime, name + ": " + what}; };
  const std::string_view text(reinterpret_cast<const char*>(file.data()), file.size());
  if (text.size() < 12 || !text.starts_with(kMagic)) return bad("is no .npy file");
  const auto byte = [&](std::size_t at) { return std::size_t{static_cast<unsigned char>(text[at])}; };
  const std::size_t version = byte(6);
  if (version < 1 || version > 3) return bad("is a .npy of version " + std::to_string(version) + ", expected 1 to 3");
  const std::size_t begin = version == 1 ? 10 : 12;
  const std::size_t length =
      version == 1 ? byte(8) | byte(9) << 8 : byte(8) | byte(9) << 8 | byte(10) << 16 | byte(11) << 24;
  if (length > kMaxHeader || length > text.size() - begin) return bad("its .npy header is cut off");
  LAYERSCOPE_ASSIGN(NpyHeader header, parse_dict(text.substr(begin, length), name));
  header.begin = begin + length;
  std::optional<std::uint64_t> bytes = dtype_size(header.dtype);
  for (const std::int64_t dim : header.shape.dims()) {
    if (bytes) bytes = checked_multiply(*bytes, static_cast<std::uint64_t>(dim));
  }
  if (!bytes || *bytes != file.size() - header.begin) {
    return bad("its shape " + header.shape.text() + " of " + std::string(dtype_name(header.dtype)) +
               " does not fit its " + std::to_string(file.size() - header.begin) + " bytes of values");
  }
  if (header.begin % dtype_size(header.dtype) != 0) return bad("its values are not aligned");
  return header;
}

}  // namespace layerscope
