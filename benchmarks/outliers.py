"""Outliers: ranking them, novelty, and whether thresholds hold on new rows.

    python benchmarks/outliers.py                     # outliers in 21 tables, and peers
    python benchmarks/outliers.py --part novelty      # one digit left out of ten
    python benchmarks/outliers.py --part thresholds   # normal rows flagged, 19 tables

Every method has its defaults, no table settings of its own, and no labels. Tables are
fitted and ranked as they are, outliers and all: area under the ROC curve (AUROC),
average precision (AP), seconds of CPU. For each method the last columns are the least
of both means when any one table is left out. Peers are those of PyOD (``pip install
pyod tqdm``); without it they are left out, with a line. Tables come from ``SKAE_DATA``
or from scikit-learn.
"""

import argparse
import time
import warnings

import numpy as np
from datasets import outlier_tables, tables
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA
from sklearn.ensemble import IsolationForest
from sklearn.metrics import average_precision_score, roc_auc_score
from sklearn.model_selection import train_test_split

from skae import AutoEncoderTransformer, ReconstructionOutlierDetector

SHARES = (0.01, 0.05, 0.1)


class Skae:
    """Ours, with how unusual the training rows are where PyOD has it."""

    def __init__(self, estimator=None):
        self.detector = ReconstructionOutlierDetector(estimator, random_state=0)

    def fit(self, X):
        """Fit to rows."""
        self.decision_scores_ = -self.detector.fit(X).training_scores_


class SklearnForest:
    """scikit-learn's isolation forest."""

    def fit(self, X):
        """Fit to rows, and score them."""
        forest = IsolationForest(random_state=0).fit(X)
        self.decision_scores_ = -forest.score_samples(X)


def methods():
    """Return functions that make each method that is installed, by name."""
    ours = {
        "ours": Skae,
        "ours, of PCA(2)": lambda: Skae(PCA(2)),
        "IsolationForest (scikit-learn)": SklearnForest,
    }
    return ours | _pyod()


def _pyod():
    try:
        from pyod.models.auto_encoder import AutoEncoder
        from pyod.models.ecod import ECOD
        from pyod.models.iforest import IForest
        from pyod.models.knn import KNN
        from pyod.models.pca import PCA as PyodPCA
    except ImportError as error:
        print(f"PyOD's methods are left out: {error}")
        return {}
    return {
        "PyOD AutoEncoder": lambda: AutoEncoder(verbose=0, random_state=0),
        "PyOD IForest": lambda: IForest(random_state=0),
        "PyOD ECOD": ECOD,
        "PyOD KNN": KNN,
        "PyOD PCA": lambda: PyodPCA(random_state=0),
    }


def rank_outliers(names, n_samples):
    """Print AUROC, AP and seconds of all methods on tables with outliers."""
    makers = methods()
    noise = np.random.default_rng(0).normal(size=(100, 5))
    for make in makers.values():  # imports and first calls are nobody's seconds
        make().fit(noise)
    results = {name: [] for name in makers}
    for table, (X, y) in outlier_tables().items():
        if names and table not in names:
            continue
        if n_samples and len(X) > n_samples:
            rows = np.random.default_rng(0).permutation(len(X))[:n_samples]
            X, y = X[rows], y[rows]
        for name, make in makers.items():
            start = time.process_time()
            method = make()
            method.fit(X.astype(np.float64))
            seconds = time.process_time() - start
            scores = np.nan_to_num(method.decision_scores_)  # some are infinite
            ranks = roc_auc_score(y, scores), average_precision_score(y, scores)
            results[name].append((*ranks, seconds))
        row = [
            f"{r[-1][0]:.3f}/{r[-1][1]:.3f}/{r[-1][2]:.1f}" for r in results.values()
        ]
        print(f"| {table} | {' | '.join(row)} |", flush=True)
    print("\n| method | AUROC | AP | median s | least AUROC | least AP |")
    print("|---|---|---|---|---|---|")
    for name, rows in results.items():
        values = np.array(rows)
        others = [np.delete(values, i, 0).mean(axis=0) for i in range(len(values))]
        cells = [*values.mean(axis=0)[:2], np.median(values[:, 2])]
        cells += list(np.min(others, axis=0)[:2]) if len(values) > 1 else []
        print(f"| {name} | {' | '.join(f'{cell:.3f}' for cell in cells)} |")


