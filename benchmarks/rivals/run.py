#!/usr/bin/env python3
"""Measures this library beside others and writes one file for report.py --rivals.

    run.py --binary BUILD/benchmarks/rivals/benchmark.rivals --out FILE.json [--seconds S]

benchmark.rivals brings the libraries that CMake found (OpenBLAS, oneDNN, XNNPACK). From Python, each
if it can be imported: onnxruntime (with onnx and numpy), MatMulNBits with 8-bit activations; ggml, the
shared libraries that llama-cpp-python installs. Each shape and count of tokens is measured by the
binary and then, at once, by these. One thread.
"""
import argparse
import ctypes
import json
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile
import time

SHAPES = [(4096, 4096), (4096, 14336)]  # outputs, inputs
TOKENS = [1, 16, 64, 256]


def repetitions(call, seconds):
    """Seconds of each repetition in which the thread ran, as benchmark.rivals counts them."""
    call()
    taken = []
    while sum(taken) < seconds or len(taken) < 5:
        own, wall = time.thread_time(), time.perf_counter()
        call()
        wall = time.perf_counter() - wall
        taken.append(min(wall, time.thread_time() - own))
    return taken


# ---------------------------------------------------------------------------- onnxruntime

def onnxruntime_product(outputs, inputs, tokens, block):
    import numpy
    import onnx
    import onnxruntime
    from onnx import TensorProto, helper

    rng = numpy.random.default_rng(1)
    blocks = inputs // block
    codes = rng.integers(0, 256, (outputs, blocks, block // 2), dtype=numpy.uint8)
    scales = rng.random(outputs * blocks, dtype=numpy.float32)
    node = helper.make_node("MatMulNBits", ["x", "w", "s"], ["y"], domain="com.microsoft",
                            K=inputs, N=outputs, bits=4, block_size=block, accuracy_level=4)
    graph = helper.make_graph(
        [node], "product",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [tokens, inputs])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [tokens, outputs])],
        [onnx.numpy_helper.from_array(codes, "w"), onnx.numpy_helper.from_array(scales, "s")])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17),
                                                    helper.make_opsetid("com.microsoft", 1)])
    model.ir_version = 8
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(model.SerializeToString(), options,
                                           providers=["CPUExecutionProvider"])
    x = {"x": rng.random((tokens, inputs), dtype=numpy.float32)}
    return lambda: session.run(None, x)


# ---------------------------------------------------------------------------- ggml

class GgmlInit(ctypes.Structure):
    _fields_ = [("mem_size", ctypes.c_size_t), ("mem_buffer", ctypes.c_void_p),
                ("no_alloc", ctypes.c_bool)]


class GgmlPlan(ctypes.Structure):
    _fields_ = [("work_size", ctypes.c_size_t), ("work_data", ctypes.c_void_p),
                ("rest", ctypes.c_uint8 * 112)]  # threads and callbacks, as ggml fills them in


def ggml_libraries():
    import importlib.util
    spec = importlib.util.find_spec("llama_cpp")
    if spec is None:
        raise ImportError("llama_cpp is not installed")
    folder = pathlib.Path(spec.origin).parent / "lib"
    base = ctypes.CDLL(str(folder / "libggml-base.so"), mode=ctypes.RTLD_GLOBAL)
    cpu = ctypes.CDLL(str(folder / "libggml-cpu.so"), mode=ctypes.RTLD_GLOBAL)
    for name in ("ggml_init", "ggml_new_tensor_2d", "ggml_mul_mat", "ggml_new_graph",
                 "ggml_get_data"):
        getattr(base, name).restype = ctypes.c_void_p
    base.ggml_init.argtypes = [GgmlInit]
    base.ggml_new_tensor_2d.argtypes = [ctypes.c_void_p, ctypes.c_int, ctypes.c_int64,
                                        ctypes.c_int64]
    base.ggml_mul_mat.argtypes = [ctypes.c_void_p] * 3
    base.ggml_new_graph.argtypes = base.ggml_get_data.argtypes = [ctypes.c_void_p]
    base.ggml_build_forward_expand.argtypes = [ctypes.c_void_p] * 2
    base.ggml_nbytes.restype = ctypes.c_size_t
    base.ggml_nbytes.argtypes = base.ggml_free.argtypes = [ctypes.c_void_p]
    cpu.ggml_graph_plan.restype = GgmlPlan
    cpu.ggml_graph_plan.argtypes = [ctypes.c_void_p, ctypes.c_int, ctypes.c_void_p]
    cpu.ggml_graph_compute.argtypes = [ctypes.c_void_p, ctypes.POINTER(GgmlPlan)]
    cpu.ggml_cpu_init()
    return base, cpu


