# find_package(layerscope) gives the target layerscope::layerscope. The same file names the libraries for the build itself.
include(CMakeFindDependencyMacro)
include(${CMAKE_CURRENT_LIST_DIR}/dependencies.cmake)
include(${CMAKE_CURRENT_LIST_DIR}/layerscope-targets.cmake)
