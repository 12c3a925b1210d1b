// What was done, for people and for programs.
#pragma once

#include "plan.hpp"
#include "settings.hpp"

#include <quant/calibrate/metrics.hpp>

#include <cstddef>
#include <ostream>
#include <span>
#include <string>
#include <vector>

namespace quantizer {

struct tensor_report {
    const planned_tensor* tensor = nullptr;
    quant::error_sums error; ///< of weights that were quantized, against the source's
    double seconds = 0;
};

/// Lines of a table whose first column is as wide as the longest name.
class table {
public:
    table(std::ostream& out, std::span<const planned_tensor> tensors);

    void heading();
    void row(const tensor_report& report);
    void totals(std::span<const tensor_report> reports, double seconds);

private:
    std::ostream* out_;
    int name_width_ = 0;
};

/// The table and its totals as JSON.
[[nodiscard]] std::string to_json(std::span<const tensor_report> reports, const settings& given,
                                  double seconds);

} // namespace quantizer
