// Sizes are checked before they are used; views are checked before they are read or written; no
// address needs to be aligned.
#include "sizes.hpp"

#include <quant/quant.hpp>

#include <catch2/catch_test_macros.hpp>

#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <limits>
#include <string_view>
#include <type_traits>
#include <vector>

using namespace quant;

namespace {

using w4 = scheme<int4, symmetric, group_wise<32>, fp16>;
using w5 = scheme<int_code<5>, asymmetric_min, group_wise<5>, float>;

constexpr std::size_t limit = PTRDIFF_MAX;
constexpr std::size_t half_of_bits = two_to(size_bits / 2);

/// Where a view reads or writes nothing: its shape alone decides.
float one_float = 1;

errc readable(std::size_t rows, std::size_t cols, std::size_t row_stride, std::size_t col_stride) {
    const auto checked = detail::check_readable(
        matrix_view<const float>{&one_float, rows, cols, row_stride, col_stride}, "view");
    return checked ? errc::io_failed : checked.failure().code();
}
errc writable(std::size_t rows, std::size_t cols, std::size_t row_stride, std::size_t col_stride) {
    const auto checked = detail::check_writable(
        matrix_view<float>{&one_float, rows, cols, row_stride, col_stride}, "view");
    return checked ? errc::io_failed : checked.failure().code();
}
constexpr errc fine = errc::io_failed; // stands for "no error" in this file

/// Elements of T that begin one byte after an aligned address.
template <class T>
class at_odd_address {
public:
    explicit at_odd_address(std::size_t n) : bytes_(n * sizeof(T) + 1), size_(n) {}
    T* data() { return reinterpret_cast<T*>(bytes_.data() + 1); }
    void set(std::size_t i, T value) {
        std::memcpy(bytes_.data() + 1 + i * sizeof(T), static_cast<const void*>(&value), sizeof(T));
    }
    T get(std::size_t i) const {
        T value;
        std::memcpy(static_cast<void*>(&value), bytes_.data() + 1 + i * sizeof(T), sizeof(T));
        return value;
    }
    std::size_t size() const { return size_; }

private:
    std::vector<std::byte> bytes_;
    std::size_t size_;
};

float sample(std::size_t i) { return static_cast<float>(static_cast<int>(i * 37 % 101) - 50) / 64; }

template <class T>
at_odd_address<T> odd_samples(std::size_t n) {
    at_odd_address<T> made(n);
    for (std::size_t i = 0; i < n; ++i) made.set(i, T(sample(i)));
    return made;
}
template <class T>
std::vector<T> samples(std::size_t n) {
    std::vector<T> made(n);
    for (std::size_t i = 0; i < n; ++i) made[i] = T(sample(i));
    return made;
}

template <class T>
bool same_elements(const at_odd_address<T>& a, const std::vector<T>& b) {
    for (std::size_t i = 0; i < b.size(); ++i) {
        const T x = a.get(i);
        if (std::memcmp(static_cast<const void*>(&x), static_cast<const void*>(&b[i]), sizeof x) !=
            0) {
            return false;
        }
    }
    return a.size() == b.size();
}

} // namespace

TEST_CASE("products and sums of sizes that do not fit are nothing", "[core][checked]") {
    using detail::checked_add;
    using detail::checked_mul;
    using detail::checked_round_up;
    static_assert(checked_mul(3, 5) == 15u && checked_mul(0, limit) == 0u);
    static_assert(checked_mul(limit, 1) == limit && checked_mul(1, limit) == limit);
    static_assert(!checked_mul(limit, 2) && !checked_mul(2, limit) && !checked_mul(SIZE_MAX, 1));
    static_assert(!checked_mul(SIZE_MAX, 0) && !checked_mul(half_of_bits, half_of_bits / 2));
    static_assert(checked_mul(half_of_bits, half_of_bits / 2 - 1).has_value());
    static_assert(!checked_mul(std::nullopt, 0) && !checked_mul(0, std::nullopt));
    static_assert(checked_add(limit - 1, 1) == limit && !checked_add(limit, 1));
    static_assert(!checked_add(SIZE_MAX, 1) && !checked_add(1, SIZE_MAX) &&
                  !checked_add(std::nullopt, 0));
    static_assert(detail::div_ceil(0, 16) == 0 && detail::div_ceil(1, 16) == 1);
    static_assert(detail::div_ceil(SIZE_MAX, 2) == SIZE_MAX / 2 + 1);
    static_assert(detail::round_up(17, 16) == 32 && detail::round_up(32, 16) == 32);
    static_assert(checked_round_up(17, 16) == 32u && !checked_round_up(limit, 16));
    static_assert(!checked_round_up(std::nullopt, 16));
    SUCCEED("at compile time");
}

