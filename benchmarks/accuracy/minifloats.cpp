#include "measure.hpp"

namespace accuracy {

std::span<const format> minifloat_formats() {
    using namespace quant::presets;
    static constexpr format all[] = {
        entry<mxfp4>("mxfp4", "OCP MX"),
        entry<mxfp6_e2m3>("mxfp6_e2m3", "OCP MX"),
        entry<mxfp6_e3m2>("mxfp6_e3m2", "OCP MX"),
        entry<mxfp8_e4m3>("mxfp8_e4m3", "OCP MX"),
        entry<mxfp8_e5m2>("mxfp8_e5m2", "OCP MX"),
        entry<mxint8>("mxint8", "OCP MX"),
        entry<nvfp4>("nvfp4", "NVFP4"),
    };
    return all;
}

} // namespace accuracy
