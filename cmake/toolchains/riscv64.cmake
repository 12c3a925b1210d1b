# RISC-V of 64 bits, without vectors.
set(CMAKE_SYSTEM_PROCESSOR riscv64)
set(quant_triplet riscv64-linux-gnu)
set(quant_qemu riscv64)
include("${CMAKE_CURRENT_LIST_DIR}/gnu.cmake")
