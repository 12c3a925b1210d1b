// Batches of groups, pieces of panels and gathered rows, where they begin and end: every width,
// groups that fill sixteens, superblocks and pieces and groups that do not.
#include "scheme_cases.hpp"

#include <limits>
#include <new>
#include <type_traits>

using namespace quant;

namespace {

template <class T>
std::vector<T> dequantized(const auto& q, std::size_t rows, std::size_t cols) {
    std::vector<T> values(rows * cols);
    dequantize(q, matrix_view<T>{values.data(), rows, cols});
    return values;
}

template <class T>
bool same(const std::vector<T>& a, const std::vector<T>& b) {
    return a.size() == b.size() &&
           std::memcmp(static_cast<const void*>(a.data()), static_cast<const void*>(b.data()),
                       a.size() * sizeof(T)) == 0;
}

/// Gathers some rows, repeated and in no order, to rows that lie apart; nothing between is touched.
template <class T, class S>
void check_gathered(const packed_matrix<S>& p, const std::vector<T>& all) {
    const std::size_t rows = p.rows(), cols = p.cols(), stride = cols + 3;
    std::vector<std::int32_t> wanted;
    for (std::size_t i = 0; i < rows + 2; ++i) {
        wanted.push_back(static_cast<std::int32_t>((i * 7 + 3) % rows));
    }
    std::vector<T> out(wanted.size() * stride, T(-7.0f));
    thread_pool pool(2);
    gather_rows(p, std::span(wanted), matrix_view<T>{out.data(), wanted.size(), cols, stride},
                pool);
    for (std::size_t i = 0; i < wanted.size(); ++i) {
        const auto r = static_cast<std::size_t>(wanted[i]);
        REQUIRE(std::memcmp(static_cast<const void*>(out.data() + i * stride),
                            static_cast<const void*>(all.data() + r * cols),
                            cols * sizeof(T)) == 0);
        REQUIRE(out[i * stride + cols] == T(-7.0f));
    }
}

/// As check() of the float results, which are `floats`.
template <class T, class S>
void check_narrow(const quantized_matrix<S>& q, const packed_matrix<S>& p,
                  const std::vector<float>& floats) {
    std::vector<T> narrow(floats.size());
    for (std::size_t i = 0; i < narrow.size(); ++i) narrow[i] = T(floats[i]);
    REQUIRE(same(dequantized<T>(q, q.rows(), q.cols()), narrow));
    REQUIRE(same(dequantized<T>(p, q.rows(), q.cols()), narrow));
    check_gathered(p, narrow);
}

/// T: what the weights are dequantized to, besides float.
template <class S, class T>
void check(std::size_t rows, std::size_t cols) {
    CAPTURE(to_string(describe<S>()), rows, cols);
    const auto w = cases::numbers(rows * 31 + cols).vector(rows * cols);
    const matrix_view<const float> view{w.data(), rows, cols};
    const auto expected = reference::quantize<S>(w, rows, cols);
    const auto q = quantize<S>(view);
    REQUIRE(cases::same_bytes(q.codes(), expected.codes));
    REQUIRE(cases::same_bytes(q.scales(), expected.scales));
    REQUIRE(cases::same_bytes(q.offsets(), expected.offsets));
    const auto p = pack(q);
    REQUIRE(quantize_packed<S>(view) == p);
    REQUIRE(unpack(p) == q);

    const auto floats = dequantized<float>(q, rows, cols);
    REQUIRE(cases::same_bytes(floats, reference::dequantize(expected)));
    REQUIRE(cases::same_bytes(dequantized<float>(p, rows, cols), floats));
    check_gathered(p, floats);
    if constexpr (!std::is_same_v<T, float>) check_narrow<T>(q, p, floats);
}

template <class S, class T = float>
void check_shapes() {
    // One element; a row's end within a sixteen, after one, after a superblock; batches and pieces
    // with a tail; panels with and without all rows.
    for (const auto& [rows, cols] : {std::pair<std::size_t, std::size_t>{1, 1},
                                     {2, 17},
                                     {16, 32},
                                     {17, 95},
                                     {16, 512},
                                     {3, 527},
                                     {16, 1040},
                                     {19, 1601}}) {
        check<S, T>(rows, cols);
    }
}

template <class S>
errc code_of(const packed_matrix<S>& p, std::span<const std::int64_t> rows,
             matrix_view<float> out) {
    const auto done = try_gather_rows(p, rows, out);
    REQUIRE_FALSE(done.has_value());
    return done.failure().code();
}

using w4 = scheme<int4, symmetric, group_wise<32>, fp16>;
using w6 = scheme<int6, asymmetric_min, group_wise<32>, fp16>;

} // namespace

TEST_CASE("groups that fill superblocks and pieces", "[elements]") {
    check_shapes<scheme<int8, symmetric, group_wise<32>, float>>();
    check_shapes<w4, fp16>();
    check_shapes<scheme<int3, asymmetric_min, group_wise<64>, bf16>>();
}

TEST_CASE("groups that share superblocks or straddle pieces", "[elements]") {
    check_shapes<scheme<int5, asymmetric, group_wise<80>, fp16>, bf16>();
    check_shapes<scheme<int6, asymmetric_min, group_wise<528>, float>>();
}

TEST_CASE("padded groups, and groups longer than a piece", "[elements]") {
    check_shapes<scheme<int2, midrise, group_wise<5>, float>>();
    check_shapes<scheme<int7, asymmetric, group_wise<1000>, fp16>>();
}

TEST_CASE("scales of rows, blocks and matrices", "[elements]") {
    check_shapes<scheme<binary, symmetric, per_channel, float>>();
    check_shapes<scheme<int5, asymmetric_min, block_wise<3, 48>, fp16>>();
}

