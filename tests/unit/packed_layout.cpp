// Packed bytes are those of docs/layout.md, version 1: files outlive the code. What is expected is
// written here from that page alone, bit by bit, without the library's own arithmetic.
#include "sample.hpp"

#include <quant/pack/pack.hpp>

#include <catch2/catch_template_test_macros.hpp>
#include <catch2/catch_test_macros.hpp>

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string_view>
#include <tuple>
#include <type_traits>
#include <utility>
#include <vector>

using namespace quant;

namespace {

/// A format in the page's terms. Scales and offsets are given as the integers that their bytes are.
struct format {
    std::size_t bits;            // B
    std::uint8_t mapping, scale; // the header's numbers
    std::size_t scale_bytes;     // σ
    std::size_t offset_bytes;    // ω
    std::size_t group_rows;      // 0: all
    std::size_t group_cols;      // N; 0: whole rows
};

struct contents {
    std::size_t rows, cols;
    std::vector<std::uint8_t> codes;
    std::vector<std::uint32_t> scales, offsets; // one per block of rows and group
};

std::size_t up(std::size_t a, std::size_t b) { return (a + b - 1) / b * b; }

void put(std::vector<std::uint8_t>& bytes, std::size_t at, std::uint64_t value, std::size_t size) {
    for (std::size_t i = 0; i < size; ++i) {
        bytes.at(at + i) = static_cast<std::uint8_t>(value >> (8 * i) & 0xFF);
    }
}

/// Planes of a code, largest first.
std::vector<std::size_t> planes_of(std::size_t bits) {
    switch (bits) {
    case 1: return {1};
    case 2: return {2};
    case 3: return {2, 1};
    case 4: return {4};
    case 5: return {4, 1};
    case 6: return {4, 2};
    case 7: return {4, 2, 1};
    default: return {8};
    }
}

/// Writes a code to its superblock, which begins at `at`; k is the column within it.
void put_code(std::vector<std::uint8_t>& bytes, std::size_t at, std::size_t bits, std::size_t lane,
              std::size_t k, std::uint8_t code) {
    const std::size_t s = k / 4;
    const std::size_t byte_lane = 4 * lane + k % 4;
    std::size_t e = 0;
    for (const std::size_t p : planes_of(bits)) {
        const std::size_t part =
            (static_cast<std::size_t>(code) >> e) & ((std::size_t{1} << p) - 1);
        const std::size_t byte = at + 64 * e + 64 * (s / (8 / p)) + byte_lane;
        bytes.at(byte) = static_cast<std::uint8_t>(bytes.at(byte) | part << (p * (s % (8 / p))));
        e += p;
    }
}

std::vector<std::uint8_t> pack_by_the_page(const format& f, const contents& m) {
    const bool whole_rows = f.group_cols == 0;
    const std::size_t n = whole_rows ? m.cols : f.group_cols;
    const std::size_t padded = up(n, 16);
    const std::size_t groups = (m.cols + n - 1) / n;
    const std::size_t per_lane = f.scale_bytes + f.offset_bytes;
    std::size_t c = 1;
    while (!whole_rows && (c * padded % 32 != 0 || c * 16 * per_lane % 64 != 0)) ++c;
    const std::size_t header = up(c * 16 * per_lane, 64);
    const std::size_t superblock = 64 * f.bits;
    const std::size_t chunk = header + (whole_rows ? 0 : c * padded / 32 * superblock);
    const std::size_t last = m.cols - (groups - 1) * n;
    const std::size_t superblocks = ((groups - 1) * padded + up(last, 16) + 31) / 32;
    const std::size_t panel_bytes = (groups + c - 1) / c * header + superblocks * superblock;
    const std::size_t panels = (m.rows + 15) / 16;

    std::vector<std::uint8_t> bytes(64 + panels * panel_bytes, 0);
    std::memcpy(bytes.data(), "quantpkd", 8);
    put(bytes, 8, 1, 4);
    put(bytes, 12, 64, 4);
    put(bytes, 16, 1, 1);
    put(bytes, 17, f.bits, 1);
    put(bytes, 18, f.mapping, 1);
    put(bytes, 19, f.scale, 1);
    put(bytes, 24, f.group_rows, 4);
    put(bytes, 28, f.group_cols, 4);
    put(bytes, 32, m.rows, 8);
    put(bytes, 40, m.cols, 8);
    put(bytes, 48, panel_bytes, 8);

    for (std::size_t row = 0; row < m.rows; ++row) {
        const std::size_t panel = 64 + row / 16 * panel_bytes;
        const std::size_t lane = row % 16;
        const std::size_t scale_row = f.group_rows == 0 ? 0 : row / f.group_rows;
        for (std::size_t g = 0; g < groups; ++g) {
            const std::size_t start = panel + g / c * chunk;
            const std::size_t place = g % c * 16 + lane;
            put(bytes, start + place * f.scale_bytes, m.scales[scale_row * groups + g],
                f.scale_bytes);
            if (f.offset_bytes != 0) {
                put(bytes, start + c * 16 * f.scale_bytes + place * f.offset_bytes,
                    m.offsets[scale_row * groups + g], f.offset_bytes);
            }
            for (std::size_t k = g * n; k < m.cols && k < (g + 1) * n; ++k) {
                const std::size_t column = g % c * padded + (k - g * n); // within the chunk
                put_code(bytes, start + header + column / 32 * superblock, f.bits, lane,
                         column % 32, m.codes[row * m.cols + k]);
            }
        }
    }
    return bytes;
}

template <class S>
format format_of() {
    using scale_type = typename S::scale_type;
    format f{};
    f.bits = static_cast<std::size_t>(S::bits);
    f.mapping = std::is_same_v<typename S::mapping_type, symmetric>    ? 1
                : std::is_same_v<typename S::mapping_type, midrise>    ? 2
                : std::is_same_v<typename S::mapping_type, asymmetric> ? 3
                                                                       : 4;
    f.scale = std::is_same_v<scale_type, float> ? 1 : std::is_same_v<scale_type, fp16> ? 2 : 3;
    f.scale_bytes = f.scale == 1 ? 4 : 2;
    f.offset_bytes = f.mapping == 3 ? 1 : f.mapping == 4 ? f.scale_bytes : 0;
    f.group_rows = S::granularity_type::rows;
    f.group_cols = S::granularity_type::cols;
    return f;
}

template <class T>
T number(std::uint32_t bits) {
    if constexpr (std::is_same_v<T, float>) {
        return quant::core_detail::bit_cast<float>(bits);
    } else if constexpr (std::is_same_v<T, std::uint8_t>) {
        return static_cast<std::uint8_t>(bits);
    } else {
        return T::from_bits(static_cast<std::uint16_t>(bits));
    }
}

/// Codes and scales without a pattern, or, to show what is padding, with all bits that may be set.
contents some_contents(const format& f, std::size_t rows, std::size_t cols, bool all_ones) {
    const std::size_t n = f.group_cols == 0 ? cols : f.group_cols;
    const std::size_t scale_rows = f.group_rows == 0 ? 1 : (rows + f.group_rows - 1) / f.group_rows;
    const std::size_t count = scale_rows * ((cols + n - 1) / n);
    contents m{rows, cols, std::vector<std::uint8_t>(rows * cols),
               std::vector<std::uint32_t>(count), std::vector<std::uint32_t>(count)};
    std::uint32_t state = static_cast<std::uint32_t>(rows * 131 + cols);
    const auto next = [&] { return (state = state * 1664525u + 1013904223u) >> 8; };
    const std::uint32_t last_code = (1u << f.bits) - 1;
    // Positive or negative, finite in every type.
    const std::uint32_t finite = f.scale == 1 ? 0xBF7FFFFFu : f.scale == 2 ? 0xBBFFu : 0xBF7Fu;
    for (auto& code : m.codes) {
        code = static_cast<std::uint8_t>(all_ones ? last_code : next() & last_code);
    }
    for (auto& bits : m.scales) bits = all_ones ? finite : (next() << 9 ^ next()) & finite;
    for (auto& bits : m.offsets) {
        const std::uint32_t mask = f.offset_bytes == 1 ? last_code : finite;
        bits = all_ones ? mask : (next() << 9 ^ next()) & mask;
    }
    return m;
}

template <class S>
std::size_t different_bytes(std::size_t rows, std::size_t cols, bool all_ones) {
    const format f = format_of<S>();
    const contents m = some_contents(f, rows, cols, all_ones);
    std::vector<typename S::scale_type> scales;
    std::vector<typename S::offset_type> offsets;
    for (const auto bits : m.scales) scales.push_back(number<typename S::scale_type>(bits));
    if (f.offset_bytes != 0) {
        for (const auto bits : m.offsets) offsets.push_back(number<typename S::offset_type>(bits));
    }
    const quantized_matrix<S> q(rows, cols, m.codes, scales, offsets);
    const auto packed = pack(q);
    CHECK(unpack(packed) == q);
    const std::vector<std::uint8_t> expected = pack_by_the_page(f, m);
    REQUIRE(packed.bytes().size() == expected.size());
    CHECK(packed_size<S>(rows, cols) == expected.size());
    std::size_t different = 0;
    for (std::size_t i = 0; i < expected.size(); ++i) {
        if (packed.bytes()[i] != static_cast<std::byte>(expected[i])) ++different;
    }
    return different;
}

/// Codes of 1 to 8 bits.
template <class Mapping, class Granularity, class Scale>
using one_to_eight =
    std::tuple<scheme<binary, Mapping, Granularity, Scale>,
               scheme<int2, Mapping, Granularity, Scale>, scheme<int3, Mapping, Granularity, Scale>,
               scheme<int4, Mapping, Granularity, Scale>, scheme<int5, Mapping, Granularity, Scale>,
               scheme<int6, Mapping, Granularity, Scale>, scheme<int7, Mapping, Granularity, Scale>,
               scheme<int8, Mapping, Granularity, Scale>>;

using with_minimums = std::tuple<scheme<int3, asymmetric_min, group_wise<16>, fp16>,
                                 scheme<int6, asymmetric_min, group_wise<48>, bf16>,
                                 scheme<int4, asymmetric_min, group_wise<128>, float>>;
using of_whole_rows = std::tuple<
    scheme<int8, symmetric, per_channel, float>, scheme<int2, midrise, per_channel, bf16>,
    scheme<int7, asymmetric, per_channel, fp16>, scheme<int5, asymmetric_min, per_tensor, fp16>>;
using shared_by_rows = std::tuple<scheme<binary, midrise, block_wise<4, 24>, fp16>,
                                  scheme<int4, asymmetric, block_wise<3, 100>, bf16>,
                                  scheme<int8, symmetric, per_tensor, bf16>>;

using symmetric_codes = cases::sample_if_sanitized<one_to_eight<symmetric, group_wise<32>, fp16>>;
using asymmetric_codes = cases::sample_if_sanitized<one_to_eight<asymmetric, group_wise<5>, float>>;

template <class S>
void check() {
    CAPTURE(to_string(describe<S>()));
    // The page's 17 × 37; one element; whole panels and groups; a last chunk that is not full.
    const std::pair<std::size_t, std::size_t> shapes[] = {
        {17, 37}, {1, 1}, {16, 64}, {33, 130}, {15, 321}};
    for (const auto& [rows, cols] : shapes) {
        CAPTURE(rows, cols);
        CHECK(different_bytes<S>(rows, cols, false) == 0);
        CHECK(different_bytes<S>(rows, cols, true) == 0);
    }
}

} // namespace

