# Functions that tests/CMakeLists.txt is written with.
#
#   quant_add_test(NAME name SOURCES a.cpp... [ISAS isa... | ISAS all] [LINK target...]
#                  [TIMEOUT seconds] [OWN_HEADERS])
#       One Catch2 program, as one test of CTest. With ISAS, one program `name.isa` per instruction
#       set, compiled with its flags; a CPU that lacks it skips the test and says so. Sources see
#           QUANT_TEST_ISA      the instruction set's name, as a string ("default" without ISAS)
#           QUANT_SHARED_DATA   the folder of the data that some tests need; they skip without it
#       OWN_HEADERS: the program includes little, or is to be compiled with other options, and parses
#       headers itself.
#
#   quant_add_compile_fail_tests(a.cpp...)
#       Sources that must not compile. The first line of each is `// expect-error: <regex>`, which
#       the compiler's first error message must match.
#
# A program in which every test case is skipped (SKIP("...") of Catch2) is skipped for CTest too.
#
# QUANT_TEST_ISAS, if set, limits the instruction sets that are built; `default` means one program
# each, `name.default`, with no flags but the compiler's own and those of CMAKE_CXX_FLAGS, as on
# architectures other than x86-64. QUANT_TEST_SKIP leaves out single programs, by the names that they
# have where the CPU lacks nothing, and all sources that must not compile by `compile_fail`;
# QUANT_TEST_PART=I/N builds one of N parts of long lists of types, another one for each instruction
# set, see tests/unit/sample.hpp. QUANT_TEST_THIS_CPU builds, for an instruction set that this CPU
# lacks, the best one that it has instead of a test that is skipped.
include(QuantIsas)

set(QUANT_TEST_ISAS "" CACHE STRING "Instruction sets to build tests for; all if empty")
set(QUANT_TEST_SKIP "" CACHE STRING
    "Test programs, such as matmul_midrise.avx2, that are not built for want of time")
set(QUANT_TEST_PART "" CACHE STRING
    "I/N: test part I, from 0, of the N parts of long lists of types; all if empty")
if(QUANT_TEST_PART AND NOT QUANT_TEST_PART MATCHES "^([0-9]+)/([1-9][0-9]*)$")
    message(FATAL_ERROR "QUANT_TEST_PART is ${QUANT_TEST_PART}, not two numbers such as 0/2")
endif()
set(QUANT_TEST_PARTS 0)
if(QUANT_TEST_PART)
    set(QUANT_TEST_PART_NUMBER ${CMAKE_MATCH_1})
    set(QUANT_TEST_PARTS ${CMAKE_MATCH_2})
endif()
option(QUANT_TEST_THIS_CPU
    "In place of instruction sets that this CPU lacks test the best one that it has" OFF)
set(QUANT_SHARED_DATA "${PROJECT_SOURCE_DIR}/../shared/data" CACHE PATH
    "Folder with data that some tests need")
set(QUANT_TEST_TIMEOUT 300 CACHE STRING "Seconds after which a test has failed")

set(QUANT_X86_ISAS sse2 sse42 avx2 avxvnni avx512bw avx512vnni avx512vnni_vbmi_bf16)
set(QUANT_KNOWN_ISAS ${QUANT_X86_ISAS} generic)

# Those that this compiler can build for, and their flags. Plain C++ is an instruction set here.
quant_buildable_isas(QUANT_BUILDABLE_ISAS)
list(REMOVE_ITEM QUANT_BUILDABLE_ISAS generic)
list(APPEND QUANT_BUILDABLE_ISAS generic)
foreach(isa IN LISTS QUANT_KNOWN_ISAS)
    quant_isa_flags(${isa} QUANT_ISA_FLAGS_${isa})
endforeach()
set(QUANT_ISA_FLAGS_generic -DQUANT_GENERIC)

# The instruction sets that CPUs have which run what is built here; all known ones if that is not to
# be asked, or cannot be, as with cross-compilers.
function(quant_cpu_isas result)
    set(isas ${QUANT_KNOWN_ISAS})
    if(QUANT_TEST_THIS_CPU AND NOT CMAKE_CROSSCOMPILING)
        set(source "${PROJECT_SOURCE_DIR}/tests/cpu_isas.cpp")
        try_run(ran compiled "${CMAKE_CURRENT_BINARY_DIR}/cpu_isas" "${source}"
            CMAKE_FLAGS "-DINCLUDE_DIRECTORIES=${PROJECT_SOURCE_DIR}/include"
            CXX_STANDARD 20
            RUN_OUTPUT_VARIABLE isas)
        if(NOT compiled OR NOT ran EQUAL 0)
            message(FATAL_ERROR "quant: ${source} does not say what this CPU has")
        endif()
    endif()
    set(${result} ${isas} PARENT_SCOPE)
