"""Codes that are trained with the target, compared with other reducers.

Compares seven kinds of features for a linear model and for nearest neighbours: raw
features, PCA, linear discriminant analysis (LDA), neighbourhood components analysis
(NCA), codes of skae without and with ``y``, and the latter added to the raw features.
The three tables come with scikit-learn. In a nested cross-validation, the inner grid
search chooses the number of components, and the outer folds test this choice. Both
models share the fits of the reducer through the pipeline's memory. Takes about a minute
on two cores.

    python examples/supervised.py
"""

import time
from tempfile import TemporaryDirectory

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
CLASSIFIERS = [LogisticRegression(max_iter=1000), KNeighborsClassifier()]
REGRESSORS = [RidgeCV(), KNeighborsRegressor()]
DATA = {
    "wine": (load_wine, CLASSIFIERS),
    "breast cancer": (load_breast_cancer, CLASSIFIERS),
    "diabetes": (load_diabetes, REGRESSORS),
}


def reducers(n_classes):
    """Return reducers with their grids; with no classes, the target is a number."""
    width = {"reduce__n_components": CODES}
    kind = "multiclass" if n_classes else "continuous"
    ours = AutoEncoderTransformer(target_type=kind, random_state=0)
    supervised = AutoEncoderTransformer(
        target_type=kind, supervision=3.0, random_state=0
    )
    beside = FeatureUnion([("raw", "passthrough"), ("codes", supervised)])
    found = {
        "raw": ("passthrough", {}),
        "PCA": (PCA(random_state=0), width),
        "skae, unsupervised": (ours, width),
        "skae, supervised": (supervised, width),
        "raw + supervised": (beside, {"reduce__codes__n_components": CODES}),
    }
    if n_classes:
        axes = {"reduce__n_components": list(range(1, n_classes))}
        found["LDA"] = (LinearDiscriminantAnalysis(), axes)
        found["NCA"] = (NeighborhoodComponentsAnalysis(random_state=0), width)
    return found


def score(model, reducer, grid, X, y, folds, memory):
    """Return the scores, on the outer folds, of the model that the search chose."""
    steps = [("scale", StandardScaler()), ("reduce", reducer), ("model", model)]
    search = GridSearchCV(Pipeline(steps, memory=memory), grid, cv=3)
    return cross_validate(search, X, y, cv=folds, n_jobs=2)["test_score"]


def main():
    """Print the mean and deviation over folds of the accuracy (R2 for diabetes)."""
    print("| data | features | linear model | neighbours | seconds |")
    print("|---|---|---|---|---|")
    for name, (load, models) in DATA.items():
        X, y = load(return_X_y=True)
        classify = models is CLASSIFIERS
        kind = StratifiedKFold if classify else KFold
        folds = kind(4, shuffle=True, random_state=0)
        for label, (reducer, grid) in reducers(classify and y.max() + 1).items():
            start = time.perf_counter()
            with TemporaryDirectory() as memory:
                scores = [
                    score(model, reducer, grid, X, y, folds, memory) for model in models
                ]
            seconds = time.perf_counter() - start
            linear, neighbours = (f"{np.mean(s):.3f} ± {np.std(s):.3f}" for s in scores)
            print(
                f"| {name} | {label} | {linear} | {neighbours} | {seconds:.1f} |",
                flush=True,
            )


if __name__ == "__main__":
    main()
