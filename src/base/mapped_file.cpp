#include "base/mapped_file.h"

#include <sys/mman.h>

#include <cerrno>
#include <cstdint>
#include <limits>
#include <system_error>
#include <utility>

#include "base/file.h"
#include "base/try.h"
#include "base/utf8.h"

namespace layerscope {

MappedFile::~MappedFile() {
  if (data_ != nullptr) ::munmap(const_cast<std::byte*>(data_), size_);
}

MappedFile::MappedFile(MappedFile&& other) noexcept
    : path_(std::move(other.path_)), data_(std::exchange(other.data_, nullptr)), size_(std::exchange(other.size_, 0)) {}

MappedFile& MappedFile::operator=(MappedFile&& other) noexcept {
  std::swap(path_, other.path_);
  std::swap(data_, other.data_);
  std::swap(size_, other.size_);
  return *this;
}

Result<MappedFile> MappedFile::open(const std::string& path, ErrorCode code) {
  LAYERSCOPE_ASSIGN(const RegularFile file, RegularFile::open(path, code));
  return of(file.descriptor(), file.size(), path, code);
}

Result<MappedFile> MappedFile::of(int descriptor, std::uint64_t size, const std::string& path, ErrorCode code) {
  MappedFile mapped;
  mapped.path_ = path;
  if (size == 0) return mapped;
  if (size > static_cast<std::uint64_t>(std::numeric_limits<std::ptrdiff_t>::max()))
    return Error{code, printable(path, 4096) + ": is too large to be mapped (" + std::to_string(size) + " bytes)"};
  const auto length = static_cast<std::size_t>(size);
  void* const data = ::mmap(nullptr, length, PROT_READ, MAP_PRIVATE, descriptor, 0);
  if (data == MAP_FAILED) {
    return Error{errno == ENOMEM ? ErrorCode::kResource : code,
                 printable(path, 4096) + ": cannot be mapped (" + std::generic_category().message(errno) + ")"};
  }
  mapped.data_ = static_cast<const std::byte*>(data);
  mapped.size_ = length;
  return mapped;
}

}  // namespace layerscope