TEST_CASE("views without elements, data or a possible size are refused", "[core][view]") {
    CHECK(readable(0, 5, 5, 1) == errc::empty);
    CHECK(readable(5, 0, 5, 1) == errc::empty);
    CHECK(readable(1, 1, 1, 1) == fine);
    CHECK(readable(1, 1, 1000, 1000) == fine); // strides that nothing uses
    CHECK(readable(beyond_half, beyond_half, 1, 1) == errc::size_overflow);
    CHECK(readable(SIZE_MAX, 1, 1, 1) == errc::size_overflow);
    CHECK(readable(2, 2, SIZE_MAX, 1) == errc::size_overflow);
    CHECK(readable(2, 2, 2, SIZE_MAX) == errc::size_overflow);
    CHECK(readable(3, 2, limit / 2 + 1, 1) == errc::size_overflow);
    CHECK(readable(2, 2, limit / 4, limit / 4) == errc::size_overflow); // elements, not bytes, fit
    // A view of repeated rows is small in memory; its results are not.
    CHECK(readable(half_of_bits / 2, half_of_bits / 8, 0, 0) == fine);
    CHECK(readable(half_of_bits / 2, half_of_bits / 2, 0, 0) == errc::size_overflow);

    const auto null = detail::check_readable(matrix_view<const float>{nullptr, 2, 3}, "f: x");
    REQUIRE_FALSE(null);
    CHECK(null.failure().code() == errc::null_data);
    CHECK(null.failure().where() == "f: x");
    CHECK(detail::check_readable(matrix_view<const fp16>{}, "").failure().code() == errc::empty);
}

TEST_CASE("outputs need columns side by side and rows that do not overlap", "[core][view]") {
    CHECK(writable(3, 4, 4, 1) == fine);
    CHECK(writable(3, 4, 100, 1) == fine);
    CHECK(writable(3, 4, 3, 1) == errc::invalid_stride);
    CHECK(writable(3, 4, 0, 1) == errc::invalid_stride);
    CHECK(writable(3, 4, 1, 3) == errc::invalid_stride);
    CHECK(writable(3, 4, 8, 2) == errc::invalid_stride);
    CHECK(writable(1, 4, 0, 1) == fine);
    CHECK(writable(4, 1, 1, 7) == fine); // a single column has no neighbour
    CHECK(writable(4, 1, 0, 1) == errc::invalid_stride);
    CHECK(writable(0, 4, 4, 1) == errc::empty);
    CHECK(writable(2, 4, SIZE_MAX, 1) == errc::size_overflow);
}

TEST_CASE("a transposed view shows the same numbers", "[core][view]") {
    const std::vector<float> data = {1, 2, 3, 4, 5, 6, 7, 8};
    const matrix_view view{data.data(), 2, 3, 4};
    static_assert(std::is_same_v<decltype(view), const matrix_view<const float>>);
    const auto turned = transposed(view);
    CHECK(turned.rows() == 3);
    CHECK(turned.cols() == 2);
    for (std::size_t r = 0; r < 2; ++r) {
        for (std::size_t c = 0; c < 3; ++c) {
            CHECK(turned.row(c)[r * turned.col_stride()] == view.row(r)[c]);
        }
    }
    const auto back = transposed(turned);
    CHECK((back.data() == view.data() && back.rows() == 2 && back.row_stride() == 4));
    CHECK((back.col_stride() == 1 && back.cols() == 3));
}

TEST_CASE("a view to change converts to a view to read, not the other way", "[core][view]") {
    static_assert(std::is_convertible_v<matrix_view<fp16>, matrix_view<const fp16>>);
    static_assert(!std::is_convertible_v<matrix_view<const fp16>, matrix_view<fp16>>);
    static_assert(!std::is_convertible_v<matrix_view<float>, matrix_view<const fp16>>);
    static_assert(std::is_trivially_copyable_v<matrix_view<float>>);
    constexpr matrix_view<const float> nothing;
    static_assert(nothing.rows() == 0 && nothing.data() == nullptr && nothing.col_stride() == 1);
    SUCCEED("at compile time");
}

