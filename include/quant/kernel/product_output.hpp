// The other two sides of a product: the panels of its weights, and where its outputs go.
#pragma once

#include <quant/core/matrix_view.hpp>
#include <quant/kernel/epilogue.hpp>
#include <quant/pack/packed_matrix.hpp>
#include <quant/simd/convert.hpp>

#include <algorithm>
#include <cstddef>
#include <tuple>

namespace quant::inline QUANT_ABI {
namespace detail {

/// Where outputs go: through the epilogue's stages to y.
template <class Y, class... Stages>
struct product_output {
    matrix_view<Y> y;
    std::tuple<const Stages&...> stages;

    /// Applies the stages to sums[(p·stride + t)·16 + lane], times scales[t] if there are scales,
    /// and stores those outputs that exist. Token by token, so that what is stored lies together.
    /// stride: `tokens` if it is 0.
    void finish_tile(const float* sums, std::size_t first_token, std::size_t tokens,
                     std::size_t first_panel, std::size_t panels, const float* scales = nullptr,
                     std::size_t stride = 0) const noexcept {
        const std::size_t panel_sums = (stride == 0 ? tokens : stride) * panel_rows;
        const matrix_view<Y> to = y; // what is stored might else be taken for a part of *this
        for (std::size_t t = 0; t < tokens; ++t) {
            const std::size_t token = first_token + t;
            Y* const row = to.row(token);
            for (std::size_t p = 0; p < panels; ++p) {
                const std::size_t first = (first_panel + p) * panel_rows;
                const std::size_t n = std::min(panel_rows, to.cols() - first);
                simd::f32x16 value = simd::load<float>(sums + p * panel_sums + t * panel_rows);
                if (scales != nullptr) {
                    value = simd::rounded_product(value, simd::broadcast(scales[t]));
                }
                std::apply(
                    [&](const auto&... stage) {
                        ((value = stage.apply(value, token, first, n)), ...);
                    },
                    stages);
                simd::store_from_float<Y>(row + first, value, n);
            }
        }
    }
};

/// The panels of packed weights, with what each of them takes computed once.
template <quantization_scheme S>
class panel_list {
public:
    explicit panel_list(const packed_view<S>& w) noexcept
        : panels_(w.panels()), cols_(w.cols()), panel_bytes_(w.panel_bytes()) {}

    [[nodiscard]] const std::byte* panel(std::size_t i) const noexcept {
        return panels_ + i * panel_bytes_;
    }
    [[nodiscard]] std::size_t cols() const noexcept { return cols_; }
    [[nodiscard]] std::size_t panel_bytes() const noexcept { return panel_bytes_; }

private:
    const std::byte* panels_;
    std::size_t cols_, panel_bytes_;
};

/// The P panels from `panel` on; where fewer are left, the last one stands in for the missing.
template <quantization_scheme S, std::size_t P>
struct panel_group {
    const std::byte* panels[P];
    std::size_t count;

    panel_group(const panel_list<S>& w, std::size_t panel, std::size_t last) noexcept
        : count(std::min(P, last - panel)) {
        for (std::size_t p = 0; p < P; ++p) panels[p] = w.panel(panel + std::min(p, count - 1));
    }
};

/// Superblocks of a panel; where groups are padded, about as many.
template <quantization_scheme S>
[[nodiscard]] std::size_t superblocks(const panel_list<S>& w) noexcept {
    return div_ceil(w.cols(), superblock_cols);
}

} // namespace detail
} // namespace quant::inline QUANT_ABI
