"""Cases: tables, splits and widths, and what codes are worth to a model behind them."""

import warnings

import numpy as np
from datasets import tables
from sklearn.linear_model import LogisticRegression, RidgeCV
from sklearn.model_selection import train_test_split
from sklearn.neighbors import KNeighborsClassifier, KNeighborsRegressor
from sklearn.preprocessing import StandardScaler

__all__ = ["cases", "usefulness"]


def usefulness(Z, y, Z_test, y_test, classify):
    """Return the scores of a linear model and of nearest neighbours on the codes."""
    if classify:
        models = [LogisticRegression(max_iter=2000), KNeighborsClassifier()]
    else:
        models = [RidgeCV(np.logspace(-3, 3, 13)), KNeighborsRegressor()]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return [max(-1.0, m.fit(Z, y).score(Z_test, y_test)) for m in models]


def cases(names, seeds):
    """Yield (name, seed, k, train, test) over tables, seeds and widths."""
    for name, (X, y) in tables().items():
        if names and name not in names:
            continue
        classify = name.startswith("class/")
        for seed in seeds:
            X_train, X_test, y_train, y_test = train_test_split(
                X, y, test_size=0.3, random_state=seed, stratify=y if classify else None
            )
            scaler = StandardScaler().fit(X_train)
            train = scaler.transform(X_train), y_train
            test = scaler.transform(X_test), y_test
            d = X.shape[1]
            for k in sorted({2, max(2, d // 4), max(2, d // 2)}):
                if k < d:
                    yield name, seed, k, train, test
