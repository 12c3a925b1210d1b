// A file that has its name only once it is complete.
#pragma once

#include <quant/core/result.hpp>
#include <quant/io/system_error.hpp>

#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <span>
#include <string>
#include <system_error>
#include <utility>

#if __has_include(<unistd.h>) && !defined(__wasi__) && !defined(_WIN32)
#define QUANT_DETAIL_HAS_FSYNC 1
#include <unistd.h>
#else
#define QUANT_DETAIL_HAS_FSYNC 0
#endif

namespace quant::inline QUANT_ABI {
namespace detail {

/// A file under construction: written beside its name (as NAME.partN), renamed when complete, and
/// removed if anything fails or it is dropped. Move only.
class output_file {
public:
    output_file(output_file&& other) noexcept
        : path_(std::move(other.path_)), partial_(std::move(other.partial_)),
          file_(std::exchange(other.file_, nullptr)),
          is_there_(std::exchange(other.is_there_, false)), written_(other.written_) {}
    output_file& operator=(output_file&& other) noexcept {
        output_file taken(std::move(other)); // leaves `other` closed, gives up what was here
        std::swap(path_, taken.path_);
        std::swap(partial_, taken.partial_);
        std::swap(file_, taken.file_);
        std::swap(is_there_, taken.is_there_);
        std::swap(written_, taken.written_);
        return *this;
    }
    ~output_file() { discard(); }

    /// Opens a file to be. What has the name already must be a regular file or a symbolic link,
    /// which commit() replaces.
    [[nodiscard]] static result<output_file> create(const std::filesystem::path& path,
                                                    const char* where) noexcept {
        return guarded(where, [&] { return open_beside(path, where); });
    }

    /// Whether it is under construction: neither complete nor given up.
    [[nodiscard]] bool is_open() const noexcept { return file_ != nullptr; }

    /// Appends; the file must be open, and is given up if the system refuses.
    [[nodiscard]] result<void> write(std::span<const std::byte> bytes, const char* where) noexcept {
        if (bytes.empty()) return {};
        errno = 0;
        if (std::fwrite(bytes.data(), 1, bytes.size(), file_) != bytes.size()) {
            return give_up("write", where);
        }
        written_ += bytes.size();
        return {};
    }

    /// Makes sure that all of it is on the disk, then gives it its name.
    [[nodiscard]] result<void> commit(const char* where) noexcept {
        errno = 0;
        if (std::fflush(file_) != 0) return give_up("write", where);
#if QUANT_DETAIL_HAS_FSYNC
        // Some file systems say only now that there is no room.
        if (::fsync(::fileno(file_)) != 0 && errno != EINVAL) return give_up("write", where);
#endif
        if (std::fclose(std::exchange(file_, nullptr)) != 0) return give_up("close", where);
        std::error_code failed;
        std::filesystem::rename(partial_, path_, failed);
        if (failed) {
            errno = failed.value();
            return give_up("rename", where);
        }
        is_there_ = false;
        return {};
    }

private:
    output_file(std::filesystem::path path, std::filesystem::path partial, std::FILE* file) noexcept
        : path_(std::move(path)), partial_(std::move(partial)), file_(file) {}

    [[nodiscard]] static result<output_file> open_beside(const std::filesystem::path& path,
                                                         const char* where) {
        if (!path.has_filename()) {
            return make_error(errc::invalid_argument, where, "names no file: \"%s\"",
                              path.string().c_str());
        }
        std::error_code ignored;
        const auto status = std::filesystem::symlink_status(path, ignored);
        if (std::filesystem::exists(status) && !std::filesystem::is_regular_file(status) &&
            !std::filesystem::is_symlink(status)) {
            return make_error(errc::io_failed, where, "is there and is no regular file: \"%s\"",
                              path.string().c_str());
        }
        // Somebody else, or what died before, may be writing under the first names.
        constexpr int most_tries = 1000;
        for (int i = 0; i < most_tries; ++i) {
            std::filesystem::path partial = path;
            partial += ".part" + std::to_string(i);
            errno = 0;
            std::FILE* const file = std::fopen(partial.string().c_str(), "wbx");
            if (file != nullptr) return output_file(path, std::move(partial), file);
            if (errno != EEXIST) break;
        }
        const int why = errno;
        const bool absent = why == ENOENT || why == ENOTDIR;
        return make_error(absent ? errc::not_found : errc::io_failed, where,
                          "cannot create a file beside it, %s: \"%s\"", system_reason(why).text,
                          path.string().c_str());
    }

    [[nodiscard]] error give_up(const char* what, const char* where) noexcept {
        const int why = errno;
        discard();
        return make_error(errc::io_failed, where, "cannot %s after %llu bytes: %s", what,
                          static_cast<unsigned long long>(written_), system_reason(why).text);
    }

    void discard() noexcept {
        if (file_ != nullptr) std::fclose(std::exchange(file_, nullptr));
        if (!std::exchange(is_there_, false)) return;
        std::error_code ignored;
        std::filesystem::remove(partial_, ignored);
    }

    std::filesystem::path path_;
    std::filesystem::path partial_;
    std::FILE* file_;
    bool is_there_ = true; ///< under the name partial_
    std::uint64_t written_ = 0;
};

} // namespace detail
} // namespace quant::inline QUANT_ABI

#undef QUANT_DETAIL_HAS_FSYNC
