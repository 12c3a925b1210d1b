# Reads the symbols of OBJECT with NM: none that is undefined may be of a threads library, or of the
# parts of the standard library that stand on one.
execute_process(COMMAND "${NM}" -u "${OBJECT}"
    RESULT_VARIABLE status OUTPUT_VARIABLE symbols ERROR_VARIABLE errors)
if(NOT status EQUAL 0)
    message(FATAL_ERROR "${NM} fails:\n${errors}")
endif()
if(NOT symbols MATCHES "printf")
    message(FATAL_ERROR "${NM} does not list what ${OBJECT} asks for:\n${symbols}")
endif()
string(REGEX MATCHALL "[^ \n]*(pthread|[Tt]hread|mutex|condition_variable|futex|atomic_wait)[^\n]*"
    found "${symbols}")
if(found)
    list(JOIN found "\n  " found)
    message(FATAL_ERROR "${OBJECT} needs threads:\n  ${found}")
endif()
