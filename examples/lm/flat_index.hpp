// Numbers found by the hash of what they stand for: a table without a node for each, as building
// it is most of what loading a tokenizer takes.
#pragma once

#include <algorithm>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

namespace lm {

/// Open addressing, half empty at least; what a number stands for, the caller knows. The largest
/// number is none.
class flat_index {
public:
    /// @param most numbers that will be inserted.
    explicit flat_index(std::size_t most)
        : slots_(std::bit_ceil(std::max<std::size_t>(2 * most, 2))), mask_(slots_.size() - 1) {}

    /// The first inserted number of this hash for which is_it(number).
    template <class IsIt>
    [[nodiscard]] std::optional<std::uint32_t> find(std::uint64_t hash, IsIt is_it) const {
        for (std::size_t at = hash & mask_; slots_[at].number != none; at = (at + 1) & mask_) {
            if (slots_[at].tag == tag_of(hash) && is_it(slots_[at].number)) {
                return slots_[at].number;
            }
        }
        return std::nullopt;
    }

    void insert(std::uint64_t hash, std::uint32_t number) {
        std::size_t at = hash & mask_;
        while (slots_[at].number != none) at = (at + 1) & mask_;
        slots_[at] = {number, tag_of(hash)};
    }

private:
    static constexpr std::uint32_t none = UINT32_MAX;
    struct slot {
        std::uint32_t number = none;
        std::uint32_t tag = 0;
    };
    /// Bits that do not choose the slot.
    [[nodiscard]] static std::uint32_t tag_of(std::uint64_t hash) noexcept {
        return static_cast<std::uint32_t>(hash >> 32);
    }

    std::vector<slot> slots_;
    std::size_t mask_;
};

} // namespace lm
