// What a batch refuses names the product at fault; products without tokens are never at fault.
#include "batch_cases.hpp"
#include "sizes.hpp"

#include <catch2/catch_test_macros.hpp>

#include <cstddef>
#include <limits>
#include <ostream>
#include <stdexcept>
#include <string>
#include <vector>

using namespace batch_cases;

namespace {

struct outcome {
    errc code;
    std::string where;
    bool operator==(const outcome&) const = default;
    friend std::ostream& operator<<(std::ostream& out, const outcome& o) {
        return out << to_string(o.code) << " at " << o.where;
    }
};

outcome of(const result<void>& done) {
    REQUIRE_FALSE(done);
    return {done.failure().code(), std::string(done.failure().where())};
}

struct two_products {
    operands<> first{33, 64, 3}, second{33, 64, 9, {1, 8}};
    std::vector<product<w4>> items{first.item(), second.item()};

    template <class... Args>
    outcome refused(Args&&... args) {
        return of(try_matmul_batch(items, args...));
    }
};

} // namespace

TEST_CASE("errors of a batch name the product", "[batch][errors]") {
    two_products p;
    const auto good = p.items;
    const auto refused_with = [&](std::size_t i, const product<w4>& bad) {
        p.items = good;
        p.items[i] = bad;
        return p.refused();
    };
    const auto x = good[1].x;
    const auto y = good[1].y;
    const packed_view<w4> w = good[1].w;
    CHECK(refused_with(1, {x, packed_view<w4>(), y, p.second.rows}) ==
          outcome{errc::empty, "matmul_batch: item 1: w"});
    CHECK(refused_with(0, {x, packed_view<w4>(nullptr, 33, 64), y, p.second.rows}) ==
          outcome{errc::null_data, "matmul_batch: item 0: w"});
    CHECK(refused_with(1, {{nullptr, 9, 64}, w, y, p.second.rows}) ==
          outcome{errc::null_data, "matmul_batch: item 1: x"});
    CHECK(refused_with(1, {{x.data(), 9, 63}, w, y, p.second.rows}) ==
          outcome{errc::shape_mismatch, "matmul_batch: item 1: x"});
    CHECK(refused_with(1, {{x.data(), 0, 64}, w, y, {}}) ==
          outcome{errc::empty, "matmul_batch: item 1: x"});
    CHECK(refused_with(1, {x, w, {y.data(), 1, 33}, p.second.rows}) ==
          outcome{errc::shape_mismatch, "matmul_batch: item 1: y"});
    CHECK(refused_with(1, {x, w, {y.data(), 0, 33}, p.second.rows}) ==
          outcome{errc::empty, "matmul_batch: item 1: y"});
    CHECK(refused_with(1, {x, w, {y.data(), 2, 33, 32}, p.second.rows}) ==
          outcome{errc::invalid_stride, "matmul_batch: item 1: y"});
    CHECK(refused_with(1, {x, w, {nullptr, 2, 33}, p.second.rows}) ==
          outcome{errc::null_data, "matmul_batch: item 1: y"});

    const std::vector<std::uint32_t> outside{1, 9};
    p.items = good;
    p.items[1].rows = outside;
    const auto failed = try_matmul_batch(p.items);
    CHECK(of(failed) == outcome{errc::invalid_argument, "matmul_batch: item 1: rows"});
    CHECK(std::string(failed.failure().message()) == "row 9 at 1, x has 9 rows");
    CHECK_THROWS_AS(matmul_batch(p.items), error);
}

TEST_CASE("stages must fit all products of a batch", "[batch][errors]") {
    two_products p;
    operands<> wider(34, 65, 3);
    p.items.push_back(wider.item());
    const auto bias = numbers(33, 1), factors = numbers(64, 2);
    CHECK(p.refused(epilogue::bias{bias}) ==
          outcome{errc::shape_mismatch, "matmul_batch: item 2: epilogue::bias"});
    CHECK(p.refused(prologue::column_scale{factors}) ==
          outcome{errc::shape_mismatch, "matmul_batch: item 2: prologue::column_scale"});
    CHECK(p.refused(epilogue::clamp{1, 0}).where == "matmul_batch: item 0: epilogue::clamp");
}

TEST_CASE("products without tokens are not looked at", "[batch][errors]") {
    two_products p;
    const product<w4> nothing({}, {}, {});
    p.items = {nothing, p.items[0], nothing, p.items[1], nothing};
    CHECK(try_matmul_batch(p.items));
    CHECK(same_bits(p.first.y, p.first.alone()));
    CHECK(same_bits(p.second.y, p.second.alone()));
    CHECK(try_matmul_batch(std::vector<product<w4>>{}));
    CHECK(try_matmul_batch(std::vector{nothing, nothing}));
}

TEST_CASE("batches report memory, sizes and executors", "[batch][errors]") {
    two_products p;
    std::vector<std::byte> few(64);
    CHECK(p.refused(scratch{few}) == outcome{errc::invalid_argument, "matmul_batch: scratch"});
    float number = 1;
    constexpr std::size_t tokens = has_endless_sizes ? two_to(53) : two_to(26);
    const product<w4> huge({&number, tokens, 64, 0, 0}, p.first.w, {&number, tokens, 33, 33});
    p.items[1] = huge;
    const auto code = p.refused().code;
    CHECK((code == errc::size_overflow || code == errc::out_of_memory));
    const auto throws = [](std::size_t, task) { throw std::runtime_error("closed"); };
    operands<> large(160, 512, 64);
    const std::vector items{large.item()};
    CHECK(of(try_matmul_batch(items, throws)) == outcome{errc::executor_failed, "matmul_batch"});
}

TEST_CASE("row ends of grouped products are checked", "[batch][grouped][errors]") {
    operands<> o(33, 64, 5);
    const std::vector<packed_view<w4>> experts{o.w, packed_view<w4>(nullptr, 33, 64), o.w};
    const auto refused = [&](std::vector<std::size_t> ends, matrix_view<float> y) {
        return of(try_grouped_matmul(o.x_view(), experts, ends, y));
    };
    const auto y = o.y_view();
    CHECK(refused({2, 5}, y) == outcome{errc::shape_mismatch, "grouped_matmul: row_ends"});
    CHECK(refused({2, 1, 5}, y) == outcome{errc::invalid_argument, "grouped_matmul: row_ends"});
    CHECK(refused({2, 6, 5}, y) == outcome{errc::invalid_argument, "grouped_matmul: row_ends"});
    CHECK(refused({2, 2, 4}, y) == outcome{errc::shape_mismatch, "grouped_matmul: row_ends"});
    CHECK(refused({2, 2, 5}, {o.y.data(), 4, 33}) ==
          outcome{errc::shape_mismatch, "grouped_matmul: y"});
    CHECK(refused({2, 3, 5}, y) == outcome{errc::null_data, "grouped_matmul: expert 1: w"});
    CHECK(try_grouped_matmul(o.x_view(), experts, std::vector<std::size_t>{2, 2, 5}, y));
    CHECK(same_bits(o.y, o.alone()));
}
