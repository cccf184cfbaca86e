"""Export: what round-trips through which format, and a row's time under onnxruntime.

    python benchmarks/export.py --table       # variants x formats, some minutes
    python benchmarks/export.py --row         # a row of MNIST, microseconds

The table needs the extras ``skae[onnx,skops]`` and the variants of the tests. A cell
says "yes" where what comes back gives the same as `transform` and `inverse_transform`
on rows inside, outside and far outside the data (of pickle, joblib and skops bit for
bit, of ``to_torch`` to 1e-9 in float64, of ONNX to 1e-5 in float32), or why not.
"""

import argparse
import io
import pickle
import sys
import time
import warnings
from pathlib import Path

import joblib
import numpy as np
import onnxruntime
import skops.io
import torch
from datasets import mnist
from skl2onnx import to_onnx
from sklearn.decomposition import PCA
from threadpoolctl import threadpool_limits

import skae.onnx
from skae import (
    AutoEncoderImputer,
    AutoEncoderTransformer,
    ReconstructionOutlierDetector,
    skops_types,
)

sys.path.append(str(Path(__file__).parent.parent))
from tests.fitted import fitted, near_and_far  # noqa: E402
from tests.variants import VARIANTS  # noqa: E402

OTHERS = ["answered by PCA", "stream", "wide", "whitened", "supervised, stream"]
OTHERS += ["mixed, found", "mixed, given", "mixed, found, stream"]
OTHERS += ["gaps", "gaps by a number", "gaps, stream"]
SECONDS = 1.0  # of each measurement


# Formats: functions of (model, X, Z) that return codes and rows, and how near they are.


def by_pickle(model, X, Z):
    """Return what comes back from pickle."""
    again = pickle.loads(pickle.dumps(model))
    return again.transform(X), again.inverse_transform(Z)


def by_joblib(model, X, Z):
    """Return what comes back from joblib."""
    again = through_joblib(model)
    return again.transform(X), again.inverse_transform(Z)


def through_joblib(model):
    """Return the model that joblib reads again."""
    file = io.BytesIO()
    joblib.dump(model, file)
    file.seek(0)
    return joblib.load(file)


def by_skops(model, X, Z):
    """Return what comes back from skops."""
    again = through_skops(model)
    return again.transform(X), again.inverse_transform(Z)


def through_skops(model):
    """Return the model that skops reads again; users' own functions are trusted too."""
    data = skops.io.dumps(model)
    own = [t for t in skops.io.get_untrusted_types(data=data) if t.startswith("tests.")]
    return skops.io.loads(data, trusted=[*skops_types(), *own])


def by_torch(model, X, Z):
    """Return what the module of torch gives."""
    module = model.to_torch("float64")
    with torch.no_grad():
        ways = module.encoder(torch.tensor(X)), module.decoder(torch.tensor(Z))
    return [values.numpy() for values in ways]


def by_onnx(model, X, Z):
    """Return what onnxruntime makes of the graphs, in float32."""
    X, Z = X.astype(np.float32), Z.astype(np.float32)
    return session(model, X)(X), session(skae.onnx.Decoder(model), Z)(Z)


FORMATS = {
    "pickle": (by_pickle, 0.0),
    "joblib": (by_joblib, 0.0),
    "skops": (by_skops, 0.0),
    "to_torch": (by_torch, 1e-9),
    "ONNX": (by_onnx, 1e-5),
}


