// The command line as a function.
#pragma once

namespace layerscope {

/// The program's streams, as file descriptors.
struct Streams {
  int out = 1;
  int err = 2;
};

/// Runs one command line and returns its exit status. Installs handlers for SIGINT and SIGTERM and ignores SIGPIPE.
[[nodiscard]] int cli_main(int argc, const char* const* argv, const Streams& streams) noexcept;

}  // namespace layerscope
