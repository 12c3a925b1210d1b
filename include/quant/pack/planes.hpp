// Bit planes: how codes of B bits lie in a superblock of 16 rows × 32 columns (docs/layout.md).
#pragma once

#include <quant/pack/layout.hpp>
#include <quant/simd/lanes.hpp>

#include <cstddef>
#include <cstdint>

namespace quant::inline QUANT_ABI {
namespace detail {

/// The planes of a code of B bits, largest first.
template <int B>
struct planes {
    static constexpr std::size_t count =
        B == 8 ? 1 : static_cast<std::size_t>((B >> 2 & 1) + (B >> 1 & 1) + (B & 1));

    /// Bits of plane i.
    [[nodiscard]] static constexpr int bits(std::size_t i) noexcept {
        if (B == 8) return 8;
        for (int width = 4; width > 0; width /= 2) {
            if ((B & width) != 0 && i-- == 0) return width;
        }
        return 0;
    }
    /// Bits of all planes before plane i.
    [[nodiscard]] static constexpr int before(std::size_t i) noexcept {
        int sum = 0;
        for (std::size_t j = 0; j < i; ++j) sum += bits(j);
        return sum;
    }
};

/// Place of a quad's bits of one plane: line within the superblock and shift within its bytes.
template <int B>
struct plane_place {
    int bits;
    int before;
    std::size_t line;
    int shift;

    [[nodiscard]] static constexpr plane_place of(std::size_t plane, std::size_t quad) noexcept {
        const int p = planes<B>::bits(plane);
        const int e = planes<B>::before(plane);
        const auto per = static_cast<std::size_t>(8 / p);
        return {p, e, static_cast<std::size_t>(e) + quad / per, p * static_cast<int>(quad % per)};
    }
    /// Selects these code bits in each of a lane's four bytes, where the code's bit 0 is bit 0.
    [[nodiscard]] constexpr std::int32_t mask() const noexcept {
        return static_cast<std::int32_t>((((1u << bits) - 1u) << before) * 0x01010101u);
    }
};

/// Shift by a signed compile-time amount, to the right if positive.
template <int N>
QUANT_DETAIL_INLINE simd::i32x16 shift_by(const simd::i32x16& v) noexcept {
    if constexpr (N > 0) return simd::shift_right<N>(v);
    if constexpr (N < 0) return simd::shift_left<-N>(v);
    return v;
}

/// How the codes of a quad are decoded, each in a byte of its own.
struct code_form {
    bool odd = false;  ///< 2·code + 1 instead, at no further cost (codes of up to 7 bits)
    int raise = 0;     ///< times 2^raise, which must fit a byte; not of odd ones
    bool clean = true; ///< else bits above the codes may be any, if they are in one plane
};

/// The codes of one quad, one per byte: lane = row, byte = column; line(i) is the superblock's
/// line i.
template <int B, std::size_t Quad, code_form Form = code_form{}, class Line>
QUANT_DETAIL_INLINE simd::i32x16 decode_quad_of(const Line& line) noexcept {
    static_assert(!Form.odd || (B < 8 && Form.raise == 0));
    constexpr int up = Form.raise + (Form.odd ? 1 : 0);
    static_assert(B + up <= 8);
    simd::i32x16 codes;
    unroll<planes<B>::count>([&](auto plane) QUANT_DETAIL_LAMBDA {
        constexpr auto place = plane_place<B>::of(plane, Quad);
        constexpr int down = place.shift - place.before - up;
        const simd::i32x16 part = shift_by<down>(line(index_constant<place.line>{}));
        const auto mask = simd::broadcast(
            static_cast<std::int32_t>(static_cast<std::uint32_t>(place.mask()) << up));
        if constexpr (place.bits == 8 || (!Form.clean && planes<B>::count == 1)) {
            codes = part;
        } else if constexpr (plane > 0 && down == 0) {
            codes = simd::merge_into(codes, part, mask);
        } else if constexpr (plane > 0) {
            codes = simd::merge_bits(part, mask, codes);
        } else if constexpr (Form.odd) {
            codes = simd::merge_bits(part, mask, simd::broadcast(0x01010101));
        } else {
            codes = part & mask;
        }
    });
    return codes;
}

/// @copydoc decode_quad_of
template <int B, std::size_t Quad, code_form Form = code_form{}>
QUANT_DETAIL_INLINE simd::i32x16 decode_quad(const std::byte* superblock) noexcept {
    return decode_quad_of<B, Quad, Form>([&](auto line) QUANT_DETAIL_LAMBDA {
        return simd::load_line(superblock + line * line_bytes);
    });
}

/// The lines of a superblock whose quads are decoded in order: each is read once, by the first quad
/// that needs it (with AVX-512 g++ is told to keep it in a register; clang does), or all at once.
template <int B>
class kept_lines {
public:
    /// Reads what quads First … Last − 1 need, from front to back, before anything that follows.
    template <std::size_t First, std::size_t Last>
    QUANT_DETAIL_INLINE void read(const std::byte* superblock) noexcept {
        unroll<static_cast<std::size_t>(B)>([&](auto line) QUANT_DETAIL_LAMBDA {
            if constexpr (serves<line>(First, Last)) {
                lines_[line] = simd::read_now(simd::load_line(superblock + line * line_bytes));
            }
        });
    }

