"""Downstream: what supervised codes are worth to the model behind them.

    python benchmarks/downstream.py                       # all parts, three seeds
    python benchmarks/downstream.py --parts tables --seeds 1
    python benchmarks/downstream.py --supervision 1

tables  each table, standardized and split 70/30, k = 2, a quarter and half of its
        features: the score of a linear model and of nearest neighbours on the codes
        minus that on PCA's (accuracy, or R2 floored at -1), and seconds of the fit
partly  the same with a tenth of the training rows labelled: codes of all rows, with a
        teacher and without, against those of the same network on the labelled rows
        alone, and PCA of all rows; the models behind see the labelled rows
mnist   60,000 pictures, k = 10, logistic regression on the codes
leak    cross-validated accuracy on random labels, where chance is a half

Ours are fitted with defaults but for ``supervision``. Linear discriminants and
neighbourhood components, of tables with classes only, are scikit-learn's. Data come
from ``SKAE_DATA`` or from scikit-learn.
"""

import argparse
import json
import time
import warnings
from pathlib import Path

import numpy as np
from cases import cases, usefulness
from datasets import labelled_mnist
from sklearn.base import clone
from sklearn.decomposition import PCA
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import cross_val_score
from sklearn.neighbors import NeighborhoodComponentsAnalysis
from sklearn.pipeline import make_pipeline

from skae import AutoEncoderTransformer


def ours(k, seed, classify, supervision=0.0, teacher=None):
    """Return our autoencoder."""
    return AutoEncoderTransformer(
        k,
        supervision=supervision,
        teacher=teacher,
        target_type="multiclass" if classify else "continuous",
        random_state=seed,
    )


def reducers(k, seed, classify, n_most, supervision):
    """Return the contestants by name; ``n_most`` discriminants can be found."""
    models = {
        "PCA": PCA(k, random_state=seed),
        "unsupervised": ours(k, seed, classify),
        "supervised": ours(k, seed, classify, supervision),
    }
    if classify:
        models["LDA"] = LinearDiscriminantAnalysis(n_components=min(k, n_most))
        models["NCA"] = NeighborhoodComponentsAnalysis(k, random_state=seed)
    return models


def timed_fit(model, X, y):
    """Fit, and return the seconds it took."""
    start = time.perf_counter()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model.fit(X, y)
    return time.perf_counter() - start


def whole_tables(args):
    """Measure every case with all labels."""
    rows = []
    for name, seed, k, train, test in cases(args.tables, range(args.seeds)):
        (X, y), (X_test, y_test) = train, test
        classify = name.startswith("class/")
        n_most = min(len(np.unique(y)) - 1, X.shape[1])
        row = {"table": name, "seed": seed, "k": k}
        for method, model in reducers(
            k, seed, classify, n_most, args.supervision
        ).items():
            seconds = timed_fit(model, X, y)
            Z, Z_test = model.transform(X), model.transform(X_test)
            scores = usefulness(Z, y, Z_test, y_test, classify)
            row[method] = {"scores": [float(s) for s in scores], "seconds": seconds}
        rows.append(row)
        report(row, list(row)[3:])
    summarise(rows)
    return rows


