// Arguments at the edge of what makes sense: refused with an error, or without effect.
#include "sizes.hpp"

#include <quant/quant.hpp>

#include <catch2/catch_test_macros.hpp>

#include <cstddef>
#include <limits>
#include <type_traits>
#include <utility>
#include <vector>

using namespace quant;

namespace {

using w4 = scheme<int4, symmetric, group_wise<32>, fp16>;

/// An executor that claims to run more at once than any machine does.
struct boastful {
    void operator()(std::size_t count, task work) const { serial(count, work); }
    [[nodiscard]] std::size_t concurrency() const noexcept { return two_to(size_bits - 2); }
};

template <class T>
concept views_itself = requires(T&& matrix) { std::forward<T>(matrix).view(); };

} // namespace

TEST_CASE("finite weights never come back infinite", "[errors]") {
    constexpr float most = std::numeric_limits<float>::max();
    using minimum8 = scheme<quant::int8, asymmetric_min, per_channel, float>;
    const std::vector<float> w{0.3f * most, most, 0.9f * most};
    const auto q = try_quantize<minimum8>(matrix_view{w.data(), 1, 3});
    REQUIRE_FALSE(q); // s·255 + m rounds beyond the largest float
    CHECK(q.failure().code() == errc::scale_overflow);
}

TEST_CASE("an executor may claim any concurrency", "[errors]") {
    const std::vector<float> w(64 * 64, 0.5f);
    const auto p = quantize_packed<w4>(matrix_view{w.data(), 64, 64}, boastful{});
    std::vector<float> y(64);
    CHECK(try_matmul(matrix_view{w.data(), 1, 64}, p, matrix_view{y.data(), 1, 64}, boastful{}));
}

TEST_CASE("a packed view without bytes is refused", "[errors]") {
    std::vector<float> out(16 * 32);
    const auto done =
        try_dequantize(packed_view<w4>(nullptr, 16, 32), matrix_view<float>{out.data(), 16, 32});
    REQUIRE_FALSE(done);
    CHECK(done.failure().code() == errc::null_data);
}

TEST_CASE("an estimator that does not exist is refused", "[errors]") {
    const std::vector<float> w(32, 1.0f);
    quantize_options options;
    options.range = static_cast<range_estimator>(99);
    const auto q = try_quantize<w4>(matrix_view{w.data(), 1, 32}, options);
    REQUIRE_FALSE(q);
    CHECK(q.failure().code() == errc::invalid_argument);
    CHECK_FALSE(try_quantize_packed<w4>(matrix_view{w.data(), 1, 32}, options));
}

TEST_CASE("a temporary matrix gives no view that would outlive it", "[errors]") {
    STATIC_CHECK(views_itself<packed_matrix<w4>&>);
    STATIC_CHECK_FALSE(views_itself<packed_matrix<w4>>);
    STATIC_CHECK(std::is_convertible_v<packed_matrix<w4>&, packed_view<w4>>);
    STATIC_CHECK_FALSE(std::is_convertible_v<packed_matrix<w4>, packed_view<w4>>);
}
