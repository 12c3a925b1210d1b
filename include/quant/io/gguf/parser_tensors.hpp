// The tensor half of gguf_parser: shapes, types, and the place of each tensor's bytes.
#pragma once

#include <quant/io/gguf/parser.hpp>

namespace quant::inline QUANT_ABI {
namespace detail {

inline result<void> gguf_parser::read_tensors(std::size_t count) noexcept {
    for (std::size_t i = 0; i < count; ++i) {
        const auto read = read_tensor(i);
        if (!read) return read.failure();
        if (auto kept = out_.tensors.push(*read, count, "gguf: tensors"); !kept) return kept;
    }
    return {};
}

inline result<gguf::tensor> gguf_parser::read_tensor(std::size_t i) noexcept {
    gguf::tensor made;
    const gguf_field name_field = tensor_field("name", i);
    const std::size_t at = in_.position();
    const auto name = in_.string(name_field);
    if (!name) return name.failure();
    if (name->empty()) return gguf_error(errc::bad_format, name_field, at, "an empty name");
    if (name->size() > longest_tensor_name) {
        return gguf_error(errc::bad_format, name_field, at, "a name of %zu bytes; at most %zu",
                          name->size(), longest_tensor_name);
    }
    made.name_ = *name;
    if (auto done = read_shape(i, made); !done) return done.failure();
    if (auto done = read_type(i, made); !done) return done.failure();
    const auto offset = in_.number<std::uint64_t>(tensor_field("offset", i));
    if (!offset) return offset.failure();
    made.offset_ = *offset;
    return made;
}

inline result<void> gguf_parser::read_shape(std::size_t i, gguf::tensor& into) noexcept {
    const gguf_field count_field = tensor_field("n_dims", i);
    const std::size_t at = in_.position();
    const auto n_dims = in_.number<std::uint32_t>(count_field);
    if (!n_dims) return n_dims.failure();
    if (*n_dims == 0 || *n_dims > gguf::max_dims) {
        return gguf_error(errc::bad_format, count_field, at,
                          "%lu dimensions; 1 to %zu are possible",
                          static_cast<unsigned long>(*n_dims), gguf::max_dims);
    }
    into.n_dims_ = *n_dims;

    const gguf_field dims_field = tensor_field("dims", i);
    maybe_size elements = 1;
    for (std::size_t d = 0; d < into.n_dims_; ++d) {
        const std::size_t dim_at = in_.position();
        const auto stored = in_.number<std::uint64_t>(dims_field.at(d));
        if (!stored) return stored.failure();
        const auto dim = static_cast<unsigned long long>(*stored);
        if (dim == 0) {
            return gguf_error(errc::bad_format, dims_field.at(d), dim_at, "a dimension of 0");
        }
        if (dim > static_cast<std::uint64_t>(PTRDIFF_MAX)) elements = std::nullopt;
        elements = checked_mul(elements, static_cast<std::size_t>(dim));
        if (!elements) {
            return gguf_error(errc::bad_format, dims_field.at(d), dim_at,
                              "with a dimension of %llu, \"%s\" has more elements than fit", dim,
                              printable_name(into.name_).text);
        }
        into.dims_[d] = static_cast<std::size_t>(dim);
    }
    into.elements_ = *elements;
    return {};
}

inline result<void> gguf_parser::read_type(std::size_t i, gguf::tensor& into) noexcept {
    const gguf_field field = tensor_field("type", i);
    const std::size_t at = in_.position();
    const auto stored = in_.number<std::uint32_t>(field);
    if (!stored) return stored.failure();
    into.type_ = static_cast<gguf::type>(*stored);
    const gguf_block* const block = gguf_find_block(into.type_);
    if (block == nullptr) {
        return gguf_error(errc::unsupported, field, at, "type id %lu of \"%s\" %s",
                          static_cast<unsigned long>(*stored), printable_name(into.name_).text,
                          gguf_why_not_a_type(*stored));
    }
    if (into.cols() % block->weights != 0) {
        return gguf_error(errc::bad_format, tensor_field("dims", i).at(0),
                          position_of(into.name_.data()) + into.name_.size() + 4,
                          "rows of %zu weights are no whole blocks of %zu (%s)", into.cols(),
                          block->weights, block->name);
    }
    const maybe_size bytes = checked_mul(into.elements_ / block->weights, block->bytes);
    if (!bytes) {
        return gguf_error(errc::bad_format, field, at, "\"%s\" (%s) has more bytes than fit",
                          printable_name(into.name_).text, block->name);
    }
    into.bytes_ = *bytes;
    return {};
}

inline result<void> gguf_parser::place_tensors() noexcept {
    const std::span<const gguf::tensor> tensors = std::as_const(out_.tensors).span();
    if (tensors.empty()) return {};
    auto order = buffer<std::size_t>::uninitialized(tensors.size(), "gguf: tensors");
    if (!order) return order.failure();
    out_.tensor_order = *std::move(order);

    const maybe_size data_section = checked_round_up(in_.position(), out_.alignment);
    if (!data_section || *data_section > file_size_) {
        return gguf_error(errc::truncated, {"data section"}, in_.position(),
                          "with an alignment of %zu it starts beyond the file's %zu bytes",
                          out_.alignment, file_size_);
    }
    for (std::size_t i = 0; i < tensors.size(); ++i) {
        if (auto placed = place_tensor(i, *data_section); !placed) return placed;
    }
    if (auto apart = check_overlap(); !apart) return apart;

    sort_by_name(tensors, out_.tensor_order.span());
    const std::size_t twice = first_duplicate(tensors, std::as_const(out_.tensor_order).span());
    if (twice < tensors.size()) {
        const std::string_view name = tensors[twice].name();
        return gguf_error(errc::bad_format, tensor_field("name", twice), position_of(name.data()),
                          "\"%s\" was there before", printable_name(name).text);
    }
    return {};
}

inline result<void> gguf_parser::place_tensor(std::size_t i, std::size_t data_section) noexcept {
    gguf::tensor& placed = out_.tensors.span()[i];
    const gguf_field field = tensor_field("offset", i);
    const auto offset = static_cast<unsigned long long>(placed.offset_);
    if (offset % out_.alignment != 0) {
        return gguf_error(errc::bad_format, field, offset_position(placed),
                          "offset %llu of \"%s\" is no multiple of the alignment, %zu", offset,
                          printable_name(placed.name_).text, out_.alignment);
    }
    const std::size_t room = file_size_ - data_section;
    if (offset > room || placed.bytes_ > room - static_cast<std::size_t>(offset)) {
        return gguf_error(errc::truncated, field, offset_position(placed),
                          "\"%s\" has %zu bytes at offset %llu, the data section %zu in all",
                          printable_name(placed.name_).text, placed.bytes_, offset, room);
    }
    placed.data_ = start_ + data_section + static_cast<std::size_t>(offset);
    return {};
}

inline result<void> gguf_parser::check_overlap() noexcept {
    const std::span<const gguf::tensor> tensors = std::as_const(out_.tensors).span();
    const std::span<std::size_t> order = out_.tensor_order.span();
    for (std::size_t i = 0; i < order.size(); ++i) order[i] = i;
    std::sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) {
        const auto first = tensors[a].offset_;
        const auto second = tensors[b].offset_;
        return first != second ? first < second : a < b;
    });
    for (std::size_t k = 1; k < order.size(); ++k) {
        const gguf::tensor& before = tensors[order[k - 1]];
        const gguf::tensor& after = tensors[order[k]];
        if (after.offset_ - before.offset_ >= before.bytes_) continue;
        return gguf_error(errc::bad_format, tensor_field("offset", order[k]),
                          offset_position(after), "\"%s\" overlaps \"%s\"",
                          printable_name(after.name_).text, printable_name(before.name_).text);
    }
    return {};
}

} // namespace detail
} // namespace quant::inline QUANT_ABI