    /// As decode_quad, after read().
    template <std::size_t Quad, code_form Form>
    [[nodiscard]] QUANT_DETAIL_INLINE simd::i32x16 decode() const noexcept {
        return decode_quad_of<B, Quad, Form>([&](auto line)
                                                 QUANT_DETAIL_LAMBDA { return lines_[line]; });
    }

    /// As decode_quad. First: the first quad that is decoded.
    template <std::size_t Quad, std::size_t First, code_form Form>
    QUANT_DETAIL_INLINE simd::i32x16 decode(const std::byte* superblock) noexcept {
        unroll<planes<B>::count>([&](auto plane) QUANT_DETAIL_LAMBDA {
            constexpr auto place = plane_place<B>::of(plane, Quad);
            if constexpr (place.shift == 0 || Quad == First) {
                lines_[place.line] =
                    simd::keep_in_register(simd::load_line(superblock + place.line * line_bytes));
            }
        });
        return decode<Quad, Form>();
    }

private:
    /// Whether a quad from `first` on and before `last` has bits in the line.
    template <std::size_t Line>
    static constexpr bool serves(std::size_t first, std::size_t last) noexcept {
        for (std::size_t plane = 0; plane < planes<B>::count; ++plane) {
            for (std::size_t quad = first; quad < last; ++quad) {
                if (plane_place<B>::of(plane, quad).line == Line) return true;
            }
        }
        return false;
    }

    simd::i32x16 lines_[static_cast<std::size_t>(B)];
};

/// Eight quads of codes, one byte per code: 64 bytes per quad, lane = row, byte = column.
struct superblock_codes {
    alignas(64) std::byte quads[8][line_bytes];
};

/// All codes of a superblock, one byte each. Not inlined: one copy per bit width serves all
/// schemes.
template <int B>
QUANT_DETAIL_OUTLINE void decode_superblock(const std::byte* superblock,
                                            superblock_codes& codes) noexcept {
    unroll<8>([&](auto quad) QUANT_DETAIL_LAMBDA {
        simd::store_line(codes.quads[quad], decode_quad<B, quad>(superblock));
    });
}

/// f(quad) with the quad's number as a compile-time constant, for quads first … last − 1 of a
/// superblock.
template <std::size_t First = 0, class F>
QUANT_DETAIL_INLINE void for_quads(std::size_t last, F&& f) {
    if (last == 8) { // the usual case, without tests in between
        unroll<8 - First>([&](auto i) QUANT_DETAIL_LAMBDA { f(index_constant<First + i>{}); });
    } else {
        unroll<8 - First>([&](auto i) QUANT_DETAIL_LAMBDA {
            if (First + i < last) f(index_constant<First + i>{});
        });
    }
}

} // namespace detail
} // namespace quant::inline QUANT_ABI
