// With the caller's scratch a product allocates nothing, whatever its activations, arguments and
// executor; without, it takes what it says. The program's allocation functions count.
#include "batch_cases.hpp"
#include "joined_thread.hpp"

#include <catch2/catch_template_test_macros.hpp>
#include <catch2/catch_test_macros.hpp>

#include <atomic>
#include <cstddef>
#include <cstdlib>
#include <new>
#include <numeric>
#include <span>
#include <string>
#include <vector>

using namespace batch_cases;

namespace {
std::atomic<std::size_t> allocations{0};

void* allocate(std::size_t size, std::size_t boundary) noexcept {
    allocations.fetch_add(1, std::memory_order_relaxed);
    return std::aligned_alloc(boundary, (size + boundary) / boundary * boundary);
}
} // namespace

// Not inlined: g++ would see `free` meet what, to its knowledge, the original allocated.
[[gnu::noinline]] void* operator new(std::size_t size) {
    if (void* made = allocate(size, alignof(std::max_align_t))) return made;
    throw std::bad_alloc();
}
[[gnu::noinline]] void* operator new(std::size_t size, const std::nothrow_t&) noexcept {
    return allocate(size, alignof(std::max_align_t));
}
[[gnu::noinline]] void* operator new(std::size_t size, std::align_val_t boundary) {
    if (void* made = allocate(size, static_cast<std::size_t>(boundary))) return made;
    throw std::bad_alloc();
}
[[gnu::noinline]] void* operator new(std::size_t size, std::align_val_t boundary,
                                     const std::nothrow_t&) noexcept {
    return allocate(size, static_cast<std::size_t>(boundary));
}
[[gnu::noinline]] void operator delete(void* memory) noexcept { std::free(memory); }
[[gnu::noinline]] void operator delete(void* memory, std::size_t) noexcept { std::free(memory); }
[[gnu::noinline]] void operator delete(void* memory, std::align_val_t) noexcept {
    std::free(memory);
}
[[gnu::noinline]] void operator delete(void* memory, std::size_t, std::align_val_t) noexcept {
    std::free(memory);
}
[[gnu::noinline]] void operator delete(void* memory, const std::nothrow_t&) noexcept {
    std::free(memory);
}
[[gnu::noinline]] void operator delete(void* memory, std::align_val_t,
                                       const std::nothrow_t&) noexcept {
    std::free(memory);
}

namespace {

template <class F>
std::size_t allocations_of(F&& f) {
    const std::size_t before = allocations.load();
    f();
    return allocations.load() - before;
}

/// Exactly the bytes that are said to suffice, on an odd boundary, with a guard behind them.
class exact_scratch {
public:
    explicit exact_scratch(std::size_t bytes) : memory_(bytes + 1 + guard, std::byte{0x5A}) {}
    scratch get() { return scratch{std::span(memory_).subspan(1, memory_.size() - 1 - guard)}; }
    bool guarded() const {
        for (std::size_t i = memory_.size() - guard; i < memory_.size(); ++i) {
            if (memory_[i] != std::byte{0x5A}) return false;
        }
        return memory_[0] == std::byte{0x5A};
    }

private:
    static constexpr std::size_t guard = 64;
    std::vector<std::byte> memory_;
};

constexpr std::size_t outputs = 200, cols = 520, tokens = 40;

/// Products of all kinds, with a scratch and without.
template <class A, class E>
void check_products(E& run) {
    const operands<> o(outputs, cols, tokens);
    std::vector<fp16> narrow(o.x.size());
    for (std::size_t i = 0; i < narrow.size(); ++i) narrow[i] = fp16(o.x[i]);
    std::vector<std::uint32_t> order(cols);
    std::iota(order.rbegin(), order.rend(), 0u);
    const auto factors = numbers(cols, 4), bias = numbers(outputs, 5);
    std::vector<float> y(tokens * outputs), expected(y.size());
    const matrix_view<float> y_view{y.data(), tokens, outputs};
    exact_scratch memory(scratch_bytes<A, w4>(tokens, cols, run));
    const scratch given = memory.get();

    const auto check = [&](auto x, const auto&... stages) {
        expected.assign(y.size(), -1);
        matmul<A>(x, o.w, matrix_view{expected.data(), tokens, outputs}, stages...);
        y.assign(y.size(), -1);
        CHECK(allocations_of([&] { matmul<A>(x, o.w, y_view, run, stages..., given); }) == 0);
        CHECK(same_bits(y, expected));
        CHECK(memory.guarded());
    };
    const matrix_view<const fp16> narrow_view{narrow.data(), tokens, cols};
    check(o.x_view());
    check(o.x_view(), prologue::permutation{order}, prologue::column_scale{factors});
    check(narrow_view, epilogue::bias{bias}, epilogue::accumulate{});
    check(narrow_view, prologue::permutation{order}, epilogue::bias{bias}, epilogue::silu{});
}

} // namespace

