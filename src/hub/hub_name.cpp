#include "hub/hub_name.h"

#include <algorithm>

namespace layerscope {
namespace {

bool is_letter_or_digit(char c) noexcept {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

// One part of a path: letters, digits, '-', '_' and '.', the first no '.' or '-'.
bool is_part(std::string_view part) noexcept {
  constexpr std::size_t kLongest = 96;
  if (part.empty() || part.size() > kLongest || part.front() == '.' || part.front() == '-') return false;
  return part.find("..") == std::string_view::npos && std::all_of(part.begin(), part.end(), [](char c) {
           return is_letter_or_digit(c) || c == '-' || c == '_' || c == '.';
         });
}

bool are_parts(std::string_view path, std::size_t most) noexcept {
  for (std::size_t count = 1; count <= most; ++count) {
    const std::size_t slash = path.find('/');
    if (!is_part(path.substr(0, slash))) return false;
    if (slash == std::string_view::npos) return true;
    path.remove_prefix(slash + 1);
  }
  return false;
}

}  // namespace

std::string HubName::folder() const {
  std::string name = "models--" + repository;
  const std::size_t slash = name.find('/');
  if (slash != std::string::npos) name.replace(slash, 1, "--");
  return name;
}

std::optional<HubName> parse_hub_name(std::string_view text) {
  constexpr std::size_t kMaxRevisionParts = 8;
  const std::size_t at = text.find('@');
  const std::string_view repository = text.substr(0, at);
  const std::string_view revision = at == std::string_view::npos ? "main" : text.substr(at + 1);
  if (!are_parts(repository, 2) || repository.find("--") != std::string_view::npos) return std::nullopt;
  if (!are_parts(revision, kMaxRevisionParts)) return std::nullopt;
  return HubName{std::string(repository), std::string(revision)};
}

bool is_commit(std::string_view text) noexcept {
  return text.size() == 40 &&
         std::all_of(text.begin(), text.end(), [](char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'); });
}

}  // namespace layerscope
