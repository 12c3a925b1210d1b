// What the tests of gguf::load share: files of random blocks that can be loaded, and the numbers
// that they hold.
#pragma once

#include "gguf_image.hpp"

#include <quant/pack/dequantize_packed.hpp>

#include <catch2/catch_test_macros.hpp>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <random>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace gguf_test {

namespace gguf = quant::gguf;
namespace presets = quant::presets;

using bytes = std::vector<std::byte>;

/// A file with one tensor, or with two of the same width below each other.
struct part {
    type which;
    std::size_t rows;
    bytes blocks;
};
class tensors_of {
public:
    tensors_of(std::size_t cols, const std::vector<part>& parts) {
        image_.header(parts.size(), 0);
        std::size_t offset = 0;
        for (std::size_t i = 0; i < parts.size(); ++i) {
            image_.tensor("blk." + std::to_string(i) + ".weight", {cols, parts[i].rows},
                          parts[i].which, offset);
            offset += (parts[i].blocks.size() + 31) / 32 * 32;
        }
        for (const part& each : parts) {
            image_.align();
            image_.raw({reinterpret_cast<const char*>(each.blocks.data()), each.blocks.size()});
        }
        image_.align();
        auto parsed = gguf::file::try_parse(image_.bytes());
        if (!parsed) FAIL(parsed.failure().what());
        file_.emplace(*std::move(parsed));
    }
    tensors_of(type which, std::size_t rows, std::size_t cols, bytes blocks)
        : tensors_of(cols, {{which, rows, std::move(blocks)}}) {}

    [[nodiscard]] std::span<const gguf::tensor> all() const { return file_->tensors(); }
    [[nodiscard]] const gguf::tensor& one() const { return file_->tensors().front(); }

private:
    image image_;
    std::optional<gguf::file> file_;
};

inline std::vector<float> decoded(std::span<const gguf::tensor> tensors) {
    std::vector<float> all;
    for (const gguf::tensor& each : tensors) {
        std::vector<float> values(each.elements());
        REQUIRE(gguf::try_dequantize(each.type(), each.data(), values).has_value());
        all.insert(all.end(), values.begin(), values.end());
    }
    return all;
}

template <quant::quantization_scheme S>
std::vector<float> values_of(const quant::packed_matrix<S>& packed) {
    std::vector<float> values(packed.rows() * packed.cols());
    const quant::matrix_view view(values.data(), packed.rows(), packed.cols());
    REQUIRE(quant::try_dequantize(packed, view).has_value());
    return values;
}

/// Numbers whose bits differ, NaN apart, which neither may hold.
inline std::size_t differences(const std::vector<float>& a, const std::vector<float>& b) {
    REQUIRE(a.size() == b.size());
    std::size_t count = 0;
    for (std::size_t i = 0; i < a.size(); ++i) {
        count += quant::core_detail::bit_cast<std::uint32_t>(a[i]) !=
                 quant::core_detail::bit_cast<std::uint32_t>(b[i]);
    }
    return count;
}

inline bytes random_block(type which, std::mt19937& random) {
    bytes block(*gguf::try_block_bytes(which));
    for (std::byte& each : block) each = static_cast<std::byte>(random() & 255u);
    return block;
}

/// What a block must be to be loaded: finite numbers, and no code 3 in tq2_0.
inline bool loads(type which, std::span<const std::byte> block) {
    std::vector<float> values(*gguf::try_block_size(which));
    REQUIRE(gguf::try_dequantize(which, block, values).has_value());
    if (which == type::tq2_0) {
        for (std::size_t i = 0; i < 64; ++i) {
            const auto four = std::to_integer<unsigned>(block[i]);
            if ((four & four >> 1 & 0x55u) != 0) return false;
        }
    }
    return std::all_of(values.begin(), values.end(),
                       [](float value) { return std::isfinite(value); });
}

inline bytes loadable_blocks(type which, std::size_t count, std::mt19937& random) {
    bytes all;
    while (count > 0) {
        bytes block = random_block(which, random);
        for (std::size_t i = 0; which == type::tq2_0 && i < 64; ++i) {
            const auto four = std::to_integer<unsigned>(block[i]);
            block[i] = static_cast<std::byte>(four & ~(four & four >> 1 & 0x55u));
        }
        if (!loads(which, block)) continue;
        all.insert(all.end(), block.begin(), block.end());
        --count;
    }
    return all;
}

inline void put16(std::byte* at, unsigned bits) {
    at[0] = static_cast<std::byte>(bits & 255u);
    at[1] = static_cast<std::byte>(bits >> 8);
}

inline void check_failure(const quant::error& failure, errc code, std::string_view where,
                          std::string_view message) {
    CHECK(failure.code() == code);
    CHECK(failure.where() == where);
    CHECK(std::string_view(failure.message()) == message);
}
template <class R>
void check_error(const R& answer, errc code, std::string_view where, std::string_view message) {
    REQUIRE_FALSE(answer.has_value());
    check_failure(answer.failure(), code, where, message);
}

/// Where errors about the first tensor are.
inline constexpr std::string_view first = "gguf::load: blk.0.weight";

} // namespace gguf_test
