"""Data of the benchmarks: from the folder ``SKAE_DATA``, or from where it is public.

``mnist.npz`` has the layout that Keras made common (x_train, y_train, x_test, y_test);
without it MNIST comes from OpenML. ``tabular.npz`` holds arrays ``class/NAME/X`` and
``class/NAME/y`` of classification tables, ``regr/NAME/...`` of regression tables (those
of UCI, say), and ``outlier/NAME/...`` of tables with outliers, where ``y`` is 1 (those
of ADBench, https://github.com/Minqi824/ADBench); without it the tables are those that
scikit-learn brings along.
"""

import os
from pathlib import Path

import numpy as np
from sklearn.datasets import (
    fetch_openml,
    load_breast_cancer,
    load_diabetes,
    load_digits,
    load_wine,
)

__all__ = ["folder", "labelled_mnist", "mnist", "outlier_tables", "tables"]

_PARTS = ("train", "test")


def folder():
    """Return the folder of data, or None where ``SKAE_DATA`` is not set."""
    path = os.environ.get("SKAE_DATA")
    return Path(path) if path else None


def mnist():
    """Return MNIST as (X_train, X_test), float32 in [0, 1], 784 pixels a row."""
    (train, _), (test, _) = labelled_mnist()
    return train, test


def labelled_mnist():
    """Return MNIST as ((X_train, y_train), (X_test, y_test))."""
    path = folder()
    if path is not None:
        with np.load(path / "mnist.npz") as data:
            parts = [(data[f"x_{name}"], data[f"y_{name}"]) for name in _PARTS]
    else:
        X, y = fetch_openml(
            "mnist_784", as_frame=False, parser="liac-arff", return_X_y=True
        )
        parts = [(X[:60_000], y[:60_000]), (X[60_000:], y[60_000:])]
    return [(X.reshape(len(X), 784).astype(np.float32) / 255, y) for X, y in parts]


def tables():
    """Return the tables by name, "class/..." or "regr/...", as (X, y)."""
    path = folder()
    if path is None:
        loaders = {
            "class/breast_cancer": load_breast_cancer,
            "class/digits": load_digits,
            "class/wine": load_wine,
            "regr/diabetes": load_diabetes,
        }
        return {name: load(return_X_y=True) for name, load in loaders.items()}
    with np.load(path / "tabular.npz") as data:
        names = {key.rsplit("/", 1)[0] for key in data.files}
        return {
            name: (data[f"{name}/X"], data[f"{name}/y"])
            for name in sorted(names)
            if name.startswith(("class/", "regr/"))
        }


def outlier_tables():
    """Return the tables with outliers by name, as (X, y), where y is 1 for these.

    Without a folder: tables of classes, where of the rarest only ten rows are kept.
    """
    path = folder()
    if path is None:
        loaders = {
            "breast_cancer": load_breast_cancer,
            "digits": load_digits,
            "wine": load_wine,
        }
        return {
            name: _with_a_rare_class(*load(return_X_y=True))
            for name, load in loaders.items()
        }
    with np.load(path / "tabular.npz") as data:
        names = {key.rsplit("/", 1)[0] for key in data.files}
        return {
            name.removeprefix("outlier/"): (data[f"{name}/X"], data[f"{name}/y"])
            for name in sorted(names)
            if name.startswith("outlier/")
        }


def _with_a_rare_class(X, y, n_samples=10):
    is_rare = y == np.bincount(y).argmin()
    kept = np.sort(np.r_[np.flatnonzero(~is_rare), np.flatnonzero(is_rare)[:n_samples]])
    return X[kept], is_rare[kept].astype(int)
