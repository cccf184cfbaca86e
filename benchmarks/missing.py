"""Missing: gaps filled, and codes of rows with gaps, beside scikit-learn's imputers.

    python benchmarks/missing.py                          # all parts and tables
    python benchmarks/missing.py --parts fill --tables class/segment regr/energy
    python benchmarks/missing.py --parts fill --methods iterative skae --gaps 0.3

fill    each table, standardized by its observed entries, with 10 and 30 % of the
        entries removed at random, and with blocks removed (of 30 % of the rows a third
        of the features, as where several tables are joined): mean squared error on what
        was removed, in units of its column's variance, and CPU seconds. The mean of the
        tables is geometric.
codes   tables with a target, 70/30, 30 % of all entries removed: scores of a linear
        model and of neighbours on a quarter as many codes as features, of the complete
        rows, of rows filled with means, and of rows with gaps. Lost is what is missing
        from the score of complete rows.

"gaussian" is what fills gaps before the network sees them: probabilistic PCA with all
directions. "skae" has half as many codes as features, and defaults otherwise. Tables
have 5,000 rows at most. Data come from ``SKAE_DATA`` or from scikit-learn.
"""

import argparse
import json
import time
import warnings
from pathlib import Path

import numpy as np
from cases import usefulness
from datasets import outlier_tables, tables
from sklearn.experimental import enable_iterative_imputer  # noqa: F401
from sklearn.impute import IterativeImputer, KNNImputer, SimpleImputer
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import StandardScaler

from skae import AutoEncoderTransformer
from skae._linear.ppca import PPCA

MOST_ROWS = 5_000
# IterativeImputer takes hours with more.
MOST_FEATURES = 200
GAPS = ("0.1", "0.3", "blocks")


