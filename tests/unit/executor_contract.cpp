// Any pool fits in one lambda; one that breaks the contract is an error, never a crash; nothing
// else can be taken for one.
#include "joined_thread.hpp"

#include <quant/quant.hpp>

#include <catch2/catch_test_macros.hpp>

#include <cstddef>
#include <functional>
#include <stdexcept>
#include <string_view>
#include <vector>

using namespace quant;

namespace {

using w4 = scheme<int4, symmetric, group_wise<32>, fp16>;
using tensor4 = scheme<int4, symmetric, per_tensor, float>;

/// Large enough to be split: 512 × 1024 weights, two tokens.
constexpr std::size_t rows = 512, cols = 1024, tokens = 2;

struct data {
    std::vector<float> w = std::vector<float>(rows * cols);
    std::vector<float> x = std::vector<float>(tokens * cols);
    std::vector<float> y = std::vector<float>(tokens * rows);

    data() {
        for (std::size_t i = 0; i < w.size(); ++i) w[i] = static_cast<float>(i * 31 % 97) - 48;
        for (std::size_t i = 0; i < x.size(); ++i) x[i] = static_cast<float>(i * 17 % 89) - 44;
    }
    matrix_view<const float> weights() const { return {w.data(), rows, cols}; }
    matrix_view<const float> activations() const { return {x.data(), tokens, cols}; }
    matrix_view<float> outputs() { return {y.data(), tokens, rows}; }
};

/// Any executor, as one type: kernels are compiled for it once.
using any_executor = std::function<void(std::size_t, task)>;

/// Every function that takes an executor, with the code of its error.
std::vector<errc> outcomes(const any_executor& run) {
    data d;
    std::vector<errc> seen;
    const auto note = [&](const auto& outcome) {
        seen.push_back(outcome ? errc::io_failed : outcome.failure().code());
    };
    const auto q = quantize<w4>(d.weights());
    const auto p = pack(q);
    std::vector<float> out(rows * cols);
    std::vector<float> many_x(512 * cols, 1.0f);
    alignas(64) static std::byte memory[packed_size<w4>(rows, cols)];
    note(try_quantize<w4>(d.weights(), {}, run));
    note(try_quantize<tensor4>(d.weights(), {}, run));
    note(try_quantize_packed<w4>(d.weights(), {}, run));
    note(try_dequantize(q, matrix_view{out.data(), rows, cols}, run));
    note(try_pack(q, run));
    note(try_pack_into(q, memory, run));
    note(try_unpack(p, run));
    note(try_matmul(d.activations(), p, d.outputs(), run));
    note(try_pack_activations<default_activations<w4>>(matrix_view{many_x.data(), 512, cols}, run));
    return seen;
}

void backwards(std::size_t count, task f) {
    for (std::size_t i = count; i-- > 0;) f(i);
}

/// Keeps what it is given, by its type.
struct keeps_tasks {
    template <class F>
    void operator()(std::size_t count, F&& f) const {
        const std::vector<F> kept(2, f);
        for (std::size_t i = 0; i < count; ++i) kept[i % 2](i);
    }
};

/// Has a function beside it that is called as one of the library's.
struct with_namesake {
    void operator()(std::size_t count, task f) const volatile {
        for (std::size_t i = 0; i < count; ++i) f(i);
    }
};
template <class E>
std::size_t concurrency_of(const E&) {
    return 3;
}

const std::vector<errc> all_well(9, errc::io_failed);
const std::vector<errc> all_refused(9, errc::executor_failed);

} // namespace

