// The second half of packed_file: what it refuses, and the checksums.
#pragma once

#include <quant/io/packed_file/reader.hpp>

namespace quant::inline QUANT_ABI {

inline result<void> packed_file::check() noexcept {
    if (auto fits = check_metadata(); !fits) return fits;
    if (auto fits = check_checksums(); !fits) return fits;
    for (const gguf::tensor& each : container_.tensors()) {
        if (!detail::is_packed_tensor(each.type(), each.shape().size())) continue;
        if (auto added = add_matrix(each); !added) return added;
    }
    return {};
}

inline result<void> packed_file::check_metadata() const noexcept {
    const gguf::entry* const version = container_.find_metadata(detail::packed_version_key);
    constexpr const char* where = "packed_file: quant.packed.layout_version";
    if (version == nullptr) {
        return error(errc::bad_format, where, "no such key: a GGUF file, but not a packed one");
    }
    const auto number = version->get<std::uint64_t>();
    if (!number) return error(errc::bad_format, where, "its value is no positive integer");
    if (*number != packed_layout_version) {
        return detail::make_error(errc::unsupported, where, "version %llu, this reads %u",
                                  static_cast<unsigned long long>(*number), packed_layout_version);
    }
    const auto kind = container_.get<std::string_view>(detail::packed_checksum_key);
    constexpr const char* checksum = "packed_file: quant.packed.checksum";
    if (!kind) return error(errc::bad_format, checksum, "no such key with a string");
    if (*kind != detail::packed_checksum_kind) {
        return detail::make_error(errc::unsupported, checksum, "\"%s\", this compares xxh64",
                                  detail::printable_name(*kind).text);
    }
    if (container_.alignment() % detail::packed_alignment != 0) {
        return detail::make_error(errc::bad_format, "packed_file: general.alignment",
                                  "%zu, packed matrices need a multiple of %zu",
                                  container_.alignment(), detail::packed_alignment);
    }
    return {};
}

inline result<void> packed_file::check_checksums() const noexcept {
    constexpr const char* where = "packed_file: quant.packed.checksums";
    const auto tensors = container_.tensors();
    if (tensors.empty() || tensors.back().name() != detail::packed_checksums_name) {
        return error(errc::bad_format, where, "is not the last tensor");
    }
    const gguf::tensor& table = tensors.back();
    if (table.type() != gguf::type::i64 || table.shape().size() != 1) {
        return detail::make_error(errc::bad_format, where, "%zu dimensions of %s, not one of i64",
                                  table.shape().size(), to_string(table.type()));
    }
    if (table.elements() != checksummed()) {
        return detail::make_error(errc::bad_format, where, "%zu numbers for %zu tensors",
                                  table.elements(), checksummed());
    }
    return {};
}

inline result<void> packed_file::add_matrix(const gguf::tensor& stored) noexcept {
    const detail::packed_file_where where(stored.name());
    const auto header = detail::check_packed_bytes(stored.data(), stored.data().size());
    if (!header) return about(stored.name(), header.failure());
    const auto address = reinterpret_cast<std::uintptr_t>(stored.data().data());
    if (address % detail::packed_alignment != 0) {
        return error(errc::misaligned, where.text,
                     "its bytes do not start on a 64-byte boundary of memory");
    }
    packed_tensor made;
    made.stored_ = &stored;
    made.header_ = *header;
    return matrices_.push(made, container_.tensors().size(), where.text);
}

inline result<void> packed_file::check_sum(std::size_t which) const noexcept {
    const auto tensors = container_.tensors();
    const auto expected = detail::load_le<std::uint64_t>(tensors.back().data().data() +
                                                         which * sizeof(std::uint64_t));
    const std::uint64_t found = detail::xxh64::of(tensors[which].data());
    if (found == expected) return {};
    return detail::make_error(
        errc::checksum_mismatch, detail::packed_file_where(tensors[which].name()).text,
        "its %zu bytes have the XXH64 %016llx, not %016llx", tensors[which].data().size(),
        static_cast<unsigned long long>(found), static_cast<unsigned long long>(expected));
}

} // namespace quant::inline QUANT_ABI
