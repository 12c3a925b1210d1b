// Products of many tokens with integer activations by AMX: operands of a stretch of columns are
// made of codes as for dot products, but without what those exceed levels by, and multiplied with
// tiles of tokens in rows.
//
// Each output's steps are those of tile.hpp in the same order, with the same exact sums, so its
// bits are the same.
#pragma once

#include <quant/kernel/activation_tiles.hpp>
#include <quant/kernel/operand_stretch.hpp>
#include <quant/kernel/step_totals.hpp>
#include <quant/simd/amx.hpp>
#include <quant/simd/dot4.hpp>

#include <cstddef>
#include <cstdint>

namespace quant::inline QUANT_ABI {
namespace detail {

/// What AMX multiplies for codes: levels as signed bytes, zero points included. InPlace: linear
/// codes of 8 bits, whose levels may take nine, as they lie in the panels; what those exceed levels
/// by is due at the end, times Σ x̂.
template <quantization_scheme S, bool InPlace>
struct amx_operand {
    using plain = integer_operand<S>;
    static constexpr code_form form = plain::form;
    static constexpr bool in_place = InPlace;
    static constexpr std::size_t quad_unit = superblock_cols / quad_cols;

    [[nodiscard]] QUANT_DETAIL_INLINE static simd::i32x16
    of_group(const lane_grid<S>& grid) noexcept {
        if constexpr (S::tables == 2) {
            return grid.table();
        } else if constexpr (S::has_zero_point) {
            const simd::i32x16 pair = grid.zero_point() | simd::shift_left<8>(grid.zero_point());
            return pair | simd::shift_left<16>(pair);
        } else {
            return simd::broadcast<std::int32_t>(0);
        }
    }
    [[nodiscard]] QUANT_DETAIL_INLINE static simd::i32x16 of(const simd::i32x16& codes,
                                                             const simd::i32x16& group) noexcept {
        const simd::i32x16 raised = plain::of(codes, group);
        if constexpr (S::has_zero_point) {
            return simd::amx::subtract_bytes(raised, group);
        } else {
            constexpr std::uint32_t each = 0x01010101;
            return simd::amx::subtract_bytes(
                raised, simd::broadcast(static_cast<std::int32_t>(
                            each * static_cast<std::uint32_t>(plain::excess))));
        }
    }
};

/// What the kernel depends on of a scheme and activations: all that are alike share one.
struct amx_shape {
    bool cut_steps; ///< see cuts_steps
    /// Σ level·x̂ of a step is Σ byte·x̂, twice as much if doubles_sums, less (offset + z)·Σ x̂,
    /// where z is the zero point if that is still due.
    bool is_signed; ///< bytes
    bool doubles_sums;
    bool owes_zero_point;
    int offset;
    bool has_minimum;
    bool scale_per_block;
};

template <quantization_scheme S, activation A, bool InPlace>
inline constexpr amx_shape amx_shape_of{
    cuts_steps<S, A>,
    !InPlace,
    integer_operand<S>::doubles_sums,
    InPlace&& S::has_zero_point,
    InPlace ? S::offset : 0,
    S::has_minimum,
    activation_group<A>() != all,
};

/// From how many tiles in a batch on levels are made of codes of 8 bits that could lie in place: if
/// they are signed bytes, nothing is due at a step's end then. 0 for never, as where levels take
/// nine bits, or few steps end. Tiles of two halves have twice as many sums to mend. Measured.
template <quantization_scheme S, activation A>
inline constexpr std::size_t least_tiles_for_levels = [] {
    const bool level_is_byte = // code − 128
        S::multiplier == 1 && !S::has_zero_point && S::offset == 128;
    if (!operands_in_place<S> || !level_is_byte || cuts_steps<S, A>) return std::size_t{0};
    const std::size_t tiles = product_plan<S, A>::step <= superblock_cols ? 4 : 8;
    return tiles / static_cast<std::size_t>(A::halves);
}();

/// Stretches for AMX, whatever the scheme.
using amx_stretch = operand_stretch<superblock_cols / quad_cols>;

/// Numbers of a register of sums, and of as many outputs.
inline constexpr std::size_t amx_lanes = simd::amx::register_rows * panel_rows;

/// Blocks of sums or outputs, of a tile of tokens and the panels of a stretch, that a batch of
/// tiles has on the stack: 44 KiB.
inline constexpr std::size_t amx_batch_blocks = 11;

/// How many of them each tile takes: of outputs and, where steps are cut, of sums. Where rows of
/// `cols` columns are steps, outputs come into being where sums were.
template <quantization_scheme S, activation A>
[[nodiscard]] constexpr std::size_t amx_blocks_per_tile(std::size_t cols) noexcept {
    if (!cuts_steps<S, A>) return 1;
    const bool whole_rows = S::group_cols == all && activation_group<A>() == all;
    if (A::halves == 1 && whole_rows && cols <= product_plan<S, A>::step) return 1;
    return 1 + static_cast<std::size_t>(A::halves);
}

/// Where the numbers of a tile in rows lie, and what is computed of it: of 16 tokens, those that it
/// has not being nobody's.
struct amx_tile {
    const std::byte* codes = nullptr;
    std::size_t half_bytes = 0;
    std::size_t tokens = 0;
    const std::int32_t* sums = nullptr;
    std::size_t sums_per_half = 0;
    const float* scales = nullptr;
    float* outputs = nullptr; ///< [(p·16 + t)·16 + lane]
    // Where steps are cut:
    std::int32_t* cut_sums = nullptr; ///< [((p·halves + h)·16 + t)·16 + lane]
    bool sums_become_outputs = false; ///< which lie in the same place
};

template <activation A, amx_shape Shape>
class amx_product {
    static constexpr std::size_t halves = static_cast<std::size_t>(A::halves);
    static constexpr std::size_t row_quads = simd::amx::row_bytes / quad_cols;
    static constexpr std::size_t register_rows = simd::amx::register_rows;

public:
    amx_product(const amx_stretch& stretch, std::size_t panels, const amx_tile& x, std::size_t turn,
                std::size_t turns) noexcept
        : stretch_(stretch), panels_(panels), x_(x) {
        for (std::size_t p = turn; p < panels; p += turns) weights_[p] = stretch.next[p];
    }

