// The first half of reading a safetensors header: what its JSON may say, and where.
#pragma once

#include <quant/io/safetensors/header.hpp>

namespace quant::inline QUANT_ABI {
namespace detail {

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

} // namespace detail
} // namespace quant::inline QUANT_ABI
