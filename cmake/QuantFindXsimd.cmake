# Finds an xsimd that this library works with, 13.2 up to and including 14.x; installed beside the
# package's configuration, which asks the same question as the build.
#
# xsimd's version file knows only "same major version", so that no single find_package() call
# accepts 13.2 and 14.x; and loading a package to ask its version would leave the target `xsimd` of
# a too old one behind. Hence a first call with a version that no package has: it loads nothing,
# but lists the packages in the order of the search, of which the first good one is loaded.

set(QUANT_XSIMD_VERSION_MIN 13.2)
set(QUANT_XSIMD_VERSION_END 15) # the first version that is not accepted

# Sets <config> to the first acceptable package's configuration file, or to an empty string, and
# <found> to what was seen otherwise, for a message.
function(quant_locate_xsimd config found)
    find_package(xsimd 99999 EXACT CONFIG QUIET)
    set(seen)
    foreach(candidate version IN ZIP_LISTS xsimd_CONSIDERED_CONFIGS xsimd_CONSIDERED_VERSIONS)
        # A version file may append a note, as in "13.2.0 (64bit)".
        string(REGEX MATCH "^[0-9.]+" version "${version}")
        if(version VERSION_GREATER_EQUAL QUANT_XSIMD_VERSION_MIN
           AND version VERSION_LESS QUANT_XSIMD_VERSION_END)
            set(${config} "${candidate}" PARENT_SCOPE)
            set(${found} "" PARENT_SCOPE)
            return()
        endif()
        list(APPEND seen "${version} in ${candidate}")
    endforeach()
    if(NOT seen)
        set(seen "none")
    endif()
    list(JOIN seen ", " seen)
    set(${config} "" PARENT_SCOPE)
    set(${found} "${seen}" PARENT_SCOPE)
endfunction()