    /// Multiplies the panels of a stretch with a tile.
    QUANT_DETAIL_INLINE void run() noexcept {
        if constexpr (Shape.cut_steps) {
            constexpr std::size_t at_once = stretch_panels / halves; // of four registers
            std::size_t p = 0;
            for (; p + at_once <= panels_; p += at_once) add_to_cut_sums<at_once>(p);
            for (; p < panels_; ++p) add_to_cut_sums<1>(p);
            if (!stretch_.ends) return;
            for (p = 0; p < panels_; ++p) {
                float* outputs = x_.outputs + p * amx_lanes;
                simd::f32x16 y[register_rows];
                if (x_.sums_become_outputs) {
                    for (auto& each : y) each = simd::broadcast(0.0f);
                } else {
                    load_outputs(outputs, y);
                }
                finish(stretch_.steps[0], p, x_.cut_sums + p * halves * amx_lanes, y);
                store_outputs(outputs, y);
            }
        } else {
            run_pipeline();
        }
    }

private:
    /// Steps of one panel after the other, each in three stages, which overlap: while registers
    /// are multiplied, sums before them are stored, and what was stored before is added to outputs.
    QUANT_DETAIL_INLINE void run_pipeline() noexcept {
        alignas(64) std::int32_t sums[2][halves * amx_lanes];
        simd::f32x16 y[register_rows];
        const std::size_t steps = stretch_.count, total = panels_ * steps;
        place multiplied, added;
        const auto advance = [&](auto parity, std::size_t i) QUANT_DETAIL_LAMBDA {
            constexpr std::size_t even = parity * halves, odd = (1 - parity) * halves;
            if (i < total) {
                set_zero<even, halves>();
                add_products<1, even>(stretch_.steps[multiplied.step], multiplied.panel);
                multiplied.advance(steps);
            }
            // At first i − 1 and i − 2 wrap around, to more than there are.
            if (i - 1 < total) store_sums<odd, halves>(sums[1 - parity]);
            if (i - 2 < total) {
                float* outputs = x_.outputs + added.panel * amx_lanes;
                if (added.step == 0) load_outputs(outputs, y);
                finish(stretch_.steps[added.step], added.panel, sums[parity], y);
                added.advance(steps);
                if (added.step == 0) store_outputs(outputs, y);
            }
        };
        for (std::size_t i = 0; i < total + 2; i += 2) {
            advance(index_constant<0>{}, i);
            advance(index_constant<1>{}, i + 1);
        }
    }
    struct place {
        std::size_t step = 0, panel = 0;

