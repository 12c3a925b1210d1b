// libFuzzer target: whatever the bytes are, the reader of packed files answers, and all that it
// hands out can be viewed, checked and decoded. As random bytes are hardly ever a packed file, the
// input also changes a good one.
//
//   clang++ -std=c++20 -O1 -g -fsanitize=fuzzer,address,undefined -fno-sanitize-recover=all
//       -Iinclude tests/fuzz/packed_file_fuzz.cpp -o packed_file_fuzz
//   ./packed_file_fuzz -max_len=1024
#include "../unit/aligned_bytes.hpp"

#include <quant/io/packed_file.hpp>

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <span>
#include <string_view>
#include <vector>

namespace {

using w4 = quant::scheme<quant::int4, quant::symmetric, quant::group_wise<32>, quant::fp16>;
using w8 = quant::scheme<quant::int8, quant::symmetric, quant::per_channel, float>;

std::uint64_t sink = 0; // what is read must be used, or the compiler would not read it

void require(bool property) {
    if (!property) std::abort();
}

template <class T>
void put(std::vector<std::byte>& to, T value) {
    const auto bytes = std::as_bytes(std::span(&value, 1));
    to.insert(to.end(), bytes.begin(), bytes.end());
}
void put_text(std::vector<std::byte>& to, std::string_view text) {
    put(to, std::uint64_t{text.size()});
    const auto bytes = std::as_bytes(std::span(text));
    to.insert(to.end(), bytes.begin(), bytes.end());
}
void put_tensor(std::vector<std::byte>& to, std::string_view name, std::uint64_t size,
                quant::gguf::type which, std::uint64_t offset) {
    put_text(to, name);
    put(to, std::uint32_t{1});
    put(to, size);
    put(to, static_cast<std::uint32_t>(which));
    put(to, offset);
}

/// A packed file of two matrices, 3 × 32 and 2 × 8, with wrong checksums.
std::vector<std::byte> good_file() {
    const auto four = quant::packed_matrix<w4>::try_zero(3, 32);
    const auto eight = quant::packed_matrix<w8>::try_zero(2, 8);
    const std::size_t first = four->bytes().size(), second = eight->bytes().size();
    std::vector<std::byte> made;
    put(made, std::uint32_t{0x46554747}); // GGUF
    put(made, std::uint32_t{3});
    put(made, std::uint64_t{3});
    put(made, std::uint64_t{3});
    for (const std::string_view key : {"general.alignment", "quant.packed.layout_version"}) {
        put_text(made, key);
        put(made, std::uint32_t{4});
        put(made, std::uint32_t{key == "general.alignment" ? 64u : 1u});
    }
    put_text(made, "quant.packed.checksum");
    put(made, std::uint32_t{8});
    put_text(made, "xxh64");
    using quant::gguf::type;
    put_tensor(made, "a", first, type::i8, 0);
    put_tensor(made, "b", second, type::i8, first);
    put_tensor(made, "quant.packed.checksums", 2, type::i64, first + second);
    made.resize((made.size() + 63) / 64 * 64);
    made.insert(made.end(), four->bytes().begin(), four->bytes().end());
    made.insert(made.end(), eight->bytes().begin(), eight->bytes().end());
    made.resize(made.size() + 16);
    return made;
}

template <quant::quantization_scheme S>
void walk(quant::packed_view<S> view) {
    std::vector<float> row(view.cols());
    const std::vector<std::size_t> last = {view.rows() - 1};
    const auto done = quant::try_gather_rows(view, std::span(last),
                                             quant::matrix_view(row.data(), 1, row.size()));
    require(done.has_value());
    for (const float value : row) sink += value < 0 ? 1u : 0u;
}

bool read(std::span<const std::byte> input) {
    const aligned_bytes bytes(input);
    const auto file = quant::packed_file::try_parse(bytes.span());
    if (!file) {
        sink += static_cast<unsigned char>(*file.failure().what());
        return false;
    }
    for (const quant::packed_tensor& each : file->matrices()) {
        require(file->find(each.name()) == &each);
        const auto data = each.bytes();
        require(data.data() >= bytes.span().data() &&
                data.data() + data.size() <= bytes.span().data() + bytes.span().size());
        if (const auto view = file->try_view<w4>(each.name())) walk(*view);
        using either = quant::any_packed_view<w8, w4>;
        if (const auto view = file->try_view_any<either>(each.name())) {
            view->visit([](const auto& held) { walk(held); });
        }
        sink += file->try_verify(each.name()).has_value() ? 1u : 0u;
    }
    sink += file->try_verify().has_value() ? 1u : 0u;
    return true;
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    static const std::vector<std::byte> good = good_file();
    static const bool is_good = read(good);
    require(is_good);
    static_cast<void>(read(std::as_bytes(std::span(data, size))));
    // Three bytes say where the good file changes, and to what.
    std::vector<std::byte> changed = good;
    for (; size >= 3; data += 3, size -= 3) {
        const std::size_t at = data[0] + data[1] * 256u;
        changed[at % changed.size()] = static_cast<std::byte>(data[2]);
    }
    static_cast<void>(read(changed));
    return 0;
}
