// The second half of gguf::writer: the header's bytes, then those of the tensors.
#pragma once

#include <quant/io/gguf/writer.hpp>

namespace quant::inline QUANT_ABI {
namespace gguf {

inline result<void> writer::pad(std::size_t size) noexcept {
    constexpr std::byte zeros[512] = {};
    for (std::size_t left = size; left > 0;) {
        const std::size_t next = std::min(left, sizeof zeros);
        if (auto done = file_.write({zeros, next}, "gguf::writer: padding"); !done) return done;
        left -= next;
    }
    return {};
}

inline result<void> writer::begin_data() noexcept {
    constexpr const char* where = "gguf::writer: header";
    std::byte start[24] = {std::byte{'G'}, std::byte{'G'}, std::byte{'U'}, std::byte{'F'}};
    detail::store_le(start + 4, std::uint32_t{3});
    detail::store_le(start + 8, std::uint64_t{tensors_.size()});
    detail::store_le(start + 16, n_entries_);
    const auto tables = detail::checked_add(
        detail::checked_add(sizeof start, entries_.bytes().size()), infos_.bytes().size());
    const auto data_section = detail::checked_round_up(tables, alignment_);
    if (!detail::checked_add(data_section, data_size_)) {
        return detail::make_error(errc::size_overflow, where,
                                  "with its header the file has more bytes than fit");
    }
    declaring_ = false;
    for (const std::span<const std::byte> part :
         {std::span<const std::byte>(start), entries_.bytes(), infos_.bytes()}) {
        if (auto done = file_.write(part, where); !done) return done;
    }
    return pad(*data_section - *tables);
}

inline result<void> writer::try_write(std::span<const std::byte> data) noexcept {
    constexpr const char* where = "gguf::writer::write: data";
    if (!file_.is_open()) {
        return detail::make_error(errc::invalid_argument, where, "the writer is closed");
    }
    if (data.empty()) return {};
    if (data.data() == nullptr) {
        return detail::make_error(errc::null_data, where, "%zu bytes at null", data.size());
    }
    if (current_ == tensors_.size()) {
        return detail::make_error(errc::shape_mismatch, where,
                                  "%zu bytes; all %zu tensors are complete", data.size(), current_);
    }
    const tensor_bytes& current = tensors_.span()[current_];
    if (data.size() > current.all - done_) {
        return detail::make_error(
            errc::shape_mismatch, where, "%zu bytes; \"%s\" lacks %zu of its %zu", data.size(),
            detail::printable_name(current.name).text, current.all - done_, current.all);
    }
    if (declaring_) {
        if (auto begun = begin_data(); !begun) return begun;
    }
    if (auto done = file_.write(data, where); !done) return done;
    done_ += data.size();
    if (done_ < current.all) return {};
    ++current_;
    done_ = 0;
    return pad((alignment_ - current.all % alignment_) % alignment_);
}

inline result<void> writer::try_finish() noexcept {
    constexpr const char* where = "gguf::writer::finish";
    if (!file_.is_open()) {
        return detail::make_error(errc::invalid_argument, where, "the writer is closed");
    }
    if (current_ < tensors_.size()) {
        const tensor_bytes& current = tensors_.span()[current_];
        return detail::make_error(errc::shape_mismatch, where, "\"%s\" lacks %zu of its %zu bytes",
                                  detail::printable_name(current.name).text, current.all - done_,
                                  current.all);
    }
    if (declaring_) {
        if (auto begun = begin_data(); !begun) return begun;
    }
    return file_.commit(where);
}

} // namespace gguf
} // namespace quant::inline QUANT_ABI
