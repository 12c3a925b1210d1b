// A file's bytes, mapped or read into memory.
#pragma once

#include <quant/core/buffer.hpp>
#include <quant/core/result.hpp>
#include <quant/io/system_error.hpp>

#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <span>
#include <system_error>
#include <utility>

#if __has_include(<sys/mman.h>) && __has_include(<unistd.h>) && !defined(__wasi__)
#define QUANT_DETAIL_HAS_MMAP 1
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#else
#define QUANT_DETAIL_HAS_MMAP 0
#endif

namespace quant::inline QUANT_ABI {
namespace detail {

/// The bytes of a regular file as they are at the time of opening; read only, move only.
///
/// A mapping copies nothing, but shows what others write to the file meanwhile, and if they
/// shorten it, touching the lost part ends the process (SIGBUS). Reading has neither weakness.
class file_bytes {
public:
    file_bytes() noexcept = default;
    file_bytes(file_bytes&& other) noexcept
        : memory_(std::move(other.memory_)), mapping_(std::exchange(other.mapping_, nullptr)),
          mapped_(std::exchange(other.mapped_, 0)) {}
    file_bytes& operator=(file_bytes&& other) noexcept {
        file_bytes taken(std::move(other)); // leaves `other` empty, gives up what was here
        std::swap(memory_, taken.memory_);
        std::swap(mapping_, taken.mapping_);
        std::swap(mapped_, taken.mapped_);
        return *this;
    }
    ~file_bytes() {
#if QUANT_DETAIL_HAS_MMAP
        if (mapping_ != nullptr) ::munmap(mapping_, mapped_);
#endif
    }

    /// Maps a file; reads it where the platform has no mappings.
    [[nodiscard]] static result<file_bytes> map(const std::filesystem::path& path,
                                                const char* where) noexcept;
    /// Copies a file into memory of its own.
    [[nodiscard]] static result<file_bytes> read(const std::filesystem::path& path,
                                                 const char* where) noexcept;

    [[nodiscard]] std::span<const std::byte> bytes() const noexcept {
        if (mapping_ != nullptr) return {static_cast<const std::byte*>(mapping_), mapped_};
        return memory_.span();
    }

private:
    buffer<std::byte> memory_;
    void* mapping_ = nullptr;
    std::size_t mapped_ = 0;
};

#if QUANT_DETAIL_HAS_MMAP

/// An open regular file and its size.
class regular_file {
public:
    regular_file(regular_file&& other) noexcept
        : size_(other.size_), descriptor_(std::exchange(other.descriptor_, -1)) {}
    regular_file& operator=(regular_file&&) = delete;
    ~regular_file() {
        if (descriptor_ >= 0) ::close(descriptor_);
    }

    [[nodiscard]] static result<regular_file> open(const char* path, const char* where) noexcept {
        // Without O_NONBLOCK, opening a FIFO would wait for a writer.
        regular_file made(::open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK));
        struct stat about{};
        if (made.descriptor_ < 0 || ::fstat(made.descriptor_, &about) != 0) {
            const int why = errno;
            const bool absent = why == ENOENT || why == ENOTDIR;
            return make_error(absent ? errc::not_found : errc::io_failed, where,
                              "cannot open, %s: \"%s\"", system_reason(why).text, path);
        }
        if (!S_ISREG(about.st_mode)) {
            return make_error(errc::io_failed, where, "no regular file: \"%s\"", path);
        }
        if (about.st_size < 0 || static_cast<std::uintmax_t>(about.st_size) > PTRDIFF_MAX) {
            return make_error(errc::size_overflow, where, "more than the address space: \"%s\"",
                              path);
        }
        made.size_ = static_cast<std::size_t>(about.st_size);
        return made;
    }

    [[nodiscard]] int descriptor() const noexcept { return descriptor_; }
    [[nodiscard]] std::size_t size() const noexcept { return size_; }

private:
    explicit regular_file(int descriptor) noexcept : descriptor_(descriptor) {}

    std::size_t size_ = 0;
    int descriptor_;
};

inline result<file_bytes> file_bytes::map(const std::filesystem::path& path,
                                          const char* where) noexcept {
    const auto file = regular_file::open(path.c_str(), where);
    if (!file) return file.failure();
    file_bytes made;
    if (file->size() == 0) return made; // no mapping is empty
    void* const mapping =
        ::mmap(nullptr, file->size(), PROT_READ, MAP_PRIVATE, file->descriptor(), 0);
    if (mapping == MAP_FAILED) {
        const int why = errno;
        return make_error(why == ENOMEM ? errc::out_of_memory : errc::io_failed, where,
                          "cannot map %zu bytes, %s: \"%s\"", file->size(), system_reason(why).text,
                          path.c_str());
    }
    made.mapping_ = mapping;
    made.mapped_ = file->size();
    return made;
}

inline result<file_bytes> file_bytes::read(const std::filesystem::path& path,
                                           const char* where) noexcept {
    const auto file = regular_file::open(path.c_str(), where);
    if (!file) return file.failure();
    auto memory = buffer<std::byte>::uninitialized(file->size(), where);
    if (!memory) return memory.failure();
    std::size_t done = 0;
    while (done < file->size()) {
        const auto got = ::read(file->descriptor(), memory->data() + done, file->size() - done);
        if (got < 0 && errno == EINTR) continue;
        if (got <= 0) {
            return make_error(errc::io_failed, where, "read %zu of %zu bytes, then %s: \"%s\"",
                              done, file->size(),
                              got < 0 ? system_reason(errno).text : "the file had ended",
                              path.c_str());
        }
        done += static_cast<std::size_t>(got);
    }
    file_bytes made;
    made.memory_ = *std::move(memory);
    return made;
}

#else

inline result<file_bytes> file_bytes::map(const std::filesystem::path& path,
                                          const char* where) noexcept {
    return read(path, where);
}

inline result<file_bytes> file_bytes::read(const std::filesystem::path& path,
                                           const char* where) noexcept {
    return guarded(where, [&]() -> result<file_bytes> {
        std::error_code failed;
        if (!std::filesystem::exists(path, failed)) {
            return make_error(errc::not_found, where, "cannot open: \"%s\"", path.string().c_str());
        }
        if (!std::filesystem::is_regular_file(path, failed)) {
            return make_error(errc::io_failed, where, "no regular file: \"%s\"",
                              path.string().c_str());
        }
        std::ifstream file(path, std::ios::binary | std::ios::ate);
        const std::streamoff size = file ? std::streamoff(file.tellg()) : -1;
        if (size < 0) {
            return make_error(errc::io_failed, where, "cannot open: \"%s\"", path.string().c_str());
        }
        if (static_cast<std::uintmax_t>(size) > PTRDIFF_MAX) {
            return make_error(errc::size_overflow, where, "more than the address space: \"%s\"",
                              path.string().c_str());
        }
        auto memory = buffer<std::byte>::uninitialized(static_cast<std::size_t>(size), where);
        if (!memory) return memory.failure();
        file.seekg(0);
        if (!file.read(reinterpret_cast<char*>(memory->data()), size)) {
            return make_error(errc::io_failed, where, "cannot read: \"%s\"", path.string().c_str());
        }
        file_bytes made;
        made.memory_ = *std::move(memory);
        return made;
    });
}

#endif

} // namespace detail
} // namespace quant::inline QUANT_ABI

#undef QUANT_DETAIL_HAS_MMAP
