// Files of a run folder: every call retried or finished where the system interrupts it, every failure an Error that
// names the file and the system's reason.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "layerscope/error.h"

namespace layerscope {

/// "PATH: WHAT (reason of errno)". kRuntime for what is not there or not ours to open, kResource for the rest.
[[nodiscard]] Error io_error(const std::string& path, std::string_view what, int error_number);

/// An open file. Movable; closed at the end of its life.
class File {
 public:
  File() = default;
  ~File();
  File(File&& other) noexcept;
  File& operator=(File&& other) noexcept;
  File(const File&) = delete;
  File& operator=(const File&) = delete;

  /// Creates or empties a file for writing and reading.
  [[nodiscard]] static Result<File> create(const std::string& path);
  /// Opens a file for appending and reading, creating it if need be.
  [[nodiscard]] static Result<File> open_append(const std::string& path);
  /// Opens a regular file for reading.
  [[nodiscard]] static Result<File> open_read(const std::string& path);
  /// A file in `folder` that has no name: it is gone when closed, however the process ends.
  [[nodiscard]] static Result<File> create_unnamed(const std::string& folder);

  /// Writes all bytes at `offset`; safe from several threads.
  [[nodiscard]] Status write_at(std::uint64_t offset, std::span<const std::byte> bytes) const;
  /// Appends all bytes where the file was last written by append.
  [[nodiscard]] Status append(std::string_view text) const;
  /// Fills all of `into`; a file that ends before is kDamage.
  [[nodiscard]] Status read_at(std::uint64_t offset, std::span<std::byte> into) const;
  [[nodiscard]] Status sync() const;
  [[nodiscard]] Status truncate(std::uint64_t size) const;
  [[nodiscard]] Result<std::uint64_t> size() const;

  [[nodiscard]] int descriptor() const noexcept { return descriptor_; }
  [[nodiscard]] bool is_open() const noexcept { return descriptor_ >= 0; }
  [[nodiscard]] const std::string& path() const noexcept { return path_; }

 private:
  File(int descriptor, std::string path) : descriptor_(descriptor), path_(std::move(path)) {}
  [[nodiscard]] static Result<File> open(const std::string& path, int flags);
  int descriptor_ = -1;
  std::string path_;
};

/// XXH3-128 of an open file of `size` bytes, read in pieces.
[[nodiscard]] Result<std::string> hash_open_file(const File& file, std::uint64_t size);

[[nodiscard]] Status sync_folder(const std::string& folder);
[[nodiscard]] Status rename_file(const std::string& from, const std::string& to);
/// Removes a file; one that is not there is no error.
[[nodiscard]] Status remove_file(const std::string& path);
/// Removes an empty folder; one that is not there is no error.
[[nodiscard]] Status remove_folder(const std::string& path);
/// Creates a folder and the missing ones above it.
[[nodiscard]] Status make_folders(const std::string& path);
/// Names in a folder, sorted, without "." and "..". kRuntime if it is no folder.
[[nodiscard]] Result<std::vector<std::string>> list_folder(const std::string& folder);
[[nodiscard]] bool path_exists(const std::string& path);
[[nodiscard]] bool is_folder(const std::string& path);
/// Bytes that an ordinary user may still write where `folder` lies.
[[nodiscard]] Result<std::uint64_t> free_bytes(const std::string& folder);
/// Writes a small file whole: a temporary file beside it, fsync, rename, fsync of the folder.
[[nodiscard]] Status replace_file(const std::string& folder, const std::string& name, std::string_view text);

}  // namespace layerscope
