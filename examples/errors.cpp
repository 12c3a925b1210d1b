// What can go wrong, twice: as a value from the try_ form, and as an exception from the plain name.
#include <quant/quant.hpp>

#include <cmath>
#include <cstdio>
#include <utility>
#include <vector>

using w4 = quant::scheme<quant::int4, quant::symmetric, quant::group_wise<32>, quant::fp16>;

// The try_ forms throw nothing and exist without exceptions too.
static bool without_exceptions(quant::matrix_view<const float> weights) {
    auto packed = quant::try_quantize_packed<w4>(weights);
    if (packed) {
        const quant::packed_matrix<w4> w = *std::move(packed); // a result is moved out of
        return w.rows() == weights.rows();
    }
    const quant::error& why = packed.failure();
    std::printf("code %s, at \"%.*s\": %s\n", quant::to_string(why.code()),
                static_cast<int>(why.where().size()), why.where().data(), why.message());
    return why.code() == quant::errc::non_finite;
}

// The plain names return the value, or throw the same quant::error.
static bool with_exceptions(quant::matrix_view<const float> weights) {
    try {
        const auto w = quant::quantize_packed<w4>(weights);
        std::vector<float> x(weights.cols() + 1), y(weights.rows());
        quant::matmul(quant::matrix_view(x.data(), 1, x.size()), w,
                      quant::matrix_view(y.data(), 1, y.size()));
    } catch (const quant::error& why) {
        std::printf("thrown: %s\n", why.what());
        return why.code() == quant::errc::shape_mismatch;
    }
    return false;
}

int main() {
    std::vector<float> weights(4 * 64, 0.25f);
    const quant::matrix_view<const float> view(weights.data(), 4, 64);
    bool as_expected = without_exceptions(view) && with_exceptions(view);
    weights[2 * 64 + 7] = std::nanf("");
    as_expected = without_exceptions(view) && as_expected;
    return as_expected ? 0 : 1;
}
