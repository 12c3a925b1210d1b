// Work is cut so that every piece belongs to exactly one task, tasks are even, and small work is
// not cut at all.
#include <quant/kernel/schedule.hpp>

#include <catch2/catch_test_macros.hpp>

#include <cstddef>
#include <cstdint>
#include <vector>

using namespace quant::detail;

TEST_CASE("every piece belongs to one task, in order", "[schedule]") {
    std::uint32_t state = 1;
    const auto random = [&](std::uint32_t n) {
        return (state = state * 1664525u + 1013904223u) / 65536u % n;
    };
    for (int round = 0; round < 300; ++round) {
        std::vector<work_share> shares(1 + random(20));
        std::size_t pieces = 0;
        double largest = 0;
        work_share before;
        for (work_share& s : shares) {
            const bool nothing = random(3) == 0;
            s = {before.after(), nothing ? 0.0 : 0.1 * (1 + random(1000)),
                 nothing ? std::size_t{0} : 1 + random(50)};
            before = s;
            pieces += s.pieces;
            largest = s.per_piece > largest ? s.per_piece : largest;
        }
        const work_list list{shares};
        CHECK(list.pieces() == pieces);
        const std::size_t tasks = 1 + random(30);
        const double fair = list.total() / static_cast<double>(tasks);
        std::size_t item = 0, piece = 0;
        for (std::size_t t = 0; t < tasks; ++t) {
            double work = 0;
            list.for_each(t, tasks, [&](std::size_t i, std::size_t first, std::size_t last) {
                while (item < i) {
                    REQUIRE(piece == shares[item].pieces);
                    ++item, piece = 0;
                }
                REQUIRE(item == i);
                REQUIRE(first == piece);
                REQUIRE(first < last);
                piece = last;
                work += shares[i].per_piece * static_cast<double>(last - first);
            });
            CHECK(work <= (fair + largest) * 1.000001);
        }
        while (item + 1 < shares.size() && piece == shares[item].pieces) ++item, piece = 0;
        CHECK(item + 1 == shares.size());
        CHECK(piece == shares[item].pieces);
    }
    CHECK(work_list{}.pieces() == 0);
}

TEST_CASE("pieces of a product cover each output once", "[schedule]") {
    for (const std::size_t panels : {1u, 3u, 4u, 5u, 36u, 200u}) {
        for (const std::size_t tiles : {1u, 2u, 11u, 12u, 13u, 100u}) {
            for (const std::size_t concurrency : {1u, 2u, 16u}) {
                const product_pieces pieces(panels, tiles, concurrency);
                const work_share work = pieces.work(64, tiles * 3, 0);
                std::vector<int> seen(panels * tiles);
                const std::size_t half = work.pieces / 2;
                const auto mark = [&](std::size_t tile, std::size_t tiles_end, std::size_t panel,
                                      std::size_t panels_end) {
                    for (; tile < tiles_end; ++tile) {
                        for (std::size_t p = panel; p < panels_end; ++p) ++seen[tile * panels + p];
                    }
                };
                pieces.for_each(0, half, mark);
                pieces.for_each(half, work.pieces, mark);
                CHECK(seen == std::vector<int>(panels * tiles, 1));
            }
        }
    }
}

TEST_CASE("small work stays whole, large work gives each thread as many tasks", "[schedule]") {
    CHECK(product_tasks(1e5, 100, 64) == 1);
    CHECK(product_tasks(1e12, 100, 1) == 1);
    CHECK(product_tasks(1e12, 1, 64) == 1);
    CHECK(product_tasks(1e12, 1000, 64) == 256);
    CHECK(product_tasks(1e12, 100, 64) == 100);
    for (double work = 1e5; work < 1e9; work *= 1.3) {
        for (const std::size_t concurrency : {2u, 3u, 16u}) {
            const std::size_t tasks = product_tasks(work, 1000, concurrency);
            CHECK(tasks <= 4 * concurrency);
            CHECK((tasks <= concurrency || tasks % concurrency == 0));
        }
    }
}
