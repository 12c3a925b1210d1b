// What docs/maths.md claims: its error bounds hold, its measured numbers come out again.
#include <quant/quant.hpp>
#include <quant/reference/matmul.hpp>

#include <catch2/catch_template_test_macros.hpp>
#include <catch2/catch_test_macros.hpp>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <random>
#include <vector>

namespace {

using quant::all;
using quant::matrix_view;
namespace activations = quant::activations;

std::vector<float> normal(std::size_t n, unsigned seed, float mean = 0, float deviation = 1) {
    std::mt19937 bits(seed);
    std::normal_distribution<float> draw(mean, deviation);
    std::vector<float> values(n);
    for (float& v : values) v = draw(bits);
    return values;
}

/// Groups of 32 that try a rule's edges: centred, far from zero, one-sided, extremes of both signs
/// alike, one outlier, all equal, tiny.
std::vector<float> edge_groups() {
    std::vector<float> w;
    const auto append = [&](const std::vector<float>& more) {
        w.insert(w.end(), more.begin(), more.end());
    };
    for (unsigned seed = 0; seed < 40; ++seed) {
        const auto group = normal(32, seed);
        append(group);
        append(normal(32, seed, 10));
        append(normal(32, seed, -3, 0.01f));
        auto changed = group;
        for (float& v : changed) v = std::fabs(v);
        append(changed);
        changed = group;
        changed[0] = 4;
        changed[1] = -4;
        append(changed);
        changed[1] = 100;
        append(changed);
        append(std::vector<float>(32, group[0]));
        append(normal(32, seed, 0, 1e-3f));
    }
    return w;
}

/// The worst error that docs/maths.md allows to one weight of a group.
template <class S>
double allowed_error(double lowest, double highest, double scale, double minimum) {
    using mapping = typename S::mapping_type;
    const double n = S::max_code, half = std::exp2(S::bits - 1);
    const double largest = std::max(std::fabs(lowest), std::fabs(highest));
    const double arithmetic = std::exp2(-20) * largest;
    const double s = std::fabs(scale);
    if constexpr (std::is_same_v<mapping, quant::symmetric>) {
        return s + half * std::fabs(s - largest / half) + arithmetic;
    } else if constexpr (std::is_same_v<mapping, quant::midrise>) {
        return std::max(s, n * std::fabs(s - largest / n)) + arithmetic;
    } else if constexpr (std::is_same_v<mapping, quant::asymmetric>) {
        const double ideal = (std::max(highest, 0.0) - std::min(lowest, 0.0)) / n;
        return s / 2 + n * std::fabs(s - ideal) + arithmetic;
    } else {
        const double ideal = (highest - lowest) / n;
        const double missed = n * std::fabs(s - ideal) + std::fabs(minimum - lowest);
        return std::max(s / 2, missed) + arithmetic;
    }
}

template <int B, class Mapping, class Scale>
void check_weight_errors() {
    using S = quant::scheme<quant::int_code<B>, Mapping, quant::group_wise<32>, Scale>;
    const auto w = edge_groups();
    const auto q = quant::quantize<S>(matrix_view(w.data(), 1, w.size()));
    std::vector<float> back(w.size());
    quant::dequantize(q, matrix_view(back.data(), 1, back.size()));
    for (std::size_t g = 0; g < w.size() / 32; ++g) {
        const auto [lowest, highest] = std::minmax_element(
            w.begin() + 32 * static_cast<long>(g), w.begin() + 32 * static_cast<long>(g + 1));
        const double scale = static_cast<double>(static_cast<float>(q.scales()[g]));
        double minimum = 0;
        if constexpr (S::has_minimum) {
            minimum = static_cast<double>(static_cast<float>(q.offsets()[g]));
        }
        const double allowed = allowed_error<S>(static_cast<double>(*lowest),
                                                static_cast<double>(*highest), scale, minimum);
        for (std::size_t k = 32 * g; k < 32 * g + 32; ++k) {
            CAPTURE(B, g, k, w[k], back[k], scale, minimum, allowed);
            REQUIRE(std::fabs(static_cast<double>(back[k]) - static_cast<double>(w[k])) <= allowed);
        }
    }
}

template <class Mapping, class Scale>
void check_weight_errors_of_narrow_and_wide_codes() {
    check_weight_errors<1, Mapping, Scale>();
    check_weight_errors<4, Mapping, Scale>();
    check_weight_errors<8, Mapping, Scale>();
}

double relative_rmse(const std::vector<float>& approximate, const std::vector<double>& exact) {
    double error = 0, length = 0;
    for (std::size_t i = 0; i < exact.size(); ++i) {
        error += std::pow(static_cast<double>(approximate[i]) - exact[i], 2);
        length += exact[i] * exact[i];
    }
    return std::sqrt(error / length);
}

template <int B, class Mapping>
double weight_rmse() {
    using S = quant::scheme<quant::int_code<B>, Mapping, quant::group_wise<32>, quant::fp16>;
    static const auto w = normal(1 << 18, 1);
    const auto q = quant::quantize<S>(matrix_view(w.data(), 64, w.size() / 64));
    std::vector<float> back(w.size());
    quant::dequantize(q, matrix_view(back.data(), 64, w.size() / 64));
    return relative_rmse(back, std::vector<double>(w.begin(), w.end()));
}

template <int B>
void check_rmse_row(double symmetric, double midrise, double asymmetric, double asymmetric_min) {
    const auto near = [](double measured, double stated) {
        CAPTURE(B, measured, stated);
        CHECK(std::fabs(measured - stated) < 0.02 * stated);
    };
    near(weight_rmse<B, quant::symmetric>(), symmetric);
    near(weight_rmse<B, quant::midrise>(), midrise);
    near(weight_rmse<B, quant::asymmetric>(), asymmetric);
    near(weight_rmse<B, quant::asymmetric_min>(), asymmetric_min);
}

/// Multiply-adds of one output: one per step, two where there is a minimum.
template <class S, class A>
double multiply_adds(std::size_t cols) {
    const std::size_t group = S::group_size(cols);
    std::size_t step = std::min<std::size_t>(group, 65536), steps = 0;
    if constexpr (quant::is_integer_activation<A>) {
        if (A::group_cols != all) step = std::min(step, A::group_cols);
    }
    for (std::size_t c = 0; c < cols; c += group) {
        const std::size_t n = std::min(group, cols - c);
        steps += (n + step - 1) / step;
    }
    return static_cast<double>(steps) * (S::has_minimum ? 2 : 1);
}

template <class S, class A>
void check_product(std::size_t cols) {
    constexpr std::size_t rows = 5;
    const auto w = normal(rows * cols, 3, 0.2f), x = normal(cols, 4, -0.1f, 3);
    const auto q = quant::reference::quantize<S>(w, rows, cols);
    const auto packed = quant::quantize_packed<S>(matrix_view(w.data(), rows, cols));
    std::vector<float> y(rows);
    quant::matmul<A>(matrix_view(x.data(), 1, cols), packed, matrix_view(y.data(), 1, rows));
    const auto row = quant::reference::quantize_activations<A>(x.data(), cols);
    const double u = std::exp2(-24);

    double multiplications = multiply_adds<S, A>(cols) + 3, low_half = 0;
    if constexpr (!quant::is_integer_activation<A>) {
        multiplications += static_cast<double>(S::group_size(cols)) - 1;
    } else if constexpr (A::halves == 2) {
        multiplications += 1;
        low_half = 256;
    }
    const double gamma = multiplications * u / (1 - multiplications * u);

    for (std::size_t r = 0; r < rows; ++r) {
        double quantized = 0, magnitude = 0, exact = 0, representation = 0;
        for (std::size_t k = 0; k < cols; ++k) {
            const std::size_t g = q.group_index(r, k);
            int z = 0;
            double minimum = 0;
            if constexpr (S::has_zero_point) z = q.offsets[g];
            if constexpr (S::has_minimum) {
                minimum = static_cast<double>(static_cast<float>(q.offsets[g]));
            }
            const double st = static_cast<double>(static_cast<float>(q.scales[g])) *
                              quant::reference::level<S>(q.codes[r * cols + k], z);
            const double weight = st + minimum;
            const double x_scale = static_cast<double>(row.scales[k]);
            const double activation = x_scale * static_cast<double>(row.values[k]);
            const double w_error = weight - static_cast<double>(w[r * cols + k]);
            const double x_error = activation - static_cast<double>(x[k]);
            quantized += weight * activation;
            exact += static_cast<double>(w[r * cols + k]) * static_cast<double>(x[k]);
            magnitude +=
                (std::fabs(st) + std::fabs(minimum)) * (std::fabs(activation) + low_half * x_scale);
            representation += std::fabs(w_error) * std::fabs(activation) +
                              std::fabs(static_cast<double>(w[r * cols + k])) * std::fabs(x_error);
        }
        CAPTURE(cols, r, y[r], quantized, exact, gamma * magnitude);
        CHECK(std::fabs(static_cast<double>(y[r]) - quantized) <= gamma * magnitude);
        CHECK(std::fabs(static_cast<double>(y[r]) - exact) <= representation + gamma * magnitude);
    }
}

template <class A, int B, class Mapping, class Granularity>
void check_products() {
    using S = quant::scheme<quant::int_code<B>, Mapping, Granularity, quant::fp16>;
    for (const std::size_t cols : {std::size_t{1}, std::size_t{33}, std::size_t{4096}}) {
        check_product<S, A>(cols);
    }
}

template <class A>
double product_rmse() {
    using S = quant::scheme<quant::int4, quant::symmetric, quant::group_wise<32>, quant::fp16>;
    constexpr std::size_t tokens = 16, rows = 256, cols = 2048;
    static const auto w = normal(rows * cols, 5), x = normal(tokens * cols, 6);
    static const std::vector<double> exact = [] {
        std::vector<double> products(tokens * rows);
        for (std::size_t i = 0; i < products.size(); ++i) {
            for (std::size_t k = 0; k < cols; ++k) {
                products[i] += static_cast<double>(x[i / rows * cols + k]) *
                               static_cast<double>(w[i % rows * cols + k]);
            }
        }
        return products;
    }();
    std::vector<float> y(tokens * rows);
    quant::matmul<A>(matrix_view(x.data(), tokens, cols),
                     quant::quantize_packed<S>(matrix_view(w.data(), rows, cols)),
                     matrix_view(y.data(), tokens, rows));
    return relative_rmse(y, exact);
}

} // namespace

