// Quantized and packed bytes do not depend on compiler, instruction set, optimization or threads:
// every build of this test must find the hashes written here.
#include "scheme_cases.hpp"

using namespace quant;

namespace {

std::uint64_t hash(std::span<const std::byte> bytes) { // FNV-1a
    std::uint64_t h = 14695981039346656037u;
    for (const std::byte b : bytes) h = (h ^ static_cast<std::uint64_t>(b)) * 1099511628211u;
    return h;
}

template <class S>
std::uint64_t packed_hash(std::size_t threads, const quantize_options& options = {}) {
    constexpr std::size_t rows = 83, cols = 333;
    const auto w = cases::numbers(42).vector(rows * cols);
    thread_pool pool(threads);
    return hash(
        quantize_packed<S>(matrix_view<const float>{w.data(), rows, cols}, options, pool).bytes());
}

/// As packed_hash, with scales of least squared error: weighted, which is searched in floats, or
/// not, in fixed point.
template <class S>
std::uint64_t searched_hash(std::size_t threads, bool weighted) {
    auto importance = cases::numbers(43).vector(333);
    for (float& factor : importance) factor *= factor;
    quantize_options options;
    options.range = range_estimator::mse;
    if (weighted) options.importance = importance;
    return packed_hash<S>(threads, options);
}

template <class S, std::uint64_t Expected>
struct hashed {
    using scheme = S;
    static constexpr std::uint64_t expected = Expected;
};

using hashes =
    std::tuple<hashed<scheme<int4, symmetric, group_wise<32>, fp16>, 0xffef610b218e9af>,
               hashed<scheme<int8, symmetric, per_channel, float>, 0x350986533a12ae47>,
               hashed<scheme<int3, asymmetric_min, group_wise<32>, fp16>, 0xe2d7112b8118835e>,
               hashed<scheme<int5, asymmetric, group_wise<20>, bf16>, 0x6aae957f1abfcf38>,
               hashed<scheme<int2, midrise, block_wise<4, 24>, float>, 0x8535ceef766477b1>,
               hashed<scheme<int7, asymmetric_min, per_tensor, float>, 0xd45263b77e3c9dc8>>;

template <class S, std::uint64_t Weighted, std::uint64_t Unweighted>
struct searched {
    using scheme = S;
    static constexpr std::uint64_t weighted = Weighted, unweighted = Unweighted;
};

/// Every kind of search: groups in lanes and long ones; levels by arithmetic, by table, of small
/// floating-point numbers; with offsets and without; two levels.
using searched_hashes = std::tuple<
    searched<scheme<int3, asymmetric, group_wise<20>, bf16>, 0xa1576d354f8a9163,
             0x7019d070583735f6>,
    searched<scheme<int2, asymmetric_min, per_channel, float>, 0x39937adce9921d0d,
             0x6ad1e980d44ce42e>,
    searched<scheme<binary, midrise, group_wise<32>, fp16>, 0xf6aefe41ad927338, 0x5ef583377c106d27>,
    searched<presets::nvfp4, 0x728796271e4f4b1e, 0xf5efdaf197b8c765>,
    searched<presets::q4_k, 0xff01156e2b4c6c8d, 0x13f8f3a547acece3>,
    searched<presets::best_2_7, 0x6a8e602558823f0b, 0x35870e152fa209fa>,
    searched<presets::best_6_5, 0xb2ea1b71fab42101, 0x5af3fbfeea3ed4a6>>;

} // namespace

TEMPLATE_LIST_TEST_CASE("packed bytes are the same everywhere", "[bytes]", hashes) {
    for (const std::size_t threads : {1u, 2u, 7u}) {
        CHECK(packed_hash<typename TestType::scheme>(threads) == TestType::expected);
    }
}

TEMPLATE_LIST_TEST_CASE("what a search finds is the same everywhere", "[bytes]", searched_hashes) {
    for (const std::size_t threads : {1u, 2u, 7u}) {
        CHECK(searched_hash<typename TestType::scheme>(threads, true) == TestType::weighted);
        CHECK(searched_hash<typename TestType::scheme>(threads, false) == TestType::unweighted);
    }
}
