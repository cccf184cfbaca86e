"""Codes that know what comes after them: an honest comparison.

Reduces three tables that scikit-learn brings along before a model: raw features, PCA,
linear discriminants, neighbourhood components, our codes without and with ``y``, and
these beside the raw features. Nested cross-validation: the inner grid search chooses
the number of components and the weight of ``y``, the outer folds judge what it chose.
Takes about a minute on two cores.

    python examples/supervised.py
"""

import time

import numpy as np
from sklearn.datasets import load_breast_cancer, load_diabetes, load_wine
from sklearn.decomposition import PCA
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.linear_model import LogisticRegression, RidgeCV
from sklearn.model_selection import GridSearchCV, KFold, StratifiedKFold, cross_validate
from sklearn.neighbors import (
    KNeighborsClassifier,
    KNeighborsRegressor,
    NeighborhoodComponentsAnalysis,
)
from sklearn.pipeline import FeatureUnion, Pipeline
from sklearn.preprocessing import StandardScaler

from skae import AutoEncoderTransformer

CODES = [2, 4]
WEIGHTS = [1.0, 3.0]


def autoencoder(target_type):
    """Return ours, to be told more by the grid."""
    return AutoEncoderTransformer(target_type=target_type, random_state=0)


def reducers(target_type, n_classes):
    """Return what may stand before the model, each with its grid."""
    width = {"reduce__n_components": CODES}
    weighted = {**width, "reduce__supervision": WEIGHTS}
    beside = FeatureUnion([("raw", "passthrough"), ("codes", autoencoder(target_type))])
    found = {
        "raw": ("passthrough", {}),
        "PCA": (PCA(random_state=0), width),
        "ours, unsupervised": (autoencoder(target_type), width),
        "ours, supervised": (autoencoder(target_type), weighted),
        "raw + ours, supervised": (
            beside,
            {
                "reduce__codes__n_components": CODES,
                "reduce__codes__supervision": WEIGHTS,
            },
        ),
    }
    if n_classes:
        components = list(range(1, n_classes))
        found["LDA"] = (
            LinearDiscriminantAnalysis(),
            {"reduce__n_components": components},
        )
        found["NCA"] = (NeighborhoodComponentsAnalysis(random_state=0), width)
    return found


def compare(name, X, y, models, target_type):
    """Print a line for each model and reducer: score on the outer folds, seconds."""
    classify = target_type == "multiclass"
    folds = (StratifiedKFold if classify else KFold)(5, shuffle=True, random_state=0)
    for model in models:
        choices = reducers(target_type, len(np.unique(y)) if classify else 0)
        for label, (reducer, grid) in choices.items():
            steps = [
                ("scale", StandardScaler()),
                ("reduce", reducer),
                ("model", model),
            ]
            search = GridSearchCV(Pipeline(steps), grid, cv=3)
            start = time.perf_counter()
            scores = cross_validate(search, X, y, cv=folds, n_jobs=2)["test_score"]
            seconds = time.perf_counter() - start
            score = f"{np.mean(scores):.3f} ± {np.std(scores):.3f}"
            print(
                f"| {name} | {type(model).__name__} | {label} | {score} "
                f"| {seconds:.1f} |",
                flush=True,
            )


def main():
    """Print one table: accuracy, or R2 for the diabetes."""
    print("| data | model | features | score | seconds |")
    print("|---|---|---|---|---|")
    classifiers = [LogisticRegression(max_iter=1000), KNeighborsClassifier()]
    for name, load in (("wine", load_wine), ("breast cancer", load_breast_cancer)):
        X, y = load(return_X_y=True)
        compare(name, X, y, classifiers, "multiclass")
    X, y = load_diabetes(return_X_y=True)
    compare("diabetes", X, y, [RidgeCV(), KNeighborsRegressor()], "continuous")


if __name__ == "__main__":
    main()
