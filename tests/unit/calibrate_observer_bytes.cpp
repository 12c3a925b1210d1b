// Observers as bytes: what they write, they read, and nothing else.
#include "calibrate_observing.hpp"

#include <catch2/catch_template_test_macros.hpp>
#include <catch2/catch_test_macros.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <type_traits>
#include <vector>

using namespace quant;
using namespace observing;

TEMPLATE_TEST_CASE("bytes give the same observer again, and no others are taken", "",
                   min_max_observer, moving_average_observer, histogram_observer) {
    const std::size_t cols = 3;
    const auto make = [&](bool observes) {
        auto made = [&] {
            if constexpr (std::is_same_v<TestType, histogram_observer>) {
                return TestType::per_channel(cols, 5);
            } else {
                return TestType::per_channel(cols);
            }
        }();
        if (observes) made.observe(as_rows(random_numbers(6 * cols), cols));
        return made;
    };
    for (const bool observes : {false, true}) {
        auto original = make(observes);
        const bytes written = original.serialize();
        auto read = TestType::deserialize(written);
        CHECK(read.serialize() == written);
        CHECK(read.tokens() == original.tokens());
        original.observe(as_rows(random_numbers(cols), cols));
        read.observe(as_rows(random_numbers(cols), cols));
        CHECK(read.serialize() == original.serialize());
        CHECK(read.range(2) == original.range(2));

        for (std::size_t n = 0; n < written.size(); ++n) {
            const auto cut = TestType::try_deserialize(std::span(written).first(n));
            REQUIRE_FALSE(cut.has_value());
            REQUIRE(cut.failure().code() == errc::truncated);
        }
        bytes longer = written;
        longer.push_back(std::byte{0});
        check_fails(errc::bad_format, "1 bytes after",
                    [&] { return TestType::try_deserialize(longer); });

        // Whatever is read is an observer that writes what was read.
        for (std::size_t at = 0; at < written.size(); ++at) {
            for (const unsigned flipped : {1u, 0x40u, 0x80u, 0xFFu}) {
                bytes broken = written;
                broken[at] ^= static_cast<std::byte>(flipped);
                auto taken = TestType::try_deserialize(broken);
                CAPTURE(at, flipped);
                if (at < 24) REQUIRE_FALSE(taken.has_value());
                if (!taken) continue;
                REQUIRE(taken->serialize().size() == broken.size());
                (void)taken->try_observe(as_rows(random_numbers(cols), cols));
            }
        }
    }

    const bytes good = make(true).serialize();
    const auto with = [&](std::size_t at, std::uint64_t value) {
        bytes made = good;
        detail::store_le(made.data() + at, value);
        return made;
    };
    check_fails(errc::unsupported, "version 2, this library reads 1", [&] {
        bytes newer = good;
        newer[8] = std::byte{2};
        return TestType::try_deserialize(newer);
    });
    // Sizes that would take all memory are refused for what is missing.
    for (const std::uint64_t channels :
         {std::uint64_t{1} << 32, std::uint64_t{1} << 61, ~std::uint64_t{0}}) {
        check_fails(errc::truncated, "too few",
                    [&] { return TestType::try_deserialize(with(24, channels)); });
    }
    check_fails(errc::bad_format, "granularity",
                [&] { return TestType::try_deserialize(with(24, 0)); });
    CHECK_FALSE(TestType::try_deserialize(with(32, 0)).has_value());
    for (const std::uint64_t nan : {0x7FF8000000000000u, 0x7FF0000000000000u}) {
        CHECK_FALSE(TestType::try_deserialize(with(48, nan)).has_value());
        CHECK_FALSE(TestType::try_deserialize(with(56, nan | nan >> 32)).has_value());
    }
}

TEMPLATE_TEST_CASE("bytes with -0, which no observer writes, are refused", "", min_max_observer,
                   moving_average_observer, histogram_observer) {
    auto observer = TestType::per_tensor();
    const bytes nothing = observer.serialize();
    const std::vector<float> x = {-0.0f, 1.0f};
    observer.observe(as_rows(x, 2));
    // The momentum, and the ends of ranges: floats, of averages doubles.
    const std::size_t end = std::is_same_v<TestType, moving_average_observer> ? 8 : 4;
    const auto refused = [&](const bytes& good, std::size_t size, std::size_t offset) {
        bytes changed = good;
        std::fill_n(changed.begin() + static_cast<std::ptrdiff_t>(offset), size, std::byte{0});
        changed[offset + size - 1] = std::byte{0x80};
        return TestType::try_deserialize(changed).failure().code() == errc::bad_format;
    };
    for (const bytes& good : {nothing, observer.serialize()}) {
        REQUIRE(TestType::try_deserialize(good).has_value());
        CHECK(refused(good, 8, 48));
        CHECK(refused(good, end, 56));
    }
    CHECK(refused(nothing, end, 56 + end));
}

TEST_CASE("averages that vanish become 0, not -0") {
    auto observer = moving_average_observer::per_tensor(0.5);
    const std::vector<float> x = {-least_float, 0.0f};
    observer.observe(as_rows(x, 2));
    const std::vector<float> zero = {0.0f};
    for (int i = 0; i < 1100; ++i) observer.observe(as_rows(zero, 1));
    CHECK(moving_average_observer::try_deserialize(observer.serialize()).has_value());
    const bytes written = observer.serialize();
    CHECK(std::all_of(written.end() - 16, written.end(),
                      [](std::byte b) { return b == std::byte{}; }));
}

TEST_CASE("the bytes are those of the documentation") {
    auto observer = histogram_observer::per_tensor(2);
    const std::vector<float> x = {1.0f, -1.0f, 1.0f, -2.0f};
    observer.observe(as_rows(x, 2));
    const unsigned char expected[] = {
        'Q', 'U', 'A', 'N',  'T', 'O', 'B',  'S',  1, 0, 0, 0, 3, 0, 0, 0,  // version, kind
        0,   0,   0,   0,    2,   0,   0,    0,                             // granularity, bins
        1,   0,   0,   0,    0,   0,   0,    0,    2, 0, 0, 0, 0, 0, 0, 0,  // channels, tokens
        4,   0,   0,   0,    0,   0,   0,    0,    0, 0, 0, 0, 0, 0, 0, 0,  // numbers, momentum
        0,   0,   0,   0xC0, 0,   0,   0x80, 0x3F,                          // −2, 1
        2,   0,   0,   0,    0,   0,   0,    0,    2, 0, 0, 0, 0, 0, 0, 0}; // counts
    const bytes written = observer.serialize();
    REQUIRE(written.size() == sizeof expected);
    CHECK(std::equal(written.begin(), written.end(), reinterpret_cast<const std::byte*>(expected)));

    bytes other_kind = written;
    other_kind[12] = std::byte{1};
    check_fails(errc::bad_format, "another kind",
                [&] { return histogram_observer::try_deserialize(other_kind); });
    check_fails(errc::bad_format, "another kind",
                [&] { return min_max_observer::try_deserialize(written); });
    // Counts that are not of the range that is said, or of more numbers than were observed.
    bytes moved = written;
    moved[56 + 8] = std::byte{4};
    moved[56 + 16] = std::byte{0};
    check_fails(errc::bad_format, "no histogram",
                [&] { return histogram_observer::try_deserialize(moved); });
    moved[56 + 16] = std::byte{2};
    check_fails(errc::bad_format, "no histogram",
                [&] { return histogram_observer::try_deserialize(moved); });
}
