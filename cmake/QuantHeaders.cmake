# quant_add_header_library(<target> [FOLDER <folder>] [EXCEPT <folder>...])
#
# An interface target whose file set HEADERS is include/quant/**/*.hpp, or include/quant/<folder>
# only, without the folders named after EXCEPT. `quant` becomes quant::quant and `quant_io`
# becomes quant::io, in this build tree and in the installed package.
function(quant_add_header_library target)
    cmake_parse_arguments(PARSE_ARGV 1 arg "" "FOLDER" "EXCEPT")
    set(include_dir "${PROJECT_SOURCE_DIR}/include")
    set(folder "${include_dir}/quant")
    if(arg_FOLDER)
        string(APPEND folder "/${arg_FOLDER}")
    endif()

    file(GLOB_RECURSE headers CONFIGURE_DEPENDS "${folder}/*.hpp")
    foreach(excluded IN LISTS arg_EXCEPT)
        list(FILTER headers EXCLUDE REGEX "/include/quant/${excluded}/[^;]*$")
    endforeach()

    string(REGEX REPLACE "^quant_" "" short_name "${target}")
    add_library(${target} INTERFACE)
    add_library(quant::${short_name} ALIAS ${target})
    set_target_properties(${target} PROPERTIES EXPORT_NAME ${short_name})
    target_sources(${target} INTERFACE
        FILE_SET HEADERS
        BASE_DIRS "${include_dir}"
        FILES ${headers})
endfunction()
