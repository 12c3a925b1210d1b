# quant_add_kernels(<target> SOURCES <source>... [ISAS <isa>...])
#
# Compiles the sources once per instruction set and adds the objects to the target: docs/dispatch.md.
# Called once per target, in the folder that made it. The objects see the target's include folders,
# definitions, options and libraries, and those of quant::quant.
#
#   ISAS      of x86-64: sse2 sse42 avx2 avxvnni avx512bw avx512vnni avx512vnni_vbmi
#             avx512vnni_vbmi_bf16; of AArch64: neon neon_dotprod neon_i8mm neon_i8mm_bf16.
#             Default: all. The lowest is always built, those of another architecture and those that
#             the compiler does not know are left out.
#
# The variable QUANT_KERNELS_ISAS, if set, limits what all calls build.
#
# Elsewhere (other architectures, and object files that are not ELF) there is one object, named
# generic, for what the compile flags allow.
include_guard(GLOBAL)
include("${CMAKE_CURRENT_LIST_DIR}/QuantIsas.cmake")

# The instruction sets that a call of quant_add_kernels builds, given its ISAS.
function(quant_kernel_isas wanted result)
    quant_known_isas(known)
    foreach(isa IN LISTS wanted QUANT_KERNELS_ISAS)
        if(NOT isa IN_LIST known)
            list(JOIN known ", " known)
            message(FATAL_ERROR
                "quant_add_kernels: unknown instruction set '${isa}'; there are: ${known}")
        endif()
    endforeach()

    if(NOT CMAKE_EXECUTABLE_FORMAT STREQUAL "ELF")
        set(${result} generic PARENT_SCOPE)
        return()
    endif()
    quant_buildable_isas(buildable)
    list(POP_FRONT buildable isas)
    foreach(isa IN LISTS buildable)
        if((NOT wanted OR isa IN_LIST wanted)
           AND (NOT QUANT_KERNELS_ISAS OR isa IN_LIST QUANT_KERNELS_ISAS))
            list(APPEND isas ${isa})
        endif()
    endforeach()
    set(${result} ${isas} PARENT_SCOPE)
endfunction()

# The library `objects` compiles the sources as `target` would compile them.
function(quant_add_kernel_objects objects target sources)
    add_library(${objects} OBJECT EXCLUDE_FROM_ALL ${sources})
    foreach(property IN ITEMS INCLUDE_DIRECTORIES COMPILE_DEFINITIONS COMPILE_OPTIONS
                              COMPILE_FEATURES LINK_LIBRARIES)
        set_property(TARGET ${objects} PROPERTY ${property}
            "$<TARGET_PROPERTY:${target},${property}>")
    endforeach()
    target_link_libraries(${objects} PRIVATE quant::quant)
    # One object per source, with symbols that can be renamed.
    set_target_properties(${objects} PROPERTIES
        AUTOMOC OFF
        AUTORCC OFF
        AUTOUIC OFF
        UNITY_BUILD OFF
        INTERPROCEDURAL_OPTIMIZATION OFF)
    if(NOT MSVC)
        target_compile_options(${objects} PRIVATE -fno-lto)
    endif()
    # Names are to be replaced now, not at the end of the folder.
    cmake_language(EVAL CODE
        "cmake_language(DEFER CALL quant_finish_kernel_objects [[${objects}]] [[${target}]])")
endfunction()

# At the end of the folder: what generator expressions cannot take over, as the target has it after
# all calls of set_target_properties and add_dependencies.
function(quant_finish_kernel_objects objects target)
    foreach(property IN ITEMS CXX_STANDARD CXX_EXTENSIONS CXX_VISIBILITY_PRESET
                              VISIBILITY_INLINES_HIDDEN POSITION_INDEPENDENT_CODE QUANT_NO_THREADS)
        get_target_property(value ${target} ${property})
        if(NOT value MATCHES "-NOTFOUND$")
            set_target_properties(${objects} PROPERTIES ${property} "${value}")
        endif()
    endforeach()
    get_target_property(type ${target} TYPE)
    if(type MATCHES "^(SHARED|MODULE)_LIBRARY$")
        set_target_properties(${objects} PROPERTIES POSITION_INDEPENDENT_CODE ON)
    endif()
    get_target_property(dependencies ${target} MANUALLY_ADDED_DEPENDENCIES)
    if(dependencies)
        add_dependencies(${objects} ${dependencies})
    endif()
endfunction()

