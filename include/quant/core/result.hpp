// result<T>: what a try_ function returns, a value or the error that prevented it.
#pragma once

#include <quant/core/error.hpp>

#include <new>
#include <optional>
#include <type_traits>
#include <utility>

namespace quant::inline QUANT_VOCABULARY {

/// Either a T or a quant::error.
///
/// `operator*`, `operator->` and `failure()` have the preconditions of std::expected: ask
/// `has_value()` first. `get_if()` and `error_if()` have none. T moves without exceptions.
template <class T>
class [[nodiscard]] result {
    static_assert(std::is_nothrow_move_constructible_v<T>,
                  "quant::result: the value's type must move without exceptions");

public:
    using value_type = T;

    result(T value) noexcept : value_(std::move(value)), has_value_(true) {}
    result(error failure) noexcept : failure_(failure), has_value_(false) {}
    result(result&& other) noexcept : has_value_(other.has_value_) { take(std::move(other)); }
    result(const result& other)
        requires std::is_copy_constructible_v<T>
        : has_value_(other.has_value_) {
        take(other);
    }
    result& operator=(result other) noexcept {
        destroy();
        has_value_ = other.has_value_;
        take(std::move(other));
        return *this;
    }
    ~result() { destroy(); }

    [[nodiscard]] bool has_value() const noexcept { return has_value_; }
    [[nodiscard]] explicit operator bool() const noexcept { return has_value(); }

    [[nodiscard]] T* get_if() noexcept { return has_value_ ? &value_ : nullptr; }
    [[nodiscard]] const T* get_if() const noexcept { return has_value_ ? &value_ : nullptr; }
    [[nodiscard]] const error* error_if() const noexcept {
        return has_value_ ? nullptr : &failure_;
    }

    [[nodiscard]] T& operator*() & noexcept { return *get_if(); }
    [[nodiscard]] const T& operator*() const& noexcept { return *get_if(); }
    [[nodiscard]] T&& operator*() && noexcept { return std::move(*get_if()); }
    [[nodiscard]] T* operator->() noexcept { return get_if(); }
    [[nodiscard]] const T* operator->() const noexcept { return get_if(); }
    [[nodiscard]] const error& failure() const noexcept { return *error_if(); }

#if QUANT_HAS_EXCEPTIONS
    /// The value. @throws quant::error if there is none.
    T value() && {
        if (!has_value()) throw error(failure());
        return std::move(*get_if());
    }
    /// @copydoc value
    T& value() & {
        if (!has_value()) throw error(failure());
        return *get_if();
    }
    /// @copydoc value
    const T& value() const& {
        if (!has_value()) throw error(failure());
        return *get_if();
    }
#endif

private:
    /// Begins the life of what other holds, a copy of it or itself.
    template <class Other>
    void take(Other&& other) {
        if (has_value_) {
            ::new (static_cast<void*>(&value_)) T(std::forward<Other>(other).value_);
        } else {
            ::new (static_cast<void*>(&failure_)) error(other.failure_);
        }
    }
    void destroy() noexcept {
        if (has_value_) {
            value_.~T();
        } else {
            failure_.~error();
        }
    }

    // No std::variant: each takes compilers 40 ms, and there are dozens.
    union {
        T value_;
        error failure_;
    };
    bool has_value_;
};

/// Success, or a quant::error.
template <>
class [[nodiscard]] result<void> {
public:
    using value_type = void;

    /// Not defaulted: `{}` then would fill the room for an error with zeros, as often as all is
    /// well.
    result() noexcept {}
    result(error failure) noexcept : failure_(failure) {}

    [[nodiscard]] bool has_value() const noexcept { return !failure_.has_value(); }
    [[nodiscard]] explicit operator bool() const noexcept { return has_value(); }
    [[nodiscard]] const error* error_if() const noexcept { return failure_ ? &*failure_ : nullptr; }
    [[nodiscard]] const error& failure() const noexcept { return *failure_; }

#if QUANT_HAS_EXCEPTIONS
    /// @throws quant::error if this holds one.
    void value() const {
        if (failure_) throw error(*failure_);
    }
#endif

private:
    std::optional<error> failure_;
};

namespace core_detail {

/// Calls f, which may allocate or run a caller's code, and turns what it throws into an error.
/// f returns a result; with exceptions off this is a plain call.
template <class F>
auto guarded(const char* where, F&& f) noexcept -> decltype(f()) {
#if QUANT_HAS_EXCEPTIONS
    try {
        return f();
    } catch (const error& failure) {
        return failure;
    } catch (const std::bad_alloc&) {
        return error(errc::out_of_memory, where, "allocation failed");
    } catch (const std::exception& other) {
        return error(errc::executor_failed, where, other.what());
    } catch (...) {
        return error(errc::executor_failed, where, "the caller's code threw");
    }
#else
    (void)where;
    return f();
#endif
}

} // namespace core_detail

} // namespace quant::inline QUANT_VOCABULARY
