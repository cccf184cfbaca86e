"""Quality: reconstruction and usefulness of the codes against PCA's, table by table.

    python benchmarks/quality.py --quick            # one seed, without MLPRegressor
    python benchmarks/quality.py --out out/quality.json
    python benchmarks/quality.py --quick --frontier  # ours for several linearities

Every table is standardized and split 70/30; k is 2, a quarter and half of its features.
Each method is fitted with its defaults, no table with settings of its own. Measured on
the unseen rows: squared error over PCA's; the same on those rows scaled by 3, 10 and
100, the worst of the three, and with a feature of each broken, by 3 to 1,000 times the
length of a row, the worst of four; and the score of a linear model and of nearest
neighbours on the codes minus their score on PCA's (accuracy, or R2 floored at -1).
A plot shows error against usefulness and against seconds, a dot for each method.
Tables come from ``SKAE_DATA`` or from scikit-learn.
"""

import argparse
import json
import time
import warnings
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
from cases import cases, usefulness
from sklearn.decomposition import PCA
from sklearn.exceptions import ConvergenceWarning
from sklearn.neural_network import MLPRegressor

from skae import AutoEncoderTransformer


class MLPAutoEncoder:
    """scikit-learn's multi-layer perceptron, fitted to its own input."""

    def __init__(self, n_components, seed):
        layers = (128, 64, n_components, 64, 128)
        self.mlp = MLPRegressor(hidden_layer_sizes=layers, random_state=seed)
        self.n_encoder_layers = 3

    def fit(self, X):
        """Fit, and wait for no warning."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            self.mlp.fit(X, X)
        return self

    def transform(self, X):
        """Return what the middle layer makes of ``X``."""
        for layer in range(self.n_encoder_layers):
            X = X @ self.mlp.coefs_[layer] + self.mlp.intercepts_[layer]
            X = np.maximum(X, 0)
        return X

    def reconstruct(self, X):
        """Return the output."""
        return self.mlp.predict(X).reshape(X.shape)


def keras_recipe(k, seed):
    """Return the textbook network: ReLU 128-64, Adam, 50 epochs, batch 256."""
    return AutoEncoderTransformer(
        k,
        hidden_layer_sizes=(128, 64),
        activation="relu",
        init="random",
        solver="adam",
        learning_rate="constant",
        alpha=0.0,
        batch_size=256,
        max_iter=50,
        n_iter_no_change=50,
        early_stopping=False,
        random_state=seed,
    )


def ours(**params):
    """Return a maker of our autoencoder."""
    return lambda k, seed: AutoEncoderTransformer(k, random_state=seed, **params)


METHODS = {
    "PCA": lambda k, seed: PCA(k, random_state=seed),
    "skae": ours(),
    "Keras recipe": keras_recipe,
    "MLPRegressor": MLPAutoEncoder,
}
FRONTIER = {
    f"linearity={linearity:g}": ours(linearity=linearity)
    for linearity in (0.0, 3.0, 10.0)
}


def reconstruct(model, X):
    """Encode and decode."""
    if hasattr(model, "reconstruct"):
        return model.reconstruct(X)
    return model.inverse_transform(model.transform(X))


def far_error(model, X):
    """Return the squared error relative to the squares of ``X``."""
    return float(np.sum((reconstruct(model, X) - X) ** 2) / np.sum(X**2))


def broken(X, factor):
    """Return rows, each with a feature that is off by so many lengths of a row."""
    rng = np.random.default_rng(0)
    rows, features = np.arange(len(X)), rng.integers(X.shape[1], size=len(X))
    X = X.copy()
    X[rows, features] += rng.choice([-1, 1], len(X)) * factor * X.shape[1] ** 0.5
    return X


def measure(method, k, seed, train, test, classify):
    """Return error on unseen and on training rows, seconds, and two scores."""
    (X, y), (X_test, y_test) = train, test
    start = time.perf_counter()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        model = METHODS[method](k, seed).fit(X)
    seconds = time.perf_counter() - start
    far = max(far_error(model, X_test * factor) for factor in (3, 10, 100))
    spiked = [far_error(model, broken(X_test, f)) for f in (3, 10, 100, 1000)]
    linear, neighbours = usefulness(
        model.transform(X), y, model.transform(X_test), y_test, classify
    )
    return {
        "test_error": float(np.mean((reconstruct(model, X_test) - X_test) ** 2)),
        "train_error": float(np.mean((reconstruct(model, X) - X) ** 2)),
        "far_error": far,
        "broken_errors": spiked,
        "seconds": seconds,
        "linear": float(linear),
        "neighbours": float(neighbours),
    }


def ratios(rows, method):
    """Return the errors over PCA's, never zero."""
    ratio = [r[method]["test_error"] / r["PCA"]["test_error"] for r in rows]
    return np.maximum(ratio, 1e-9)


