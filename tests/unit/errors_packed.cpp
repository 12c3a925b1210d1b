// Packed bytes from outside are believed only as far as they were checked; memory and slices that
// do not fit are errors.
#include "sizes.hpp"

#include <quant/core/little_endian.hpp>
#include <quant/kernel/matmul.hpp>
#include <quant/pack/pack.hpp>
#include <quant/quantize/quantize.hpp>

#include <catch2/catch_test_macros.hpp>

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <limits>
#include <new>
#include <span>
#include <string>
#include <type_traits>
#include <vector>

using namespace quant;

namespace {

using w4 = scheme<int4, symmetric, group_wise<32>, fp16>;
using w3 = scheme<int3, asymmetric, group_wise<5>, float>;

/// `size` bytes that end where a sanitizer notices a read beyond, from a 64-byte boundary.
class aligned_bytes {
public:
    explicit aligned_bytes(std::size_t size)
        : memory_(static_cast<std::byte*>(::operator new(size, std::align_val_t{64}))),
          size_(size) {
        std::memset(memory_, 0, size);
    }
    aligned_bytes(const aligned_bytes&) = delete;
    aligned_bytes& operator=(const aligned_bytes&) = delete;
    ~aligned_bytes() { ::operator delete(memory_, std::align_val_t{64}); }
    std::span<std::byte> span() { return {memory_, size_}; }

private:
    std::byte* memory_;
    std::size_t size_;
};

template <class S>
packed_matrix<S> sample(std::size_t rows = 33, std::size_t cols = 70) {
    std::vector<float> w(rows * cols);
    for (std::size_t i = 0; i < w.size(); ++i) w[i] = static_cast<float>(i * 29 % 83) - 41;
    return quantize_packed<S>(matrix_view{w.data(), rows, cols});
}

template <class T>
errc code_of(const result<T>& made) {
    REQUIRE_FALSE(made.has_value());
    return made.failure().code();
}

/// The error for a copy of `packed` whose bytes at `at` are those of `value`.
template <class S, class V>
errc with(const packed_matrix<S>& packed, std::size_t at, V value) {
    aligned_bytes copy(packed.bytes().size());
    std::memcpy(copy.span().data(), packed.bytes().data(), packed.bytes().size());
    detail::store_le(copy.span().data() + at, value);
    const auto view = try_packed_view_of<S>(copy.span());
    CHECK_THROWS_AS(packed_view_of<S>(copy.span()), error);
    return code_of(view);
}

} // namespace

TEST_CASE("packed bytes view as what they were", "[packed]") {
    const auto packed = sample<w4>();
    const auto view = packed_view_of<w4>(packed.bytes());
    CHECK(view.rows() == 33);
    CHECK(view.cols() == 70);
    CHECK(view.panels() == packed.bytes().data() + 64);
    CHECK(unpack(view) == unpack(packed));
    // Bytes beyond the matrix are somebody else's.
    aligned_bytes longer(packed.bytes().size() + 100);
    std::memcpy(longer.span().data(), packed.bytes().data(), packed.bytes().size());
    CHECK(try_packed_view_of<w4>(longer.span()));
    static_assert(std::is_trivially_copyable_v<packed_view<w4>>);
}

TEST_CASE("a header is readable without knowing the scheme", "[packed]") {
    const auto packed = sample<w3>();
    const auto header = read_packed_header(packed.bytes());
    REQUIRE(header);
    CHECK(header->scheme == describe<w3>());
    CHECK(header->scheme != describe<w4>());
    CHECK(header->rows == 33);
    CHECK(header->cols == 70);
    CHECK(header->panel_bytes == packed.view().panel_bytes());
}

TEST_CASE("packed bytes that end early are truncated, at every length", "[errors][packed]") {
    const auto packed = sample<w4>();
    const std::size_t size = packed.bytes().size();
    for (std::size_t length = 0; length < size; length += length < 80 ? 1 : 61) {
        aligned_bytes part(length);
        if (length > 0) std::memcpy(part.span().data(), packed.bytes().data(), length);
        CAPTURE(length);
        CHECK(code_of(try_packed_view_of<w4>(part.span())) == errc::truncated);
    }
    CHECK(code_of(try_packed_view_of<w4>(packed.bytes().first(size - 1))) == errc::truncated);
    CHECK(code_of(try_packed_view_of<w4>({})) == errc::truncated);
    CHECK(code_of(read_packed_header({})) == errc::truncated);
}

