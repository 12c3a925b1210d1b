// SIGINT and SIGTERM as a flag that work looks at, so that it ends in good order.
#pragma once

#include <atomic>
#include <stdexcept>

namespace quantizer {

/// Work that was stopped; nothing of it is left.
class interrupted : public std::runtime_error {
public:
    interrupted() : std::runtime_error("interrupted; no file was written") {}
};

/// Catches both signals from now on. A second one ends the program at once.
void catch_interruptions();

/// True once a signal was caught.
[[nodiscard]] const std::atomic<bool>& interruption();

} // namespace quantizer