def partly_labelled(args):
    """Measure every case with a tenth of the labels, at least twenty."""
    rows = []
    for name, seed, k, train, test in cases(args.tables, range(args.seeds)):
        (X, y), (X_test, y_test) = train, test
        classify = name.startswith("class/")
        rng = np.random.default_rng(seed)
        known = np.sort(rng.permutation(len(X))[: max(20, len(X) // 10)])
        if k >= len(known) or classify and len(np.unique(y[known])) < 2:
            continue
        partly = np.full(len(y), np.nan)
        partly[known] = (
            np.unique(y, return_inverse=True)[1][known] if classify else y[known]
        )
        plain, taught = (
            ours(k, seed, classify, args.supervision, teacher)
            for teacher in (None, "auto")
        )
        fits = {
            "PCA": (PCA(k, random_state=seed), X, None),
            "supervised": (plain, X, partly),
            "with a teacher": (taught, X, partly),
            "labelled rows alone": (clone(plain), X[known], partly[known]),
        }
        row = {"table": name, "seed": seed, "k": k}
        for method, (model, rows_seen, targets) in fits.items():
            seconds = timed_fit(model, rows_seen, targets)
            Z, Z_test = model.transform(X[known]), model.transform(X_test)
            scores = usefulness(Z, y[known], Z_test, y_test, classify)
            row[method] = {"scores": [float(s) for s in scores], "seconds": seconds}
        rows.append(row)
        report(row, fits)
    summarise(rows)
    return rows


def mnist(args):
    """Measure logistic regression on ten codes of MNIST."""
    (X, y), (X_test, y_test) = labelled_mnist()
    rows = []
    print("| codes | accuracy | seconds of the fit |")
    print("|---|---|---|")
    models = reducers(10, 0, True, 9, args.supervision)
    for method in ("PCA", "LDA", "unsupervised", "supervised"):
        seconds = timed_fit(models[method], X, y)
        Z, Z_test = models[method].transform(X), models[method].transform(X_test)
        scale = Z.std(axis=0)
        classifier = LogisticRegression(max_iter=1000).fit(Z / scale, y)
        accuracy = classifier.score(Z_test / scale, y_test)
        rows.append({"method": method, "accuracy": accuracy, "seconds": seconds})
        print(f"| {method} | {accuracy:.4f} | {seconds:.1f} |", flush=True)
    return rows


def leak(args):
    """Measure accuracy on random labels: anything but chance would be a leak."""
    scores = []
    for seed in range(10):
        rng = np.random.default_rng(seed)
        X, y = rng.normal(size=(400, 20)), rng.integers(0, 2, 400)
        model = make_pipeline(
            ours(5, seed, True, args.supervision), LogisticRegression()
        )
        scores.append(cross_val_score(model, X, y, cv=5).mean())
    error = np.std(scores) / np.sqrt(len(scores))
    print(f"accuracy on random labels: {np.mean(scores):.3f} ± {error:.3f}")
    return scores


def report(row, methods):
    """Print a line on one case."""
    scores = "; ".join(
        f"{method} {row[method]['scores'][0]:.3f} {row[method]['scores'][1]:.3f}"
        for method in methods
    )
    print(f"{row['table']} k={row['k']} seed={row['seed']}: {scores}", flush=True)


def summarise(rows):
    """Print a table: each method against PCA, over the cases that it has."""
    methods = list(dict.fromkeys(m for row in rows for m in row))[3:]
    print(f"\n{len(rows)} cases\n")
    print(
        "| codes | cases | linear model | neighbours | both | >= 0 | seconds, median |"
    )
    print("|---|---|---|---|---|---|---|")
    groups = [(m, [r for r in rows if m in r]) for m in methods]
    groups += [
        (f"{m}, classes", [r for r in rows if r["table"].startswith("class/")])
        for m in ("unsupervised", "supervised")
        if "LDA" in methods
    ]
    for label, group in groups:
        method = label.removesuffix(", classes")
        gain = np.array(
            [np.subtract(r[method]["scores"], r["PCA"]["scores"]) for r in group]
        )
        seconds = np.median([r[method]["seconds"] for r in group])
        print(
            f"| {label} | {len(group)} | {gain[:, 0].mean():+.3f} "
            f"| {gain[:, 1].mean():+.3f} | {gain.mean():+.3f} "
            f"| {np.mean(gain >= 0):.0%} | {seconds:.2f} |"
        )
    print()


PARTS = {
    "tables": whole_tables,
    "partly": partly_labelled,
    "mnist": mnist,
    "leak": leak,
}


def main():
    """Run the parts and save their numbers."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=list(PARTS))
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--tables", nargs="+")
    parser.add_argument("--supervision", type=float, default=3.0)
    parser.add_argument("--out", type=Path, default=Path("out/downstream.json"))
    args = parser.parse_args()
    numbers = {}
    for part in args.parts:
        print(f"== {part}\n")
        numbers[part] = PARTS[part](args)
    args.out.parent.mkdir(parents=True, exist_ok=True)
    args.out.write_text(json.dumps(numbers, indent=1))


if __name__ == "__main__":
    main()
