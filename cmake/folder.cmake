# layerscope_folder(NAME LIBRARY...): the static library layerscope_NAME of src/NAME/*.cpp, main.cpp left out.
# A folder without sources yet gives an interface library.
function(layerscope_folder name)
  file(GLOB_RECURSE sources CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/src/${name}/*.cpp)
  list(FILTER sources EXCLUDE REGEX "/main\\.cpp$")
  if(sources)
    add_library(layerscope_${name} STATIC ${sources})
    target_include_directories(layerscope_${name} PUBLIC $<BUILD_INTERFACE:${CMAKE_SOURCE_DIR}/include>
                               $<BUILD_INTERFACE:${CMAKE_SOURCE_DIR}/src>)
    target_link_libraries(layerscope_${name} PUBLIC ${ARGN} Threads::Threads)
  else()
    add_library(layerscope_${name} INTERFACE)
    target_include_directories(layerscope_${name} INTERFACE $<BUILD_INTERFACE:${CMAKE_SOURCE_DIR}/include>
                               $<BUILD_INTERFACE:${CMAKE_SOURCE_DIR}/src>)
    target_link_libraries(layerscope_${name} INTERFACE ${ARGN} Threads::Threads)
  endif()
endfunction()
