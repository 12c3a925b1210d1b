// Kernels that are compiled once per instruction set, of which the first call chooses the best.
//
// A source of quant_add_kernels() (cmake/QuantKernels.cmake) becomes an object for each instruction
// set. In each, QUANT_KERNELS defines a table of functions; the object of the lowest instruction
// set lists all tables besides. docs/dispatch.md tells how to use it.
#pragma once

#include <quant/core/config.hpp>
#include <quant/simd/cpu.hpp>
#include <quant/simd/isa.hpp>

#include <atomic>
#include <cstddef>
#include <cstdio>
#include <cstdlib>
#include <string_view>
#include <type_traits>

namespace quant::inline QUANT_VOCABULARY {
namespace core_detail {

/// A table, and what its functions were compiled for.
template <class Table>
struct kernel_set {
    instruction_set isa;
    Table table;
};

/// The set of one instruction set, defined in the object that was compiled for it. The namespace
/// carries version and configuration: the linker misses a definition with other ones.
template <class Table, instruction_set Isa>
const kernel_set<Table>& kernels_for() noexcept;

template <class Table>
struct compiled_kernels {
    instruction_set isa;
    const kernel_set<Table>& (*get)() noexcept; // code of that object: only to be called if chosen
};

/// What was compiled, in ascending order; the first runs anywhere.
template <class Table>
struct kernel_list {
    const compiled_kernels<Table>* begin;
    std::size_t count;
};

template <class Table, instruction_set... Isas>
[[nodiscard]] kernel_list<Table> list_kernels() noexcept {
    static constexpr compiled_kernels<Table> all[] = {{Isas, &kernels_for<Table, Isas>}...};
    return {all, sizeof...(Isas)};
}

/// Defined in the object of the lowest instruction set.
template <class Table>
kernel_list<Table> all_kernels() noexcept;

// The instruction sets of this architecture.
#if defined(__x86_64__) || defined(_M_X64)
inline constexpr instruction_set lowest_isa = instruction_set::sse2;
inline constexpr instruction_set highest_isa = instruction_set::avx512vnni_vbmi_bf16;
#elif defined(__aarch64__) || defined(_M_ARM64)
inline constexpr instruction_set lowest_isa = instruction_set::neon;
inline constexpr instruction_set highest_isa = instruction_set::neon_i8mm_bf16;
#else
inline constexpr instruction_set lowest_isa = instruction_set::generic;
inline constexpr instruction_set highest_isa = instruction_set::generic;
#endif

[[nodiscard]] constexpr instruction_set next_isa(instruction_set isa) noexcept {
    return static_cast<instruction_set>(static_cast<int>(isa) + 1);
}

/// Says, once in a program, that QUANT_MAX_ISA is not understood.
inline void report_unknown_isa(const char* name) noexcept {
    static constinit std::atomic<int> reported{0}; // a byte may need a library of its own
    if (reported.exchange(1, std::memory_order_relaxed) != 0) return;
    char known[256] = "";
    std::size_t used = 0;
    for (instruction_set isa = lowest_isa; isa <= highest_isa; isa = next_isa(isa)) {
        const int written = std::snprintf(known + used, sizeof known - used, "%s%s",
                                          used == 0 ? "" : ", ", to_string(isa));
        if (written > 0) used += static_cast<std::size_t>(written);
    }
    char shown[65] = ""; // without what would steer a terminal
    std::size_t length = 0;
    for (; length < 64 && name[length] != '\0'; ++length) {
        const char c = name[length];
        shown[length] = c >= ' ' && c <= '~' ? c : '?';
    }
    const char* const more = name[length] == '\0' ? "" : "...";
    std::fprintf(stderr, "quant: QUANT_MAX_ISA is '%s%s', not one of %s; ignored\n", shown, more,
                 known);
}

/// What QUANT_MAX_ISA in the environment allows; everything if it is unset, empty or unknown.
[[nodiscard]] inline instruction_set max_isa() noexcept {
#if defined(_MSC_VER)
#pragma warning(suppress : 4996)
#endif
    const char* name = std::getenv("QUANT_MAX_ISA");
    if (name == nullptr || *name == '\0') return highest_isa;
    for (instruction_set isa = lowest_isa; isa <= highest_isa; isa = next_isa(isa)) {
        if (std::string_view(name) == to_string(isa)) return isa;
    }
    report_unknown_isa(name);
    return highest_isa;
}

template <class Table>
inline constinit std::atomic<const kernel_set<Table>*> chosen_kernels{nullptr};

/// Chooses, at the first call.
template <class Table>
[[nodiscard]] QUANT_DETAIL_OUTLINE const kernel_set<Table>* choose_kernels() noexcept {
    const kernel_list<Table> all = all_kernels<Table>();
    const instruction_set limit = max_isa();
    std::size_t best = 0;
    for (std::size_t i = 1; i < all.count; ++i) {
        const instruction_set isa = all.begin[i].isa;
        if (isa <= limit && cpu_has(isa)) best = i;
    }
    // Threads may come here at the same time; the choice of the first one stays.
    const kernel_set<Table>* const mine = &all.begin[best].get();
    const kernel_set<Table>* others = nullptr;
    return chosen_kernels<Table>.compare_exchange_strong(others, mine) ? mine : others;
}

template <class Table>
[[nodiscard]] const kernel_set<Table>& dispatched_kernels() noexcept {
    const kernel_set<Table>* const chosen = chosen_kernels<Table>.load(std::memory_order_acquire);
    return chosen != nullptr ? *chosen : *choose_kernels<Table>();
}

} // namespace core_detail

/// The functions of `Table` for the best instruction set that they were compiled for, that this CPU
/// and operating system have, and that is not above QUANT_MAX_ISA in the environment.
///
///     quant::dispatch<kernels>().multiply(x, w, y);
///
/// Table: a struct of pointers to functions, defined by QUANT_KERNELS in a source of
/// quant_add_kernels(). The first call for a Table chooses, for as long as the program runs; a
/// later one costs a load and a comparison. May be called from any threads at once, and takes no
/// lock. An unknown QUANT_MAX_ISA is reported on stderr, once, and ignored.
template <class Table>
[[nodiscard]] const Table& dispatch() noexcept {
    return core_detail::dispatched_kernels<Table>().table;
}

/// The instruction set that dispatch<Table>() chose; chooses if it was not called yet.
template <class Table>
[[nodiscard]] instruction_set dispatched_isa() noexcept {
    return core_detail::dispatched_kernels<Table>().isa;
}

namespace core_detail {

/// Whether this file's compile flags allow just `isa`. What generic allows is the flags' affair.
[[nodiscard]] constexpr bool flags_agree(instruction_set isa, std::string_view flags) noexcept {
    return isa == instruction_set::generic || flags == to_string(isa);
}

} // namespace core_detail
} // namespace quant::inline QUANT_VOCABULARY

