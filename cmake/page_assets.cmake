# What pages of the program hold: dygraphs (MIT, https://dygraphs.com, Debian's libjs-dygraphs) and our own script and style.
find_path(DYGRAPHS_DIR NAMES dygraph.min.js PATHS /usr/share/javascript/dygraphs /usr/share/nodejs/dygraphs/dist
          DOC "the folder with dygraph.min.js and dygraph.min.css, version 2")
if(NOT DYGRAPHS_DIR)
  message(FATAL_ERROR "dygraph.min.js is missing: install libjs-dygraphs, or give its folder with -DDYGRAPHS_DIR=")
endif()

set(page_assets ${CMAKE_BINARY_DIR}/page_assets.cpp)
set(page_files ${DYGRAPHS_DIR}/dygraph.min.js ${CMAKE_SOURCE_DIR}/src/view/page/plots.js ${DYGRAPHS_DIR}/dygraph.min.css
    ${CMAKE_SOURCE_DIR}/src/view/page/page.css)
add_custom_command(OUTPUT ${page_assets}
                   COMMAND ${CMAKE_COMMAND} "-DFILES=${page_files}" -DOUTPUT=${page_assets}
                           -P ${CMAKE_SOURCE_DIR}/cmake/embed_page_assets.cmake
                   DEPENDS ${page_files} ${CMAKE_SOURCE_DIR}/cmake/embed_page_assets.cmake VERBATIM)
target_sources(layerscope_view PRIVATE ${page_assets})
