# 64-bit ARM. Plain: NEON; -DCMAKE_CXX_FLAGS=-march=armv8.2-a+dotprod and the like for more.
set(CMAKE_SYSTEM_PROCESSOR aarch64)
set(quant_triplet aarch64-linux-gnu)
set(quant_qemu aarch64)
include("${CMAKE_CURRENT_LIST_DIR}/gnu.cmake")