TEST_CASE("the page's example, byte by byte", "[packed][layout]") {
    using w4 = scheme<int4, symmetric, group_wise<32>, fp16>;
    // 17 × 37: code (r + k) mod 16, scale r/8 in group 0 and 64 + r in group 1.
    std::vector<std::uint8_t> codes;
    std::vector<fp16> scales;
    for (std::size_t r = 0; r < 17; ++r) {
        for (std::size_t k = 0; k < 37; ++k)
            codes.push_back(static_cast<std::uint8_t>((r + k) % 16));
        scales.push_back(fp16(static_cast<float>(r) / 8));
        scales.push_back(fp16(64 + static_cast<float>(r)));
    }
    const auto packed = pack(quantized_matrix<w4>(17, 37, codes, scales));
    const auto bytes = packed.bytes();
    const auto at = [&](std::size_t i) { return std::to_integer<unsigned>(bytes[i]); };
    REQUIRE(bytes.size() == 64 + 2 * 576);
    const unsigned char header[64] = {
        'q', 'u', 'a', 'n', 't', 'p', 'k', 'd', 1, 0, 0,  0, 64, 0, 0, 0, 1, 4, 1,  2, 0, 0,
        0,   0,   1,   0,   0,   0,   32,  0,   0, 0, 17, 0, 0,  0, 0, 0, 0, 0, 37, 0, 0, 0,
        0,   0,   0,   0,   64,  2,   0,   0,   0, 0, 0,  0, 0,  0, 0, 0, 0, 0, 0,  0};
    CHECK(std::memcmp(bytes.data(), header, 64) == 0);
    const std::size_t first = 64, second = 64 + 576;
    // Scales: row 1 of group 0 is 0.125 = 0x3000, row 15 of group 1 is 79 = 0x54F0.
    CHECK((at(first + 2) == 0x00 && at(first + 3) == 0x30));
    CHECK((at(first + 32 + 30) == 0xF0 && at(first + 32 + 31) == 0x54));
    // Codes of group 0, line of quads (0, 1): row 0, columns 0 … 3 low, 4 … 7 high.
    CHECK((at(first + 64) == 0x40 && at(first + 65) == 0x51 && at(first + 66) == 0x62 &&
           at(first + 67) == 0x73));
    // Row 15, columns 0 and 4: codes 15 and 3.
    CHECK(at(first + 64 + 60) == 0x3F);
    // Quads (6, 7) in the fourth line: row 2, columns 25 and 29, codes 27 mod 16 and 31 mod 16.
    CHECK(at(first + 64 + 3 * 64 + 4 * 2 + 1) == 0xFB);
    // Group 1 has columns 32 … 36: row 3, columns 32 and 36, codes 35 mod 16 and 39 mod 16.
    CHECK(at(first + 320 + 4 * 3) == 0x73);
    // Columns beyond the last are zero.
    CHECK(at(first + 320 + 4 * 3 + 1) == 0x04);
    for (std::size_t i = first + 320 + 64; i < second; ++i) CHECK(at(i) == 0);
    // Row 16 is lane 0 of the second panel, the other lanes are zero: scale 2 = 0x4000.
    CHECK((at(second) == 0x00 && at(second + 1) == 0x40 && at(second + 2) == 0));
    CHECK((at(second + 64) == 0x40 && at(second + 68) == 0));
}