def gains(rows, method):
    """Return the scores on the codes minus those on PCA's, (n_cases, 2)."""
    scores = ("linear", "neighbours")
    return np.array([[r[method][s] - r["PCA"][s] for s in scores] for r in rows])


def seconds_of(rows, method):
    """Return how long the fits took."""
    return np.array([r[method]["seconds"] for r in rows])


def draw(rows, methods, path):
    """Save error against usefulness, and error against seconds, a dot a method."""
    figure, (left, right) = plt.subplots(1, 2, figsize=(11, 4.5), sharex=True)
    for method in methods:
        error = np.exp(np.log(ratios(rows, method)).mean())
        linear, neighbours = gains(rows, method).mean(axis=0)
        (dot,) = left.plot(error, linear, "o", label=method)
        left.plot(error, neighbours, "s", color=dot.get_color())
        right.plot(error, np.median(seconds_of(rows, method)), "o", label=method)
    left.axhline(0, color="gray", linewidth=0.5)
    left.set_ylabel("score minus PCA's: o linear model, s neighbours")
    right.set_ylabel("seconds, median")
    right.set_yscale("log")
    right.legend(fontsize="small")
    for axes in (left, right):
        axes.set_xlabel("error on unseen rows over PCA's, geometric mean")
    figure.tight_layout()
    figure.savefig(path, dpi=120)


def summarise(rows, method):
    """Return the row of the table that sums a method up."""
    ratio, gain = ratios(rows, method), gains(rows, method)
    seconds = seconds_of(rows, method)
    far = np.array([r[method]["far_error"] / r["PCA"]["far_error"] for r in rows])
    spiked = [
        np.divide(r[method]["broken_errors"], r["PCA"]["broken_errors"]) for r in rows
    ]
    return (
        f"| {method} | {np.exp(np.log(ratio).mean()):.3f} "
        f"| {ratio.max():.2f} | {np.mean(ratio > 1.02):.1%} | {far.max():.2f} "
        f"| {np.max(spiked):.2f} "
        f"| {gain[:, 0].mean():+.3f} | {gain[:, 1].mean():+.3f} "
        f"| {np.mean(gain >= -0.005):.0%} | {np.median(seconds):.2f} "
        f"| {seconds.max():.1f} |"
    )


def main():
    """Measure, print a line a case and a summary a method, and save all numbers."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--quick", action="store_true", help="one seed, no MLP")
    parser.add_argument("--methods", nargs="+", default=list(METHODS))
    parser.add_argument("--frontier", action="store_true", help="and linearities")
    parser.add_argument("--tables", nargs="+")
    parser.add_argument("--out", type=Path, default=Path("out/quality.json"))
    args = parser.parse_args()
    methods = [m for m in METHODS if m == "PCA" or m in args.methods]
    if args.frontier:
        METHODS.update(FRONTIER)
        methods += FRONTIER
    if args.quick:
        methods = [m for m in methods if m != "MLPRegressor"]
    rows = []
    for name, seed, k, train, test in cases(
        args.tables, range(1 if args.quick else args.seeds)
    ):
        classify = name.startswith("class/")
        row = {m: measure(m, k, seed, train, test, classify) for m in methods}
        rows.append({"table": name, "seed": seed, "k": k, **row})
        pca = row["PCA"]["test_error"]
        errors = ", ".join(
            f"{m} {row[m]['test_error'] / pca:.2f}" for m in methods if m != "PCA"
        )
        print(f"{name} k={k} seed={seed}: test error over PCA's: {errors}", flush=True)
    print(f"\n{len(rows)} cases\n")
    print(
        "| method | error / PCA's | worst | over 1.02 | on far rows | on broken rows "
        "| linear model | neighbours | scores >= -.005 | seconds, median | most |"
    )
    print("|---|---|---|---|---|---|---|---|---|---|---|")
    for method in methods:
        print(summarise(rows, method))
    better = [
        r["skae"]["test_error"] < r["Keras recipe"]["test_error"]
        for r in rows
        if "Keras recipe" in r and "skae" in r
    ]
    if better:
        print(f"\nskae has less error than the Keras recipe in {np.mean(better):.0%}")
    args.out.parent.mkdir(parents=True, exist_ok=True)
    args.out.write_text(json.dumps(rows, indent=1))
    draw(rows, methods, args.out.with_suffix(".png"))


if __name__ == "__main__":
    main()