        QUANT_DETAIL_INLINE void advance(std::size_t steps) noexcept {
            if (++step == steps) {
                step = 0;
                ++panel;
            }
        }
    };

    // Sums in registers First … First + Count − 1.
    template <std::size_t First, std::size_t Count>
    QUANT_DETAIL_INLINE static void set_zero() noexcept {
        unroll<Count>([](auto i) QUANT_DETAIL_LAMBDA { simd::amx::set_zero<int{First + i}>(); });
    }
    template <std::size_t First, std::size_t Count>
    QUANT_DETAIL_INLINE static void load_sums(const std::int32_t* from) noexcept {
        unroll<Count>([&](auto i) QUANT_DETAIL_LAMBDA {
            simd::amx::load<int{First + i}>(from + i * amx_lanes, simd::amx::row_bytes);
        });
    }
    template <std::size_t First, std::size_t Count>
    QUANT_DETAIL_INLINE static void store_sums(std::int32_t* to) noexcept {
        unroll<Count>([&](auto i) QUANT_DETAIL_LAMBDA {
            simd::amx::store<int{First + i}>(to + i * amx_lanes);
        });
    }

    template <std::size_t P>
    QUANT_DETAIL_INLINE void add_to_cut_sums(std::size_t panel) noexcept {
        std::int32_t* sums = x_.cut_sums + panel * halves * amx_lanes;
        if (stretch_.begins) {
            set_zero<0, P * halves>();
        } else {
            load_sums<0, P * halves>(sums);
        }
        add_products<P, 0>(stretch_.steps[0], panel);
        store_sums<0, P * halves>(sums);
    }

    /// Adds a step's products with P panels to registers of sums from First on, both halves of each
    /// panel in turn.
    template <std::size_t P, std::size_t First>
    QUANT_DETAIL_INLINE void add_products(const operand_step& step, std::size_t panel) noexcept {
        std::size_t q = 0;
        if (step.first_quad % row_quads != 0) { // the second half of a row
            add_registers<P, First, simd::amx::tokens_8, simd::amx::weights_8>(step, panel, 0);
            q = row_quads / 2;
        }
        for (; q + row_quads <= step.quads; q += row_quads) {
            add_registers<P, First, simd::amx::tokens_16, simd::amx::weights_16>(step, panel, q);
        }
        if (q < step.quads) {
            add_registers<P, First, simd::amx::tokens_8, simd::amx::weights_8>(step, panel, q);
        }
    }
    template <std::size_t P, std::size_t First, int Tokens, int Weights>
    QUANT_DETAIL_INLINE void add_registers(const operand_step& step, std::size_t panel,
                                           std::size_t quad) noexcept {
        const std::size_t at = step.first_quad + quad;
        const std::byte* codes = x_.codes + at / row_quads * x_.tokens * simd::amx::row_bytes +
                                 at % row_quads * quad_cols;
        unroll<halves>([&](auto h) QUANT_DETAIL_LAMBDA {
            simd::amx::load<Tokens>(codes + h * x_.half_bytes, simd::amx::row_bytes);
            unroll<P>([&](auto p) QUANT_DETAIL_LAMBDA {
                simd::amx::load<Weights>(step.operands[panel + p] + quad * line_bytes, line_bytes);
                simd::amx::multiply<int{First + p * halves + h}, Tokens, Weights,
                                    Shape.is_signed>();
            });
        });
        constexpr std::size_t quads = Tokens == simd::amx::tokens_16 ? row_quads : row_quads / 2;
        unroll<P>([&](auto p) QUANT_DETAIL_LAMBDA {
            look_ahead& next = weights_[panel + p];
            const std::byte* const end = next.next + quads * next.step;
            for (; next.next < end; next.next += cache_line) simd::prefetch(next.next);
        });
    }

