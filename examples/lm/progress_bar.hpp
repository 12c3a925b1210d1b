// A line on the terminal that shows how far a long step is.
#pragma once

#include <string>

namespace lm {

/// Draws on the standard error, and only if that is a terminal; wipes its line when done.
class progress_bar {
public:
    explicit progress_bar(std::string label);
    progress_bar(const progress_bar&) = delete;
    progress_bar& operator=(const progress_bar&) = delete;
    ~progress_bar();

    /// @param share done, 0 … 1.
    void show(double share);

private:
    std::string label_;
    bool visible_;
    int shown_percent_ = -1;
};

} // namespace lm
