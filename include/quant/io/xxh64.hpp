// xxh64: the 64-bit hash XXH64, a checksum that keeps up with memory.
#pragma once

#include <quant/core/little_endian.hpp>

#include <algorithm>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>

namespace quant::inline QUANT_ABI {
namespace detail {

/// XXH64 of bytes that come in pieces, as in "xxHash fast digest algorithm" (Yann Collet, version
/// 0.2): four sums run side by side over stripes of 32 bytes, then they and the rest are mixed.
class xxh64 {
public:
    explicit xxh64(std::uint64_t seed = 0) noexcept
        : sums_{seed + prime1 + prime2, seed + prime2, seed, seed - prime1}, seed_(seed) {}

    void update(std::span<const std::byte> bytes) noexcept {
        total_ += bytes.size();
        if (waiting_ > 0) {
            const std::size_t taken = std::min(bytes.size(), stripe - waiting_);
            std::copy_n(bytes.data(), taken, rest_ + waiting_);
            waiting_ += taken;
            bytes = bytes.subspan(taken);
            if (waiting_ < stripe) return;
            read_stripes(rest_, 1);
        }
        read_stripes(bytes.data(), bytes.size() / stripe);
        waiting_ = bytes.size() % stripe;
        std::copy_n(bytes.data() + (bytes.size() - waiting_), waiting_, rest_);
    }

    /// The hash of all bytes so far.
    [[nodiscard]] std::uint64_t digest() const noexcept {
        std::uint64_t hash = total_ < stripe ? seed_ + prime5 : merged();
        hash += total_;
        const std::byte* at = rest_;
        std::size_t left = waiting_;
        for (; left >= 8; at += 8, left -= 8) {
            hash ^= round(0, load_le<std::uint64_t>(at));
            hash = std::rotl(hash, 27) * prime1 + prime4;
        }
        for (; left >= 4; at += 4, left -= 4) {
            hash ^= std::uint64_t{load_le<std::uint32_t>(at)} * prime1;
            hash = std::rotl(hash, 23) * prime2 + prime3;
        }
        for (; left > 0; ++at, --left) {
            hash ^= std::to_integer<std::uint64_t>(*at) * prime5;
            hash = std::rotl(hash, 11) * prime1;
        }
        hash = (hash ^ hash >> 33) * prime2;
        hash = (hash ^ hash >> 29) * prime3;
        return hash ^ hash >> 32;
    }

    /// The hash of bytes that are all there.
    [[nodiscard]] static std::uint64_t of(std::span<const std::byte> bytes,
                                          std::uint64_t seed = 0) noexcept {
        xxh64 hash(seed);
        hash.update(bytes);
        return hash.digest();
    }

private:
    static constexpr std::uint64_t prime1 = 0x9E3779B185EBCA87u;
    static constexpr std::uint64_t prime2 = 0xC2B2AE3D27D4EB4Fu;
    static constexpr std::uint64_t prime3 = 0x165667B19E3779F9u;
    static constexpr std::uint64_t prime4 = 0x85EBCA77C2B2AE63u;
    static constexpr std::uint64_t prime5 = 0x27D4EB2F165667C5u;
    static constexpr std::size_t stripe = 32;

    [[nodiscard]] static std::uint64_t round(std::uint64_t sum, std::uint64_t input) noexcept {
        return std::rotl(sum + input * prime2, 31) * prime1;
    }

    void read_stripes(const std::byte* from, std::size_t count) noexcept {
        auto [a, b, c, d] = sums_; // in registers: bytes could alias members
        for (; count > 0; --count, from += stripe) {
            a = round(a, load_le<std::uint64_t>(from));
            b = round(b, load_le<std::uint64_t>(from + 8));
            c = round(c, load_le<std::uint64_t>(from + 16));
            d = round(d, load_le<std::uint64_t>(from + 24));
        }
        sums_ = {a, b, c, d};
    }

    [[nodiscard]] std::uint64_t merged() const noexcept {
        const auto [a, b, c, d] = sums_;
        std::uint64_t hash =
            std::rotl(a, 1) + std::rotl(b, 7) + std::rotl(c, 12) + std::rotl(d, 18);
        for (const std::uint64_t sum : {a, b, c, d}) {
            hash = (hash ^ round(0, sum)) * prime1 + prime4;
        }
        return hash;
    }

    struct four {
        std::uint64_t a, b, c, d;
    };
    four sums_;
    std::uint64_t seed_;
    std::uint64_t total_ = 0;
    std::size_t waiting_ = 0; // bytes of rest_, fewer than a stripe
    std::byte rest_[stripe] = {};
};

} // namespace detail
} // namespace quant::inline QUANT_ABI