class GgmlProduct:
    """mul_mat of a graph, with weights in ggml's own block layout (not repacked)."""

    F32, Q4_0, Q8_0 = 0, 2, 8

    def __init__(self, outputs, inputs, tokens, weight_type):
        self.base, self.cpu = ggml_libraries()
        room = 5 * outputs * inputs // 4 + 8 * tokens * (outputs + inputs) + (1 << 24)
        self.context = self.base.ggml_init(GgmlInit(room, None, False))
        w = self.base.ggml_new_tensor_2d(self.context, weight_type, inputs, outputs)
        x = self.base.ggml_new_tensor_2d(self.context, self.F32, inputs, tokens)
        for tensor in (w, x):  # zeros and tiny numbers: speed does not depend on them
            ctypes.memset(self.base.ggml_get_data(tensor), 1, self.base.ggml_nbytes(tensor))
        self.graph = self.base.ggml_new_graph(self.context)
        self.base.ggml_build_forward_expand(self.graph,
                                            self.base.ggml_mul_mat(self.context, w, x))
        self.plan = self.cpu.ggml_graph_plan(self.graph, 1, None)
        self.work = ctypes.create_string_buffer(max(1, self.plan.work_size))
        self.plan.work_data = ctypes.addressof(self.work)

    def __call__(self):
        self.cpu.ggml_graph_compute(self.graph, ctypes.byref(self.plan))

    def __del__(self):
        if getattr(self, "context", None):
            self.base.ggml_free(self.context)


RIVALS = [
    ("4_bits_group_32", "onnxruntime_MatMulNBits",
     lambda n, k, t: onnxruntime_product(n, k, t, 32)),
    ("4_bits_group_128", "onnxruntime_MatMulNBits",
     lambda n, k, t: onnxruntime_product(n, k, t, 128)),
    ("4_bits_group_32", "ggml_Q4_0", lambda n, k, t: GgmlProduct(n, k, t, GgmlProduct.Q4_0)),
]


def run_binary(binary, group, seconds):
    """What benchmark.rivals measures of one kind, shape and count of tokens."""
    with tempfile.TemporaryDirectory() as folder:
        out = pathlib.Path(folder) / "out.json"
        subprocess.run([binary, f"--benchmark_filter=^{group}/", f"--seconds={seconds}",
                        f"--benchmark_out={out}", "--benchmark_out_format=json"],
                       check=True, capture_output=True,
                       env={**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"})
        return json.loads(out.read_text(encoding="utf-8"))["benchmarks"]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--binary", required=True)
    parser.add_argument("--out", required=True)
    parser.add_argument("--seconds", type=float, default=0.25)
    arguments = parser.parse_args()
    missing, results = set(), []
    kinds = ["4_bits_group_32", "4_bits_group_128", "8_bits_per_channel", "fp32_activations"]
    for kind in kinds:
        for n, k in SHAPES:
            for tokens in TOKENS:
                group = f"rivals/{kind}/{n}x{k}/tokens:{tokens}"
                results += run_binary(arguments.binary, group, arguments.seconds)
                for its_kind, name, make in RIVALS:
                    if its_kind != kind or name in missing:
                        continue
                    try:
                        taken = repetitions(make(n, k, tokens), arguments.seconds)
                    except (ImportError, OSError, AttributeError) as reason:
                        print(f"without {name}: {reason}", file=sys.stderr)
                        missing.add(name)
                        continue
                    giga = 2e-9 * n * k * tokens
                    results.append({"name": f"{group}/{name}", "label": "GOPS vs none",
                                    "best": giga / min(taken),
                                    "median": giga / statistics.median(taken)})
    pathlib.Path(arguments.out).write_text(json.dumps({"context": {}, "benchmarks": results}),
                                           encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
