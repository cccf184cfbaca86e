"""Soak: the memory of a process that fits thousands of small estimators.

    python benchmarks/soak.py                # 5,000 fits
    python benchmarks/soak.py --fits 500

Estimators of several kinds are fitted in turn, each to rows of its own, and encode,
decode, and go through a pickle. Prints the resident memory and the number of objects
that Python's collector knows, as time goes on, and what memory grows by a fit after the
first fifth, in which libraries load what they need (a line by least squares).
"""

import argparse
import gc
import pickle
import resource
import time
import warnings
from itertools import cycle
from pathlib import Path

import numpy as np
from sklearn.datasets import make_swiss_roll

from skae import AutoEncoderTransformer, Conv, ReconstructionOutlierDetector

FEW = {"max_iter": 2, "early_stopping": False}
KINDS = {
    "default": {"max_iter": 2},
    "random start": {"init": "random", **FEW},
    "variational": {"latent": "gaussian", **FEW},
    "mixture": {"latent": "mixture", **FEW},
    "denoising": {"corruption": "masking", "penalty": "sparsity", **FEW},
    "convolutional": {"network": Conv(channels=(4,)), **FEW},
    "supervised": {"supervision": 1.0, **FEW},
    "own loss": {"loss": lambda output, target: (output - target) ** 2, **FEW},
}


def one_fit(kind, seed):
    """Fit one, encode, decode, and let it go."""
    rng = np.random.RandomState(seed)
    X = make_swiss_roll(100, random_state=seed)[0] @ rng.normal(size=(3, 12))
    if kind == "detector":
        model = ReconstructionOutlierDetector(n_estimators=2, random_state=seed)
        pickle.loads(pickle.dumps(model.fit(X))).predict(X)
        return
    params = KINDS.get(kind, {})
    model = AutoEncoderTransformer(2, random_state=seed, **params)
    if kind == "stream":
        model.partial_fit(X).partial_fit(X)
    else:
        model.fit(X, np.arange(100) % 3 if kind == "supervised" else None)
    if kind != "own loss":  # a lambda is not pickled
        model = pickle.loads(pickle.dumps(model))
    model.inverse_transform(model.transform(X.astype(np.float32)))


def megabytes():
    """Return the resident memory."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize() / 2**20


def main():
    """Print a table of fits, memory and objects."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--fits", type=int, default=5_000)
    args = parser.parse_args()
    warnings.simplefilter("ignore")
    kinds = [*KINDS, "stream", "detector"]
    print(f"in turn: {', '.join(kinds)}\n")
    print("| fits | CPU s | MB | objects |\n|---|---|---|---|")
    resident, step = [], max(1, args.fits // 10)
    for i, kind in zip(range(1, args.fits + 1), cycle(kinds), strict=False):
        one_fit(kind, i)
        resident.append(megabytes())
        if i % step == 0 or i == 1:
            gc.collect()
            n_objects, seconds = len(gc.get_objects()), time.process_time()
            memory = f"{megabytes():.1f}"
            print(f"| {i} | {seconds:.0f} | {memory} | {n_objects} |", flush=True)
    late = np.array(resident[args.fits // 5 :])
    slope = np.polyfit(np.arange(len(late)), late, 1)[0]
    print(f"\nafter the first fifth: {1024 * slope:+.2f} kB a fit")


if __name__ == "__main__":
    main()
