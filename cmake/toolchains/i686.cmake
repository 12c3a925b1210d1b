# 32-bit x86. Compile with -msse2 -mfpmath=sse: floats of the x87 are wider than a float.
set(CMAKE_SYSTEM_PROCESSOR i686)
set(quant_triplet i686-linux-gnu)
set(quant_qemu i386)
include("${CMAKE_CURRENT_LIST_DIR}/gnu.cmake")
