// Writes the bytes of GGUF files, well-formed or hostile, field by field.
#pragma once

#include <quant/io/gguf.hpp>

#include <catch2/catch_test_macros.hpp>

#include <algorithm>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <initializer_list>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

namespace gguf_test {

using quant::errc;
using quant::gguf::type;
using quant::gguf::value_type;

/// A file's bytes; every member appends one field, little-endian on any host.
class image {
public:
    template <class T>
    image& put(T value) {
        std::byte bytes[sizeof(T)];
        std::memcpy(bytes, &value, sizeof(T));
        if (std::endian::native == std::endian::big) std::reverse(bytes, bytes + sizeof(T));
        bytes_.insert(bytes_.end(), bytes, bytes + sizeof(T));
        return *this;
    }
    image& u8(std::uint8_t value) { return put(value); }
    image& u32(std::uint32_t value) { return put(value); }
    image& u64(std::uint64_t value) { return put(value); }
    image& raw(std::string_view text) {
        const auto* first = reinterpret_cast<const std::byte*>(text.data());
        bytes_.insert(bytes_.end(), first, first + text.size());
        return *this;
    }
    image& str(std::string_view text) { return u64(text.size()).raw(text); }
    image& of(value_type which) { return u32(static_cast<std::uint32_t>(which)); }

    image& header(std::uint64_t n_tensors, std::uint64_t n_kv, std::uint32_t version = 3) {
        return raw("GGUF").u32(version).u64(n_tensors).u64(n_kv);
    }
    template <class T>
    image& entry(std::string_view key, value_type which, T value) {
        return str(key).of(which).put(value);
    }
    image& entry(std::string_view key, std::string_view value) {
        return str(key).of(value_type::string).str(value);
    }
    image& array(std::string_view key, value_type element, std::uint64_t length) {
        return str(key).of(value_type::array).of(element).u64(length);
    }
    image& tensor(std::string_view name, std::initializer_list<std::uint64_t> dims,
                  std::uint32_t id, std::uint64_t offset) {
        str(name).u32(static_cast<std::uint32_t>(dims.size()));
        for (const std::uint64_t dim : dims) u64(dim);
        return u32(id).u64(offset);
    }
    image& tensor(std::string_view name, std::initializer_list<std::uint64_t> dims, type which,
                  std::uint64_t offset) {
        return tensor(name, dims, static_cast<std::uint32_t>(which), offset);
    }
    /// Bytes of one value.
    image& fill(std::size_t count, std::uint8_t value = 0) {
        bytes_.insert(bytes_.end(), count, std::byte{value});
        return *this;
    }
    image& align(std::size_t to = 32) { return fill((to - bytes_.size() % to) % to); }

    [[nodiscard]] std::size_t size() const { return bytes_.size(); }
    [[nodiscard]] std::span<const std::byte> bytes() const { return bytes_; }

private:
    std::vector<std::byte> bytes_;
};

/// Two entries and three tensors of different types, the last ending with the file.
inline image small_model(std::uint32_t version = 3) {
    image made;
    made.header(3, 4, version)
        .entry("general.architecture", "llama")
        .entry("llama.block_count", value_type::u32, std::uint32_t{5});
    made.array("tokens", value_type::string, 3).str("<s>").str("").str("\xC3\xA9t\xC3\xA9");
    made.array("scores", value_type::f32, 2).put(0.5f).put(-1.0f);
    made.tensor("b", {32, 2}, type::q8_0, 0)
        .tensor("a", {3}, type::f32, 96)
        .tensor("c", {64, 1, 2}, type::q4_0, 128)
        .align()
        .fill(68)
        .fill(28)
        .put(1.0f)
        .put(2.0f)
        .put(3.0f)
        .fill(20)
        .fill(72);
    return made;
}

/// Checks that a file is refused with this code, naming this field and its place.
inline void check_refused(std::span<const std::byte> bytes, errc code, std::string_view where,
                          std::size_t at) {
    const auto file = quant::gguf::file::try_parse(bytes);
    REQUIRE_FALSE(file.has_value());
    const quant::error& failure = file.failure();
    INFO(failure.what());
    CHECK(failure.code() == code);
    CHECK(failure.where() == where);
    const std::string place = "at byte " + std::to_string(at) + ": ";
    CHECK(std::string_view(failure.message()).substr(0, place.size()) == place);
}
inline void check_refused(const image& file, errc code, std::string_view where, std::size_t at) {
    check_refused(file.bytes(), code, where, at);
}

} // namespace gguf_test
