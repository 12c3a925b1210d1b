// An error says what, where and why without allocating; a result holds it or a value.
#include "sizes.hpp"

#include <quant/core/buffer.hpp>
#include <quant/core/result.hpp>

#include <catch2/catch_test_macros.hpp>

#include <cstdint>
#include <exception>
#include <memory>
#include <new>
#include <set>
#include <stdexcept>
#include <string>
#include <string_view>
#include <type_traits>

using quant::errc;
using quant::error;
using quant::result;

TEST_CASE("an error has a code, a place and a message", "[errors]") {
    const error e(errc::shape_mismatch, "matmul: x", "3 columns, w has 4");
    CHECK(e.code() == errc::shape_mismatch);
    CHECK(e.where() == "matmul: x");
    CHECK(std::string_view(e.message()) == "3 columns, w has 4");
    CHECK(std::string_view(e.what()) == "matmul: x: 3 columns, w has 4");
}

TEST_CASE("an error may lack a place or a message", "[errors]") {
    const error e(errc::cancelled, "", "");
    CHECK(e.where().empty());
    CHECK(std::string_view(e.message()).empty());
    CHECK(std::string_view(e.what()) == ": ");
}

TEST_CASE("text that is too long is cut, at every length", "[errors]") {
    for (const std::size_t where_length : {0u, 1u, 236u, 237u, 238u, 239u, 240u, 241u, 1000u}) {
        for (const std::size_t length : {0u, 1u, 199u, 237u, 238u, 239u, 240u, 1000u}) {
            const std::string where(where_length, 'w');
            const std::string message(length, 'm');
            const error e(errc::bad_format, where, message);
            const std::string whole = where + ": " + message;
            const std::string_view what = e.what();
            CAPTURE(where_length, length);
            CHECK(what == std::string_view(whole).substr(0, what.size()));
            CHECK((what.size() == whole.size() || what.size() == 239));
            CHECK(std::string_view(where).starts_with(e.where()));
            CHECK(std::string_view(message).starts_with(e.message()));
        }
    }
}

TEST_CASE("text need not end in zero", "[errors]") {
    const char text[] = {'a', 'b', 'c'};
    const error e(errc::bad_format, std::string_view(text, 2), std::string_view(text + 1, 2));
    CHECK(std::string_view(e.what()) == "ab: bc");
}

TEST_CASE("formatted messages are cut, not overrun", "[errors]") {
    const std::string long_text(5000, 'x');
    const error e =
        quant::detail::make_error(errc::not_found, "here", "%s %d", long_text.c_str(), 7);
    CHECK(std::string_view(e.message()).size() == 199);
    CHECK(std::string_view(e.what()).size() == 205);
}

TEST_CASE("copies are independent and cannot fail", "[errors]") {
    static_assert(std::is_nothrow_copy_constructible_v<error> &&
                  std::is_nothrow_copy_assignable_v<error>);
    auto first = std::make_unique<error>(errc::empty, "a", "b");
    error second = *first;
    *first = error(errc::misaligned, "cc", "dd");
    CHECK(std::string_view(second.what()) == "a: b");
    CHECK(second.code() == errc::empty);
    second = *first;
    first.reset();
    CHECK(std::string_view(second.what()) == "cc: dd");
    CHECK(second.where() == "cc");
}

TEST_CASE("an error is a std::exception", "[errors]") {
    try {
        throw error(errc::truncated, "file", "ends early");
    } catch (const std::exception& e) {
        CHECK(std::string_view(e.what()) == "file: ends early");
        REQUIRE(dynamic_cast<const error*>(&e) != nullptr);
        CHECK(dynamic_cast<const error&>(e).code() == errc::truncated);
    }
}

TEST_CASE("every code has a name of its own", "[errors]") {
    std::set<std::string> names;
    for (int code = 0; code <= static_cast<int>(errc::checksum_mismatch); ++code) {
        const std::string name = quant::to_string(static_cast<errc>(code));
        CHECK(name != "unknown");
        CHECK(names.insert(name).second);
    }
    CHECK(names.size() == 20);
    CHECK(std::string_view(quant::to_string(static_cast<errc>(9999))) == "unknown");
    static_assert(std::string_view(quant::to_string(errc::scale_overflow)) == "scale_overflow");
}

TEST_CASE("a result holds a value or an error", "[errors][result]") {
    result<int> value = 42;
    CHECK(value.has_value());
    CHECK(static_cast<bool>(value));
    CHECK(*value == 42);
    REQUIRE(value.get_if() != nullptr);
    CHECK(*value.get_if() == 42);
    CHECK(value.error_if() == nullptr);
    CHECK(value.value() == 42);

    const result<int> failed = error(errc::unsupported, "there", "no");
    CHECK_FALSE(failed);
    CHECK(failed.get_if() == nullptr);
    REQUIRE(failed.error_if() != nullptr);
    CHECK(failed.failure().code() == errc::unsupported);
    CHECK_THROWS_AS(failed.value(), error);
    static_assert(!std::is_convertible_v<result<int>, bool>);
}

