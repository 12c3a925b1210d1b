// A small mixture-of-experts layer: a router sends each token to two of four experts, and one batch
// of products per layer multiplies every expert with the tokens that chose it.
#include <quant/quant.hpp>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <vector>

using w4 = quant::scheme<quant::int4, quant::symmetric, quant::group_wise<32>, quant::fp16>;
using a8 = quant::default_activations<w4>;

namespace {

constexpr std::size_t tokens = 24, width = 256, hidden = 512, experts = 4, chosen = 2;

std::vector<float> wave(std::size_t n, float step) {
    std::vector<float> values(n);
    for (std::size_t i = 0; i < n; ++i) values[i] = std::sin(step * static_cast<float>(i));
    return values;
}

quant::packed_matrix<w4> layer(std::size_t rows, std::size_t cols, float step) {
    const auto w = wave(rows * cols, step);
    return quant::quantize_packed<w4>(quant::matrix_view(w.data(), rows, cols));
}

struct expert {
    quant::packed_matrix<w4> up, down;
};

// The tokens of each expert with their shares, from the router's scores.
struct routing {
    std::array<std::vector<std::uint32_t>, experts> rows;
    std::array<std::vector<float>, experts> shares;
};

routing route(const std::vector<float>& scores) {
    routing made;
    for (std::uint32_t t = 0; t < tokens; ++t) {
        std::array<std::size_t, experts> order{0, 1, 2, 3};
        const float* score = scores.data() + t * experts;
        std::sort(order.begin(), order.end(),
                  [&](std::size_t a, std::size_t b) { return score[a] > score[b]; });
        const float first = 1.0f / (1.0f + std::exp(score[order[1]] - score[order[0]]));
        for (std::size_t k = 0; k < chosen; ++k) {
            made.rows[order[k]].push_back(t);
            made.shares[order[k]].push_back(k == 0 ? first : 1.0f - first);
        }
    }
    return made;
}

} // namespace

int main() {
    std::vector<expert> mixture;
    for (std::size_t e = 0; e < experts; ++e) {
        const float step = 1.1f + 0.1f * static_cast<float>(e);
        mixture.push_back({layer(hidden, width, step), layer(width, hidden, step + 0.05f)});
    }
    const auto x = wave(tokens * width, 0.7f), scores = wave(tokens * experts, 2.3f);
    const quant::matrix_view<const float> x_view(x.data(), tokens, width);
    const routing routed = route(scores);

    quant::thread_pool pool;
    // Enough for either batch, however the tokens are routed: no product allocates.
    constexpr std::size_t pairs = tokens * chosen;
    std::vector<std::byte> memory(quant::scratch_bytes<a8, w4>(pairs, hidden, pool, experts));
    const quant::scratch scratch(memory);

    // Up: each expert gathers its own tokens. Down: its rows lie together, one expert's behind the
    // other's.
    std::vector<float> inner(pairs * hidden), outer(pairs * width);
    std::vector<quant::product<w4>> up;
    std::vector<std::size_t> row_ends;
    std::size_t row = 0;
    for (std::size_t e = 0; e < experts; ++e) {
        const std::size_t count = routed.rows[e].size(); // may be 0: nobody chose this expert
        up.emplace_back(x_view, mixture[e].up,
                        quant::matrix_view(inner.data() + row * hidden, count, hidden),
                        routed.rows[e]);
        row += count;
        row_ends.push_back(row);
    }
    quant::matmul_batch(up, pool, scratch, quant::epilogue::silu{});

    std::vector<quant::packed_view<w4>> down;
    for (const expert& e : mixture) down.push_back(e.down);
    quant::grouped_matmul(quant::matrix_view(inner.data(), pairs, hidden), down, row_ends,
                          quant::matrix_view(outer.data(), pairs, width), pool, scratch);

    std::vector<float> y(tokens * width);
    row = 0;
    for (std::size_t e = 0; e < experts; ++e) {
        for (std::size_t i = 0; i < routed.rows[e].size(); ++i, ++row) {
            const float* from = outer.data() + row * width;
            float* to = y.data() + routed.rows[e][i] * width;
            for (std::size_t c = 0; c < width; ++c) to[c] += routed.shares[e][i] * from[c];
        }
    }

    // The same bits as from one token and one expert at a time.
    std::vector<float> again(tokens * width), h(hidden), o(width);
    for (std::size_t e = 0; e < experts; ++e) {
        for (std::size_t i = 0; i < routed.rows[e].size(); ++i) {
            const std::uint32_t t = routed.rows[e][i];
            quant::matmul(quant::matrix_view(x_view.row(t), 1, width), mixture[e].up,
                          quant::matrix_view(h.data(), 1, hidden), quant::epilogue::silu{});
            quant::matmul(quant::matrix_view(h.data(), 1, hidden), mixture[e].down,
                          quant::matrix_view(o.data(), 1, width));
            for (std::size_t c = 0; c < width; ++c) {
                again[t * width + c] += routed.shares[e][i] * o[c];
            }
        }
    }
    for (std::size_t e = 0; e < experts; ++e) {
        std::printf("expert %zu: %zu tokens\n", e, routed.rows[e].size());
    }
    std::printf("the layer %s\n", y == again ? "agrees" : "differs");
    return y == again ? 0 : 1;
}
