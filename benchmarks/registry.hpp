// Cases: what is measured, against which limit, and what it ought to reach.
//
// Each benchmarks/*.cpp registers *families*: cases that share their operands (one matrix for all
// token counts) and that are measured in turn, round after round, so that a busy neighbour of the
// machine slows all of them and not just one. Weights are made when the first case of a family is
// asked for, and freed when its last one was measured.
//
//     const bench::registration here([](bench::registry& to) {
//         to.add({.name = "elements/quantize int4", .cases = {…}, .prepare = [] {…}});
//     });
#pragma once

#include <quant/simd/isa.hpp>

#include <cstddef>
#include <functional>
#include <initializer_list>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace bench {

/// The parts, one behind the other.
inline std::string joined(std::initializer_list<std::string_view> parts) {
    std::string all;
    for (const std::string_view part : parts) all.append(part);
    return all;
}

/// What a case's rate is divided by.
enum class limit {
    none,             ///< a limit itself, or a figure for its own sake
    dot_product,      ///< 8-bit dot products on registers, see limits::peak
    bf16_dot_product, ///< bf16 dot products on registers, multiply-adds where there are none
    multiply_add,     ///< float multiply-adds on registers
    stream,           ///< reading the family's own weights, in turn with the product
    dot_or_stream,    ///< the lower of the two
    l2_read,          ///< reading half of L2 over and over
    absolute,         ///< the target itself is a rate in the case's unit
    other_case,       ///< the rate of another case of the family
    rise,             ///< no call: by how much time per token rises from one case to the next
};

/// Percent of the limit, or a rate for limit::absolute, that a case ought to reach; 0: no target.
struct targets {
    double avx512_vnni = 0;
    double avx2 = 0;

    /// The target of this build, 0 for instruction sets that have none.
    [[nodiscard]] double here() const {
        const std::string_view isa = quant::isa::current::name;
        if (isa.substr(0, 10) == "avx512vnni") return avx512_vnni;
        return isa.substr(0, 4) == "avx2" ? avx2 : 0;
    }
};

struct one_case {
    std::string name;
    std::string unit = "GOPS";
    double work = 0; ///< operations, bytes or elements of one call, as the unit says
    limit against = limit::none;
    targets target = {};
    /// Operations per byte of weights, for limit::dot_or_stream.
    double work_per_byte = 0;
    /// Tokens of one call: limit::rise compares times per token.
    double tokens = 1;
    /// For limit::other_case, the index of that case.
    std::size_t other = 0;
    /// Skipped on fewer cores than this.
    unsigned cores = 1;
    /// Called once before each repetition, as short calls always are, so that what the family's other
    /// cases pushed out of the last cache is there again.
    bool warm = false;
    /// Instead of a call: measures once and tells the rate. For limits.
    std::function<double()> figure = {};
};

/// The operands of a family, alive while it is measured.
struct prepared {
    /// One call per case, in order; what it needs, it holds. Empty for limit::rise and figures.
    std::vector<std::function<void()>> calls;
    /// What limit::stream reads.
    std::span<const std::byte> stream = {};
};

struct family {
    std::string name; ///< "area/what", the first part of the benchmarks' names
    std::vector<one_case> cases;
    std::function<prepared()> prepare;
};

class registry {
public:
    static registry& instance() {
        static registry all;
        return all;
    }
    void add(family added) { families_.push_back(std::move(added)); }
    [[nodiscard]] std::vector<family>& families() { return families_; }

private:
    std::vector<family> families_;
};

/// A file's cases, added before main begins.
struct registration {
    template <class F>
    explicit registration(F&& add_to) {
        add_to(registry::instance());
    }
};

} // namespace bench
