// A second source of kernels, that the first one calls.
#include "shared.hpp"

template std::uint64_t shared_digest(const std::vector<std::uint32_t>&);
