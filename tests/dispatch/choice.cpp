#include "choice.hpp"

#include <memory>

extern template std::uint64_t shared_digest(const std::vector<std::uint32_t>&); // in digest.cpp

namespace {

const char* compiled_for() noexcept { return quant::isa::current::name; }

std::uint64_t digest(const std::vector<std::uint32_t>& values) {
    const auto state = std::make_unique<shared_base>(values.size());
    state->add(shared_digest(values));
    return state->state;
}

void fail() {
#if QUANT_HAS_EXCEPTIONS
    const quant::matrix_view<const float> nothing;
    if (const auto checked = quant::core_detail::check_readable(nothing, "fail: x"); !checked) {
        throw quant::error(checked.failure());
    }
#endif
}

} // namespace

QUANT_KERNELS(choice_kernels, compiled_for, digest, fail);
