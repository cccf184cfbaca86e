#!/usr/bin/env bash
# onnxruntime 1.22.0 (2025; with onnx 1.18.0, numpy 2.2.6, Python 3.11): a valid float64
# graph of two standard operators, x * Sigmoid(x), loads only without optimization.
#
# With its default options onnxruntime replaces the pair by com.microsoft.QuickGelu, of
# which its CPU provider has a kernel for float32 only, and then refuses to create the
# session: NOT_IMPLEMENTED. The same graph in float32 loads; so does the float64 graph with
# `graph_optimization_level = ORT_DISABLE_ALL`, with the right numbers. onnxruntime 1.32.0
# loads it as it is.
#
# What it prints:
#   1.22.0 float32: largest error below 1e-6: True
#   1.22.0 float64: NotImplemented, kernel for com.microsoft.QuickGelu: True
#   1.22.0 float64, not optimized: largest error below 1e-6: True
#
# Exits 0 while it is so, 1 if that changes.
set -euo pipefail
room=$(mktemp -d)
trap 'rm -rf "$room"' EXIT
python3 -m venv "$room/venv"
"$room/venv/bin/pip" install -q onnxruntime==1.22.0 onnx==1.18.0 numpy==2.2.6
cat > "$room/try.py" <<'PY'
import numpy as np
import onnxruntime as ort
from onnx import TensorProto, checker, helper


def graph(kind):
    nodes = [
        helper.make_node("Sigmoid", ["x"], ["s"]),
        helper.make_node("Mul", ["x", "s"], ["y"]),
    ]
    x, y = (helper.make_tensor_value_info(n, kind, [None, 3]) for n in "xy")
    made = helper.make_graph(nodes, "silu", [x], [y])
    model = helper.make_model(
        made, opset_imports=[helper.make_opsetid("", 18)], ir_version=10
    )
    checker.check_model(model, full_check=True)
    return model.SerializeToString()


def run(kind, dtype, optimized=True):
    options = ort.SessionOptions()
    if not optimized:
        options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = ort.InferenceSession(graph(kind), options, ["CPUExecutionProvider"])
    x = np.array([[-2.0, 0.5, 3.0]], dtype)
    (y,) = session.run(None, {"x": x})
    return bool(np.abs(y - x / (1 + np.exp(-x))).max() < 1e-6)


results = [run(TensorProto.FLOAT, np.float32)]
print(f"{ort.__version__} float32: largest error below 1e-6: {results[-1]}")
try:
    run(TensorProto.DOUBLE, np.float64)
    results.append(False)
except Exception as error:
    text = str(error)
    results.append(
        type(error).__name__ == "NotImplemented" and "com.microsoft.QuickGelu" in text
    )
    print(text[:200])
print(
    f"{ort.__version__} float64: NotImplemented, kernel for com.microsoft.QuickGelu: "
    f"{results[-1]}"
)
results.append(run(TensorProto.DOUBLE, np.float64, optimized=False))
print(
    f"{ort.__version__} float64, not optimized: largest error below 1e-6: "
    f"{results[-1]}"
)
raise SystemExit(0 if all(results) else 1)
PY
"$room/venv/bin/python" "$room/try.py"