def ours(n_features, seed):
    """Return our autoencoder, as an imputer."""
    return AutoEncoderTransformer(
        max(1, n_features // 2), missing_values=np.nan, random_state=seed
    )


def gaussian(X):
    """Fill gaps as they are filled before the network sees them."""
    missing = np.isnan(X)
    return PPCA.fit(X, missing).fill(X, missing)


METHODS = {
    "mean": lambda X, seed: SimpleImputer(keep_empty_features=True).fit_transform(X),
    "neighbours": lambda X, seed: KNNImputer().fit_transform(X),
    "iterative": lambda X, seed: IterativeImputer(random_state=seed).fit_transform(X),
    "gaussian": lambda X, seed: gaussian(X),
    "skae": lambda X, seed: ours(X.shape[1], seed).fit(X).impute(X),
}


def all_tables(names):
    """Yield (name, rows, target or None) of tables that vary and are not too wide."""
    with_target = tables()
    others = {f"outlier/{name}": (X, None) for name, (X, _) in outlier_tables().items()}
    for name, (X, y) in {**with_target, **others}.items():
        X = np.asarray(X, np.float64)
        X = X[:, X.min(axis=0) < X.max(axis=0)]
        if (not names or name in names) and X.shape[1] <= MOST_FEATURES:
            rows = np.random.default_rng(0).permutation(len(X))[:MOST_ROWS]
            X = X[rows]
            varies = X.min(axis=0) < X.max(axis=0)
            yield name, X[:, varies], None if y is None else y[rows]


def remove(X, kind, rng):
    """Return which entries are removed, a part of them or blocks."""
    if kind != "blocks":
        return rng.random(X.shape) < float(kind)
    n_rows, n_features = X.shape
    missing = np.zeros(X.shape, bool)
    rows = np.flatnonzero(rng.random(n_rows) < 0.3)
    width = max(1, n_features // 3)
    for part in np.array_split(rows, 3):
        first = rng.integers(n_features - width + 1)
        missing[np.ix_(part, np.arange(first, first + width))] = True
    return missing


def standardized(X, missing):
    """Return rows and rows with NaN, scaled by what is observed."""
    scaler = StandardScaler().fit(np.where(missing, np.nan, X))
    X = scaler.transform(X)
    return X, np.where(missing, np.nan, X)


def fill(name, X, kind, seed, methods):
    """Yield a result for each method."""
    missing = remove(X, kind, np.random.default_rng(seed))
    X, holes = standardized(X, missing)
    missing &= X.var(axis=0) > 0
    for method in methods:
        start = time.process_time()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            filled = METHODS[method](holes.copy(), seed)
        seconds = time.process_time() - start
        error = np.mean((np.square(filled - X) / X.var(axis=0))[missing])
        yield {
            "part": "fill",
            "table": name,
            "gaps": kind,
            "seed": seed,
            "method": method,
            "error": float(error),
            "seconds": seconds,
        }


def codes(name, X, y, seed):
    """Yield the scores of models behind codes."""
    classify = name.startswith("class/")
    missing = remove(X, "0.3", np.random.default_rng(seed))
    X, holes = standardized(X, missing)
    stratify = y if classify else None
    rows = train_test_split(
        np.arange(len(X)), test_size=0.3, random_state=seed, stratify=stratify
    )
    k = max(2, X.shape[1] // 4)
    means = np.where(missing, 0.0, X)
    for method, values in (("complete", X), ("mean", means), ("skae", holes)):
        marker = np.nan if method == "skae" else None
        ae = AutoEncoderTransformer(k, missing_values=marker, random_state=seed)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            Z, Z_test = ae.fit(values[rows[0]]).transform(values[rows[0]]), None
            Z_test = ae.transform(values[rows[1]])
        scores = usefulness(Z, y[rows[0]], Z_test, y[rows[1]], classify)
        yield {
            "part": "codes",
            "table": name,
            "seed": seed,
            "method": method,
            "linear": scores[0],
            "neighbours": scores[1],
        }


def show(results):
    """Print tables of means."""
    filled = [r for r in results if r["part"] == "fill"]
    for kind in dict.fromkeys(r["gaps"] for r in filled):
        of_kind = [r for r in filled if r["gaps"] == kind]
        print(f"\n{kind:8} geometric mean of errors   CPU seconds, all tables")
        for method in dict.fromkeys(r["method"] for r in of_kind):
            chosen = [r for r in of_kind if r["method"] == method]
            error = np.exp(np.mean([np.log(r["error"]) for r in chosen]))
            seconds = sum(r["seconds"] for r in chosen)
            print(f"{method:12} {error:8.4f} {seconds:10.1f}   {len(chosen)} tables")
    coded = [r for r in results if r["part"] == "codes"]
    if coded:
        print("\ncodes, 30 % missing: mean score lost to complete rows")
    for model in ("linear", "neighbours") if coded else ():
        mean = {
            m: np.mean([r[model] for r in coded if r["method"] == m])
            for m in ("complete", "mean", "skae")
        }
        lost = {m: mean["complete"] - mean[m] for m in ("mean", "skae")}
        print(
            f"{model:12} complete {mean['complete']:.3f}, lost by mean imputation "
            f"{lost['mean']:.4f}, by gaps {lost['skae']:.4f}"
        )


def main():
    """Run what is asked for."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--parts", nargs="+", default=["fill", "codes"])
    parser.add_argument("--tables", nargs="+")
    parser.add_argument("--gaps", nargs="+", default=GAPS, choices=GAPS)
    parser.add_argument("--methods", nargs="+", default=list(METHODS))
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--out", type=Path, help="lines of JSON are added to it")
    args = parser.parse_args()
    results = []
    for name, X, y in all_tables(args.tables):
        for seed in range(args.seeds):
            made = []
            for kind in args.gaps if "fill" in args.parts else ():
                made += fill(name, X, kind, seed, args.methods)
            if "codes" in args.parts and y is not None:
                made += codes(name, X, y, seed)
            results += made
            if args.out:
                with args.out.open("a") as file:
                    file.writelines(json.dumps(r) + "\n" for r in made)
            for r in made:
                print(*r.values(), flush=True)
    show(results)


if __name__ == "__main__":
    main()
