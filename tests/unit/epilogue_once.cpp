// Epilogue stages that read the output (accumulate, gate, residual of y itself) need each output to
// be finished and stored exactly once, whatever tiles, panels and tasks it falls into.
#include "batch_cases.hpp"

#include <catch2/catch_template_test_macros.hpp>
#include <catch2/catch_test_macros.hpp>

#include <atomic>
#include <cstddef>
#include <vector>

using namespace batch_cases;

namespace {

/// Counts how often each output passes.
struct counted : not_an_executor {
    std::vector<std::atomic<int>>* seen;
    std::size_t outputs;

    counted(std::vector<std::atomic<int>>& to, std::size_t n) : seen(&to), outputs(n) {}
    result<void> check(std::size_t, std::size_t) const noexcept { return {}; }
    simd::f32x16 apply(const simd::f32x16& y, std::size_t token, std::size_t first,
                       std::size_t n) const noexcept {
        for (std::size_t i = 0; i < n; ++i) ++(*seen)[token * outputs + first + i];
        return y;
    }
};

constexpr std::size_t cols = 64;

/// One product whose stages all read y, and y as scalar code makes it.
template <class A, class E>
void check_once(std::size_t outputs, std::size_t tokens, E& run) {
    CAPTURE(outputs, tokens);
    const operands<> o(outputs, cols, tokens);
    std::vector<float> plain(tokens * outputs), y = numbers(tokens * outputs, 6);
    const std::vector<float> before = y;
    matmul<A>(o.x_view(), o.w, matrix_view{plain.data(), tokens, outputs});
    std::vector<std::atomic<int>> seen(tokens * outputs);
    const matrix_view<float> y_view{y.data(), tokens, outputs};
    matmul<A>(o.x_view(), o.w, y_view, epilogue::accumulate{}, epilogue::gate{y_view},
              counted(seen, outputs), epilogue::residual{y_view}, run);
    std::size_t wrong = 0;
    for (std::size_t i = 0; i < y.size(); ++i) {
        volatile float gated = (plain[i] + before[i]) * before[i];
        wrong += y[i] != gated + before[i] || seen[i] != 1;
    }
    CHECK(wrong == 0);
}

} // namespace

TEMPLATE_TEST_CASE("outputs are finished and stored once", "[epilogue]", default_activations<w4>,
                   activations::fp32) {
    // Panels of 16 outputs, of which tiles take up to four: each number left over, each partial.
    for (const std::size_t outputs : {1u, 16u, 17u, 33u, 63u, 79u, 80u, 97u, 130u}) {
        for (std::size_t tokens = 1; tokens <= 13; ++tokens) {
            check_once<TestType>(outputs, tokens, serial);
        }
    }
    thread_pool pool(3);
    for (const std::size_t outputs : {1009u, 1040u}) {
        for (const std::size_t tokens : {1u, 13u, 200u})
            check_once<TestType>(outputs, tokens, pool);
    }
    check_once<TestType>(33, 1500, pool); // divided by tokens
}
