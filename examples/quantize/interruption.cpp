#include "interruption.hpp"

#include <csignal>

namespace quantizer {
namespace {

std::atomic<bool> caught{false};
static_assert(std::atomic<bool>::is_always_lock_free, "signal handlers may touch nothing else");

extern "C" void note_signal(int) { caught.store(true, std::memory_order_relaxed); }

} // namespace

void catch_interruptions() {
    // Pipes that nobody reads and files beyond a limit are errors of writing, which are reported.
    for (const int signal : {SIGPIPE, SIGXFSZ}) std::signal(signal, SIG_IGN);
    for (const int signal : {SIGINT, SIGTERM, SIGHUP}) {
        struct sigaction action = {};
        action.sa_handler = &note_signal;
        // Restarting keeps file operations whole. The next signal finds the default again.
        action.sa_flags = static_cast<int>(SA_RESTART | SA_RESETHAND);
        sigaction(signal, &action, nullptr);
    }
}

const std::atomic<bool>& interruption() { return caught; }

} // namespace quantizer
