# 32-bit x86. Compile with -msse2 -mfpmath=sse: floats of the x87 are wider than a float. Programs run
# on x86-64 as they are, by their own loader.
set(CMAKE_SYSTEM_PROCESSOR i686)
set(quant_triplet i686-linux-gnu)
set(CMAKE_CROSSCOMPILING_EMULATOR
    "/usr/${quant_triplet}/lib/ld-linux.so.2;--library-path;/usr/${quant_triplet}/lib"
    CACHE STRING "What runs a program of the target")
include("${CMAKE_CURRENT_LIST_DIR}/gnu.cmake")
