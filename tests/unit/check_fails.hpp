// A failure that is expected, by its code and a part of its text.
#pragma once

#include <quant/core/error.hpp>

#include <catch2/catch_test_macros.hpp>

#include <string>

/// f() fails with this code, and says so with these words among others.
template <class F>
void check_fails(quant::errc code, const char* part, F f) {
    const auto outcome = f();
    REQUIRE_FALSE(outcome.has_value());
    INFO(outcome.failure().what());
    CHECK(outcome.failure().code() == code);
    CHECK(std::string(outcome.failure().what()).find(part) != std::string::npos);
}
