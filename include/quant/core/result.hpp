// result<T>: what a try_ function returns, a value or the error that prevented it.
#pragma once

#include <quant/core/error.hpp>

#include <new>
#include <optional>
#include <type_traits>
#include <utility>
#include <variant>

namespace quant::inline QUANT_VOCABULARY {

/// Either a T or a quant::error.
///
/// `operator*`, `operator->` and `failure()` have the preconditions of std::expected: ask
/// `has_value()` first. `get_if()` and `error_if()` have none.
template <class T>
class [[nodiscard]] result {
public:
    using value_type = T;

    result(T value) : state_(std::in_place_index<0>, std::move(value)) {}
    result(error failure) noexcept : state_(std::in_place_index<1>, failure) {}

    [[nodiscard]] bool has_value() const noexcept { return state_.index() == 0; }
    [[nodiscard]] explicit operator bool() const noexcept { return has_value(); }

    [[nodiscard]] T* get_if() noexcept { return std::get_if<0>(&state_); }
    [[nodiscard]] const T* get_if() const noexcept { return std::get_if<0>(&state_); }
    [[nodiscard]] const error* error_if() const noexcept { return std::get_if<1>(&state_); }

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
    std::variant<T, error> state_;
};

/// Success, or a quant::error.
template <>
class [[nodiscard]] result<void> {
public:
    using value_type = void;

    result() noexcept = default;
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