TEST_CASE("weights at odd addresses quantize as at even ones", "[core][unaligned]") {
    const auto check = []<class S, class T>(std::type_identity<S>, std::type_identity<T>) {
        constexpr std::size_t rows = 5, cols = 77;
        auto odd = odd_samples<T>(rows * cols);
        const auto even = samples<T>(rows * cols);
        const matrix_view<const T> odd_view{odd.data(), rows, cols};
        const matrix_view<const T> view{even.data(), rows, cols};
        const auto q = quantize<S>(view);
        CHECK(quantize<S>(odd_view) == q);
        CHECK(quantize_packed<S>(odd_view) == pack(q));

        // The transposed matrix, by columns of the same memory.
        std::vector<T> turned(rows * cols);
        for (std::size_t i = 0; i < rows * cols; ++i) turned[i % cols * rows + i / cols] = even[i];
        CHECK(quantize<S>(transposed(odd_view)) ==
              quantize<S>(matrix_view<const T>{turned.data(), cols, rows}));

        std::vector<T> out(rows * cols);
        at_odd_address<T> odd_out(rows * cols);
        dequantize(q, matrix_view<T>{out.data(), rows, cols});
        dequantize(q, matrix_view<T>{odd_out.data(), rows, cols});
        CHECK(same_elements(odd_out, out));
    };
    check(std::type_identity<w4>{}, std::type_identity<float>{});
    check(std::type_identity<w4>{}, std::type_identity<fp16>{});
    check(std::type_identity<w5>{}, std::type_identity<float>{});
    check(std::type_identity<w5>{}, std::type_identity<bf16>{});
}

TEST_CASE("non-finite weights at odd addresses are found", "[core][unaligned]") {
    auto odd = odd_samples<float>(3 * 40);
    odd.set(40 + 37, std::numeric_limits<float>::infinity());
    const auto failed = try_quantize<w4>(matrix_view<const float>{odd.data(), 3, 40});
    REQUIRE_FALSE(failed);
    CHECK(std::string_view(failed.failure().message()) == "infinity at row 1, column 37");
}

TEST_CASE("products read and write odd addresses as even ones", "[core][unaligned]") {
    constexpr std::size_t tokens = 3, cols = 77, outputs = 21;
    const auto weights = samples<float>(outputs * cols);
    const auto check = [&]<class A, class X, class Y>(std::type_identity<A>, std::type_identity<X>,
                                                      std::type_identity<Y>) {
        const auto p = quantize_packed<w4>(matrix_view{weights.data(), outputs, cols});
        auto odd_x = odd_samples<X>(tokens * cols);
        auto odd_residual = odd_samples<Y>(tokens * outputs);
        const auto x = samples<X>(tokens * cols);
        const auto residual = samples<Y>(tokens * outputs);
        std::vector<Y> y(tokens * outputs);
        at_odd_address<Y> odd_y(tokens * outputs);
        matmul<A>(matrix_view{x.data(), tokens, cols}, p, matrix_view{y.data(), tokens, outputs},
                  epilogue::residual{matrix_view{residual.data(), tokens, outputs}});
        matmul<A>(matrix_view{odd_x.data(), tokens, cols}, p,
                  matrix_view{odd_y.data(), tokens, outputs},
                  epilogue::residual{matrix_view{odd_residual.data(), tokens, outputs}});
        CHECK(same_elements(odd_y, y));
        // By columns: activations whose tokens are interleaved.
        const auto by_columns = transposed(matrix_view<const X>{odd_x.data(), cols, tokens});
        std::vector<X> turned(tokens * cols);
        for (std::size_t i = 0; i < tokens * cols; ++i) {
            turned[i] = x[i % cols * tokens + i / cols];
        }
        matmul<A>(by_columns, p, matrix_view{odd_y.data(), tokens, outputs});
        matmul<A>(matrix_view{turned.data(), tokens, cols}, p,
                  matrix_view{y.data(), tokens, outputs});
        CHECK(same_elements(odd_y, y));
    };
    using integers = activations::int8<group_wise<32>>;
    check(std::type_identity<integers>{}, std::type_identity<float>{}, std::type_identity<float>{});
    check(std::type_identity<integers>{}, std::type_identity<fp16>{}, std::type_identity<bf16>{});
    check(std::type_identity<activations::fp32>{}, std::type_identity<float>{},
          std::type_identity<fp16>{});
}
