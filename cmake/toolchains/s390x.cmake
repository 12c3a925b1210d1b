# IBM Z: 64 bits, big-endian.
set(CMAKE_SYSTEM_PROCESSOR s390x)
set(quant_triplet s390x-linux-gnu)
set(quant_qemu s390x)
include("${CMAKE_CURRENT_LIST_DIR}/gnu.cmake")