def find_novel_digits(digits):
    """Print the AUROC of telling a digit left out from new ones of the others."""
    X, y = load_digits(return_X_y=True)
    params = {"max_samples": 0.8, "standardize": False, "random_state": 0}
    detectors = {
        "ours, 8 codes": ReconstructionOutlierDetector(
            AutoEncoderTransformer(8), n_estimators=5, **params
        ),
        "ours, by default": ReconstructionOutlierDetector(random_state=0),
        "ours, of PCA(8)": ReconstructionOutlierDetector(PCA(8), **params),
        "IsolationForest": IsolationForest(random_state=0),
    }
    results = {name: [] for name in detectors}
    results["PCA(8), squared error"] = []
    for digit in digits:
        known = X[y != digit]
        train, test = train_test_split(known, test_size=0.25, random_state=0)
        rows = np.concatenate([test, X[y == digit]])
        is_novel = np.arange(len(rows)) >= len(test)
        for name, detector in detectors.items():
            scores = -detector.fit(train).score_samples(rows)
            results[name].append(roc_auc_score(is_novel, scores))
        pca = PCA(8).fit(train)
        errors = np.square(rows - pca.inverse_transform(pca.transform(rows))).sum(
            axis=1
        )
        results["PCA(8), squared error"].append(roc_auc_score(is_novel, errors))
    print(f"| method | mean | {' | '.join(map(str, digits))} |")
    print(f"|---|---|{'---|' * len(digits)}")
    for name, values in results.items():
        cells = [np.mean(values), *values]
        print(f"| {name} | {' | '.join(f'{cell:.3f}' for cell in cells)} |")


def check_thresholds(names, seeds):
    """Print which shares of new normal rows are beyond thresholds set for shares."""
    ratios = []
    print(f"| table | {' | '.join(map(str, SHARES))} | auto |")
    for table, (X, _) in tables().items():
        if names and table not in names:
            continue
        flagged = []
        for seed in range(seeds):
            train, test = train_test_split(X, test_size=0.3, random_state=seed)
            detector = ReconstructionOutlierDetector(random_state=seed).fit(train)
            scores = detector.score_samples(test)
            # The thresholds that `fit` sets with such a contamination.
            ours = detector.training_scores_
            offsets = [np.quantile(ours, share, method="weibull") for share in SHARES]
            offsets.append(detector.offset_)
            flagged.append([(scores < offset).mean() for offset in offsets])
        flagged = np.mean(flagged, axis=0)
        ratios.append(flagged[:-1] / SHARES)
        print(f"| {table} | {' | '.join(f'{v:.4f}' for v in flagged)} |", flush=True)
    print(f"mean over tables / share: {np.round(np.mean(ratios, axis=0), 2)}")
    print(f"largest: {np.round(np.max(ratios, axis=0), 2)}")


def main():
    """Print one of the three parts."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parts = ["tables", "novelty", "thresholds"]
    parser.add_argument("--part", choices=parts, default="tables")
    parser.add_argument("--tables", nargs="*", help="names; all by default")
    parser.add_argument("--rows", type=int, help="of each table, at most")
    parser.add_argument("--seeds", type=int, default=5, help="splits of thresholds")
    parser.add_argument("--digits", type=int, nargs="*", default=list(range(10)))
    args = parser.parse_args()
    warnings.simplefilter("ignore")
    if args.part == "tables":
        rank_outliers(args.tables, args.rows)
    elif args.part == "novelty":
        find_novel_digits(args.digits)
    else:
        check_thresholds(args.tables, args.seeds)


if __name__ == "__main__":
    main()
