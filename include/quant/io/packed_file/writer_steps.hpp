// The second half of packed_file_writer: what it declares, checks and writes.
#pragma once

#include <quant/io/packed_file/writer.hpp>

namespace quant::inline QUANT_ABI {

inline result<packed_file_writer>
packed_file_writer::try_create(const std::filesystem::path& path) noexcept {
    auto out = gguf::writer::try_create(path);
    if (!out) return out.failure();
    const auto alignment = static_cast<std::uint32_t>(detail::packed_alignment);
    auto done = out->try_add(detail::packed_alignment_key, alignment);
    if (done) done = out->try_add(detail::packed_version_key, packed_layout_version);
    if (done) done = out->try_add(detail::packed_checksum_key, detail::packed_checksum_kind);
    if (!done) return done.failure();
    return packed_file_writer(*std::move(out));
}

inline result<void> packed_file_writer::check_key(std::string_view key) noexcept {
    if (!is_own_key(key)) return {};
    return detail::make_error(errc::invalid_argument, "packed_file_writer::add: key",
                              "\"%s\" is written by the writer itself",
                              detail::printable_name(key).text);
}

inline result<void> packed_file_writer::try_copy_metadata(const gguf::file& model) noexcept {
    for (const gguf::entry& each : model.metadata()) {
        if (is_own_key(each.key())) continue;
        if (auto added = out_.try_add(each); !added) return added;
    }
    return {};
}

inline result<void> packed_file_writer::declare(std::string_view name, gguf::type which,
                                                std::span<const std::size_t> shape,
                                                declared what) noexcept {
    constexpr const char* where = "packed_file_writer::add: name";
    if (name.starts_with(detail::packed_prefix)) {
        return detail::make_error(errc::invalid_argument, where,
                                  "\"%s\" is a name that the writer keeps for itself",
                                  detail::printable_name(name).text);
    }
    const detail::printable_name printable(name);
    std::memcpy(what.name, printable.text, sizeof printable.text);
    if (auto kept = declared_.push(what, PTRDIFF_MAX, where); !kept) return kept;
    auto added = out_.try_add_tensor(name, which, shape);
    if (!added) declared_.shrink(declared_.size() - 1);
    return added;
}

inline result<void> packed_file_writer::add_packed(std::string_view name,
                                                   std::span<const std::byte> header,
                                                   std::size_t size) noexcept {
    declared what{.bytes = size, .is_packed = true, .header = {}, .name = {}};
    std::memcpy(what.header, header.data(), sizeof what.header);
    return declare(name, gguf::type::i8, std::span(&size, 1), what);
}

inline result<void>
packed_file_writer::try_add_tensor(std::string_view name, gguf::type which,
                                   std::span<const std::size_t> shape) noexcept {
    if (detail::is_packed_tensor(which, shape.size())) {
        return detail::make_error(
            errc::invalid_argument, "packed_file_writer::add_tensor: shape",
            "\"%s\" has one dimension of i8, as packed matrices have; give it a second one of 1",
            detail::printable_name(name).text);
    }
    auto added = declare(name, which, shape, {});
    if (!added) return added;
    std::size_t elements = 1; // gguf::writer has seen that nothing overflows
    for (const std::size_t dim : shape) elements *= dim;
    const detail::gguf_block& block = *detail::gguf_find_block(which); // or it would not be added
    declared_.span().back().bytes = elements / block.weights * block.bytes;
    return added;
}

/// The table of checksums is a tensor, too, and the last.
inline result<void> packed_file_writer::close_declarations() noexcept {
    const auto room =
        checksums_.extend(declared_.size() * sizeof(std::uint64_t), "packed_file_writer");
    if (!room) return room.failure();
    auto added =
        out_.try_add_tensor(detail::packed_checksums_name, gguf::type::i64, {declared_.size()});
    if (added) {
        declaring_ = false;
    } else {
        checksums_.shrink(0);
    }
    return added;
}

/// Whether the bytes are some of what is to come next.
inline result<void>
packed_file_writer::check_piece(std::span<const std::byte> data) const noexcept {
    constexpr const char* where = "packed_file_writer::write: data";
    if (data.data() == nullptr) {
        return detail::make_error(errc::null_data, where, "%zu bytes at null", data.size());
    }
    if (current_ == declared_.size()) {
        return detail::make_error(errc::shape_mismatch, where,
                                  "%zu bytes; all %zu tensors are complete", data.size(), current_);
    }
    const declared& current = declared_.span()[current_];
    if (data.size() > current.bytes - done_) {
        return detail::make_error(errc::shape_mismatch, where,
                                  "%zu bytes; \"%s\" lacks %zu of its %zu", data.size(),
                                  current.name, current.bytes - done_, current.bytes);
    }
    if (!current.is_packed || done_ > 0) return {};
    if (data.size() < sizeof current.header) {
        return detail::make_error(errc::truncated, where,
                                  "%zu bytes; the first of a packed matrix are its header, %zu",
                                  data.size(), sizeof current.header);
    }
    if (std::memcmp(data.data(), current.header, sizeof current.header) != 0) {
        return detail::make_error(errc::bad_layout, where,
                                  "\"%s\" begins with the header of another scheme or shape than "
                                  "was declared",
                                  current.name);
    }
    return {};
}

inline result<void> packed_file_writer::try_write(std::span<const std::byte> data) noexcept {
    if (auto open = out_.try_write({}); !open || data.empty()) return open;
    if (auto fits = check_piece(data); !fits) return fits;
    if (declaring_) {
        if (auto closed = close_declarations(); !closed) return closed;
    }
    if (auto done = out_.try_write(data); !done) return done;
    hash_.update(data);
    done_ += data.size();
    if (done_ < declared_.span()[current_].bytes) return {};
    detail::store_le(checksums_.span().data() + current_ * sizeof(std::uint64_t), hash_.digest());
    hash_ = detail::xxh64();
    ++current_;
    done_ = 0;
    return {};
}

inline result<void> packed_file_writer::try_finish() noexcept {
    constexpr const char* where = "packed_file_writer::finish";
    if (auto open = out_.try_write({}); !open) return open;
    if (declared_.size() == 0) return error(errc::empty, where, "no tensors");
    if (current_ < declared_.size()) {
        const declared& current = declared_.span()[current_];
        return detail::make_error(errc::shape_mismatch, where, "\"%s\" lacks %zu of its %zu bytes",
                                  current.name, current.bytes - done_, current.bytes);
    }
    if (auto done = out_.try_write(checksums_.span()); !done) return done;
    return out_.try_finish();
}

} // namespace quant::inline QUANT_ABI