endfunction()
quant_cpu_isas(QUANT_CPU_ISAS)

# The instruction set to build instead of one that this CPU lacks.
set(QUANT_BEST_CPU_ISA generic)
foreach(isa IN LISTS QUANT_X86_ISAS)
    if(isa IN_LIST QUANT_CPU_ISAS AND isa IN_LIST QUANT_BUILDABLE_ISAS)
        set(QUANT_BEST_CPU_ISA ${isa})
    endif()
endforeach()

add_executable(quant_run_if_cpu "${PROJECT_SOURCE_DIR}/tests/run_if_cpu.cpp")
quant_target_options(quant_run_if_cpu)
target_link_libraries(quant_run_if_cpu PRIVATE quant::quant)

# How all programs of an instruction set, or of none, are compiled.
function(quant_test_flags target isa)
    quant_target_options(${target})
    target_compile_options(${target} PRIVATE ${QUANT_ISA_FLAGS_${isa}})
    if(CMAKE_BUILD_TYPE STREQUAL "Release")
        # Half of the time that -O3 takes; programs that are to have more append it.
        target_compile_options(${target} PRIVATE -O1)
        if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
            # A fifth less time, for hardly more code.
            target_compile_options(${target} PRIVATE -fno-tree-ccp)
        endif()
    endif()
    if(isa STREQUAL "generic" AND CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
        # Taking arrays of sixteen apart takes g++ as long as all the rest.
        target_compile_options(${target} PRIVATE -fno-tree-sra)
    endif()
    if(CMAKE_CXX_COMPILER_ID MATCHES "Clang")
        # So that ccache knows precompiled headers again.
        target_compile_options(${target} PRIVATE "SHELL:-Xclang -fno-pch-timestamp")
    endif()
endfunction()

# quant_test_headers.ISA has what nearly all tests include, parsed once for all programs of an
# instruction set, which saves them an eighth of their time. CMAKE_DISABLE_PRECOMPILE_HEADERS turns it
# off.
function(quant_add_test_headers target isa)
    set(nothing "${CMAKE_CURRENT_BINARY_DIR}/quant_test_headers.cpp")
    if(NOT EXISTS "${nothing}")
        file(WRITE "${nothing}" "")
    endif()
    add_library(${target} OBJECT EXCLUDE_FROM_ALL "${nothing}")
    target_link_libraries(${target} PRIVATE quant::quant Catch2::Catch2WithMain)
    quant_test_flags(${target} "${isa}")
    target_precompile_headers(${target} PRIVATE
        <quant/kernel/matmul.hpp> <quant/pack/pack.hpp> <quant/policy/presets.hpp>
        <quant/quantize/dequantize.hpp> <quant/quantize/quantize.hpp>
        <catch2/catch_template_test_macros.hpp>
        <catch2/catch_test_macros.hpp>
        <algorithm> <random> <string> <vector>)
endfunction()

# One program and its test; an empty isa stands for the compiler's default.
function(quant_add_test_program program isa sources link timeout own_headers)
    add_executable(${program} ${sources})
    target_link_libraries(${program} PRIVATE quant::quant ${link} Catch2::Catch2WithMain)
    set(shown_isa ${isa})
    if(NOT isa)
        set(shown_isa default)
    endif()
    target_compile_definitions(${program} PRIVATE
        QUANT_TEST_ISA="${shown_isa}"
        QUANT_SHARED_DATA="${QUANT_SHARED_DATA}")
    if(QUANT_TEST_PARTS)
        # Many lists go through the same widths, so programs differ in the part that a build has of
        # them: by the length of their names, which is the same in all builds, and by the
        # instruction set, so that those of a program have several parts between them.
        string(REGEX REPLACE "[.].*" "" name ${program})
        string(LENGTH ${name} offset)
        list(FIND QUANT_KNOWN_ISAS "${isa}" isa_number) # -1 without one
        math(EXPR part "${QUANT_TEST_PART_NUMBER} + ${offset} + 1 + ${isa_number}")
        target_compile_definitions(${program} PRIVATE
            QUANT_TEST_PART=${part} QUANT_TEST_PARTS=${QUANT_TEST_PARTS})
    endif()
    quant_test_flags(${program} "${isa}")
    if(NOT own_headers)
        set(headers quant_test_headers.${shown_isa})
        if(NOT TARGET ${headers})
            quant_add_test_headers(${headers} "${isa}")
        endif()
        target_precompile_headers(${program} REUSE_FROM ${headers})
    endif()

    if(isa AND NOT isa MATCHES "^(sse2|generic)$")
        # The program itself cannot ask: its static initializers may need the features already.
        add_test(NAME ${program} COMMAND quant_run_if_cpu ${isa} --
            ${CMAKE_CROSSCOMPILING_EMULATOR} $<TARGET_FILE:${program}>)
    else()
        add_test(NAME ${program} COMMAND ${program})
    endif()
    set_tests_properties(${program} PROPERTIES
        TIMEOUT ${timeout}
        SKIP_RETURN_CODE 4
        LABELS "${shown_isa}")
endfunction()

function(quant_add_test)
    cmake_parse_arguments(PARSE_ARGV 0 arg "OWN_HEADERS" "NAME;TIMEOUT" "SOURCES;ISAS;LINK")
    if(NOT arg_NAME OR NOT arg_SOURCES OR arg_UNPARSED_ARGUMENTS)
        message(FATAL_ERROR "quant_add_test: NAME and SOURCES, please, and nothing unknown "
            "(${arg_UNPARSED_ARGUMENTS})")
    endif()
    if(NOT arg_TIMEOUT)
        set(arg_TIMEOUT ${QUANT_TEST_TIMEOUT})
    endif()
    if(arg_NAME IN_LIST QUANT_TEST_SKIP)
        return()
    endif()
    if(NOT arg_ISAS)
        quant_add_test_program(${arg_NAME} "" "${arg_SOURCES}" "${arg_LINK}" ${arg_TIMEOUT}
            ${arg_OWN_HEADERS})
        return()
    endif()

    if(arg_ISAS STREQUAL "all")
        set(arg_ISAS ${QUANT_KNOWN_ISAS})
    endif()
    foreach(isa IN LISTS arg_ISAS)
        if(NOT isa IN_LIST QUANT_KNOWN_ISAS)
            message(FATAL_ERROR "quant_add_test(${arg_NAME}): unknown instruction set ${isa}")
        endif()
        if(QUANT_TEST_ISAS AND NOT isa IN_LIST QUANT_TEST_ISAS
           OR NOT isa IN_LIST QUANT_BUILDABLE_ISAS
           OR "${arg_NAME}.${isa}" IN_LIST QUANT_TEST_SKIP)
            continue()
        endif()
        if(NOT isa STREQUAL "generic" AND NOT isa IN_LIST QUANT_CPU_ISAS)
            set(isa ${QUANT_BEST_CPU_ISA})
        endif()
        if(NOT TARGET ${arg_NAME}.${isa})
            quant_add_test_program(
                ${arg_NAME}.${isa} ${isa} "${arg_SOURCES}" "${arg_LINK}" ${arg_TIMEOUT}
                ${arg_OWN_HEADERS})
        endif()
    endforeach()
    if((NOT "sse2" IN_LIST QUANT_BUILDABLE_ISAS OR "default" IN_LIST QUANT_TEST_ISAS)
       AND NOT "${arg_NAME}.default" IN_LIST QUANT_TEST_SKIP)
        # Another architecture: its own vector instructions are the compiler's default.
        quant_add_test_program(
            ${arg_NAME}.default "" "${arg_SOURCES}" "${arg_LINK}" ${arg_TIMEOUT}
            ${arg_OWN_HEADERS})
    endif()
endfunction()

# Never compiled: its properties are the flags that a user of quant::quant compiles with.
add_library(quant_compile_fail OBJECT EXCLUDE_FROM_ALL "${PROJECT_SOURCE_DIR}/tests/run_if_cpu.cpp")
target_link_libraries(quant_compile_fail PRIVATE quant::quant)

function(quant_add_compile_fail_tests)
    if("compile_fail" IN_LIST QUANT_TEST_SKIP)
        return()
    endif()
    foreach(source IN LISTS ARGN)
        cmake_path(GET source STEM name)
        cmake_path(ABSOLUTE_PATH source)
        add_test(NAME compile_fail.${name} COMMAND ${CMAKE_COMMAND}
            "-DCOMPILER=${CMAKE_CXX_COMPILER}"
            "-DINCLUDES=$<TARGET_PROPERTY:quant_compile_fail,INCLUDE_DIRECTORIES>"
            "-DDEFINITIONS=$<TARGET_PROPERTY:quant_compile_fail,COMPILE_DEFINITIONS>"
            "-DSOURCE=${source}"
            -P "${PROJECT_SOURCE_DIR}/cmake/CompileFail.cmake")
        set_tests_properties(compile_fail.${name} PROPERTIES
            TIMEOUT ${QUANT_TEST_TIMEOUT}
            LABELS compile_fail)
    endforeach()
endfunction()