// QUANT_KERNELS(Table, initializers…), once in a source of quant_add_kernels(), in no namespace:
// defines what dispatch<Table>() returns, Table{initializers…}, for this file's instruction set.
//
// The functions belong in an unnamed namespace, for there is one set of them per instruction set.
#if !defined(QUANT_KERNELS_ISA)
#define QUANT_KERNELS(Table, ...) \
    static_assert(sizeof(Table) == 0, "quant: QUANT_KERNELS belongs in a source of " \
                                      "quant_add_kernels(), which is none of the target's own")
#else
// QUANT_KERNELS_ISA is an enumerator; QUANT_KERNELS_BUILT, of the lowest instruction set alone, a
// list of all of them. Both come from quant_add_kernels().
#if defined(QUANT_KERNELS_BUILT)
#define QUANT_DETAIL_LIST_KERNELS(Table) \
    template <> \
    ::quant::core_detail::kernel_list<Table> quant::core_detail::all_kernels<Table>() noexcept { \
        using enum ::quant::instruction_set; \
        return list_kernels<Table, QUANT_KERNELS_BUILT>(); \
    }
#else
#define QUANT_DETAIL_LIST_KERNELS(Table)
#endif
// A function that is left out would be a null pointer: an error. (clang before 19 does not see it
// among designated initializers.)
#if defined(_MSC_VER) && !defined(__clang__)
#define QUANT_DETAIL_ALL_MEMBERS_BEGIN
#define QUANT_DETAIL_ALL_MEMBERS_END
#else
#define QUANT_DETAIL_PRAGMA(...) _Pragma(#__VA_ARGS__)
#define QUANT_DETAIL_ALL_MEMBERS_BEGIN \
    QUANT_DETAIL_PRAGMA(GCC diagnostic push) \
    QUANT_DETAIL_PRAGMA(GCC diagnostic error "-Wmissing-field-initializers")
#define QUANT_DETAIL_ALL_MEMBERS_END QUANT_DETAIL_PRAGMA(GCC diagnostic pop)
#endif
#define QUANT_KERNELS(Table, ...) \
    static_assert(sizeof(#__VA_ARGS__) > 1, "quant: a table of kernels without functions"); \
    static_assert(::std::is_aggregate_v<Table> && ::std::is_trivially_copyable_v<Table>, \
                  "quant: a table of kernels is a plain struct of pointers to functions"); \
    static_assert(::quant::core_detail::flags_agree(::quant::instruction_set::QUANT_KERNELS_ISA, \
                                                    ::quant::isa::current::name), \
                  "quant: the compile flags allow another instruction set than the one that " \
                  "quant_add_kernels() gives here: leave -m... and /arch out of the target's"); \
    QUANT_DETAIL_ALL_MEMBERS_BEGIN \
    static constexpr Table QUANT_DETAIL_JOIN(quant_kernels, __LINE__) = {__VA_ARGS__}; \
    QUANT_DETAIL_ALL_MEMBERS_END \
    template <> \
    const ::quant::core_detail::kernel_set<Table>& quant::core_detail::kernels_for< \
        Table, ::quant::instruction_set::QUANT_KERNELS_ISA>() noexcept { \
        static constexpr kernel_set<Table> set = {::quant::instruction_set::QUANT_KERNELS_ISA, \
                                                  QUANT_DETAIL_JOIN(::quant_kernels, __LINE__)}; \
        return set; \
    } \
    QUANT_DETAIL_LIST_KERNELS(Table) \
    static_assert(true)
#endif
