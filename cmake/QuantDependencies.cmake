# The libraries that quant, its tests, its benchmarks and its examples use. For each: the target of
# the surrounding project if it has one, an installed package of sufficient version, and only
# without either a download from its repository.
include(FetchContent)
include(QuantFindXsimd)

# Variables set here decide the options of a downloaded project, even of one for an older CMake.
set(CMAKE_POLICY_DEFAULT_CMP0077 NEW)

# Required by the library itself. A macro because imported targets and xsimd_DIR belong to the
# caller's directory.
macro(quant_find_xsimd)
    if(NOT TARGET xsimd)
        quant_locate_xsimd(quant_xsimd_config quant_xsimd_seen)
        if(quant_xsimd_config)
            cmake_path(GET quant_xsimd_config PARENT_PATH quant_xsimd_dir)
            set(xsimd_DIR "${quant_xsimd_dir}" CACHE PATH "Folder of xsimd's package" FORCE)
            find_package(xsimd CONFIG REQUIRED)
            message(STATUS "quant: xsimd ${xsimd_VERSION} in ${xsimd_DIR}")
        else()
            message(STATUS "quant: no xsimd from ${QUANT_XSIMD_VERSION_MIN} to below "
                "${QUANT_XSIMD_VERSION_END} installed (seen: ${quant_xsimd_seen}); downloading it")
            FetchContent_Declare(xsimd
                GIT_REPOSITORY https://github.com/xtensor-stack/xsimd.git
                GIT_TAG 13.2.0
                GIT_SHALLOW ON
                SYSTEM)
            FetchContent_MakeAvailable(xsimd)
        endif()
    endif()
endmacro()

# quant_find_or_fetch(<package> TARGET <target> VERSION <minimum> REPOSITORY <url> TAG <tag>)
macro(quant_find_or_fetch package)
    cmake_parse_arguments(quant_dep "" "TARGET;VERSION;REPOSITORY;TAG" "" ${ARGN})
    if(NOT TARGET ${quant_dep_TARGET})
        find_package(${package} ${quant_dep_VERSION} CONFIG QUIET)
        if(NOT ${package}_FOUND)
            message(STATUS "quant: no ${package} >= ${quant_dep_VERSION} installed; downloading it")
            FetchContent_Declare(${package}
                GIT_REPOSITORY ${quant_dep_REPOSITORY}
                GIT_TAG ${quant_dep_TAG}
                GIT_SHALLOW ON
                SYSTEM)
            FetchContent_MakeAvailable(${package})
        endif()
    endif()
endmacro()

# For quant::io, and examples/lm: nlohmann_json::nlohmann_json. One that is downloaded is installed
# with quant, whose package asks for it.
macro(quant_find_json)
    set(JSON_BuildTests OFF)
    set(JSON_Install ${QUANT_INSTALL})
    quant_find_or_fetch(nlohmann_json TARGET nlohmann_json::nlohmann_json VERSION 3.10
        REPOSITORY https://github.com/nlohmann/json.git TAG v3.11.3)
endmacro()

# For the tests: Catch2::Catch2WithMain. CTest knows a skipped test by the exit code 4, which earlier
# versions also return for four failures.
macro(quant_find_catch2)
    quant_find_or_fetch(Catch2 TARGET Catch2::Catch2WithMain VERSION 3.7.1
        REPOSITORY https://github.com/catchorg/Catch2.git TAG v3.7.1)
endmacro()

# For the benchmarks: benchmark::benchmark.
macro(quant_find_benchmark)
    set(BENCHMARK_ENABLE_TESTING OFF)
    set(BENCHMARK_ENABLE_INSTALL OFF)
    set(BENCHMARK_ENABLE_WERROR OFF)
    quant_find_or_fetch(benchmark TARGET benchmark::benchmark VERSION 1.6
        REPOSITORY https://github.com/google/benchmark.git TAG v1.8.4)
endmacro()

# For examples/lm: CLI11::CLI11.
macro(quant_find_example_libraries)
    quant_find_or_fetch(CLI11 TARGET CLI11::CLI11 VERSION 2.1
        REPOSITORY https://github.com/CLIUtils/CLI11.git TAG v2.4.2)
endmacro()
