# Compiles SOURCE, which must fail, with a first error that matches the regular expression in the
# source's first line, `// expect-error: <regex>`: that error is what a user reads.
file(STRINGS "${SOURCE}" first_line LIMIT_COUNT 1)
if(NOT first_line MATCHES "^// expect-error: (.+)$")
    message(FATAL_ERROR "${SOURCE}: the first line is not `// expect-error: <regex>`")
endif()
set(expected "${CMAKE_MATCH_1}")

list(TRANSFORM INCLUDES PREPEND "-I")
list(TRANSFORM DEFINITIONS PREPEND "-D")
execute_process(
    COMMAND "${COMPILER}" -std=c++20 -fsyntax-only -fdiagnostics-color=never
        ${DEFINITIONS} ${INCLUDES} "${SOURCE}"
    RESULT_VARIABLE status
    OUTPUT_VARIABLE output
    ERROR_VARIABLE output)
if(status EQUAL 0)
    message(FATAL_ERROR "${SOURCE} compiles, but must not")
endif()

if(NOT output MATCHES "error: [^\n]*")
    message(FATAL_ERROR "the compiler failed without an error message:\n${output}")
endif()
set(first_error "${CMAKE_MATCH_0}")
if(NOT first_error MATCHES "${expected}")
    message(FATAL_ERROR "the first error is\n  ${first_error}\nand does not match\n  ${expected}\n"
        "The compiler's output:\n${output}")
endif()
message(STATUS "as expected: ${first_error}")
