// f32x16 and i32x16: sixteen lanes, one per row of a panel, whatever the register width.
//
// Kernels are written once against these types: one 512-bit register, two of 256 bits, four of
// 128 bits, or an array. A line of packed codes is an i32x16 too: four bytes per lane, the lowest
// byte the first column.
#pragma once

#include <quant/core/half.hpp>
#include <quant/core/unroll.hpp>
#include <quant/simd/isa.hpp>

#if QUANT_DETAIL_SCALAR
#include <quant/simd/native_generic.hpp>
#elif defined(__aarch64__)
#include <quant/simd/native_neon.hpp>
#elif defined(__wasm_simd128__)
#include <quant/simd/native_wasm.hpp>
#else
#include <quant/simd/native_xsimd.hpp>
#endif

#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>

namespace quant::inline QUANT_ABI {
namespace simd {

/// Sixteen lanes of T, float or std::int32_t.
template <class T>
struct lanes {
    static constexpr std::size_t size = 16;
    static constexpr std::size_t count = size / native_size<T>;
    static_assert(count == 1 || count == 2 || count == 4, "written out below");
    native<T> r[count];
};

using f32x16 = lanes<float>;
using i32x16 = lanes<std::int32_t>;

/// f applied register by register.
template <class To, class F, class... From>
QUANT_DETAIL_INLINE lanes<To> per_register(F f, const lanes<From>&... from) noexcept {
    // Without a loop the compiler has fewer calls to inline.
    constexpr std::size_t n = lanes<To>::count;
    lanes<To> made;
    made.r[0] = f(from.r[0]...);
    if constexpr (n > 1) made.r[1] = f(from.r[1]...);
    if constexpr (n > 2) {
        made.r[2] = f(from.r[2]...);
        made.r[3] = f(from.r[3]...);
    }
    return made;
}

template <class T>
QUANT_DETAIL_INLINE lanes<T> broadcast(T value) noexcept {
    return per_register<T>([value]() QUANT_DETAIL_LAMBDA { return native_broadcast<T>(value); });
}

/// Sixteen elements at any address, in the host's byte order.
template <class T>
QUANT_DETAIL_INLINE lanes<T> load(const void* from) noexcept {
    constexpr std::size_t n = lanes<T>::count;
    [[maybe_unused]] constexpr std::size_t size = native_size<T> * sizeof(T);
    const auto* bytes = static_cast<const std::byte*>(from);
    lanes<T> made;
    made.r[0] = native_load<T>(bytes);
    if constexpr (n > 1) made.r[1] = native_load<T>(bytes + size);
    if constexpr (n > 2) {
        made.r[2] = native_load<T>(bytes + 2 * size);
        made.r[3] = native_load<T>(bytes + 3 * size);
    }
    return made;
}
template <class T>
QUANT_DETAIL_INLINE void store(void* to, const lanes<T>& value) noexcept {
    constexpr std::size_t n = lanes<T>::count;
    [[maybe_unused]] constexpr std::size_t size = native_size<T> * sizeof(T);
    auto* bytes = static_cast<std::byte*>(to);
    native_store<T>(bytes, value.r[0]);
    if constexpr (n > 1) native_store<T>(bytes + size, value.r[1]);
    if constexpr (n > 2) {
        native_store<T>(bytes + 2 * size, value.r[2]);
        native_store<T>(bytes + 3 * size, value.r[3]);
    }
}

/// The first n ≤ 16 elements; the rest of the lanes get `fill`.
template <class T>
QUANT_DETAIL_INLINE lanes<T> load_partial(const void* from, std::size_t n, T fill = T{}) noexcept {
#if !QUANT_DETAIL_SCALAR && defined(__AVX2__)
    lanes<T> made;
    const auto* bytes = static_cast<const std::byte*>(from);
    detail::unroll<lanes<T>::count>([&](auto i) QUANT_DETAIL_LAMBDA {
        constexpr std::size_t before = i * native_size<T>;
        made.r[i] = native_load_first<T>(bytes + before * sizeof(T),
                                         static_cast<std::ptrdiff_t>(n) -
                                             static_cast<std::ptrdiff_t>(before),
                                         fill);
    });
    return made;
#else
    T elements[16];
    for (T& element : elements) element = fill;
    std::memcpy(elements, from, n * sizeof(T));
    return load<T>(elements);
#endif
}
template <class T>
QUANT_DETAIL_INLINE void store_partial(void* to, const lanes<T>& value, std::size_t n) noexcept {
#if defined(__AVX512BW__) && !QUANT_DETAIL_SCALAR
    static_assert(sizeof(T) == 4);
    const auto first_n = static_cast<__mmask16>((1u << n) - 1);
    if constexpr (std::is_same_v<T, float>) {
        _mm512_mask_storeu_ps(to, first_n, value.r[0]);
    } else {
        _mm512_mask_storeu_epi32(to, first_n, value.r[0]);
    }
#else
    T elements[16];
    store(elements, value);
    std::memcpy(to, elements, n * sizeof(T));
#endif
}

#define QUANT_DETAIL_BINARY(symbol) \
    template <class T> \
    QUANT_DETAIL_INLINE lanes<T> operator symbol(const lanes<T>& a, const lanes<T>& b) noexcept { \
        return per_register<T>([](auto x, auto y) QUANT_DETAIL_LAMBDA { return x symbol y; }, a, \
                               b); \
    }
QUANT_DETAIL_BINARY(+)
QUANT_DETAIL_BINARY(-)
QUANT_DETAIL_BINARY(*)
QUANT_DETAIL_BINARY(/) // of floats: correctly rounded
QUANT_DETAIL_BINARY(&)
QUANT_DETAIL_BINARY(|)
#undef QUANT_DETAIL_BINARY

template <class T>
QUANT_DETAIL_INLINE lanes<T> min(const lanes<T>& a, const lanes<T>& b) noexcept {
    return per_register<T>([](auto x, auto y) QUANT_DETAIL_LAMBDA { return native_min(x, y); }, a,
                           b);
}
template <class T>
QUANT_DETAIL_INLINE lanes<T> max(const lanes<T>& a, const lanes<T>& b) noexcept {
    return per_register<T>([](auto x, auto y) QUANT_DETAIL_LAMBDA { return native_max(x, y); }, a,
                           b);
}
/// The greater of two as of unsigned integers.
QUANT_DETAIL_INLINE i32x16 max_unsigned(const i32x16& a, const i32x16& b) noexcept {
    return per_register<std::int32_t>(
        [](auto x, auto y) QUANT_DETAIL_LAMBDA { return native_max_unsigned(x, y); }, a, b);
}
QUANT_DETAIL_INLINE f32x16 abs(const f32x16& a) noexcept {
    return per_register<float>([](auto x) QUANT_DETAIL_LAMBDA { return native_abs(x); }, a);
}

/// a·b + c, rounded once where isa::current::fused_multiply_add, else twice.
QUANT_DETAIL_INLINE f32x16 fma(const f32x16& a, const f32x16& b, const f32x16& c) noexcept {
    return per_register<float>(
        [](auto x, auto y, auto z) QUANT_DETAIL_LAMBDA { return native_fma(x, y, z); }, a, b, c);
}
/// a·b, rounded before anything is added to it, whatever the compiler may fuse.
QUANT_DETAIL_INLINE f32x16 rounded_product(const f32x16& a, const f32x16& b) noexcept {
    return per_register<float>(
        [](auto x, auto y) QUANT_DETAIL_LAMBDA { return native_opaque(x * y); }, a, b);
}

/// The same of two floats.
QUANT_DETAIL_INLINE float rounded_product(float a, float b) noexcept {
    float products[16];
    store(products, rounded_product(broadcast(a), broadcast(b)));
    return products[0];
}

/// Asks for the cache line at an address, which need not be valid, into the first-level cache, even
/// if it is read much later: a Zen 5 drops many requests for the second-level cache while it waits
/// for memory.
QUANT_DETAIL_INLINE void prefetch([[maybe_unused]] const void* address) noexcept {
#if defined(__GNUC__)
    __builtin_prefetch(address);
#elif defined(_M_X64)
    _mm_prefetch(static_cast<const char*>(address), _MM_HINT_T0);
#endif
}

/// Factor·a, wrapping, by shifts: for ±2^n and ±(2^n − 1), 0 among them.
template <std::int32_t Factor>
QUANT_DETAIL_INLINE native<std::int32_t> native_times(native<std::int32_t> a) noexcept {
    constexpr auto size = static_cast<std::uint32_t>(Factor < 0 ? -Factor : Factor);
    constexpr bool less_one = !std::has_single_bit(size);
    static_assert(std::has_single_bit(size + (less_one ? 1 : 0)));
    const auto shifted = native_shift_left<std::countr_zero(size + (less_one ? 1 : 0))>(a);
    if constexpr (Factor < 0) {
        return (less_one ? a : native_broadcast<std::int32_t>(0)) - shifted;
    } else {
        return less_one ? shifted - a : shifted;
    }
}

/// Nearest integer, ties to even. Values that int32 cannot hold give some large magnitude of
/// unspecified sign: clamp before converting where they can occur.
QUANT_DETAIL_INLINE i32x16 nearest(const f32x16& a) noexcept {
    return per_register<std::int32_t>([](auto x) QUANT_DETAIL_LAMBDA { return native_nearest(x); },
                                      a);
}
QUANT_DETAIL_INLINE f32x16 floor(const f32x16& a) noexcept {
    return per_register<float>([](auto x) QUANT_DETAIL_LAMBDA { return native_floor(x); }, a);
}
QUANT_DETAIL_INLINE f32x16 to_float(const i32x16& a) noexcept {
    return per_register<float>([](auto x) QUANT_DETAIL_LAMBDA { return native_to_float(x); }, a);
}
QUANT_DETAIL_INLINE f32x16 bits_to_float(const i32x16& a) noexcept {
    return per_register<float>([](auto x) QUANT_DETAIL_LAMBDA { return native_bits_to_float(x); },
                               a);
}
QUANT_DETAIL_INLINE i32x16 float_to_bits(const f32x16& a) noexcept {
    return per_register<std::int32_t>(
        [](auto x) QUANT_DETAIL_LAMBDA { return native_float_to_bits(x); }, a);
}
template <int N>
QUANT_DETAIL_INLINE i32x16 shift_right(const i32x16& a) noexcept {
    return per_register<std::int32_t>(
        [](auto x) QUANT_DETAIL_LAMBDA { return native_shift_right<N>(x); }, a);
}
template <int N>
QUANT_DETAIL_INLINE i32x16 shift_left(const i32x16& a) noexcept {
    return per_register<std::int32_t>(
        [](auto x) QUANT_DETAIL_LAMBDA { return native_shift_left<N>(x); }, a);
}
/// The sign bit moved below the others, and back.
QUANT_DETAIL_INLINE i32x16 rotate_left_1(const i32x16& a) noexcept {
    return per_register<std::int32_t>(
        [](auto x) QUANT_DETAIL_LAMBDA { return native_rotate_left_1(x); }, a);
}
QUANT_DETAIL_INLINE i32x16 rotate_right_1(const i32x16& a) noexcept {
    return shift_right<1>(a) | shift_left<31>(a);
}
/// Shift that keeps the sign: division by 2^N, rounded down.
template <int N>
QUANT_DETAIL_INLINE i32x16 shift_right_signed(const i32x16& a) noexcept {
    return per_register<std::int32_t>(
        [](auto x) QUANT_DETAIL_LAMBDA { return native_shift_right_signed<N>(x); }, a);
}
/// Lane by lane: a > b ? if_true : if_false; NaN is not greater than anything, nor anything than
/// it.
template <class T>
QUANT_DETAIL_INLINE lanes<T> select_greater(const lanes<T>& a, const lanes<T>& b,
                                            const lanes<T>& if_true,
                                            const lanes<T>& if_false) noexcept {
    return per_register<T>([](auto x, auto y, auto t, auto f)
                               QUANT_DETAIL_LAMBDA { return native_select_greater(x, y, t, f); },
                           a, b, if_true, if_false);
}

/// Whether a > b in any lane.
QUANT_DETAIL_INLINE bool any_greater(const i32x16& a, const i32x16& b) noexcept {
    bool any = false;
    detail::unroll<i32x16::count>(
        [&](auto i) QUANT_DETAIL_LAMBDA { any |= native_any_greater(a.r[i], b.r[i]); });
    return any;
}

/// Lowest byte first in memory, whatever the host: swaps a lane's bytes on big-endian hosts.
QUANT_DETAIL_INLINE native<std::int32_t> native_little_endian(native<std::int32_t> value) noexcept {
    if constexpr (std::endian::native == std::endian::little) return value;
    const auto inner = (native_shift_left<8>(value) & native_broadcast<std::int32_t>(0xFF0000)) |
                       (native_shift_right<8>(value) & native_broadcast<std::int32_t>(0xFF00));
    return native_shift_left<24>(value) | native_shift_right<24>(value) | inner;
}
/// @copydoc native_little_endian
QUANT_DETAIL_INLINE i32x16 little_endian(const i32x16& value) noexcept {
    return per_register<std::int32_t>(
        [](auto x) QUANT_DETAIL_LAMBDA { return native_little_endian(x); }, value);
}

/// 64 bytes of codes: lane r's four bytes are from[4r … 4r + 3], the first one lowest.
QUANT_DETAIL_INLINE i32x16 load_line(const std::byte* from) noexcept {
    return little_endian(load<std::int32_t>(from));
}
QUANT_DETAIL_INLINE void store_line(std::byte* to, const i32x16& line) noexcept {
    store(to, little_endian(line));
}

namespace folding {
template <class T, class Combine>
QUANT_DETAIL_INLINE native<T> combine(const lanes<T>& a, Combine f) noexcept {
    native<T> folded = a.r[0];
    if constexpr (lanes<T>::count > 1) {
        detail::unroll<lanes<T>::count - 1>(
            [&](auto i) QUANT_DETAIL_LAMBDA { folded = f(folded, a.r[i + 1]); });
    }
    return folded;
}
} // namespace folding

/// The same address, of which the compiler does not know that: what is read through it is read
/// again, not kept in registers that are needed otherwise.
template <class T>
[[nodiscard]] QUANT_DETAIL_INLINE T* again(T* from) noexcept {
#if defined(__GNUC__)
    __asm__("" : "+r"(from));
#endif
    return from;
}

/// v, of which the compiler does not know where it was read: g++ would read it for each use again.
template <class T>
QUANT_DETAIL_INLINE lanes<T> keep_in_register(const lanes<T>& v) noexcept {
#if !QUANT_DETAIL_SCALAR && defined(__AVX__) && defined(__GNUC__) && !defined(__clang__)
    return per_register<T>([](auto r) QUANT_DETAIL_LAMBDA { return native_opaque(r); }, v);
#else
    return v;
#endif
}

/// v, read before all that is read by read_now() after it, whatever compilers would rather do.
template <class T>
QUANT_DETAIL_INLINE lanes<T> read_now(lanes<T> v) noexcept {
#if !QUANT_DETAIL_SCALAR && defined(__AVX__) && defined(__GNUC__)
    for (auto& r : v.r) __asm__ __volatile__("" : "+v"(r.data));
#endif
    return v;
}

/// What is read after then_read() waits until all that was given to compute_first() is computed:
/// for compilers that can be told so and need it.
#if defined(__clang__) && defined(__AVX512BW__) && !QUANT_DETAIL_SCALAR
inline constexpr bool can_compute_first = true;
template <class T>
QUANT_DETAIL_INLINE void compute_first(lanes<T>& v) noexcept {
    for (auto& r : v.r) __asm__ __volatile__("" : "+v"(r.data));
}
QUANT_DETAIL_INLINE void then_read() noexcept { __asm__ __volatile__("" : : : "memory"); }
#else
inline constexpr bool can_compute_first = false;
template <class T>
QUANT_DETAIL_INLINE void compute_first(lanes<T>&) noexcept {}
QUANT_DETAIL_INLINE void then_read() noexcept {}
#endif

/// a in the lower eight lanes, b in the upper ones.
template <class T>
QUANT_DETAIL_INLINE lanes<T> broadcast_two(T a, T b) noexcept {
    if constexpr (native_size<T> <= 8) {
        lanes<T> made;
        detail::unroll<lanes<T>::count>([&](auto i) QUANT_DETAIL_LAMBDA {
            made.r[i] = native_broadcast<T>(i < lanes<T>::count / 2 ? a : b);
        });
        return made;
    } else {
        constexpr T lane[16] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};
        return select_greater(load<T>(lane), broadcast<T>(7), broadcast(b), broadcast(a));
    }
}

/// Stores numbers that are to be broadcast one by one: a load broadcasts at no cost to the
/// arithmetic units.
template <class T>
QUANT_DETAIL_INLINE void store_to_broadcast(T (&to)[native_size<T>],
                                            const native<T>& values) noexcept {
    native_store<T>(to, values);
#if defined(__GNUC__) && !QUANT_DETAIL_SCALAR
    __asm__("" : "+m"(to)); // else compilers shuffle the register instead
#endif
}

/// The same of one number.
template <class T>
QUANT_DETAIL_INLINE void store_to_broadcast(T (&to)[native_size<T>], T value) noexcept {
    to[0] = value;
#if defined(__GNUC__) && !QUANT_DETAIL_SCALAR
    __asm__("" : "+m"(to[0]));
#endif
}

/// Stores numbers that are to be read one by one.
template <class T>
QUANT_DETAIL_INLINE void store_each(T (&to)[16], const lanes<T>& values) noexcept {
    store(to, values);
#if defined(__GNUC__) && !QUANT_DETAIL_SCALAR
    __asm__("" : "+m"(to)); // as above
#endif
}

/// (a & mask) | b.
QUANT_DETAIL_INLINE i32x16 merge_bits(const i32x16& a, const i32x16& mask,
                                      const i32x16& b) noexcept {
    return per_register<std::int32_t>(
        [](auto x, auto m, auto y) QUANT_DETAIL_LAMBDA { return native_merge_bits(x, m, y); }, a,
        mask, b);
}
/// b | (a & mask), in the register of b: where a is needed on, and b is not, g++ copies nothing.
QUANT_DETAIL_INLINE i32x16 merge_into(i32x16 b, const i32x16& a, const i32x16& mask) noexcept {
#if !QUANT_DETAIL_SCALAR && defined(__AVX512F__)
    b.r[0] = _mm512_ternarylogic_epi32(b.r[0], a.r[0], mask.r[0], 0xF8);
    return b;
#else
    return merge_bits(a, mask, b);
#endif
}

QUANT_DETAIL_INLINE float reduce_min(const f32x16& a) noexcept {
    return native_reduce_min(
        folding::combine(a, [](auto x, auto y) QUANT_DETAIL_LAMBDA { return native_min(x, y); }));
}
template <class T>
QUANT_DETAIL_INLINE T reduce_max(const lanes<T>& a) noexcept {
    return native_reduce_max(
        folding::combine(a, [](auto x, auto y) QUANT_DETAIL_LAMBDA { return native_max(x, y); }));
}

/// Sum of all lanes, modulo 2^32.
QUANT_DETAIL_INLINE std::int32_t reduce_add(const i32x16& a) noexcept {
    return native_reduce_add(
        folding::combine(a, [](auto x, auto y) QUANT_DETAIL_LAMBDA { return x + y; }));
}

} // namespace simd
} // namespace quant::inline QUANT_ABI
