// OpenBLAS: float times float.
#include "rivals.hpp"

#include <cblas.h>

std::vector<rivals::rival> rivals::openblas() {
    openblas_set_num_threads(1);
    return {{"OpenBLAS_sgemm", kind::fp32, [](bench::shape of, std::size_t tokens) {
                 const auto w = std::make_shared<const std::vector<float>>(
                     bench::some_numbers(of.outputs * of.inputs));
                 const auto xy = std::make_shared<bench::activations>(tokens, of);
                 return std::function<void()>([=] {
                     const auto m = static_cast<blasint>(tokens);
                     const auto n = static_cast<blasint>(of.outputs);
                     const auto k = static_cast<blasint>(of.inputs);
                     if (m == 1) {
                         cblas_sgemv(CblasRowMajor, CblasNoTrans, n, k, 1.0f, w->data(), k,
                                     xy->x.data(), 1, 0.0f, xy->y.data(), 1);
                     } else {
                         cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasTrans, m, n, k, 1.0f,
                                     xy->x.data(), k, w->data(), k, 0.0f, xy->y.data(), n);
                     }
                 });
             }}};
}