TEST_CASE("a result of something that only moves gives it away", "[errors][result]") {
    result<std::unique_ptr<std::string>> made = std::make_unique<std::string>("text");
    CHECK(made->get()->size() == 4);
    const std::unique_ptr<std::string> taken = std::move(made).value();
    CHECK(*taken == "text");

    result<std::unique_ptr<int>> failed = error(errc::io_failed, "a", "b");
    try {
        static_cast<void>(std::move(failed).value());
        FAIL("no exception");
    } catch (const error& e) {
        CHECK(e.code() == errc::io_failed);
    }
}

namespace {

/// Counts those that live; copies throw if they are to.
struct counted {
    static inline int alive = 0;
    static inline bool copies_throw = false;
    int number;

    explicit counted(int n) : number(n) { ++alive; }
    counted(const counted& other) : number(other.number) {
        if (copies_throw) throw std::runtime_error("no copy");
        ++alive;
    }
    counted(counted&& other) noexcept : number(other.number) { ++alive; }
    ~counted() { --alive; }
    counted& operator=(const counted&) = delete; // not asked for
};

} // namespace

TEST_CASE("results are copied, moved and assigned, whatever they hold", "[errors][result]") {
    using held = result<counted>;
    {
        const error failure(errc::truncated, "here", "too short");
        held value = counted(1), failed = failure;
        CHECK(counted::alive == 1);
        held copy = value;
        CHECK(copy->number == 1);
        CHECK(counted::alive == 2);
        failed = copy; // a value where an error was
        CHECK(failed->number == 1);
        CHECK(counted::alive == 3);
        failed = held(counted(3)); // a value where a value was
        CHECK(failed->number == 3);
        value = held(failure); // an error where a value was
        CHECK(value.failure().code() == errc::truncated);
        CHECK(counted::alive == 2);
        held moved = std::move(value);
        CHECK(std::string_view(moved.failure().what()) == "here: too short");
        const held& itself = copy;
        copy = itself;
        CHECK(copy->number == 1);

        counted::copies_throw = true;
        CHECK_THROWS_AS(moved = copy, std::runtime_error);
        counted::copies_throw = false;
        CHECK(moved.failure().code() == errc::truncated); // as it was
        CHECK(counted::alive == 2);
    }
    CHECK(counted::alive == 0);
    static_assert(!std::is_copy_constructible_v<result<std::unique_ptr<int>>>);
    static_assert(std::is_nothrow_move_assignable_v<result<std::unique_ptr<int>>>);
}

TEST_CASE("a result without a value says whether it went well", "[errors][result]") {
    const result<void> well;
    CHECK(well);
    CHECK(well.error_if() == nullptr);
    CHECK_NOTHROW(well.value());
    const result<void> failed = error(errc::cancelled, "a", "b");
    CHECK_FALSE(failed.has_value());
    CHECK(failed.error_if()->code() == errc::cancelled);
    CHECK(failed.failure().where() == "a");
    CHECK_THROWS_AS(failed.value(), error);
}

TEST_CASE("what a caller's code throws becomes an error", "[errors][result]") {
    const auto outcome_of = [](auto thrower) {
        return quant::detail::guarded("place", [&]() -> result<void> {
            thrower();
            return {};
        });
    };
    CHECK(outcome_of([] {}));
    CHECK(outcome_of([] { throw error(errc::misaligned, "own", "text"); }).failure().where() ==
          "own");
    CHECK(outcome_of([] { throw std::bad_alloc(); }).failure().code() == errc::out_of_memory);
    const auto other = outcome_of([] { throw std::runtime_error("my own words"); });
    CHECK(other.failure().code() == errc::executor_failed);
    CHECK(std::string_view(other.failure().what()) == "place: my own words");
    CHECK(outcome_of([] { throw 42; }).failure().code() == errc::executor_failed);
}

TEST_CASE("a buffer is aligned, empties when moved from, and reports what it cannot get",
          "[errors][buffer]") {
    using buffer = quant::detail::buffer<float>;
    auto made = buffer::zeroed(3, "b");
    REQUIRE(made);
    CHECK(reinterpret_cast<std::uintptr_t>(made->data()) % 64 == 0);
    CHECK(made->size() == 3);
    for (const float x : made->span()) CHECK(x == 0);
    made->data()[2] = 5;
    buffer taken = std::move(*made);
    CHECK(made->data() == nullptr);
    CHECK(made->size() == 0);
    CHECK(taken.data()[2] == 5);
    buffer& same = taken;
    taken = std::move(same);
    CHECK(taken.size() == 3);

    CHECK(buffer::zeroed(0, "b")->data() == nullptr);
    const volatile std::size_t too_many = SIZE_MAX / 2; // compilers warn of sizes that they see
    CHECK(buffer::zeroed(too_many, "b").failure().code() == errc::size_overflow);
    CHECK(buffer::uninitialized(too_many * 2, "b").failure().code() == errc::size_overflow);
    if (has_endless_sizes) {
        // More than an address space of 47 or 48 bits can have.
        const volatile auto more_than_there_is = two_to(54);
        const auto refused = buffer::zeroed(more_than_there_is, "place");
        CHECK(refused.failure().code() == errc::out_of_memory);
        CHECK(refused.failure().where() == "place");
    }
}