TEST_CASE("a lambda over somebody's pool is an executor", "[executor][contract]") {
    // Pools take either a std::function or a template parameter; both work.
    const auto with_function = [](std::size_t count, std::function<void(std::size_t)> f) {
        joined_thread half([&] {
            for (std::size_t i = 0; i < count / 2; ++i) f(i);
        });
        for (std::size_t i = count / 2; i < count; ++i) f(i);
    };
    const auto with_task = [](std::size_t count, task f) {
        for (std::size_t i = count; i-- > 0;) f(i);
    };
    const auto generic = [](std::size_t count, auto f) {
        for (std::size_t i = 0; i < count; ++i) f(i);
    };
    const auto by_reference = [](std::size_t count, const std::function<void(std::size_t)>& f) {
        for (std::size_t i = 0; i < count; ++i) f(i);
    };
    data d;
    // As they are, not as one type of many; functions, too.
    CHECK(try_quantize<w4>(d.weights(), {}, with_function));
    CHECK(try_quantize<w4>(d.weights(), {}, backwards));
    CHECK(try_quantize<w4>(d.weights(), {}, &backwards));
    CHECK(try_quantize<w4>(d.weights(), {}, keeps_tasks{}));
    volatile with_namesake somewhere;
    CHECK(try_quantize<w4>(d.weights(), {}, somewhere));
    static_assert(executor<decltype(with_function)> && executor<decltype(with_task)> &&
                  executor<decltype(generic)> && executor<decltype(by_reference)>);
    using packed_fours = packed_activations<default_activations<w4>>;
    const auto takes = []<class E>(const E& run) {
        return requires(data some) { packed_fours::try_from(some.activations(), run); };
    };
    static_assert(takes(with_task) && !takes(42));
    CHECK(outcomes(with_function) == all_well);
    CHECK(outcomes(with_task) == all_well);
    CHECK(outcomes(generic) == all_well);
    CHECK(outcomes(by_reference) == all_well);
    CHECK(outcomes([calls = 0](std::size_t count, task f) mutable {
              ++calls;
              for (std::size_t i = 0; i < count; ++i) f(i);
          }) == all_well);
}

TEST_CASE("results do not depend on the executor", "[executor][contract]") {
    data d;
    const auto q = quantize<w4>(d.weights());
    const auto p = pack(q);
    matmul(d.activations(), p, d.outputs());
    const std::vector<float> expected = d.y;
    thread_pool pool(7);
    const auto check = [&](const any_executor& run) {
        CHECK(quantize<w4>(d.weights(), {}, run) == q);
        CHECK(pack(q, run) == p);
        CHECK(unpack(p, run) == q);
        d.y.assign(d.y.size(), -1);
        matmul(d.activations(), p, d.outputs(), run);
        CHECK(d.y == expected);
    };
    check(std::ref(pool));
    check([](std::size_t count, task f) {
        for (std::size_t i = count; i-- > 0;) f(i);
    });
}

TEST_CASE("an executor that throws is an error", "[executor][contract]") {
    CHECK(outcomes([](std::size_t, task) { throw std::runtime_error("pool is closed"); }) ==
          all_refused);
    CHECK(outcomes([](std::size_t count, task f) {
              for (std::size_t i = 0; i < count; ++i) f(i);
              throw 42;
          }) == all_refused);

    data d;
    const auto p = quantize_packed<w4>(d.weights());
    const any_executor closed = [](std::size_t, task) {
        throw std::runtime_error("pool is closed");
    };
    const auto failed = try_matmul(d.activations(), p, d.outputs(), closed);
    REQUIRE_FALSE(failed);
    CHECK(std::string_view(failed.failure().what()) == "matmul: pool is closed");
    CHECK_THROWS_AS(matmul(d.activations(), p, d.outputs(), closed), error);
    // What the caller's pool says about itself is passed on.
    const any_executor own = [](std::size_t, task) {
        throw error(errc::cancelled, "mine", "stopped");
    };
    CHECK(try_matmul(d.activations(), p, d.outputs(), own).failure().code() == errc::cancelled);
}

