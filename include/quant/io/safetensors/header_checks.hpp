// The second half of reading a safetensors header: tensors and metadata of what its JSON said.
#pragma once

#include <quant/io/safetensors/header.hpp>

namespace quant::inline QUANT_ABI {
namespace detail {

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
