# 32-bit ARM (v7, hardware floats).
set(CMAKE_SYSTEM_PROCESSOR armv7)
set(quant_triplet arm-linux-gnueabihf)
set(quant_qemu arm)
include("${CMAKE_CURRENT_LIST_DIR}/gnu.cmake")
