// safetensors::shard_index: which file of a model in several has a tensor.
#pragma once

#include <quant/io/mapped_file.hpp>
#include <quant/io/safetensors/header.hpp>

#include <cstddef>
#include <filesystem>
#include <optional>
#include <span>
#include <string_view>
#include <utility>

namespace quant::inline QUANT_ABI {

namespace detail {
class st_index_reader;
} // namespace detail

namespace safetensors {

/// A tensor's name, and the name of the file that has it, beside the index.
class shard_entry {
public:
    [[nodiscard]] std::string_view name() const noexcept { return name_; }
    [[nodiscard]] std::string_view file() const noexcept { return file_; }

private:
    friend class detail::st_index_reader;
    std::string_view name_;
    std::string_view file_;
};

} // namespace safetensors

namespace detail {

/// What an index says, once read.
struct st_index {
    growing<char> text;
    growing<safetensors::shard_entry> entries;
    buffer<std::size_t> order; // by name
};

/// Reads { "weight_map": { NAME: FILE … }, … }; other keys are passed over.
class st_index_reader {
public:
    explicit st_index_reader(st_index& out) noexcept : out_(out) {}

    [[nodiscard]] result<void> run(std::string_view text) {
        if (text.size() > largest) {
            return make_error(errc::bad_format, where, "%zu bytes; at most %zu", text.size(),
                              largest);
        }
        json_events<st_index_reader> events(text, *this);
        events_ = &events;
        const bool complete = events.run();
        events_ = nullptr;
        if (failure_) return *failure_;
        if (!complete) {
            return make_error(errc::bad_format, where, "at byte %zu: no valid JSON",
                              events.broken_at());
        }
        if (!has_map_) return error(errc::bad_format, where, "no weight_map");
        return finish();
    }

    [[nodiscard]] bool begin_object() noexcept {
        if (depth_ == 1 && is_map_) has_map_ = true;
        if (depth_ == 2 && is_map_) return refuse("an object where a string belongs");
        return go_deeper();
    }
    [[nodiscard]] bool end_object() noexcept {
        --depth_;
        return true;
    }
    [[nodiscard]] bool begin_array() noexcept {
        if (depth_ == 0 || is_map_) return refuse("an array where an object or string belongs");
        return go_deeper();
    }
    [[nodiscard]] bool end_array() noexcept { return end_object(); }
    [[nodiscard]] bool key(std::string_view name) noexcept {
        if (depth_ == 1) {
            is_map_ = name == "weight_map";
            return !(is_map_ && has_map_) || refuse("a second weight_map");
        }
        return !(depth_ == 2 && is_map_) || keep(name, name_);
    }
    [[nodiscard]] bool string(std::string_view text) noexcept;
    [[nodiscard]] bool number(std::uint64_t) noexcept { return other("a number"); }
    [[nodiscard]] bool real(double) noexcept { return other("a number"); }
    [[nodiscard]] bool other(const char*) noexcept {
        if (depth_ == 0) return refuse("no JSON object");
        return !is_map_ || refuse("no string where a file's name belongs");
    }

private:
    static constexpr const char* where = "safetensors index";
    static constexpr std::size_t largest = 100'000'000;
    static constexpr int deepest = 64;

    struct place {
        std::size_t first = 0;
        std::size_t size = 0;
    };
    struct place_pair {
        place name;
        place file;
        std::size_t at = 0;
    };

    [[nodiscard]] bool refuse(const char* why) noexcept {
        failure_ = make_error(errc::bad_format, where, "at byte %zu: %s", events_->at(), why);
        return false;
    }
    [[nodiscard]] bool go_deeper() noexcept {
        return ++depth_ <= deepest || refuse("nested too deeply");
    }
    [[nodiscard]] bool keep(std::string_view text, place& into) noexcept {
        into = {out_.text.size(), text.size()};
        const auto room = out_.text.extend(text.size(), where);
        if (!room) {
            failure_ = room.failure();
            return false;
        }
        std::copy(text.begin(), text.end(), room->begin());
        return true;
    }
    [[nodiscard]] std::string_view text_of(const place& which) const noexcept {
        return {out_.text.span().data() + which.first, which.size};
    }
    [[nodiscard]] result<void> finish() noexcept;