TEST_CASE("a header that is not this layout's is refused", "[errors][packed]") {
    const auto packed = sample<w4>();
    for (std::size_t i = 0; i < 8; ++i) CHECK(with(packed, i, char{'Q'}) == errc::bad_layout);
    CHECK(with(packed, 8, std::uint32_t{2}) == errc::unsupported);
    CHECK(with(packed, 8, std::uint32_t{0}) == errc::unsupported);
    CHECK(with(packed, 12, std::uint32_t{128}) == errc::bad_layout);
    for (std::size_t i = 20; i < 24; ++i) CHECK(with(packed, i, char{1}) == errc::bad_layout);
    for (std::size_t i = 56; i < 64; ++i) CHECK(with(packed, i, char{1}) == errc::bad_layout);
}

TEST_CASE("packed bytes of another scheme are refused", "[errors][packed]") {
    const auto packed = sample<w4>();
    for (std::size_t i = 16; i < 20; ++i) {
        CHECK(with(packed, i, char{0}) == errc::bad_layout);
        CHECK(with(packed, i, char{9}) == errc::bad_layout);
        CHECK(with(packed, i, std::uint8_t{255}) == errc::bad_layout);
    }
    CHECK(with(packed, 24, std::uint32_t{0}) == errc::bad_layout);
    CHECK(with(packed, 28, std::uint32_t{64}) == errc::bad_layout);
    CHECK(with(packed, 28, std::uint32_t{0}) == errc::bad_layout);
    CHECK(code_of(try_packed_view_of<w3>(packed.bytes())) == errc::bad_layout);
}

TEST_CASE("shapes that the bytes cannot have are refused", "[errors][packed]") {
    const auto packed = sample<w4>();
    const auto whole_rows = sample<scheme<int8, symmetric, per_channel, float>>();
    for (const std::size_t field : {32u, 40u}) {
        for (const auto shape : {std::uint64_t{0}, UINT64_MAX, UINT64_MAX - 15,
                                 std::uint64_t{1} << 63, (std::uint64_t{1} << 63) - 1,
                                 std::uint64_t{1} << 62, (std::uint64_t{1} << 58) + 70}) {
            CAPTURE(field, shape);
            CHECK(with(packed, field, shape) == errc::bad_layout);
            CHECK(with(whole_rows, field, shape) == errc::bad_layout);
        }
    }
    // More rows than there are panels, but of a possible size.
    CHECK(with(packed, 32, std::uint64_t{49}) == errc::truncated);
    CHECK(with(packed, 32, std::uint64_t{1} << 50) ==
          (has_endless_sizes ? errc::truncated : errc::bad_layout));
    // Another panel size than the columns give; columns that another panel size would need.
    const std::uint64_t panel_bytes = packed.view().panel_bytes();
    CHECK(with(packed, 48, panel_bytes + 64) == errc::bad_layout);
    CHECK(with(packed, 48, panel_bytes - 64) == errc::bad_layout);
    CHECK(with(packed, 48, std::uint64_t{0}) == errc::bad_layout);
    CHECK(with(packed, 48, UINT64_MAX) == errc::bad_layout);
    CHECK(with(packed, 40, std::uint64_t{200}) == errc::bad_layout);
}

TEST_CASE("packed bytes off a 64-byte boundary are refused", "[errors][packed]") {
    const auto packed = sample<w4>();
    aligned_bytes memory(packed.bytes().size() + 64);
    for (const std::size_t shift : {1u, 2u, 4u, 16u, 32u, 63u}) {
        std::memcpy(memory.span().data() + shift, packed.bytes().data(), packed.bytes().size());
        CHECK(code_of(try_packed_view_of<w4>(memory.span().subspan(shift))) == errc::misaligned);
    }
}

