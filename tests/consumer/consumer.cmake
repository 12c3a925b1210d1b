# The program that all consumers build, from the folder of this file.
function(add_consumer)
    add_executable(consumer
        "${CMAKE_CURRENT_FUNCTION_LIST_DIR}/main.cpp"
        "${CMAKE_CURRENT_FUNCTION_LIST_DIR}/second.cpp")
    target_link_libraries(consumer PRIVATE ${ARGN})
    quant_add_kernels(consumer
        SOURCES "${CMAKE_CURRENT_FUNCTION_LIST_DIR}/kernels.cpp"
        ISAS avx2 neon_dotprod)
endfunction()