TEMPLATE_TEST_CASE("no weight is farther from its level than the bound", "[docs]", float,
                   quant::fp16, quant::bf16) {
    check_weight_errors_of_narrow_and_wide_codes<quant::symmetric, TestType>();
    check_weight_errors_of_narrow_and_wide_codes<quant::midrise, TestType>();
    check_weight_errors_of_narrow_and_wide_codes<quant::asymmetric, TestType>();
    check_weight_errors_of_narrow_and_wide_codes<quant::asymmetric_min, TestType>();
}

TEST_CASE("the errors of normal weights are those of the table", "[docs]") {
    check_rmse_row<1>(0.792, 1.709, 0.956, 1.401);
    check_rmse_row<2>(0.362, 0.455, 0.406, 0.393);
    check_rmse_row<3>(0.174, 0.194, 0.173, 0.168);
    check_rmse_row<4>(0.0859, 0.0906, 0.0808, 0.0782);
    check_rmse_row<5>(0.0427, 0.0438, 0.0391, 0.0379);
    check_rmse_row<6>(0.0213, 0.0216, 0.0192, 0.0186);
    check_rmse_row<7>(0.0106, 0.0107, 0.0095, 0.0092);
    check_rmse_row<8>(0.0053, 0.0053, 0.0048, 0.0046);
}

