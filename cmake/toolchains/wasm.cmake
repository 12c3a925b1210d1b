# WebAssembly by emscripten, run by node. Compile with -msimd128 -fexceptions -pthread. The event loop
# starts threads, so main() has one of its own.
# emscripten 3.1 takes the fetch of node 18 and later for a browser's.
set(CMAKE_CROSSCOMPILING_EMULATOR "node;--no-experimental-fetch" CACHE STRING
    "What runs a program of the target")
find_program(quant_em_config em-config REQUIRED)
execute_process(COMMAND "${quant_em_config}" EMSCRIPTEN_ROOT
    OUTPUT_VARIABLE quant_emscripten OUTPUT_STRIP_TRAILING_WHITESPACE COMMAND_ERROR_IS_FATAL ANY)
include("${quant_emscripten}/cmake/Modules/Platform/Emscripten.cmake")

string(JOIN " " CMAKE_EXE_LINKER_FLAGS_INIT
    -sPROXY_TO_PTHREAD=1 -sINITIAL_MEMORY=1GB -sABORTING_MALLOC=0 # failing, as elsewhere
    -sEXIT_RUNTIME=1 -sNODERAWFS=1)
set(CMAKE_FIND_ROOT_PATH_MODE_PACKAGE BOTH)
