// What a line through given codes loses, and the best one.
#pragma once

#include <quant/core/config.hpp>
#include <quant/simd/doubles.hpp>

namespace quant::inline QUANT_ABI {
namespace detail {

/// Sums over codes u, importances v and distances d = w − origin; r stands for errors r·s². Codes
/// count from any number on: then so do offsets.
struct code_sums {
    double v = 0, u = 0, uu = 0, d = 0, ud = 0, dd = 0, r = 0;

    void add(double factor, double code, double distance) noexcept {
        const double vu = simd::rounded_product(factor, code);
        const double vd = simd::rounded_product(factor, distance);
        v += factor;
        u += vu;
        uu += simd::rounded_product(vu, code);
        d += vd;
        ud += simd::rounded_product(vd, code);
        dd += simd::rounded_product(vd, distance);
    }
    /// The sums of codes that are greater by a number.
    [[nodiscard]] code_sums shifted(double by) const noexcept {
        code_sums made = *this;
        made.u += simd::rounded_product(by, v);
        made.uu += simd::rounded_product(by, u + made.u);
        made.ud += simd::rounded_product(by, d);
        return made;
    }
    /// Σ v·(d − s·u − m)² + r·s².
    [[nodiscard]] double error_of(double s, double m) const noexcept {
        using simd::rounded_product;
        const double by_s = rounded_product(s, uu + r) + 2 * (rounded_product(m, u) - ud);
        const double by_m = rounded_product(m, v) - 2 * d;
        return dd + rounded_product(s, by_s) + rounded_product(m, by_m);
    }
    [[nodiscard]] double best_offset(double s) const noexcept {
        return v > 0 ? (d - simd::rounded_product(s, u)) / v : 0.0;
    }
    [[nodiscard]] double best_scale(double m) const noexcept {
        const double squares = uu + r;
        return squares > 0 ? (ud - simd::rounded_product(m, u)) / squares : 0.0;
    }
    /// The scale of the best line; 0 where all codes are alike.
    [[nodiscard]] double best_scale() const noexcept {
        using simd::rounded_product;
        const double squares = rounded_product(v, uu + r);
        const double determinant = squares - rounded_product(u, u);
        if (!(determinant > squares * 0x1p-40)) return 0.0;
        return (rounded_product(v, ud) - rounded_product(u, d)) / determinant;
    }
};

} // namespace detail
} // namespace quant::inline QUANT_ABI