TEST_CASE("bytes behind a good header may be anything, without harm", "[errors][packed]") {
    std::uint32_t state = 7;
    const auto random = [&] {
        return static_cast<std::byte>((state = state * 1664525u + 1013904223u) >> 24);
    };
    for (int round = 0; round < 20; ++round) {
        auto packed = sample<w3>();
        for (std::byte& b : packed.mutable_bytes().subspan(64)) b = random();
        const auto view = try_packed_view_of<w3>(packed.bytes());
        REQUIRE(view); // only the header is read
        const std::vector<float> x(2 * 70, 0.5f);
        std::vector<float> y(2 * 33);
        CHECK(try_matmul(matrix_view{x.data(), 2, 70}, *view, matrix_view{y.data(), 2, 33}));
        // Scales that are not finite, or zero points that no code reaches, are not unpacked.
        const errc code = code_of(try_unpack(*view));
        CHECK((code == errc::non_finite || code == errc::code_out_of_range));
    }
    // Whole-row codes of 8 bits may all be anything; one scale that is NaN is found.
    using w8 = scheme<int8, symmetric, per_channel, float>;
    auto packed = sample<w8>();
    for (std::size_t p = 0; p < 3; ++p) {
        const std::size_t codes = 64 + p * packed.view().panel_bytes() + 64;
        for (std::size_t i = 0; i < packed.view().panel_bytes() - 64; ++i) {
            packed.mutable_bytes()[codes + i] = random();
        }
    }
    CHECK(try_unpack(packed));
    const float nan = std::numeric_limits<float>::quiet_NaN();
    detail::store_le(packed.mutable_bytes().data() + 64 + 5 * 4, nan);
    const auto refused = try_unpack(packed);
    CHECK(code_of(refused) == errc::non_finite);
    CHECK(std::string(refused.failure().message()) ==
          "scale at scale row 5, group 0 is not finite");
}

TEST_CASE("packing into memory checks its size and place", "[errors][packed]") {
    const auto packed = sample<w4>();
    const auto q = unpack(packed);
    const std::size_t size = packed_size<w4>(33, 70);
    CHECK(size == packed.bytes().size());
    aligned_bytes memory(size + 64);
    // Whatever was there before does not matter.
    std::memset(memory.span().data(), 0xAA, size + 64);
    const auto view = pack_into(q, memory.span().first(size));
    CHECK(std::memcmp(memory.span().data(), packed.bytes().data(), size) == 0);
    for (const std::byte b : memory.span().subspan(size)) CHECK(b == std::byte{0xAA});
    CHECK(view.panels() == memory.span().data() + 64);
    CHECK(try_packed_view_of<w4>(memory.span()));

    for (const std::size_t less : {std::size_t{0}, std::size_t{63}, size - 1}) {
        CHECK(code_of(try_pack_into(q, memory.span().first(less))) == errc::shape_mismatch);
    }
    CHECK(code_of(try_pack_into(q, memory.span().subspan(1))) == errc::misaligned);
    CHECK(code_of(try_pack_into(q, memory.span().subspan(32))) == errc::misaligned);
    CHECK(code_of(try_pack_into(q, {})) == errc::shape_mismatch);
    CHECK(code_of(try_pack_into(quantized_matrix<w4>(), memory.span())) == errc::empty);
    CHECK_THROWS_AS(pack_into(q, memory.span().first(100)), error);
    CHECK_THROWS_AS(pack(quantized_matrix<w4>()), error);
}

TEST_CASE("sizes that do not fit are zero", "[packed]") {
    CHECK(packed_size<w4>(0, 5) == 0);
    CHECK(packed_size<w4>(5, 0) == 0);
    CHECK(packed_size<w4>(SIZE_MAX, 1) == 0);
    CHECK(packed_size<w4>(1, SIZE_MAX) == 0);
    CHECK(packed_size<w4>(beyond_half, beyond_half) == 0);
    CHECK(packed_size<scheme<int8, symmetric, per_tensor, float>>(1, SIZE_MAX) == 0);
    CHECK(packed_size<scheme<int8, symmetric, group_wise<1>, float>>(1, SIZE_MAX / 16) == 0);
    using huge_group = scheme<int8, symmetric, group_wise<4294967295>, float>;
    CHECK(packed_size<huge_group>(1, 1) == 64 + 64 + 512);
    CHECK(packed_size<huge_group>(1, SIZE_MAX) == 0);
}

