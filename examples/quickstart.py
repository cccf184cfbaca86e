"""Reduce the digits' 64 pixels before a classifier: raw, PCA, and an autoencoder.

Prints one table from a nested cross-validation: the inner grid search chooses the
number of components, and the outer folds test this choice. Takes less than a minute on
two cores.

    python examples/quickstart.py
"""

import time

import numpy as np
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, StratifiedKFold, cross_validate
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import Pipeline

from skae import AutoEncoderTransformer

COMPONENTS = [4, 8]
REDUCERS = {
    "raw": "passthrough",
    "PCA": PCA(random_state=0),
    "AutoEncoderTransformer": AutoEncoderTransformer(random_state=0),
}
CLASSIFIERS = {
    "LogisticRegression": LogisticRegression(max_iter=1000),
    "KNeighborsClassifier": KNeighborsClassifier(),
}


def search(reducer, classifier):
    """Return a pipeline whose number of components is chosen by a grid search."""
    pipeline = Pipeline([("reduce", reducer), ("classify", classifier)])
    grid = {} if reducer == "passthrough" else {"reduce__n_components": COMPONENTS}
    return GridSearchCV(pipeline, grid, cv=3)


def main():
    """Print accuracy on the outer folds, mean and standard deviation, and seconds."""
    X, y = load_digits(return_X_y=True)
    folds = StratifiedKFold(4, shuffle=True, random_state=0)
    print(f"digits, at most {max(COMPONENTS)} of {X.shape[1]} numbers kept\n")
    print(f"{'classifier':22} {'features':24} {'accuracy':>15} {'seconds':>8}")
    for classifier_name, classifier in CLASSIFIERS.items():
        for name, reducer in REDUCERS.items():
            start = time.perf_counter()
            model = search(reducer, classifier)
            scores = cross_validate(model, X / 16, y, cv=folds, n_jobs=2)["test_score"]
            seconds = time.perf_counter() - start
            accuracy = f"{np.mean(scores):.3f} ± {np.std(scores):.3f}"
            print(f"{classifier_name:22} {name:24} {accuracy:>15} {seconds:8.1f}")


if __name__ == "__main__":
    main()