TEMPLATE_TEST_CASE("a product with scratch allocates nothing", "[scratch]", default_activations<w4>,
                   activations::fp32) {
    check_products<TestType>(serial);
    thread_pool pool(3);
    check_products<TestType>(pool);
}

TEST_CASE("the smallest products allocate nothing without a scratch either", "[scratch]") {
    const operands<> small(64, 172, 1), large(outputs, cols, tokens);
    std::vector<float> y(64), expected(64), y_large(tokens * outputs);
    exact_scratch memory(scratch_bytes<default_activations<w4>, w4>(1, 172));
    matmul(small.x_view(), small.w, matrix_view<float>{expected.data(), 1, 64}, memory.get());
    CHECK(allocations_of([&] {
              matmul(small.x_view(), small.w, matrix_view<float>{y.data(), 1, 64});
          }) == 0);
    CHECK(same_bits(y, expected));
    CHECK(allocations_of([&] {
              matmul(large.x_view(), large.w, matrix_view<float>{y_large.data(), tokens, outputs});
          }) == 1);
}

TEST_CASE("batches with scratch allocate nothing", "[scratch][batch]") {
    using A = default_activations<w4>;
    operands<> a(70, 520, 5), none(70, 96, 0), b(200, 300, 20, {19, 3, 3}), c(70, 96, 30);
    const std::vector items{a.item(), none.item(), b.item(), c.item()};
    const std::vector<std::size_t> ends{4, 4, 30};
    const std::vector<packed_view<w4>> experts{c.w, none.w, none.w};
    thread_pool pool(3);
    exact_scratch memory(scratch_bytes<A, w4>(38, 520, pool, 4));
    CHECK(allocations_of([&] { matmul_batch(items, pool, memory.get()); }) == 0);
    for (const auto* o : {&a, &b, &c}) CHECK(same_bits(o->y, o->alone()));
    const auto y = c.y_view();
    CHECK(allocations_of([&] { grouped_matmul(c.x_view(), experts, ends, y, memory.get()); }) == 0);
    CHECK(same_bits(c.y, c.alone()));
    CHECK(memory.guarded());
    // Without one, one allocation, however many products and tasks there are.
    CHECK(allocations_of([&] { matmul_batch(items, pool); }) == 1);
}

TEST_CASE("packed activations lie in the scratch they are given", "[scratch]") {
    const operands<> o(outputs, cols, tokens);
    const auto factors = numbers(cols, 4);
    const auto expected =
        o.alone<activations::int8<group_wise<32>>>(prologue::column_scale{factors});
    using A = activations::int8<group_wise<32>>;
    thread_pool pool(2);
    exact_scratch any(scratch_bytes<A>(tokens, cols, pool)),
        own(scratch_bytes<A, w4>(tokens, cols));
    std::vector<float> y(tokens * outputs, -77.0f);
    const matrix_view<float> y_view{y.data(), tokens, outputs};
    CHECK(allocations_of([&] {
              auto made = try_pack_activations<A>(o.x_view(), any.get(), pool,
                                                  prologue::column_scale{factors});
              const auto moved = std::move(*made);
              matmul(moved, o.w, y_view, pool);
          }) == 0);
    CHECK(same_bits(y, expected));
    y.assign(y.size(), -77.0f);
    CHECK(allocations_of([&] {
              const auto made =
                  pack_activations<A, w4>(o.x_view(), prologue::column_scale{factors}, own.get());
              matmul(made, o.w, y_view, pool);
          }) == 0);
    CHECK(same_bits(y, expected));
    CHECK(any.guarded());
    CHECK(own.guarded());
    // A scratch is accepted, and not needed, where x is packed already.
    std::byte none[1];
    const auto packed = pack_activations<A>(o.x_view(), prologue::column_scale{factors});
    matmul(packed, o.w, matrix_view{y.data(), tokens, outputs}, scratch{none});
    CHECK(same_bits(y, expected));
}