TEST_CASE("slices are whole panels within the matrix", "[errors][packed]") {
    const auto packed = sample<w4>(40, 70); // two panels and a half
    const auto good = [&](std::size_t first, std::size_t count) {
        const auto slice = try_slice_rows(packed, first, count);
        if (slice) {
            CHECK(slice->rows() == count);
            CHECK(slice->cols() == 70);
            CHECK(slice->panels() ==
                  packed.view().panels() + first / 16 * packed.view().panel_bytes());
            CHECK_NOTHROW(slice_rows(packed, first, count));
        } else {
            CHECK(slice.failure().code() == errc::invalid_argument);
            CHECK_THROWS_AS(slice_rows(packed.view(), first, count), error);
        }
        return slice.has_value();
    };
    CHECK(good(0, 40));
    CHECK(good(0, 16));
    CHECK(good(0, 32));
    CHECK(good(16, 16));
    CHECK(good(16, 24));
    CHECK(good(32, 8));
    CHECK_FALSE(good(0, 0));
    CHECK_FALSE(good(0, 8));
    CHECK_FALSE(good(0, 39));
    CHECK_FALSE(good(0, 48));
    CHECK_FALSE(good(8, 16));
    CHECK_FALSE(good(8, 32));
    CHECK_FALSE(good(32, 16));
    CHECK_FALSE(good(40, 0));
    CHECK_FALSE(good(48, 16));
    CHECK_FALSE(good(16, SIZE_MAX - 15));
    CHECK_FALSE(good(SIZE_MAX - 15, 16));

    // A slice of a slice ends at that slice's last row.
    const auto tail = slice_rows(packed, 16, 24);
    CHECK(try_slice_rows(tail, 16, 8));
    CHECK(code_of(try_slice_rows(slice_rows(packed, 0, 16), 16, 16)) == errc::invalid_argument);
    CHECK(code_of(try_slice_rows(packed_view<w4>(), 0, 16)) == errc::invalid_argument);
    CHECK(unpack(tail).rows() == 24);
}

TEST_CASE("nothing unpacks to an error", "[errors][packed]") {
    CHECK(code_of(try_unpack(packed_view<w4>())) == errc::empty);
    CHECK(code_of(try_unpack(packed_matrix<w4>())) == errc::empty);
    CHECK(code_of(try_unpack(packed_view<w4>(nullptr, 3, 4))) == errc::null_data);
    CHECK_THROWS_AS(unpack(packed_view<w4>()), error);
    CHECK_THROWS_AS(unpack(packed_matrix<w4>()), error);
}

TEST_CASE("an emptied packed matrix is an empty one", "[packed]") {
    auto packed = sample<w4>();
    const auto same = sample<w4>();
    CHECK(packed == same);
    const auto taken = std::move(packed);
    CHECK(taken == same);
    CHECK(packed == packed_matrix<w4>());
    CHECK(packed.rows() == 0);
    CHECK(packed.cols() == 0);
    CHECK(packed.bytes().empty());
    CHECK(packed.nominal_bits() == 0);
    CHECK(packed.view().panels() == nullptr);
    CHECK(packed.view().panel_bytes() == 0);
    CHECK(code_of(try_packed_view_of<w4>(packed.bytes())) == errc::truncated);
    packed = sample<w4>();
    CHECK(packed == same);
    CHECK(taken.nominal_bits() == 33.0 * 70 * 4 + 33 * 3 * 16);
    static_assert(!std::is_copy_constructible_v<packed_matrix<w4>> &&
                  std::is_nothrow_move_constructible_v<packed_matrix<w4>>);
}

TEST_CASE("an empty shape has no packed form", "[errors][packed]") {
    CHECK(code_of(packed_matrix<w4>::try_zero(0, 5, "f")) == errc::empty);
    CHECK(code_of(packed_matrix<w4>::try_zero(5, 0, "f")) == errc::empty);
    CHECK(code_of(packed_matrix<w4>::try_zero(SIZE_MAX, 5, "f")) == errc::size_overflow);
}
