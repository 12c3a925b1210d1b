# quant_target_options(<target> [NATIVE])
#
# How the project compiles its own programs: all warnings, as errors unless QUANT_WERROR is off.
# None of this reaches a program of a user. NATIVE marks examples and benchmarks, which QUANT_NATIVE
# compiles for the CPU of this machine.
include_guard(GLOBAL)

add_library(quant_warnings INTERFACE)
target_compile_options(quant_warnings INTERFACE
    -Wall -Wextra -Wpedantic -Wconversion -Wsign-conversion -Wshadow
    $<$<BOOL:${QUANT_WERROR}>:-Werror>)
# g++ 12 at -O3 takes the growth of a vector, in its own <vector>, for an overflow. What the warning
# is for, AddressSanitizer sees in the same tests.
if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU" AND CMAKE_CXX_COMPILER_VERSION VERSION_LESS 13)
    target_compile_options(quant_warnings INTERFACE -Wno-stringop-overflow)
endif()

# With 32 bits g++ warns of loops over groups that no memory could hold.
if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU" AND CMAKE_SIZEOF_VOID_P EQUAL 4)
    target_compile_options(quant_warnings INTERFACE -Wno-aggressive-loop-optimizations)
endif()

# g++ 12 warns of uninitialized values inside its own AVX-512 headers.
set(QUANT_AVX512_WARNINGS)
if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
    set(QUANT_AVX512_WARNINGS -Wno-uninitialized -Wno-maybe-uninitialized)
endif()

# clang 19 warns of what its own -march=native stands for on CPUs with AVX10.1.
set(QUANT_NATIVE_WARNINGS ${QUANT_AVX512_WARNINGS})
if(CMAKE_CXX_COMPILER_ID MATCHES "Clang" AND CMAKE_CXX_COMPILER_VERSION MATCHES "^19\\.")
    list(APPEND QUANT_NATIVE_WARNINGS -Wno-invalid-feature-combination)
endif()

function(quant_target_options target)
    cmake_parse_arguments(PARSE_ARGV 1 arg "NATIVE" "" "")
    target_link_libraries(${target} PRIVATE quant_warnings)
    if(arg_NATIVE AND QUANT_NATIVE)
        target_compile_options(${target} PRIVATE -march=native ${QUANT_NATIVE_WARNINGS})
    endif()
endfunction()