TEST_CASE("a scratch that is too small is refused with what is needed", "[scratch][errors]") {
    operands<> o(33, 96, 5);
    std::vector<std::byte> memory(scratch_bytes<default_activations<w4>, w4>(5, 96));
    const auto with = [&](std::size_t bytes) {
        return try_matmul(o.x_view(), o.w, o.y_view(), scratch{std::span(memory).first(bytes)});
    };
    const auto failed = with(17);
    REQUIRE_FALSE(failed);
    CHECK(failed.failure().code() == errc::invalid_argument);
    CHECK(failed.failure().where() == "matmul: scratch");
    const std::string message = failed.failure().message();
    REQUIRE(message.starts_with("17 bytes, "));
    const std::size_t needed = std::stoul(message.substr(10));
    CHECK(message == "17 bytes, " + std::to_string(needed) + " are needed");
    REQUIRE(needed <= memory.size());
    CHECK_FALSE(with(needed - 1));
    CHECK(with(needed));
    CHECK(with(memory.size()));
    CHECK_FALSE(try_matmul(o.x_view(), o.w, o.y_view(), scratch{{}}));
    CHECK_FALSE(try_pack_activations<activations::fp32>(o.x_view(), scratch{{}}));
}

TEST_CASE("sizes of scratch grow with what they are for", "[scratch]") {
    using A = default_activations<w4>;
    thread_pool pool(3);
    for (std::size_t t = 0; t < 40; ++t) {
        for (const std::size_t c : {1u, 31u, 96u, 1000u}) {
            const std::size_t here = scratch_bytes<A, w4>(t, c);
            CHECK(here <= scratch_bytes<A, w4>(t + 1, c));
            CHECK(here <= scratch_bytes<A, w4>(t, c + 1));
            CHECK(here <= scratch_bytes<A, w4>(t, c, pool));
            CHECK(here < scratch_bytes<A, w4>(t, c, serial, 2));
        }
    }
    CHECK(scratch_bytes<A, w4>(SIZE_MAX / 2, 64) == 0);
    CHECK(scratch_bytes<A, w4>(64, SIZE_MAX / 2) == 0);
    CHECK(scratch_bytes<A, w4>(64, 64, serial, SIZE_MAX / 2) == 0);
    CHECK(scratch_bytes<A>(SIZE_MAX, SIZE_MAX) == 0);
}

TEST_CASE("any executor may run all tasks of the packing at once", "[scratch]") {
    // It does not say how many it runs at once; each task needs its own row buffer.
    const auto all_at_once = [](std::size_t count, task f) {
        std::vector<joined_thread> threads;
        for (std::size_t i = 0; i < count; ++i) threads.emplace_back([=] { f(i); });
    };
    operands<> o(33, 520, 300);
    const auto factors = numbers(520, 4);
    exact_scratch memory(scratch_bytes<activations::fp32, w4>(300, 520, all_at_once));
    matmul<activations::fp32>(o.x_view(), o.w, o.y_view(), all_at_once, memory.get(),
                              prologue::column_scale{factors});
    CHECK(memory.guarded());
    CHECK(same_bits(o.y, o.alone<activations::fp32>(prologue::column_scale{factors})));
}

static_assert(!executor<scratch> && !epilogue_stage<scratch> && !prologue_stage<scratch>);