# Adds the objects of the library to the target, all that they share by name renamed.
function(quant_add_renamed_objects target objects suffix count)
    set(folder "${CMAKE_CURRENT_BINARY_DIR}/${objects}.dir/$<CONFIG>")
    set(renamed)
    foreach(i RANGE 1 ${count})
        list(APPEND renamed "${folder}/${i}.o")
    endforeach()
    set(script "${CMAKE_CURRENT_FUNCTION_LIST_DIR}/QuantRenameSymbols.cmake")
    add_custom_command(
        OUTPUT ${renamed}
        COMMAND "${CMAKE_COMMAND}" "-DNM=${CMAKE_NM}" "-DOBJCOPY=${CMAKE_OBJCOPY}"
            "-DSUFFIX=${suffix}" "-DFOLDER=${folder}" "-DCOUNT=${count}"
            -P "${script}" -- "$<TARGET_OBJECTS:${objects}>"
        DEPENDS ${objects} "$<TARGET_OBJECTS:${objects}>" "${script}"
        COMMENT "Renaming symbols of ${objects}"
        COMMAND_EXPAND_LISTS
        VERBATIM)
    set_source_files_properties(${renamed} PROPERTIES GENERATED ON EXTERNAL_OBJECT ON)
    target_sources(${target} PRIVATE ${renamed})
    set_property(TARGET ${target} APPEND PROPERTY QUANT_KERNELS_OBJECTS ${renamed})
endfunction()

function(quant_add_kernels target)
    cmake_parse_arguments(PARSE_ARGV 1 arg "" "" "SOURCES;ISAS")
    if(NOT arg_SOURCES OR arg_UNPARSED_ARGUMENTS)
        message(FATAL_ERROR "quant_add_kernels(<target> SOURCES <source>... [ISAS <isa>...]): "
            "SOURCES, please, and nothing unknown (${arg_UNPARSED_ARGUMENTS})")
    endif()
    if(NOT TARGET ${target})
        message(FATAL_ERROR "quant_add_kernels: there is no target '${target}'")
    endif()
    get_target_property(type ${target} TYPE)
    if(NOT type MATCHES "^(EXECUTABLE|(STATIC|SHARED|MODULE)_LIBRARY)$")
        message(FATAL_ERROR "quant_add_kernels(${target}): kernels are linked into a program or a "
            "library that is not one of objects or of headers alone (${type})")
    endif()
    get_target_property(made_in ${target} SOURCE_DIR)
    get_target_property(before ${target} QUANT_KERNELS_BUILT)
    if(before OR NOT made_in STREQUAL CMAKE_CURRENT_SOURCE_DIR)
        message(FATAL_ERROR "quant_add_kernels(${target}): to be called once per target, with all "
            "of its kernels, in the folder that made it (${made_in})")
    endif()
    quant_kernel_isas("${arg_ISAS}" isas)
    set_target_properties(${target} PROPERTIES QUANT_KERNELS_BUILT "${isas}")
    if(NOT isas STREQUAL "generic" AND NOT (CMAKE_NM AND CMAKE_OBJCOPY))
        message(FATAL_ERROR "quant_add_kernels(${target}): nm and objcopy are needed, of binutils "
            "or LLVM; name them in CMAKE_NM and CMAKE_OBJCOPY")
    endif()

    set(compiled ${arg_SOURCES})
    list(FILTER compiled EXCLUDE REGEX "\\.(h|hh|hpp|hxx|inc|inl|ipp)$")
    list(LENGTH compiled count)
    if(count EQUAL 0)
        message(FATAL_ERROR "quant_add_kernels(${target}): SOURCES are headers alone")
    endif()
    string(MAKE_C_IDENTIFIER "${target}" name)
    list(GET isas 0 lowest)
    foreach(isa IN LISTS isas)
        set(objects ${target}.kernels.${isa})
        quant_add_kernel_objects(${objects} ${target} "${arg_SOURCES}")
        quant_isa_flags(${isa} flags)
        target_compile_options(${objects} PRIVATE ${flags})
        target_compile_definitions(${objects} PRIVATE QUANT_KERNELS_ISA=${isa})
        if(isa STREQUAL lowest)
            list(JOIN isas "," all)
            target_compile_definitions(${objects} PRIVATE "QUANT_KERNELS_BUILT=${all}")
        endif()
        if(isa STREQUAL "generic")
            target_sources(${target} PRIVATE "$<TARGET_OBJECTS:${objects}>")
        else()
            quant_add_renamed_objects(${target} ${objects} ".${name}.${isa}" ${count})
        endif()
    endforeach()
    list(JOIN isas " " all)
    message(STATUS "quant: kernels of ${target} for ${all}")
endfunction()