TEMPLATE_LIST_TEST_CASE("symmetric codes in groups of 32 with fp16 scales, 1 to 8 bits",
                        "[packed][layout]", symmetric_codes) {
    check<TestType>();
}

TEMPLATE_LIST_TEST_CASE("asymmetric codes in groups of 5 with float scales, 1 to 8 bits",
                        "[packed][layout]", asymmetric_codes) {
    check<TestType>();
}

TEMPLATE_LIST_TEST_CASE("minimums follow the scales of their chunk", "[packed][layout]",
                        cases::sample_if_sanitized<with_minimums>) {
    check<TestType>();
}

TEMPLATE_LIST_TEST_CASE("whole rows are one chunk", "[packed][layout]",
                        cases::sample_if_sanitized<of_whole_rows>) {
    check<TestType>();
}

TEMPLATE_LIST_TEST_CASE("scales that rows share are written once per row", "[packed][layout]",
                        cases::sample_if_sanitized<shared_by_rows>) {
    check<TestType>();
}

TEST_CASE("the header's numbers never change", "[packed][layout]") {
    static_assert(packed_layout_version == 1 && panel_rows == 16);
    static_assert(static_cast<int>(code_kind::integer) == 1);
    static_assert(static_cast<int>(mapping_kind::symmetric) == 1 &&
                  static_cast<int>(mapping_kind::midrise) == 2 &&
                  static_cast<int>(mapping_kind::asymmetric) == 3 &&
                  static_cast<int>(mapping_kind::asymmetric_min) == 4);
    static_assert(static_cast<int>(scale_kind::float32) == 1 &&
                  static_cast<int>(scale_kind::fp16) == 2 &&
                  static_cast<int>(scale_kind::bf16) == 3);
    SUCCEED("at compile time");
}
