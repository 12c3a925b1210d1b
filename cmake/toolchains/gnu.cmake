# What the files of one architecture each include: g++ of Debian's cross-compilers, which are named
# after quant_triplet, and QEMU for the architecture quant_qemu; QEMU_CPU in the environment of a test
# chooses the CPU.
set(CMAKE_SYSTEM_NAME Linux)
set(CMAKE_CXX_COMPILER ${quant_triplet}-g++)
set(CMAKE_CROSSCOMPILING_EMULATOR "qemu-${quant_qemu};-L;/usr/${quant_triplet}" CACHE STRING
    "What runs a program of the target")
# Libraries of the build machine are not for the target; packages are found where the call says.
set(CMAKE_FIND_ROOT_PATH /usr/${quant_triplet})
set(CMAKE_FIND_ROOT_PATH_MODE_PROGRAM NEVER)
set(CMAKE_FIND_ROOT_PATH_MODE_LIBRARY ONLY)
set(CMAKE_FIND_ROOT_PATH_MODE_INCLUDE ONLY)