    st_index& out_;
    json_events<st_index_reader>* events_ = nullptr;
    std::optional<error> failure_;
    growing<place_pair> pairs_;
    place name_;
    int depth_ = 0;
    bool is_map_ = false; // the value of weight_map is being read
    bool has_map_ = false;
};

inline bool st_index_reader::string(std::string_view text) noexcept {
    if (depth_ == 0) return refuse("no JSON object");
    if (!is_map_) return true;
    if (depth_ == 1) return refuse("a string where an object belongs");
    // Files stand beside the index: a name from elsewhere must not lead elsewhere.
    const bool leads_away = text.empty() || text == "." || text == ".." ||
                            text.find_first_of(std::string_view("/\\:\0", 4)) != text.npos;
    if (leads_away) return refuse("not the name of a file beside the index");
    place_pair made{name_, {}, events_->at()};
    if (!keep(text, made.file)) return false;
    const auto kept = pairs_.push(made, PTRDIFF_MAX, where);
    if (!kept) failure_ = kept.failure();
    return kept.has_value();
}

inline result<void> st_index_reader::finish() noexcept {
    const auto pairs = std::as_const(pairs_).span();
    const auto entries = out_.entries.extend(pairs.size(), where);
    if (!entries) return entries.failure();
    for (std::size_t i = 0; i < pairs.size(); ++i) {
        safetensors::shard_entry made;
        made.name_ = text_of(pairs[i].name);
        made.file_ = text_of(pairs[i].file);
        (*entries)[i] = made;
    }
    auto order = buffer<std::size_t>::uninitialized(pairs.size(), where);
    if (!order) return order.failure();
    out_.order = *std::move(order);
    const auto all = std::as_const(out_.entries).span();
    sort_by_name(all, out_.order.span());
    const std::size_t twice = first_duplicate(all, std::as_const(out_.order).span());
    if (twice == all.size()) return {};
    return make_error(errc::bad_format, where, "at byte %zu: \"%s\" was there before",
                      pairs[twice].at, printable_name(all[twice].name()).text);
}

} // namespace detail

namespace safetensors {

/// The index of a model in several files, model.safetensors.index.json; read only, move only.
///
/// It says in which file a tensor is; whether that file is there and has it, opening shows. File
/// names are plain ones, which lead to no other folder.
///
/// Errors: bad_format, with the place, for what is no JSON, has no weight_map, names a tensor
/// twice, or a file that is not beside the index, or has more than 100 MB; out_of_memory. For open
/// also not_found and io_failed.
class shard_index {
public:
    /// Reads a file. @param path of a regular file.
    [[nodiscard]] static result<shard_index> try_open(const std::filesystem::path& path) noexcept {
        const auto bytes = detail::file_bytes::map(path, "safetensors::shard_index::open: path");
        if (!bytes) return bytes.failure();
        return try_parse(bytes->bytes());
    }
    /// Reads an index that is in memory; the bytes are not needed afterwards.
    [[nodiscard]] static result<shard_index> try_parse(std::span<const std::byte> bytes) noexcept {
        shard_index made;
        const std::string_view text(reinterpret_cast<const char*>(bytes.data()), bytes.size());
        auto done = detail::guarded(
            "safetensors index", [&] { return detail::st_index_reader(made.contents_).run(text); });
        if (!done) return done.failure();
        return made;
    }

#if QUANT_HAS_EXCEPTIONS
    /// @copydoc try_open
    /// @throws quant::error
    [[nodiscard]] static shard_index open(const std::filesystem::path& path) {
        return try_open(path).value();
    }
    /// @copydoc try_parse
    /// @throws quant::error
    [[nodiscard]] static shard_index parse(std::span<const std::byte> bytes) {
        return try_parse(bytes).value();
    }
#endif

    /// All tensors, in the index's order.
    [[nodiscard]] std::span<const shard_entry> entries() const noexcept {
        return contents_.entries.span();
    }
    /// The name of the file that has a tensor, or nothing. Takes O(log n) comparisons.
    [[nodiscard]] std::optional<std::string_view> find(std::string_view name) const noexcept {
        const auto* const found = detail::find_by_name(entries(), contents_.order.span(), name);
        return found != nullptr ? std::optional(found->file()) : std::nullopt;
    }

private:
    shard_index() noexcept = default;

    detail::st_index contents_;
};

} // namespace safetensors
} // namespace quant::inline QUANT_ABI