def session(model, X):
    """Return a function of rows, which onnxruntime computes on one thread."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    graph = to_onnx(model, X[:1]).SerializeToString()
    made = onnxruntime.InferenceSession(graph, options, ["CPUExecutionProvider"])
    return lambda X: made.run(None, {"X": X})[0]


def farthest(found, expected):
    """Return the largest difference, each row in units of its largest value."""
    scale = np.abs(expected).max(axis=1, keepdims=True)
    return np.max(np.abs(found - expected) / np.maximum(scale, scale[0]))


def cell(model, X, run, tolerance):
    """Return what the table says of a model in a format."""
    dtype = np.float32 if run is by_onnx else np.float64
    X = X.astype(dtype)
    if run in (by_torch, by_onnx) and model.missing_values is not None:
        X = model.impute(X)  # they take complete rows
    Z = model.transform(X)
    R = model.inverse_transform(Z)
    try:
        codes, again = run(model, X, Z)
    except Exception as error:  # a refusal is an answer
        return str(error).splitlines()[0][:60]
    worst = max(farthest(codes, Z), farthest(again, R))
    return "yes" if worst <= tolerance else f"no: {worst:.1e}"


def table():
    """Print variants x formats."""
    print("| variant |", " | ".join(FORMATS), "|")
    print("|---" * (len(FORMATS) + 1) + "|")
    for name in [*VARIANTS, *OTHERS]:
        model, X = fitted(name)
        X = near_and_far(model, X)
        cells = [cell(model, X, *how) for how in FORMATS.values()]
        print(f"| {name} |", " | ".join(cells), "|", flush=True)
    X = near_and_far(*fitted("default"))
    for model, method in [
        (ReconstructionOutlierDetector(n_estimators=2), "score_samples"),
        (AutoEncoderImputer(AutoEncoderTransformer(2, max_iter=5)), "transform"),
    ]:
        cells = [cell_of_other(model.fit(X), X, method, name) for name in FORMATS]
        print(f"| {type(model).__name__} |", " | ".join(cells), "|", flush=True)


def cell_of_other(model, X, method, name):
    """Return what the table says of an estimator that is no autoencoder."""
    ways = {
        "pickle": lambda: pickle.loads(pickle.dumps(model)),
        "joblib": lambda: through_joblib(model),
        "skops": lambda: through_skops(model),
    }
    if name not in ways:
        return "no"
    found, expected = (getattr(m, method)(X) for m in (ways[name](), model))
    return "yes" if np.array_equal(found, expected) else "no"


def microseconds(call):
    """Return the CPU time of a call, the median of ten parts of the time."""
    call()
    parts = []
    for _ in range(10):
        n_calls, start = 0, time.process_time()
        while time.process_time() - start < SECONDS / 10:
            call()
            n_calls += 1
        parts.append((time.process_time() - start) / n_calls)
    return 1e6 * np.median(parts)


def products(model):
    """Return the weight matrices of the way to a code, as onnxruntime takes them."""
    weights = model.to_torch().encoder.named_parameters()
    return [
        np.ascontiguousarray(value.detach().numpy().T)
        for name, value in weights
        if name.endswith("weight") and ".linear." not in name
    ]


def bare_graph(weights):
    """Return a graph that multiplies by one matrix after another, and nothing else."""
    from onnx import TensorProto, helper, numpy_helper

    names = ["X", *(f"z{i}" for i in range(len(weights)))]
    nodes = [
        helper.make_node("MatMul", [names[i], f"w{i}"], [names[i + 1]])
        for i in range(len(weights))
    ]
    ends = [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, [None, width])
        for name, width in [("X", len(weights[0])), (names[-1], weights[-1].shape[1])]
    ]
    constants = [numpy_helper.from_array(w, f"w{i}") for i, w in enumerate(weights)]
    graph = helper.make_graph(nodes, "bare", ends[:1], ends[1:], constants)
    opset = [helper.make_opsetid("", 18)]
    return helper.make_model(graph, opset_imports=opset, ir_version=10)


def row(k, max_iter):
    """Print the microseconds of a row of MNIST."""
    train, test = mnist()
    model = AutoEncoderTransformer(k, max_iter=max_iter, random_state=0).fit(train)
    pca = PCA(k, random_state=0).fit(train)
    x = test[:1]
    weights = products(model)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    bare = onnxruntime.InferenceSession(
        bare_graph(weights).SerializeToString(), options, ["CPUExecutionProvider"]
    )
    by_onnx = session(model, test)
    module = model.to_torch().encoder
    tensor = torch.from_numpy(x)

    def by_torch():
        with torch.inference_mode():
            module(tensor)

    calls = {
        "onnxruntime, the matrix products alone": lambda: bare.run(None, {"X": x}),
        "onnxruntime, all of it": lambda: by_onnx(x),
        "onnxruntime, PCA": (lambda run: lambda: run(x))(session(pca, test)),
        "`transform`": lambda: model.transform(x),
        "`to_torch().encoder`": by_torch,
        "PCA's `transform`": lambda: pca.transform(x),
    }
    print(f"widths {[len(w) for w in weights]}, k = {k}, stop: {model.stop_reason_}")
    error = farthest(by_onnx(test), model.transform(test))
    print(f"largest difference on {len(test)} test rows: {error:.1e}")
    print("\n| a row of MNIST | µs |\n|---|---|")
    with threadpool_limits(1):
        for name, call in calls.items():
            print(f"| {name} | {microseconds(call):.0f} |", flush=True)


def main():
    """Print what is asked for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--table", action="store_true")
    parser.add_argument("--row", action="store_true")
    parser.add_argument("-k", type=int, default=10)
    parser.add_argument("--max-iter", type=int, default=2)
    args = parser.parse_args()
    warnings.simplefilter("ignore")
    skae.onnx.register()
    if args.table or not args.row:
        table()
    if args.row or not args.table:
        row(args.k, args.max_iter)


if __name__ == "__main__":
    main()
