// Reading zip archives from memory (PKWARE APPNOTE 6.3, ZIP64): what an .npz is. An archive is untrusted input.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "layerscope/error.h"

namespace layerscope {

/// One file of an archive.
struct ZipEntry {
  std::string name;
  bool deflated = false;
  std::uint64_t begin = 0;       ///< of its bytes in the archive,
  std::uint64_t compressed = 0;  ///< and how many of them there are
  std::uint64_t size = 0;        ///< once inflated, as the directory says; no more is ever made of it
  std::uint32_t crc = 0;
};

/// The directory of an archive. Errors: kRuntime with `name` for what is no archive, is cut off, encrypted, packed in
/// another way than stored or deflated, has entries outside of the file or on top of each other, a name twice, or
/// claims more than deflate can have packed.
[[nodiscard]] Result<std::vector<ZipEntry>> read_zip_directory(std::span<const std::byte> archive,
                                                               const std::string& name);

/// An entry's bytes. Errors: kRuntime where they are not what the directory says, kResource.
[[nodiscard]] Result<std::vector<std::byte>> read_zip_entry(std::span<const std::byte> archive, const ZipEntry& entry,
                                                            const std::string& name);

}  // namespace layerscope
