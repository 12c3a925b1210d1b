// AMX: eight registers of 16 rows of 64 bytes each (Intel's tiles), and products of their bytes.
//
//   C[m][n] += Σ k, j  A[m][4k + j] · B[k][4n + j]        exact, int32, wraps modulo 2^32
//
// A's rows are tokens; B's are quads of columns, as lines of packed weights are: four bytes for
// each of 16 outputs. A core multiplies eight times as many bytes at once as with vpdpbusd.
//
// Instructions are written as assembly: they need no compiler flag, so that every build with
// AVX-512 VNNI has them, for CPUs that do.
#pragma once

#include <quant/core/config.hpp>
#include <quant/simd/isa.hpp>
#include <quant/simd/lanes.hpp>

#include <cstddef>
#include <cstdint>

#if !QUANT_DETAIL_SCALAR && defined(__AVX512BW__) && defined(__AVX512VNNI__) && \
    defined(__x86_64__) && defined(__linux__) && defined(__GNUC__) && !defined(QUANT_NO_AMX)
#define QUANT_DETAIL_AMX 1
#include <quant/simd/cores.hpp>

#include <cerrno>
#include <sys/syscall.h>
#include <unistd.h>
#else
#define QUANT_DETAIL_AMX 0
#endif

namespace quant::inline QUANT_ABI {
namespace simd::amx {

/// Whether this build has kernels for it.
inline constexpr bool compiled = QUANT_DETAIL_AMX != 0;

/// Rows of a register, and bytes of a row, at most.
inline constexpr std::size_t register_rows = 16;
inline constexpr std::size_t row_bytes = 64;

/// How registers are used: four for sums, and operands of 16 quads or of the 8 of one superblock.
inline constexpr int first_sums = 0, tokens_16 = 4, weights_16 = 5, tokens_8 = 6, weights_8 = 7;

#if QUANT_DETAIL_AMX

/// Whether the CPU has AMX for bytes, and Linux lets this process use it. Linux gives the state of
/// tiles to processes that ask for it, once and for all their threads.
[[nodiscard]] inline bool ask_for_tiles() noexcept {
    constexpr std::uint32_t saved_tiles = 1u << 17 | 1u << 18; // XCR0
    constexpr long request = 0x1023, tile_data = 18;           // ARCH_REQ_XCOMP_PERM
    if (!has_amx()) return false;
    std::uint32_t saved = 0, upper = 0;
    __asm__ volatile("xgetbv" : "=a"(saved), "=d"(upper) : "c"(0));
    if ((saved & saved_tiles) != saved_tiles) return false;
    const int before = errno; // a refusal is no error of the caller's
    const bool given = syscall(SYS_arch_prctl, request, tile_data) == 0;
    errno = before;
    return given;
}

/// Whether products of many tokens use AMX here. Asked once; tests may set it to false, while
/// nothing multiplies.
[[nodiscard]] inline bool& available() noexcept {
    static bool value = ask_for_tiles();
    return value;
}

/// While it lives, this thread's registers are ready for sums and operands of up to 16 tokens. Not
/// for longer than there are instructions of this file: whoever else uses AMX ends it.
class registers_in_use {
public:
    explicit registers_in_use(std::size_t tokens) noexcept {
        configuration made;
        for (int i = first_sums; i <= tokens_16; ++i) made.set(i, tokens, row_bytes);
        made.set(weights_16, 16, row_bytes);
        made.set(tokens_8, tokens, row_bytes / 2);
        made.set(weights_8, 8, row_bytes);
        __asm__ volatile("ldtilecfg %0" ::"m"(made));
    }
    ~registers_in_use() { __asm__ volatile("tilerelease" ::: "memory"); }
    registers_in_use(const registers_in_use&) = delete;
    registers_in_use& operator=(const registers_in_use&) = delete;

private:
    struct configuration {
        std::uint8_t palette = 1;
        std::uint8_t start_row = 0;
        std::uint8_t reserved[14]{};
        std::uint16_t bytes_per_row[16]{};
        std::uint8_t rows[16]{};

        void set(int which, std::size_t row_count, std::size_t bytes) noexcept {
            rows[which] = static_cast<std::uint8_t>(row_count);
            bytes_per_row[which] = static_cast<std::uint16_t>(bytes);
        }
    };
    static_assert(sizeof(configuration) == 64);
};

/// Sets a register to zeros.
template <int Register>
QUANT_DETAIL_INLINE void set_zero() noexcept {
    __asm__ volatile("{tilezero %%tmm%c0|tilezero tmm%c0}" ::"i"(Register));
}
/// Reads a register whose rows are `stride` bytes apart.
template <int Register>
QUANT_DETAIL_INLINE void load(const void* from, std::size_t stride) noexcept {
    __asm__ volatile("{tileloadd (%0,%1,1), %%tmm%c2|tileloadd tmm%c2, [%0+%1*1]}" ::"r"(from),
                     "r"(stride), "i"(Register)
                     : "memory");
}
/// Writes a register, its rows side by side.
template <int Register>
QUANT_DETAIL_INLINE void store(void* to) noexcept {
    __asm__ volatile("{tilestored %%tmm%c2, (%0,%1,1)|tilestored [%0+%1*1], tmm%c2}" ::"r"(to),
                     "r"(row_bytes), "i"(Register)
                     : "memory");
}
/// sums += tokens · weights, bytes of tokens signed, of weights if SignedWeights.
template <int Sums, int Tokens, int Weights, bool SignedWeights>
QUANT_DETAIL_INLINE void multiply() noexcept {
    if constexpr (SignedWeights) {
        __asm__ volatile(
            "{tdpbssd %%tmm%c2, %%tmm%c1, %%tmm%c0|tdpbssd tmm%c0, tmm%c1, tmm%c2}" ::"i"(Sums),
            "i"(Tokens), "i"(Weights));
    } else {
        __asm__ volatile(
            "{tdpbsud %%tmm%c2, %%tmm%c1, %%tmm%c0|tdpbsud tmm%c0, tmm%c1, tmm%c2}" ::"i"(Sums),
            "i"(Tokens), "i"(Weights));
    }
}

/// a − b byte by byte, modulo 2^8.
QUANT_DETAIL_INLINE i32x16 subtract_bytes(const i32x16& a, const i32x16& b) noexcept {
    return {{_mm512_sub_epi8(a.r[0], b.r[0])}};
}

#else // AMX is never available, and the rest never called

[[nodiscard]] inline bool& available() noexcept {
    static bool value = false;
    return value;
}
struct registers_in_use {
    explicit registers_in_use(std::size_t) noexcept {}
};
template <int>
void set_zero() noexcept {}
template <int>
void load(const void*, std::size_t) noexcept {}
template <int>
void store(void*) noexcept {}
template <int, int, int, bool>
void multiply() noexcept {}
[[nodiscard]] inline i32x16 subtract_bytes(const i32x16& a, const i32x16&) noexcept { return a; }

#endif

} // namespace simd::amx
} // namespace quant::inline QUANT_ABI
