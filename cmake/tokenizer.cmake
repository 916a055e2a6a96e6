# The Rust half of the tokenizer, built by cargo as a static library.
include(GNUInstallDirs)
set(LAYERSCOPE_CARGO_DIR ${CMAKE_BINARY_DIR}/cargo)
set(LAYERSCOPE_TOKENIZER_ARCHIVE ${LAYERSCOPE_CARGO_DIR}/release/liblayerscope_tokenizer.a)
find_program(CARGO cargo REQUIRED)
file(GLOB_RECURSE tokenizer_rust_sources CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/rust/tokenizer/src/*.rs
     ${CMAKE_SOURCE_DIR}/rust/tokenizer/onig/*.rs)
add_custom_command(
  OUTPUT ${LAYERSCOPE_TOKENIZER_ARCHIVE}
  COMMAND ${CMAKE_COMMAND} -E env CARGO_TARGET_DIR=${LAYERSCOPE_CARGO_DIR}
          ${CARGO} build --release --locked --quiet --manifest-path ${CMAKE_SOURCE_DIR}/rust/tokenizer/Cargo.toml
  DEPENDS ${tokenizer_rust_sources} ${CMAKE_SOURCE_DIR}/rust/tokenizer/Cargo.toml
          ${CMAKE_SOURCE_DIR}/rust/tokenizer/Cargo.lock ${CMAKE_SOURCE_DIR}/rust/tokenizer/onig/Cargo.toml
  COMMENT "Building the tokenizer (Rust)"
  VERBATIM)
add_custom_target(layerscope_tokenizer_build DEPENDS ${LAYERSCOPE_TOKENIZER_ARCHIVE})
add_library(layerscope_tokenizer_rust INTERFACE)
add_dependencies(layerscope_tokenizer_rust layerscope_tokenizer_build)
target_include_directories(layerscope_tokenizer_rust INTERFACE $<BUILD_INTERFACE:${CMAKE_SOURCE_DIR}/rust/tokenizer/include>)
target_link_libraries(layerscope_tokenizer_rust INTERFACE
  $<BUILD_INTERFACE:${LAYERSCOPE_TOKENIZER_ARCHIVE}>
  $<INSTALL_INTERFACE:$<INSTALL_PREFIX>/${CMAKE_INSTALL_LIBDIR}/liblayerscope_tokenizer.a>
  ${CMAKE_DL_LIBS})

if(LAYERSCOPE_TESTS)
  add_test(NAME check.tokenizer_steps
           COMMAND ${CMAKE_COMMAND} -E env CARGO_TARGET_DIR=${LAYERSCOPE_CARGO_DIR}
                   ${CARGO} test --release --locked --quiet --package onig
                   --manifest-path ${CMAKE_SOURCE_DIR}/rust/tokenizer/Cargo.toml)
endif()
