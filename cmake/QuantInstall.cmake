# Headers and the package that find_package(quant) loads.
include(CMakePackageConfigHelpers)

# Not below CMAKE_INSTALL_LIBDIR, which may carry an architecture's name: headers serve them all.
set(QUANT_CONFIG_DIR lib/cmake/quant)

# One export set per component: that of quant::io asks for a JSON library, which users of quant::quant
# need not have.
foreach(component quant quant_io)
    string(REPLACE "_" "-" targets "${component}-targets")
    install(TARGETS ${component}
        EXPORT ${targets}
        FILE_SET HEADERS DESTINATION "${CMAKE_INSTALL_INCLUDEDIR}")
    install(EXPORT ${targets}
        NAMESPACE quant::
        DESTINATION "${QUANT_CONFIG_DIR}")
endforeach()

configure_package_config_file(
    "${PROJECT_SOURCE_DIR}/cmake/quant-config.cmake.in"
    "${PROJECT_BINARY_DIR}/quant-config.cmake"
    INSTALL_DESTINATION "${QUANT_CONFIG_DIR}"
    NO_SET_AND_CHECK_MACRO)
# Before 1.0 a minor version may change the interface.
write_basic_package_version_file(
    "${PROJECT_BINARY_DIR}/quant-config-version.cmake"
    COMPATIBILITY SameMinorVersion
    ARCH_INDEPENDENT)
install(FILES
    "${PROJECT_BINARY_DIR}/quant-config.cmake"
    "${PROJECT_BINARY_DIR}/quant-config-version.cmake"
    "${PROJECT_SOURCE_DIR}/cmake/QuantFindXsimd.cmake"
    "${PROJECT_SOURCE_DIR}/cmake/QuantIsas.cmake"
    "${PROJECT_SOURCE_DIR}/cmake/QuantKernels.cmake"
    "${PROJECT_SOURCE_DIR}/cmake/QuantRenameSymbols.cmake"
    "${PROJECT_SOURCE_DIR}/cmake/QuantNoThreads.cmake"
    DESTINATION "${QUANT_CONFIG_DIR}")
install(FILES
    "${PROJECT_SOURCE_DIR}/LICENSE"
    "${PROJECT_SOURCE_DIR}/NOTICE"
    DESTINATION "${CMAKE_INSTALL_DATADIR}/licenses/quant")
