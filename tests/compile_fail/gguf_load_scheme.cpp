// expect-error: no GGUF type has this scheme
#include <quant/io/gguf/load.hpp>

using w4 = quant::scheme<quant::int4, quant::symmetric, quant::per_channel, float>;

bool loads(const quant::gguf::tensor& tensor) {
    return quant::gguf::try_load<w4>(tensor).has_value();
}
