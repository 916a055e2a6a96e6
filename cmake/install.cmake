# `cmake --install`: the program, the public headers, the libraries, and what find_package(layerscope) reads.
include(GNUInstallDirs)
include(CMakePackageConfigHelpers)

# The one target that users link: everything but the command line, whichever of the folders hold code.
set(layerscope_libraries base checkpoint tokenizer spec family kernels backend tap analysis engine store hub session job)
list(TRANSFORM layerscope_libraries PREPEND layerscope_)
add_library(layerscope_all INTERFACE)
set_target_properties(layerscope_all PROPERTIES EXPORT_NAME layerscope)
target_link_libraries(layerscope_all INTERFACE ${layerscope_libraries})
add_library(layerscope::layerscope ALIAS layerscope_all)

if(TARGET layerscope)
  install(TARGETS layerscope RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
endif()
install(DIRECTORY ${CMAKE_SOURCE_DIR}/include/layerscope DESTINATION ${CMAKE_INSTALL_INCLUDEDIR})
install(FILES ${LAYERSCOPE_TOKENIZER_ARCHIVE} DESTINATION ${CMAKE_INSTALL_LIBDIR})
install(TARGETS layerscope_all ${layerscope_libraries} layerscope_tokenizer_rust EXPORT layerscope
        ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR}
        INCLUDES DESTINATION ${CMAKE_INSTALL_INCLUDEDIR})
install(EXPORT layerscope NAMESPACE layerscope:: FILE layerscope-targets.cmake
        DESTINATION ${CMAKE_INSTALL_LIBDIR}/cmake/layerscope)

write_basic_package_version_file(${CMAKE_BINARY_DIR}/layerscope-config-version.cmake COMPATIBILITY SameMinorVersion)
install(FILES ${CMAKE_SOURCE_DIR}/cmake/layerscope-config.cmake ${CMAKE_SOURCE_DIR}/cmake/dependencies.cmake
              ${CMAKE_BINARY_DIR}/layerscope-config-version.cmake
        DESTINATION ${CMAKE_INSTALL_LIBDIR}/cmake/layerscope)