TEST_CASE("an executor that does not run each task once is an error", "[executor][contract]") {
    CHECK(outcomes([](std::size_t, task) {}) == all_refused);
    CHECK(outcomes([](std::size_t count, task f) {
              for (std::size_t i = 0; i + 1 < count; ++i) f(i);
          }) == all_refused);
    CHECK(outcomes([](std::size_t count, task f) {
              for (std::size_t i = 0; i < 2 * count; ++i) f(i / 2);
          }) == all_refused);
    // As many as there are, but one of them twice in place of another.
    CHECK(outcomes([](std::size_t count, task f) {
              for (std::size_t i = 0; i < count; ++i) f(i == 0 ? 1 : i);
          }) == all_refused);
    // As many as there are, counted from one.
    CHECK(outcomes([](std::size_t count, task f) {
              for (std::size_t i = 1; i <= count; ++i) f(i);
          }) == all_refused);
    CHECK(outcomes([](std::size_t count, task f) {
              for (std::size_t i = 0; i < count; ++i) f(i);
              f(SIZE_MAX);
          }) == all_refused);
}

TEST_CASE("small work stays on the calling thread", "[executor][contract]") {
    const std::vector<float> w(16 * 32, 1.0f);
    std::vector<float> y(16);
    std::size_t calls = 0;
    const any_executor count_calls = [&](std::size_t count, task f) {
        ++calls;
        serial(count, f);
    };
    const auto p = quantize_packed<w4>(matrix_view{w.data(), 16, 32}, {}, count_calls);
    matmul(matrix_view{w.data(), 1, 32}, p, matrix_view{y.data(), 1, 16}, count_calls);
    CHECK(calls == 0);
}

TEST_CASE("one const matrix serves many threads", "[executor][threads]") {
    data d;
    const auto p = quantize_packed<w4>(d.weights());
    const auto x = pack_activations<default_activations<w4>>(d.activations());
    matmul(x, p, d.outputs());
    thread_pool shared(3);
    std::vector<std::vector<float>> results(4, std::vector<float>(tokens * rows));
    {
        std::vector<joined_thread> callers;
        for (auto& y : results) {
            callers.emplace_back([&] {
                for (int round = 0; round < 5; ++round) {
                    matmul(x, p, matrix_view{y.data(), tokens, rows}, shared);
                }
            });
        }
    }
    for (const auto& y : results) CHECK(y == d.y);
}

// Nothing but an executor is one: epilogues, even callable or generic ones, are told apart.
namespace {
struct callable_epilogue : not_an_executor {
    void operator()(std::size_t, task) const {}
    result<void> check(std::size_t, std::size_t) const noexcept { return {}; }
    simd::f32x16 apply(const simd::f32x16& y, std::size_t, std::size_t,
                       std::size_t) const noexcept {
        return y;
    }
};
struct stage_without_base {
    result<void> check(std::size_t, std::size_t) const noexcept { return {}; }
    simd::f32x16 apply(const simd::f32x16& y, std::size_t, std::size_t,
                       std::size_t) const noexcept {
        return y;
    }
};
struct only_when_mutable {
    void operator()(std::size_t, task) {}
};

static_assert(executor<serial_executor> && executor<const serial_executor&>);
static_assert(executor<thread_pool> && executor<thread_pool&> && !executor<const thread_pool&>);
static_assert(executor<only_when_mutable&> && !executor<const only_when_mutable&>);
static_assert(!executor<int> && !executor<task> && !executor<matrix_view<float>>);
static_assert(!executor<epilogue::bias> && !executor<epilogue::scale> &&
              !executor<epilogue::relu> && !executor<epilogue::residual<float>> &&
              !executor<const epilogue::bias&>);
static_assert(!executor<callable_epilogue> && epilogue_stage<callable_epilogue>);
static_assert(!epilogue_stage<stage_without_base> && !epilogue_stage<thread_pool> &&
              !epilogue_stage<serial_executor>);
static_assert(epilogue_stage<epilogue::bias> && epilogue_stage<epilogue::scale> &&
              epilogue_stage<epilogue::relu> && epilogue_stage<epilogue::residual<bf16>>);
} // namespace