    QUANT_DETAIL_INLINE static void load_outputs(const float* at,
                                                 simd::f32x16 (&y)[register_rows]) noexcept {
        QUANT_DETAIL_UNROLLED
        for (std::size_t t = 0; t < register_rows; ++t)
            y[t] = simd::load<float>(at + t * panel_rows);
    }
    QUANT_DETAIL_INLINE static void store_outputs(float* at,
                                                  const simd::f32x16 (&y)[register_rows]) noexcept {
        QUANT_DETAIL_UNROLLED
        for (std::size_t t = 0; t < register_rows; ++t) simd::store(at + t * panel_rows, y[t]);
    }

    /// Adds a panel's finished sums of a step to outputs.
    QUANT_DETAIL_INLINE void finish(const operand_step& step, std::size_t panel,
                                    const std::int32_t* sums,
                                    simd::f32x16 (&y)[register_rows]) noexcept {
        constexpr bool owes = Shape.owes_zero_point || Shape.offset != 0;
        const float* scales =
            x_.scales + (Shape.scale_per_block ? step.first_block * x_.tokens : 0);
        std::int32_t base[halves][register_rows];
        float x_total[register_rows];
        if constexpr (owes || Shape.has_minimum) {
            simd::native<std::int32_t> activation_sum[halves];
            QUANT_DETAIL_UNROLLED
            for (std::size_t h = 0; h < halves; ++h) {
                const std::int32_t* before =
                    x_.sums + h * x_.sums_per_half + step.first_block * x_.tokens;
                activation_sum[h] =
                    simd::native_load<std::int32_t>(before + step.blocks * x_.tokens) -
                    simd::native_load<std::int32_t>(before);
                if constexpr (owes) {
                    constexpr int factor = Shape.owes_zero_point ? -1 : -Shape.offset;
                    simd::store_to_broadcast(base[h],
                                             simd::native_times<factor>(activation_sum[h]));
                }
            }
            if constexpr (Shape.has_minimum) {
                auto totals = activation_total<A>(activation_sum);
                if constexpr (Shape.scale_per_block) {
                    totals = totals * simd::native_load<float>(scales);
                }
                simd::store_to_broadcast(x_total, totals);
            }
        }
        const auto sum = [&](std::size_t h, std::size_t t) QUANT_DETAIL_LAMBDA {
            auto value = simd::load<std::int32_t>(sums + (h * register_rows + t) * panel_rows);
            if constexpr (Shape.doubles_sums) value = value + value;
            if constexpr (Shape.owes_zero_point) {
                value = value + step.zero_point[panel] * simd::broadcast(base[h][t]);
            } else if constexpr (owes) {
                value = value + simd::broadcast(base[h][t]);
            }
            return value;
        };
        const auto add = [&](std::size_t t) QUANT_DETAIL_LAMBDA {
            simd::f32x16 scale = step.scale[panel];
            if constexpr (Shape.scale_per_block) scale = scale * simd::broadcast(scales[t]);
            y[t] = simd::fma(total_of<A>(sum(0, t), sum(halves - 1, t)), scale, y[t]);
            if constexpr (Shape.has_minimum) {
                y[t] = simd::fma(simd::broadcast(x_total[t]), step.minimum[panel], y[t]);
            }
        };
        constexpr std::size_t at_once = 4; // tokens that there are not are nobody's
        unroll<register_rows / at_once>([&](auto i) QUANT_DETAIL_LAMBDA {
            if (i * at_once < x_.tokens) {
                unroll<at_once>([&](auto t) QUANT_DETAIL_LAMBDA { add(i * at_once + t); });
            }
        });
    }

    const amx_stretch& stretch_;
    std::size_t panels_;
    const amx_tile& x_;
    look_ahead weights_[stretch_panels]; ///< of panels whose turn it is
};

/// Multiplies the panels of a stretch with a tile. Of `turns` tiles this one, number `turn`, asks
/// for what is read next of each turns-th panel. One function for all schemes that are alike.
template <activation A, amx_shape Shape>
QUANT_DETAIL_OUTLINE void multiply_amx(const amx_stretch& stretch, std::size_t panels,
                                       const amx_tile& x, std::size_t turn,
                                       std::size_t turns) noexcept {
    amx_product<A, Shape>(stretch, panels, x, turn, turns).run();
}

} // namespace detail
} // namespace quant::inline QUANT_ABI
