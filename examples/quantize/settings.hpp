// What the command line says.
#pragma once

#include <cstddef>
#include <filesystem>
#include <string>
#include <vector>

namespace quantizer {

struct settings {
    std::filesystem::path input;
    std::filesystem::path output;
    std::filesystem::path report; ///< empty: none is written

    std::string scheme = "q4_k";
    std::vector<std::string> rules; ///< REGEX=SCHEME each
    std::vector<std::string> keep;  ///< a regular expression each
    bool fallback = true;
    std::string range = "mse"; ///< a range_estimator's name
    bool packed = false;       ///< the output is a packed file

    std::size_t threads = 0; ///< 0: one per core
    bool force = false;
};

} // namespace quantizer
