// Products quad by quad, one panel and one token at a time: where groups of activations are no
// whole half superblocks, and where lanes are no vector registers. The same steps in the same
// order as tile.hpp, so the same bits.
#pragma once

#include <quant/kernel/tile.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>

namespace quant::inline QUANT_ABI {
namespace detail {

/// The codes of a panel, one superblock at a time.
template <quantization_scheme S>
class code_cursor {
public:
    explicit code_cursor(const std::byte* panel) noexcept : panel_(panel) {}

    /// Codes of quad q of group g.
    [[nodiscard]] simd::i32x16 quad(std::size_t g, std::size_t q) noexcept {
        const std::size_t superblock = layout<S>::superblock_at(g, q);
        if (superblock != decoded_) {
            decode_superblock<S::bits>(panel_ + superblock, codes_);
            decoded_ = superblock;
        }
        return simd::load_line(codes_.quads[layout<S>::quad_in_superblock(g, q)]);
    }

private:
    const std::byte* panel_;
    std::size_t decoded_ = static_cast<std::size_t>(-1);
    superblock_codes codes_;
};

/// Outputs of one panel for one token of a tile: out[lane].
template <quantization_scheme S, activation A>
QUANT_DETAIL_OUTLINE void multiply_by_quads(
    const std::byte* panel, std::size_t cols,
    const activation_tile<A, product_plan<S, A>::section, product_plan<S, A>::block>& x,
    std::size_t token, float* out) noexcept {
    using plan = product_plan<S, A>;
    constexpr bool integer = is_integer_activation<A>;
    constexpr bool scale_per_block = decltype(x.at)::scale_per_block;
    const std::size_t tokens = x.at.tokens;
    code_cursor<S> codes(panel);
    simd::f32x16 y = simd::broadcast(0.0f);
    const std::size_t group_size = S::group_size(cols);
    std::size_t g = 0;
    for (std::size_t c = 0; c < cols; c += group_size, ++g) {
        const std::size_t group_cols = std::min(group_size, cols - c);
        const lane_grid<S> grid[1] = {lane_grid<S>::of(panel, g)};
        for (std::size_t s = 0; s < group_cols; s += plan::step) {
            const std::size_t n = std::min(plan::step, group_cols - s);
            const std::size_t block = x.at.row.block_at(c + s);
            const std::size_t blocks = x.at.row.blocks_of(n);
            std::conditional_t<integer, integer_sums<S, A, 1, 1>, float_sums<S, A, 1, 1>> sums;
            [[maybe_unused]] typename decltype(sums)::memory memory;
            if constexpr (integer) {
                const auto* before = x.template sums<std::int32_t>(0, block) + token;
                sums.template start<false>(before, before + blocks * tokens, x.at.sums_per_half(),
                                           grid, memory);
            } else {
                sums.start(x.template sums<float>(0, block) + token, blocks, grid, tokens);
            }
            const std::size_t first = x.at.row.quad_at(c + s);
            for (std::size_t q = 0; q < div_ceil(n, quad_cols); ++q) {
                const simd::i32x16 quad[1] = {codes.quad(g, s / quad_cols + q)};
                if constexpr (integer) {
                    sums.add_codes(quad,
                                   reinterpret_cast<const std::byte*>(
                                       x.codes(0, first + q, token)),
                                   x.at.half_bytes());
                } else {
                    sums.add_codes(quad, x.base + (first + q) * quad_bytes<A> * tokens + token * 4,
                                   tokens);
                }
            }
            simd::f32x16 scale = grid[0].scale();
            if constexpr (integer) sums.template end<false>(grid, memory);
            float x_total = sums.activation_totals();
            if constexpr (scale_per_block) {
                const float x_scale = x.scales(block)[token];
                scale = scale * simd::broadcast(x_scale);
                x_total *= x_scale;
            }
            y = simd::fma(sums.total(0, 0), scale, y);
            if constexpr (S::has_minimum) {
                y = simd::fma(simd::broadcast(x_total), grid[0].minimum(), y);
            }
        }
    }
    if constexpr (integer && !scale_per_block) {
        y = simd::rounded_product(y, simd::broadcast(x.scales(0)[token]));
    }
    simd::store(out, y);
}

} // namespace detail
} // namespace quant::inline QUANT_ABI
