# cmake -DNM=... -DOBJCOPY=... -DSUFFIX=.word -DFOLDER=... [-DCOUNT=...]
#     -P QuantRenameSymbols.cmake -- object...
#
# Copies the objects of one instruction set to FOLDER/1.o, 2.o ..., and appends SUFFIX to the name of
# each symbol that they define and that another object may define as well: inline functions and
# templates, of the standard library too. The linker keeps one definition of each name, and would
# else let an old CPU run the one that was compiled for a new one.
#
# Type information keeps its names: it has no code, and exceptions are caught by it.
#
# COUNT: how many objects the build expects.
cmake_minimum_required(VERSION 3.23)

set(objects)
set(past_dashes FALSE)
math(EXPR last "${CMAKE_ARGC} - 1")
foreach(i RANGE 1 ${last})
    if(past_dashes)
        list(APPEND objects "${CMAKE_ARGV${i}}")
    elseif(CMAKE_ARGV${i} STREQUAL "--")
        set(past_dashes TRUE)
    endif()
endforeach()

list(LENGTH objects count)
if(DEFINED COUNT AND NOT count EQUAL COUNT)
    message(FATAL_ERROR "${COUNT} SOURCES of quant_add_kernels became ${count} objects: each is to be "
        "named once, without generator expressions, and headers end in .h, .hpp and the like")
endif()

function(run)
    execute_process(COMMAND ${ARGN} OUTPUT_VARIABLE output ERROR_VARIABLE error
        RESULT_VARIABLE status)
    if(NOT status EQUAL 0)
        list(JOIN ARGN " " command)
        message(FATAL_ERROR "${command}: ${status}\n${error}")
    endif()
    set(output "${output}" PARENT_SCOPE)
endfunction()

# Names that the linker merges: weak (W, V), unique (u), and those of groups of sections that share
# one fate (n: constructors and destructors).
set(shared)
foreach(object IN LISTS objects)
    run("${NM}" -p "${object}")
    string(REGEX MATCHALL " t (_GLOBAL__(sub_)?I_|__cxx_global_var_init)[^\n]*" initializers
        "${output}")
    list(FILTER initializers EXCLUDE REGEX "_GLOBAL__sub_I_00(099|100)_") # sanitizers, gcov
    if(initializers)
        list(GET initializers 0 first)
        string(REPLACE " t " "" first "${first}")
        message(FATAL_ERROR "${object}: kernels cannot have objects that are initialized when the "
            "program starts, nor include <iostream>: that code would run before the CPU is asked "
            "what it can do (${first})")
    endif()
    string(REGEX MATCHALL " ([WVu] [^\n]+|n _Z[^\n]+)" lines "${output}")
    list(TRANSFORM lines REPLACE "^ . " "")
    list(APPEND shared ${lines})
endforeach()
list(REMOVE_DUPLICATES shared)
list(FILTER shared EXCLUDE REGEX "^_ZT[IS]")

set(map "")
foreach(name IN LISTS shared)
    string(APPEND map "${name} ${name}${SUFFIX}\n")
endforeach()
file(MAKE_DIRECTORY "${FOLDER}")
file(WRITE "${FOLDER}/renamed.txt" "${map}")

set(i 0)
foreach(object IN LISTS objects)
    math(EXPR i "${i} + 1")
    run("${OBJCOPY}" "--redefine-syms=${FOLDER}/renamed.txt" "${object}" "${FOLDER}/${i}.o")
endforeach()