TEMPLATE_TEST_CASE("products stay within the bound", "[docs]",
                   activations::int8<quant::group_wise<32>>, activations::int8<quant::per_token>,
                   activations::int16, activations::bf16, activations::fp32) {
    check_products<TestType, 4, quant::symmetric, quant::group_wise<32>>();
    check_products<TestType, 5, quant::asymmetric_min, quant::group_wise<64>>();
}

TEST_CASE("products with whole rows, zero points and odd levels stay within the bound", "[docs]") {
    using per_token = activations::int8<quant::per_token>;
    check_products<per_token, 8, quant::symmetric, quant::per_channel>();
    check_products<per_token, 6, quant::asymmetric, quant::group_wise<32>>();
    check_products<activations::int16, 3, quant::midrise, quant::per_tensor>();
}

TEST_CASE("the errors of products are those of the table", "[docs]") {
    const auto near = [](double measured, double stated) {
        CAPTURE(measured, stated);
        CHECK(std::fabs(measured - stated) < 0.03 * stated);
    };
    near(product_rmse<activations::fp32>(), 0.086);
    near(product_rmse<activations::int16>(), 0.086);
    near(product_rmse<activations::bf16>(), 0.086);
    near(product_rmse<activations::int8<quant::group_wise<32>>>(), 0.086);
    near(product_rmse<activations::int8<quant::per_token>>(), 0.087);
}
