// Reads the header of a safetensors file, trusting none of it.
//
//   size:u64  header: JSON of `size` bytes  data section, to the end of the file
//   { "__metadata__": { KEY: STRING … },
//     NAME: { "dtype": STRING, "shape": [ … ], "data_offsets": [ BEGIN, END ] } … }
//
// Offsets count from the data section, which the tensors cover without gaps. Memory follows what
// was read; time is O(n log n) in the header's size; nothing recurses on the input. Source: the
// safetensors project's format description and reference implementation.
#pragma once

#include <quant/core/checked.hpp>
#include <quant/io/growing.hpp>
#include <quant/io/name_order.hpp>
#include <quant/io/safetensors/json.hpp>
#include <quant/io/safetensors/tensor.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <iterator>
#include <optional>
#include <span>
#include <string_view>
#include <tuple>
#include <utility>

namespace quant::inline QUANT_ABI {
namespace safetensors {

/// An entry of "__metadata__": a text under a key, both valid UTF-8.
class metadata_entry {
public:
    [[nodiscard]] std::string_view key() const noexcept { return key_; }
    [[nodiscard]] std::string_view value() const noexcept { return value_; }

private:
    friend class detail::st_header;
    std::string_view key_;
    std::string_view value_;
};

} // namespace safetensors

namespace detail {

/// What a safetensors file says, once read; views point into its arrays and the file's bytes.
struct st_contents {
    growing<char> text;        // of names, keys and values
    growing<std::size_t> dims; // of all tensors
    growing<safetensors::tensor> tensors;
    growing<safetensors::metadata_entry> metadata;
    buffer<std::size_t> tensor_order;   // by name
    buffer<std::size_t> metadata_order; // by key
};

/// A field's name, "safetensors: tensors[3].shape".
struct st_field {
    st_field(const char* list, std::size_t item, const char* name) noexcept {
        std::snprintf(text, sizeof text, "safetensors: %s[%zu].%s", list, item, name);
    }
    char text[80];
};

/// Fills an st_contents from the bytes of a file.
class st_header {
public:
    st_header(std::span<const std::byte> bytes, st_contents& out) noexcept
        : bytes_(bytes), out_(out) {}

    [[nodiscard]] result<void> run() noexcept {
        const auto text = find_text();
        if (!text) return text.failure();
        auto parsed = guarded(header, [&] { return parse(*text); });
        if (!parsed) return parsed;
        data_ = bytes_.subspan(size_bytes + text->size());
        if (auto done = make_metadata(); !done) return done;
        if (auto done = make_tensors(); !done) return done;
        return check_cover();
    }

    // Events of the JSON text.
    [[nodiscard]] bool begin_object();
    [[nodiscard]] bool end_object();
    [[nodiscard]] bool begin_array();
    [[nodiscard]] bool end_array();
    [[nodiscard]] bool key(std::string_view name);
    [[nodiscard]] bool string(std::string_view text);
    [[nodiscard]] bool number(std::uint64_t value);
    [[nodiscard]] bool real(double) { return unexpected("a number that is no integer"); }
    [[nodiscard]] bool other(const char* what) { return unexpected(what); }

private:
    static constexpr std::size_t size_bytes = 8;
    static constexpr std::size_t largest_header = 100'000'000;
    static constexpr const char* header = "safetensors: header";

    /// Where the events stand.
    enum class level { start, root, metadata, tensor, shape, offsets, finished };
    enum class field { none, dtype, shape, data_offsets };
    static constexpr const char* field_names[] = {"", "dtype", "shape", "data_offsets"};

    struct text_place {
        std::size_t first = 0;
        std::size_t size = 0;
        std::size_t at = 0; // in the file
    };
    struct text_pair {
        text_place key;
        text_place value;
    };
    struct raw_tensor {
        text_place name;
        std::size_t first_dim = 0;
        std::size_t n_dims = 0;
        std::uint64_t offsets[2] = {};
        std::size_t n_offsets = 0;
        safetensors::dtype type = safetensors::dtype::f32;
        unsigned seen = 0; // a bit per field
    };

    [[nodiscard]] result<std::string_view> find_text() const noexcept;
    [[nodiscard]] result<void> parse(std::string_view text);
    [[nodiscard]] result<void> make_metadata() noexcept;
    [[nodiscard]] result<void> make_tensors() noexcept;
    [[nodiscard]] result<void> make_tensor(std::size_t i) noexcept;
    [[nodiscard]] result<void> check_cover() noexcept;

