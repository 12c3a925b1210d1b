// any_packed_view: what any_packed_matrix does, on bytes from elsewhere.
#include <quant/kernel/any_packed_matrix.hpp>

#include <catch2/catch_test_macros.hpp>

#include <cstring>
#include <string_view>
#include <type_traits>
#include <vector>

using namespace quant;

namespace {

using w4 = scheme<int4, symmetric, group_wise<32>, fp16>;
using w8 = scheme<int8, symmetric, per_channel, float>;
using w3 = scheme<int3, asymmetric, group_wise<5>, float>;
using any_matrix = any_packed_matrix<w8, w4>;
using any_view = any_packed_view<w8, w4>;

static_assert(std::is_trivially_copyable_v<any_view>);
static_assert(std::is_convertible_v<const any_matrix&, any_view>);
static_assert(!std::is_convertible_v<any_matrix, any_view>, "a temporary's view would dangle");
static_assert(std::is_convertible_v<packed_view<w4>, any_view>);
static_assert(!std::is_convertible_v<packed_view<w3>, any_view>);

constexpr std::size_t rows = 33, cols = 70;

std::vector<float> numbers(std::size_t count) {
    std::vector<float> made(count);
    for (std::size_t i = 0; i < count; ++i) made[i] = static_cast<float>(i * 29 % 83) - 41;
    return made;
}

template <class S>
any_matrix packed() {
    const auto w = numbers(rows * cols);
    return any_matrix(quantize_packed<S>(matrix_view{w.data(), rows, cols}));
}

/// Products, gathered rows and properties are those of the matrix, owned and as bytes.
template <class S>
void check_like_matrix() {
    const any_matrix owned = packed<S>();
    const auto x = numbers(2 * cols);
    const std::vector<int> chosen = {32, 0, 7};
    const auto product = [&](const auto& w) {
        std::vector<float> y(2 * rows);
        matmul(matrix_view(x.data(), 2, cols), w, matrix_view(y.data(), 2, rows), serial);
        return y;
    };
    const auto gathered = [&](const auto& w) {
        std::vector<float> out(3 * cols);
        gather_rows(w, std::span(chosen), matrix_view(out.data(), 3, cols));
        return out;
    };
    const auto view = any_view::of(owned.bytes());
    const auto held = packed_view_of<S>(owned.bytes());
    CHECK(view.rows() == rows);
    CHECK(view.cols() == cols);
    CHECK(view.descriptor() == describe<S>());
    CHECK(view.descriptor() == owned.descriptor());
    CHECK(view.nominal_bits() == owned.nominal_bits());
    CHECK(view.nominal_bits() == held.nominal_bits());
    CHECK(view.nominal_bits() > static_cast<double>(S::bits * rows * cols));
    CHECK(product(view) == product(held));
    CHECK(product(owned) == product(held));
    CHECK(product(owned.view()) == product(held));
    CHECK(gathered(view) == gathered(held));
    CHECK(gathered(owned) == gathered(held));
}

} // namespace

TEST_CASE("any packed view: does what the matrix does", "[packed]") {
    check_like_matrix<w8>();
    check_like_matrix<w4>();
    CHECK(any_view().rows() == 0);
    CHECK(any_view().nominal_bits() == 0);
    const any_matrix nothing;
    CHECK(any_view(nothing).cols() == 0);
}

TEST_CASE("any packed view: bytes of other schemes are refused by name", "[packed]") {
    const any_matrix owned = packed<w4>();
    const auto refused = any_packed_view<w8, w3>::try_of(owned.bytes());
    REQUIRE_FALSE(refused.has_value());
    CHECK(refused.failure().code() == errc::unsupported);
    CHECK(refused.failure().where() == "packed bytes");
    CHECK(std::string_view(refused.failure().message()) ==
          "hold int4 symmetric group_wise<32> fp16, which is not one of the schemes listed");
    CHECK(any_view::try_of(owned.bytes().first(60)).failure().code() == errc::truncated);
    CHECK(any_view::try_of(owned.bytes().first(100)).failure().code() == errc::truncated);
    CHECK(any_view::try_of(std::vector<std::byte>(200)).failure().code() == errc::bad_layout);
    CHECK_THROWS_AS((any_packed_view<w8>::of(owned.bytes())), error);
}

TEST_CASE("any packed view: errors of products and rows come through", "[packed]") {
    const any_matrix owned = packed<w4>();
    const any_view view = owned;
    std::vector<float> x(cols), y(rows);
    const matrix_view<const float> narrow(x.data(), 1, cols - 1);
    CHECK(try_matmul(narrow, view, matrix_view(y.data(), 1, rows)).failure().code() ==
          errc::shape_mismatch);
    CHECK(try_matmul(narrow, owned, matrix_view(y.data(), 1, rows)).failure().code() ==
          errc::shape_mismatch);
    const std::vector<unsigned> outside = {33};
    CHECK(try_gather_rows(view, std::span(outside), matrix_view(x.data(), 1, cols))
              .failure()
              .code() == errc::invalid_argument);
    CHECK_THROWS_AS(gather_rows(owned, std::span(outside), matrix_view(x.data(), 1, cols)), error);
    CHECK_THROWS_AS(matmul(narrow, view, matrix_view(y.data(), 1, rows)), error);
}