TEST_CASE("the scale takes the sign of the extreme", "[elements]") {
    // Equal magnitudes: the negative weight counts. Zeros of both signs: no scale.
    for (const std::size_t at : {0u, 15u, 16u, 31u}) {
        std::vector<float> w(32 * 18, 0.25f);
        w[32 * 17 + at] = -2.0f;
        w[32 * 17 + 31 - at] = 2.0f;
        w[at] = 2.0f;
        for (std::size_t i = 32; i < 64; ++i) w[i] = i % 2 == 0 ? 0.0f : -0.0f;
        const auto q = quantize<w4>(matrix_view<const float>{w.data(), 1, w.size()});
        CHECK(static_cast<float>(q.scales()[17]) == 0.25f);
        CHECK(static_cast<float>(q.scales()[0]) == -0.25f);
        CHECK(q.scales()[1].bits == 0);
        CHECK(q.codes()[40] == 8);
    }
}

TEST_CASE("weights whose sum overflows are weights", "[elements]") {
    // Finite, but their sum is not: the fast check for infinity must not take it for one.
    using s = scheme<int4, asymmetric, group_wise<32>, float>;
    std::vector<float> w(32 * 20, 3e37f);
    w[5] = -3e37f;
    const auto q = quantize<s>(matrix_view<const float>{w.data(), 1, w.size()});
    const auto expected = reference::quantize<s>(w, 1, w.size());
    CHECK(cases::same_bytes(q.codes(), expected.codes));
    CHECK(cases::same_bytes(q.scales(), expected.scales));
}

TEST_CASE("the first weight that is not finite is named, wherever it lies", "[elements]") {
    constexpr std::size_t rows = 18, cols = 32 * 17 + 5;
    const float inf = std::numeric_limits<float>::infinity();
    for (const std::size_t at :
         {std::size_t{0}, std::size_t{17}, std::size_t{511}, std::size_t{512}, cols - 1}) {
        for (const float bad : {std::numeric_limits<float>::quiet_NaN(), inf, -inf}) {
            auto w = cases::numbers(3).vector(rows * cols);
            w[16 * cols + at] = bad;
            w[17 * cols] = bad;
            const matrix_view<const float> view{w.data(), rows, cols};
            const auto expected = "at row 16, column " + std::to_string(at);
            for (const auto& failed :
                 {try_quantize<w4>(view).failure(), try_quantize<w6>(view).failure(),
                  try_quantize_packed<w4>(view).failure()}) {
                CHECK(failed.code() == errc::non_finite);
                CHECK(std::string(failed.message()).find(expected) != std::string::npos);
            }
        }
    }
}

TEST_CASE("gather_rows says what is wrong", "[elements][gather]") {
    constexpr std::size_t rows = 20, cols = 40;
    const auto w = cases::numbers(9).vector(rows * cols);
    const auto p = quantize_packed<w4>(matrix_view<const float>{w.data(), rows, cols});
    std::vector<float> out(3 * cols, -1);
    const matrix_view<float> fits{out.data(), 3, cols};
    const std::vector<std::int64_t> good{19, 0, 19};
    const std::span<const std::int64_t> indices(good);

    CHECK(code_of(packed_matrix<w4>(), indices, fits) == errc::empty);
    CHECK(code_of(p, indices.first(0), fits) == errc::empty);
    CHECK(code_of(p, indices.first(2), fits) == errc::shape_mismatch);
    CHECK(code_of(p, indices, {out.data(), 3, cols - 1}) == errc::shape_mismatch);
    CHECK(code_of(p, indices, {nullptr, 3, cols}) == errc::null_data);
    CHECK(code_of(p, indices, {out.data(), 3, cols, cols - 1}) == errc::invalid_stride);
    for (const std::int64_t bad : {std::int64_t{20}, std::int64_t{-1}, INT64_MAX, INT64_MIN}) {
        const std::vector<std::int64_t> wrong{3, 4, bad};
        const auto failed = try_gather_rows(p, std::span(wrong), fits);
        REQUIRE_FALSE(failed.has_value());
        CHECK(failed.failure().code() == errc::invalid_argument);
        const std::string message = failed.failure().message();
        CHECK(message.find("position 2") != std::string::npos);
        CHECK(message.find(std::to_string(bad)) != std::string::npos);
        CHECK_THROWS_AS(gather_rows(p, std::span(wrong), fits), error);
    }
    const std::vector<std::uint64_t> huge{UINT64_MAX, 0, 0};
    CHECK_FALSE(try_gather_rows(p, std::span(huge), fits).has_value());
    CHECK(out == std::vector<float>(3 * cols, -1)); // nothing was written

    const packed_view<w4> nowhere(nullptr, rows, cols);
    const auto null = try_gather_rows(nowhere, indices, fits);
    CHECK(null.failure().code() == errc::null_data);
    gather_rows(p.view(), indices, fits);
    CHECK(std::equal(out.begin(), out.begin() + cols, out.begin() + 2 * cols));
}

TEST_CASE("pack writes every byte of the caller's memory", "[elements]") {
    constexpr std::size_t rows = 19, cols = 45;
    const auto w = cases::numbers(5).vector(rows * cols);
    const auto q = quantize<w4>(matrix_view<const float>{w.data(), rows, cols});
    const std::size_t size = packed_size<w4>(rows, cols);
    auto* memory = static_cast<std::byte*>(::operator new(size, std::align_val_t{64}));
    std::memset(memory, 0xEE, size);
    pack_into(q, std::span(memory, size));
    CHECK(std::memcmp(memory, pack(q).bytes().data(), size) == 0);
    ::operator delete(memory, std::align_val_t{64});
}
