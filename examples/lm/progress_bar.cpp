#include "progress_bar.hpp"

#include <algorithm>
#include <cstddef>
#include <cstdio>
#include <utility>

#include <unistd.h>

namespace lm {
namespace {

constexpr int width = 40;

} // namespace

progress_bar::progress_bar(std::string label)
    : label_(std::move(label)), visible_(isatty(STDERR_FILENO) == 1) {
    show(0.0);
}

progress_bar::~progress_bar() {
    if (visible_) std::fprintf(stderr, "\r\033[K");
}

void progress_bar::show(double share) {
    const int percent = static_cast<int>(100.0 * std::clamp(share, 0.0, 1.0));
    if (!visible_ || percent == shown_percent_) return;
    shown_percent_ = percent;
    const auto filled = static_cast<std::size_t>(percent * width / 100);
    const std::string bar = std::string(filled, '#') + std::string(width - filled, '.');
    std::fprintf(stderr, "\r%-24s [%s] %3d %%", label_.c_str(), bar.c_str(), percent);
    std::fflush(stderr);
}

} // namespace lm
