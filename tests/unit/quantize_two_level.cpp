// What two-level scales mean: whatever form a matrix has, its weights are the reference's.
#include "two_level_cases.hpp"

#include <cmath>

namespace {

using schemes = std::tuple<cases::two_tables_by_8, cases::minimums_by_32, cases::bytes_by_16,
                           cases::threes_by_16>;

/// Codes and scales at random: all that a matrix may hold, not only what a search finds.
template <class S>
quant::quantized_matrix<S> random_matrix(cases::shape size) {
    auto made = quant::quantized_matrix<S>::try_zero(size.rows, size.cols).value();
    cases::numbers random(size.cols);
    const auto below = [&](int count) {
        return static_cast<int>(random.bits() % static_cast<unsigned>(count));
    };
    for (auto& code : made.mutable_codes()) code = static_cast<std::uint8_t>(below(1 << S::bits));
    for (auto& scale : made.mutable_scales()) {
        const int value = S::least_scale + below(1 << S::scale_bits);
        scale = S::scale_byte(value, below(S::tables));
    }
    for (auto& minimum : made.mutable_offsets()) {
        minimum = static_cast<std::uint8_t>(below(S::greatest_minimum + 1));
    }
    const auto next = [&] { return typename S::super_type(random.next()); };
    for (auto& super : made.mutable_super_scales()) super = next();
    for (auto& super : made.mutable_super_minimums()) super = next();
    REQUIRE(made.validate());
    return made;
}

template <class S>
void check_forms(const quant::quantized_matrix<S>& q, quant::thread_pool& pool) {
    const std::size_t rows = q.rows(), cols = q.cols();
    const auto expected = quant::reference::dequantize(cases::as_reference(q));
    std::vector<float> values(rows * cols, -1);
    quant::dequantize(q, quant::matrix_view<float>{values.data(), rows, cols}, pool);
    CHECK(cases::same_bytes(values, expected));

    const auto packed = quant::pack(q, pool);
    CHECK(packed.bytes().size() == quant::packed_size<S>(rows, cols));
    CHECK(quant::unpack(packed, pool) == q);
    std::vector<float> unpacked(rows * cols, -2);
    quant::dequantize(packed, quant::matrix_view<float>{unpacked.data(), rows, cols}, pool);
    CHECK(cases::same_bytes(unpacked, expected));

    std::vector<std::uint32_t> backwards(rows);
    for (std::size_t r = 0; r < rows; ++r) backwards[r] = static_cast<std::uint32_t>(rows - 1 - r);
    std::vector<float> gathered(rows * cols, -3);
    quant::gather_rows(packed, std::span<const std::uint32_t>(backwards),
                       quant::matrix_view<float>{gathered.data(), rows, cols}, pool);
    for (std::size_t r = 0; r < rows; ++r) {
        const std::span<const float> row(gathered.data() + (rows - 1 - r) * cols, cols);
        CHECK(cases::same_bytes(
            row, std::vector<float>(expected.data() + r * cols, expected.data() + (r + 1) * cols)));
    }
}

} // namespace

TEMPLATE_LIST_TEST_CASE("two-level scales: every form has the reference's weights", "[two_level]",
                        cases::sample<schemes>) {
    using S = TestType;
    CAPTURE(quant::to_string(quant::describe<S>()));
    quant::thread_pool pool(3);
    for (const cases::shape size : cases::two_level_shapes) {
        CAPTURE(size.rows, size.cols);
        const auto w = cases::numbers(size.cols + 7).vector(size.rows * size.cols);
        const quant::matrix_view<const float> view{w.data(), size.rows, size.cols};
        const auto q = quant::quantize<S>(view, {}, pool);
        REQUIRE(q.validate());
        CHECK(q == quant::quantize<S>(view));
        CHECK(quant::quantize_packed<S>(view, pool) == quant::pack(q));
        check_forms(q, pool);
        check_forms(random_matrix<S>(size), pool);
    }
}

TEMPLATE_LIST_TEST_CASE("two-level scales: few bits lose little", "[two_level]",
                        cases::sample<schemes>) {
    using S = TestType;
    constexpr std::size_t rows = 5, cols = 1000;
    cases::numbers random(3);
    std::vector<float> w(rows * cols);
    for (float& x : w) { // nearly normal
        x = 0;
        for (int i = 0; i < 12; ++i) x += static_cast<float>(random.bits()) * 0x1p-32f - 0.5f;
    }
    // The same at every magnitude that the super-scale's type holds well.
    for (const float unit : {0x1p-100f, 0x1p-70f, 0x1p-8f, 1.0f, 0x1p8f, 0x1p70f, 0x1p100f}) {
        if (sizeof(typename S::super_type) == 2 && !(0x1p-9f < unit && unit < 0x1p9f)) continue;
        auto scaled = w;
        for (float& x : scaled) x *= unit;
        const auto q =
            quant::quantize<S>(quant::matrix_view<const float>{scaled.data(), rows, cols});
        std::vector<float> back(w.size());
        quant::dequantize(q, quant::matrix_view<float>{back.data(), rows, cols});
        double error = 0, norm = 0;
        for (std::size_t i = 0; i < w.size(); ++i) {
            const double off =
                static_cast<double>(back[i] / unit) - static_cast<double>(scaled[i] / unit);
            error += off * off;
            norm += static_cast<double>(w[i]) * static_cast<double>(w[i]);
        }
        CAPTURE(quant::to_string(quant::describe<S>()), unit);
        // Normal numbers, the best equal steps (Max 1960): 0.1188 for 2 bits, 0.00349 for 5.
        CHECK(error < (S::bits == 2 ? 0.11 : S::bits == 5 ? 0.0035 : 0.0011) * norm);
    }
}

TEMPLATE_LIST_TEST_CASE("two-level scales: groups of one number keep it", "[two_level]",
                        cases::sample<schemes>) {
    using S = TestType;
    constexpr std::size_t rows = 3, cols = 512;
    for (const float number : {0.37f, -0.37f}) {
        const std::vector<float> w(rows * cols, number);
        const auto q = quant::quantize<S>(quant::matrix_view<const float>{w.data(), rows, cols});
        std::vector<float> back(rows * cols);
        quant::dequantize(q, quant::matrix_view<float>{back.data(), rows, cols});
        for (const float value : back) REQUIRE(std::fabs(value / number - 1) < 0.002f);
    }
}

TEMPLATE_LIST_TEST_CASE("two-level scales: where nothing counts, all does", "[two_level]",
                        cases::sample<schemes>) {
    using S = TestType;
    constexpr std::size_t rows = 2, cols = 600;
    const auto w = cases::numbers(5).vector(rows * cols);
    const quant::matrix_view<const float> view{w.data(), rows, cols};
    const std::vector<float> none(cols, 0.0f);
    quant::quantize_options options;
    options.importance = none;
    CHECK(quant::quantize<S>(view, options) == quant::quantize<S>(view));
}
