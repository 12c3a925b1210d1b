// Calls the kernels of choice.cpp and prints what they say; REPORT names the function.
#include "report.hpp"

#include "choice.hpp"

#include <atomic>
#include <cstdio>
#include <cstring>
#include <thread>

namespace {

// Threads that all make the first call: how many found another table than this one does.
std::size_t disagreeing_threads() {
    constexpr std::size_t count = 4;
    std::atomic<std::size_t> ready{0};
    const choice_kernels* found[count] = {};
    std::vector<std::thread> threads;
    for (const choice_kernels*& mine : found) {
        threads.emplace_back([&mine, &ready] {
            for (++ready; ready < count;) std::this_thread::yield();
            mine = &quant::dispatch<choice_kernels>();
        });
    }
    for (std::thread& thread : threads) thread.join();
    const choice_kernels* const chosen = &quant::dispatch<choice_kernels>();
    return count - static_cast<std::size_t>(std::count(std::begin(found), std::end(found), chosen));
}

bool throws_as_expected() {
#if QUANT_HAS_EXCEPTIONS
    try {
        quant::dispatch<choice_kernels>().fail();
        return false;
    } catch (const quant::error& caught) {
        return caught.code() == quant::errc::empty &&
               std::strcmp(caught.what(), "fail: x: 0 x 0 has no elements") == 0;
    }
#else
    quant::dispatch<choice_kernels>().fail();
    return true;
#endif
}

} // namespace

int REPORT() {
    const std::size_t disagreeing = disagreeing_threads();
    std::vector<std::uint32_t> values(1000);
    for (std::size_t i = 0; i < values.size(); ++i) {
        values[i] = static_cast<std::uint32_t>(i) * 2654435761u;
    }
    const choice_kernels& kernels = quant::dispatch<choice_kernels>();
    shared_base here(values.size());
    here.add(shared_digest(values));

    const quant::instruction_set isa = quant::dispatched_isa<choice_kernels>();
    const char* const chosen = to_string(isa);
    const bool same = here.state == kernels.digest(values);
    const bool right =
        isa == quant::instruction_set::generic || std::strcmp(chosen, kernels.compiled_for()) == 0;
    const bool thrown = throws_as_expected();
    std::printf("%s: compiled for %s, digest %016llx\n", chosen, kernels.compiled_for(),
                static_cast<unsigned long long>(here.state));
    if (!same) std::puts("the kernels' digest differs from the program's");
    if (!right) std::puts("compiled for something else than what was chosen");
    if (!thrown) std::puts("the kernels' exception did not arrive");
    if (disagreeing != 0) std::printf("%zu threads disagree\n", disagreeing);
    return same && right && thrown && disagreeing == 0 ? 0 : 1;
}
