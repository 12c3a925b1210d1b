// Layers of other quantizers, and the weights that tests/golden/make_checkpoints.py worked out.
#pragma once

#include <quant/io/safetensors.hpp>

#include <catch2/catch_test_macros.hpp>

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace checkpoint_test {

namespace st = quant::safetensors;
using quant::errc;

using quant::asymmetric;
using quant::fp16;
using quant::group_wise;
using quant::int_code;
using quant::scheme;
using quant::symmetric;

template <int B, std::size_t G = 16, class Scale = fp16>
using zeros = scheme<int_code<B>, asymmetric, group_wise<G>, Scale>;
template <int B, class Scale = fp16>
using middle = scheme<int_code<B>, symmetric, group_wise<16>, Scale>;
using quant::bf16;

inline const st::file& checkpoints() {
    static const st::file opened = st::file::open(QUANT_GOLDEN_DATA "/checkpoints.safetensors");
    return opened;
}

template <class S>
float weight_of(const quant::quantized_matrix<S>& w, std::size_t n, std::size_t k) {
    const std::size_t g = w.first_group(n) + k / S::group_size(w.cols());
    const auto scale = static_cast<double>(static_cast<float>(w.scales()[g]));
    double step = S::step(w.codes()[n * w.cols() + k]);
    if constexpr (S::has_zero_point) step -= w.offsets()[g];
    double weight = scale * static_cast<double>(S::unit) * step;
    if constexpr (S::has_minimum) weight += static_cast<double>(w.offsets()[g]);
    return static_cast<float>(weight);
}

/// Every weight is the expected one, bit for bit (0 and −0 are the same).
template <class S>
void check_same(const char* name, const quant::result<st::imported_matrix<S>>& imported,
                bool permuted = false) {
    INFO(name);
    if (!imported) FAIL(imported.failure().what());
    const auto& w = imported->weights;
    CHECK(w.validate().has_value());
    const auto* const expected = checkpoints().find(std::string(name) + ".expected");
    REQUIRE(expected != nullptr);
    REQUIRE((w.rows() == expected->rows() && w.cols() == expected->cols()));
    std::vector<float> floats(expected->elements());
    expected->copy<float>(floats);
    const auto order = imported->permutation();
    REQUIRE(order.size() == (permuted ? w.cols() : 0u));
    std::size_t different = 0;
    for (std::size_t n = 0; n < w.rows(); ++n) {
        for (std::size_t j = 0; j < w.cols(); ++j) {
            const std::size_t k = permuted ? order[j] : j;
            if (weight_of(w, n, j) != floats[n * w.cols() + k]) ++different;
        }
    }
    CHECK(different == 0);
}

template <class R>
void check_refused(const R& answer, errc code, std::string_view where, std::string_view part) {
    REQUIRE_FALSE(answer.has_value());
    INFO(answer.failure().what());
    CHECK(answer.failure().code() == code);
    CHECK(answer.failure().where() == where);
    CHECK(std::string_view(answer.failure().message()).find(part) != std::string_view::npos);
}

} // namespace checkpoint_test
