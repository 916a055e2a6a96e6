#include "diff/dump_file.h"

#include <algorithm>
#include <filesystem>

#include "base/memory.h"
#include "base/numbers.h"
#include "base/try.h"
#include "base/utf8.h"
#include "checkpoint/safetensors.h"
#include "store/npy.h"
#include "store/zip_reader.h"

namespace layerscope {

bool is_dump(const std::string& path) {
  std::error_code error;
  return (path.ends_with(".safetensors") || path.ends_with(".npz")) && !std::filesystem::is_directory(path, error);
}

Result<std::unique_ptr<DumpFile>> DumpFile::open(const std::string& path) {
  auto dump = std::make_unique<DumpFile>();
  LAYERSCOPE_ASSIGN(dump->file_, MappedFile::open(path, ErrorCode::kRuntime));
  LAYERSCOPE_TRY(path.ends_with(".npz") ? dump->read_npz(path) : dump->read_safetensors(path));
  std::ranges::sort(dump->tensors_, {}, &SourceTensor::name);
  return dump;
}

Status DumpFile::read_safetensors(const std::string& path) {
  auto header = parse_safetensors(file_.bytes(), path);
  if (!header) return Error{ErrorCode::kRuntime, header.error().message};  // no model is refused here
  for (TensorEntry& entry : header->tensors) {
    const std::byte* const data = file_.bytes().data() + header->data_offset + entry.begin;
    tensors_.push_back({std::move(entry.name), {entry.dtype, entry.shape, data}, path});
  }
  return {};
}

Status DumpFile::read_npz(const std::string& path) {
  LAYERSCOPE_ASSIGN(const std::vector<ZipEntry> entries, read_zip_directory(file_.bytes(), path));
  std::optional<std::uint64_t> bytes = 0;
  for (const ZipEntry& entry : entries) {
    if (bytes) bytes = checked_add(*bytes, entry.size);
  }
  const std::optional<std::uint64_t> free = available_memory();
  if (!bytes || (free && *bytes > *free / 2)) {
    return Error{ErrorCode::kResource, path +
                                           ": its arrays do not fit into half of the free memory; dump fewer rows, " +
                                           "or as .safetensors, which is read in place"};
  }
  for (const ZipEntry& entry : entries) {
    if (!entry.name.ends_with(".npy")) continue;
    LAYERSCOPE_ASSIGN(std::vector<std::byte> array, read_zip_entry(file_.bytes(), entry, path));
    LAYERSCOPE_ASSIGN(const NpyHeader header,
                      parse_npy_header(array, path + ": array \"" + printable(entry.name) + "\""));
    unpacked_.push_back(std::move(array));
    tensors_.push_back({entry.name.substr(0, entry.name.size() - 4),
                        {header.dtype, header.shape, unpacked_.back().data() + header.begin},
                        path});
  }
  return {};
}

}  // namespace layerscope
