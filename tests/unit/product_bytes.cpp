// Products have the same bits wherever multiply-add is fused, whatever compiler, optimization,
// number of threads and of tokens in a call: every build must find the hashes written here.
#include "bytes_cases.hpp"

#include <algorithm>
#include <cstring>

using namespace quant;

namespace {

template <class Scheme, class Activations, std::uint64_t Hash>
struct hashed_product {
    using scheme = Scheme;
    using activations = Activations;
    static constexpr std::uint64_t hash = Hash;
};

/// What integers and floats pass through: groups, rows, offsets, tables, two levels of scales.
using products =
    std::tuple<hashed_product<scheme<int4, symmetric, group_wise<32>, fp16>,
                              activations::int8<per_token>, 0x1b7773596a766440>,
               hashed_product<scheme<int8, symmetric, per_channel, float>,
                              activations::int8<per_token>, 0xeeea60c82bfa07f8>,
               hashed_product<scheme<int3, asymmetric_min, group_wise<32>, fp16>,
                              activations::int8<group_wise<32>>, 0xbcd6304325d1bde9>,
               hashed_product<scheme<int5, asymmetric, group_wise<20>, bf16>, activations::int16,
                              0x67345efad8db4a87>,
               hashed_product<presets::q4_k, activations::int8<group_wise<32>>, 0x4658d78a72db5fce>,
               hashed_product<scheme<nf4, symmetric, group_wise<64>, float>, activations::fp32,
                              0x22f8e330c413e11c>>;

constexpr std::size_t rows = 83, cols = 333, tokens = 9;

/// Of the floats' bits, the lower bytes first on any host.
std::uint64_t hash_of(const std::vector<float>& y) {
    std::vector<std::byte> bytes;
    for (const float value : y) {
        std::uint32_t bits;
        std::memcpy(&bits, &value, sizeof bits);
        for (unsigned shift = 0; shift < 32; shift += 8) {
            bytes.push_back(static_cast<std::byte>((bits >> shift) & 255u));
        }
    }
    return cases::hash(bytes);
}

/// Of all tokens' products, `together` of them in each call.
template <class A, class S, class Executor>
std::uint64_t product_hash(const packed_matrix<S>& w, std::size_t together, Executor& executor) {
    const auto x = cases::numbers(7).vector(tokens * cols);
    std::vector<float> y(tokens * rows);
    for (std::size_t t = 0; t < tokens; t += together) {
        const std::size_t count = std::min(together, tokens - t);
        matmul<A>(matrix_view<const float>{x.data() + t * cols, count, cols}, w,
                  matrix_view<float>{y.data() + t * rows, count, rows}, executor);
    }
    return hash_of(y);
}

} // namespace

TEMPLATE_LIST_TEST_CASE("products are the same everywhere", "[bytes][matmul]", products) {
    if (!isa::current::fused_multiply_add) SKIP("multiply-add rounds twice here");
    using S = typename TestType::scheme;
    const auto w = cases::numbers(42).vector(rows * cols);
    const auto packed = quantize_packed<S>(matrix_view<const float>{w.data(), rows, cols});
    for (const std::size_t threads : {1u, 3u}) {
        thread_pool pool(threads);
        for (const std::size_t together : {1u, 2u, 5u, 7u, 9u}) {
            CAPTURE(to_string(describe<S>()), threads, together);
            CHECK(product_hash<typename TestType::activations>(packed, together, pool) ==
                  TestType::hash);
        }
    }
}