    [[nodiscard]] std::string_view text_of(const text_place& place) const noexcept {
        return {out_.text.span().data() + place.first, place.size};
    }
    [[nodiscard]] st_field tensor_field(const char* name) const noexcept {
        return {"tensors", tensors_.size(), name};
    }
    /// Where the last token stands in the file.
    [[nodiscard]] std::size_t at() const noexcept { return size_bytes + events_->at(); }
    [[nodiscard]] std::size_t string_at() const noexcept {
        return size_bytes + events_->string_at();
    }

    bool fail(error failure) noexcept {
        failure_ = failure;
        return false;
    }
    [[nodiscard]] bool unexpected(const char* what) noexcept;
    [[nodiscard]] bool keep(std::string_view text, text_place& into) noexcept;
    [[nodiscard]] bool tensor_key(std::string_view name) noexcept;
    [[nodiscard]] bool finish_tensor() noexcept;

    std::span<const std::byte> bytes_;
    std::span<const std::byte> data_;
    st_contents& out_;
    json_events<st_header>* events_ = nullptr;
    std::optional<error> failure_;

    level level_ = level::start;
    bool metadata_next_ = false;
    bool has_metadata_ = false;
    field field_ = field::none;
    text_pair entry_;
    raw_tensor tensor_;
    growing<text_pair> entries_;
    growing<raw_tensor> tensors_;
};

inline result<std::string_view> st_header::find_text() const noexcept {
    constexpr const char* where = "safetensors: header_size";
    if (bytes_.size() < size_bytes) {
        return make_error(errc::truncated, where, "at byte 0: the file has %zu bytes",
                          bytes_.size());
    }
    const auto size = load_le<std::uint64_t>(bytes_.data());
    const auto shown = static_cast<unsigned long long>(size);
    if (size > largest_header) {
        return make_error(errc::bad_format, where, "at byte 0: %llu bytes; at most %zu", shown,
                          largest_header);
    }
    if (size > bytes_.size() - size_bytes) {
        return make_error(errc::truncated, where, "at byte 0: %llu bytes, %zu left in the file",
                          shown, bytes_.size() - size_bytes);
    }
    const std::string_view text(reinterpret_cast<const char*>(bytes_.data()) + size_bytes,
                                static_cast<std::size_t>(size));
    if (text.empty() || text.front() != '{') {
        return make_error(errc::bad_format, header, "at byte %zu: no JSON object", size_bytes);
    }
    return text;
}

inline result<void> st_header::parse(std::string_view text) {
    json_events<st_header> events(text, *this);
    events_ = &events;
    const bool complete = events.run();
    events_ = nullptr;
    if (failure_) return *failure_;
    if (!complete || events.is_broken()) {
        return make_error(errc::bad_format, header, "at byte %zu: no valid JSON",
                          size_bytes + events.broken_at());
    }
    return {};
}

inline bool st_header::unexpected(const char* what) noexcept {
    const char* wanted = "an object";
    std::optional<st_field> where;
    switch (level_) {
    case level::start:
    case level::finished: break;
    case level::root:
        if (metadata_next_) break;
        where = tensor_field("name");
        break;
    case level::metadata:
        where = st_field("metadata", entries_.size(), "value");
        wanted = "a string";
        break;
    case level::tensor:
        where = tensor_field(field_names[static_cast<int>(field_)]);
        wanted = field_ == field::dtype ? "a string" : "an array";
        break;
    case level::shape:
        where = tensor_field("shape");
        wanted = "a number below 2^64";
        break;
    case level::offsets:
        where = tensor_field("data_offsets");
        wanted = "a number below 2^64";
        break;
    }
    const char* const place = where            ? where->text
                              : metadata_next_ ? "safetensors: __metadata__"
                                               : header;
    return fail(make_error(errc::bad_format, place, "at byte %zu: %s where %s belongs", at(), what,
                           wanted));
}

inline bool st_header::keep(std::string_view text, text_place& into) noexcept {
    into = {out_.text.size(), text.size(), string_at()};
    const auto room = out_.text.extend(text.size(), header);
    if (!room) return fail(room.failure());
    std::copy(text.begin(), text.end(), room->begin());
    return true;
}

inline bool st_header::begin_object() {
    if (level_ == level::start) {
        level_ = level::root;
    } else if (level_ == level::root) {
        level_ = metadata_next_ ? level::metadata : level::tensor;
        metadata_next_ = false;
    } else {
        return unexpected("an object");
    }
    return true;
}

inline bool st_header::end_object() {
    if (level_ == level::root) {
        level_ = level::finished;
        return true;
    }
    const bool is_tensor = level_ == level::tensor;
    level_ = level::root;
    return !is_tensor || finish_tensor();
}

inline bool st_header::begin_array() {
    if (level_ != level::tensor || field_ == field::dtype) return unexpected("an array");
    level_ = field_ == field::shape ? level::shape : level::offsets;
    return true;
}

inline bool st_header::end_array() {
    if (level_ == level::offsets && tensor_.n_offsets != 2) {
        return fail(make_error(errc::bad_format, tensor_field("data_offsets").text,
                               "at byte %zu: %zu numbers, not 2", at(), tensor_.n_offsets));
    }
    level_ = level::tensor;
    return true;
}

inline bool st_header::key(std::string_view name) {
    if (level_ == level::tensor) return tensor_key(name);
    if (level_ == level::metadata) return keep(name, entry_.key);
    if (name == "__metadata__") {
        if (std::exchange(has_metadata_, true)) {
            return fail(make_error(errc::bad_format, "safetensors: __metadata__",
                                   "at byte %zu: was there before", string_at()));
        }
        metadata_next_ = true;
        return true;
    }
    tensor_ = {};
    tensor_.first_dim = out_.dims.size();
    return keep(name, tensor_.name);
}

inline bool st_header::tensor_key(std::string_view name) noexcept {
    for (int i = 1; i <= 3; ++i) {
        if (name != field_names[i]) continue;
        field_ = static_cast<field>(i);
        const unsigned bit = 1u << i;
        if ((tensor_.seen & bit) != 0) {
            return fail(make_error(errc::bad_format, tensor_field(field_names[i]).text,
                                   "at byte %zu: was there before", string_at()));
        }
        tensor_.seen |= bit;
        return true;
    }
    return fail(make_error(errc::unsupported, tensor_field("?").text,
                           "at byte %zu: unknown key \"%s\"", string_at(),
                           printable_name(name).text));
}

inline bool st_header::string(std::string_view text) {
    if (level_ == level::metadata) {
        if (!keep(text, entry_.value)) return false;
        const auto kept = entries_.push(entry_, PTRDIFF_MAX, header);
        return kept || fail(kept.failure());
    }
    if (level_ != level::tensor || field_ != field::dtype) return unexpected("a string");
    for (std::size_t i = 0; i < std::size(st_dtypes); ++i) {
        if (text != st_dtypes[i].name) continue;
        tensor_.type = static_cast<safetensors::dtype>(i);
        return true;
    }
    return fail(make_error(errc::unsupported, tensor_field("dtype").text,
                           "at byte %zu: unknown dtype \"%s\"", string_at(),
                           printable_name(text).text));
}

inline bool st_header::number(std::uint64_t value) {
    if (level_ == level::shape) {
        if (value > SIZE_MAX) {
            return fail(make_error(errc::size_overflow, tensor_field("shape").text,
                                   "at byte %zu: a dimension of %llu", at(),
                                   static_cast<unsigned long long>(value)));
        }
        ++tensor_.n_dims;
        const auto kept = out_.dims.push(static_cast<std::size_t>(value), PTRDIFF_MAX, header);
        return kept || fail(kept.failure());
    }
    if (level_ == level::offsets) {
        if (tensor_.n_offsets < 2) tensor_.offsets[tensor_.n_offsets] = value;
        ++tensor_.n_offsets;
        return true;
    }
    return unexpected("a number");
}

inline bool st_header::finish_tensor() noexcept {
    for (int i = 1; i <= 3; ++i) {
        if ((tensor_.seen & 1u << i) != 0) continue;
        return fail(make_error(errc::bad_format, tensor_field(field_names[i]).text,
                               "at byte %zu: missing", tensor_.name.at));
    }
    const auto kept = tensors_.push(tensor_, PTRDIFF_MAX, header);
    return kept || fail(kept.failure());
}

inline result<void> st_header::make_metadata() noexcept {
    const std::span<const text_pair> from = std::as_const(entries_).span();
    const auto entries = out_.metadata.extend(from.size(), header);
    if (!entries) return entries.failure();
    for (std::size_t i = 0; i < from.size(); ++i) {
        safetensors::metadata_entry made;
        made.key_ = text_of(from[i].key);
        made.value_ = text_of(from[i].value);
        (*entries)[i] = made;
    }
    auto order = buffer<std::size_t>::uninitialized(from.size(), header);
    if (!order) return order.failure();
    out_.metadata_order = *std::move(order);
    const auto all = std::as_const(out_.metadata).span();
    sort_by_name(all, out_.metadata_order.span());
    const std::size_t twice = first_duplicate(all, std::as_const(out_.metadata_order).span());
    if (twice < all.size()) {
        return make_error(errc::bad_format, st_field("metadata", twice, "key").text,
                          "at byte %zu: \"%s\" was there before", from[twice].key.at,
                          printable_name(all[twice].key()).text);
    }
    return {};
}

inline result<void> st_header::make_tensors() noexcept {
    const std::size_t n = tensors_.size();
    if (auto made = out_.tensors.extend(n, header); !made) return made.failure();
    for (std::size_t i = 0; i < n; ++i) {
        if (auto made = make_tensor(i); !made) return made;
    }
    auto order = buffer<std::size_t>::uninitialized(n, header);
    if (!order) return order.failure();
    out_.tensor_order = *std::move(order);
    const auto all = std::as_const(out_.tensors).span();
    sort_by_name(all, out_.tensor_order.span());
    const std::size_t twice = first_duplicate(all, std::as_const(out_.tensor_order).span());
    if (twice < n) {
        return make_error(errc::bad_format, st_field("tensors", twice, "name").text,
                          "at byte %zu: \"%s\" was there before", tensors_.span()[twice].name.at,
                          printable_name(all[twice].name()).text);
    }
    return {};
}

inline result<void> st_header::make_tensor(std::size_t i) noexcept {
    const raw_tensor& raw = tensors_.span()[i];
    safetensors::tensor made;
    made.name_ = text_of(raw.name);
    made.dtype_ = raw.type;
    made.shape_ = std::as_const(out_.dims).span().subspan(raw.first_dim, raw.n_dims);
    const printable_name name(made.name_);

    // Zeros first: with one of them no product is too large.
    maybe_size elements = std::count(made.shape_.begin(), made.shape_.end(), 0u) > 0 ? 0 : 1;
    for (const std::size_t dim : made.shape_) {
        elements = *elements == 0 ? elements : checked_mul(elements, dim);
        if (!elements) break;
    }
    const maybe_size bits = checked_mul(elements, safetensors::bits_of(raw.type));
    if (!bits) {
        return make_error(errc::size_overflow, st_field("tensors", i, "shape").text,
                          "at byte %zu: \"%s\" has more elements than fit", raw.name.at, name.text);
    }
    if (*bits % 8 != 0) {
        return make_error(errc::bad_format, st_field("tensors", i, "shape").text,
                          "at byte %zu: \"%s\", %zu elements of %s, does not end on a byte",
                          raw.name.at, name.text, *elements, safetensors::to_string(raw.type));
    }
    made.elements_ = *elements;

    const st_field where("tensors", i, "data_offsets");
    const auto begin = static_cast<unsigned long long>(raw.offsets[0]);
    const auto end = static_cast<unsigned long long>(raw.offsets[1]);
    if (end < begin || end - begin != *bits / 8) {
        return make_error(errc::bad_format, where.text,
                          "at byte %zu: \"%s\" needs %zu bytes, not those from %llu to %llu",
                          raw.name.at, name.text, *bits / 8, begin, end);
    }
    if (end > data_.size()) {
        return make_error(errc::truncated, where.text,
                          "at byte %zu: \"%s\" ends at %llu of the data section's %zu bytes",
                          raw.name.at, name.text, end, data_.size());
    }
    made.data_ = data_.subspan(static_cast<std::size_t>(begin), *bits / 8);
    out_.tensors.span()[i] = made;
    return {};
}

inline result<void> st_header::check_cover() noexcept {
    const auto raw = std::as_const(tensors_).span();
    auto by_offset = buffer<std::size_t>::uninitialized(raw.size(), header);
    if (!by_offset) return by_offset.failure();
    const std::span<std::size_t> order = by_offset->span();
    for (std::size_t i = 0; i < order.size(); ++i) order[i] = i;
    const auto place = [&](std::size_t i) {
        return std::tuple(raw[i].offsets[0], raw[i].offsets[1], i);
    };
    std::sort(order.begin(), order.end(),
              [&](std::size_t a, std::size_t b) { return place(a) < place(b); });
    std::uint64_t covered = 0;
    for (const std::size_t i : order) {
        if (raw[i].offsets[0] != covered) {
            return make_error(errc::bad_format, st_field("tensors", i, "data_offsets").text,
                              "at byte %zu: \"%s\" begins at %llu, the tensors before it end at "
                              "%llu",
                              raw[i].name.at, printable_name(text_of(raw[i].name)).text,
                              static_cast<unsigned long long>(raw[i].offsets[0]),
                              static_cast<unsigned long long>(covered));
        }
        covered = raw[i].offsets[1];
    }
    if (covered != data_.size()) {
        return make_error(errc::bad_format, "safetensors: data",
                          "at byte %zu: %zu bytes behind the last tensor",
                          bytes_.size() - data_.size() + static_cast<std::size_t>(covered),
                          data_.size() - static_cast<std::size_t>(covered));
    }
    return {};
}

} // namespace detail
} // namespace quant::inline QUANT_ABI
