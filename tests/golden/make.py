"""Write the golden files of a state version: every variant, as it is pickled now.

Run once for each version of the state, as soon as its format is settled::

    python -W ignore -m tests.golden.make tests/golden VERSION

A golden file is never written again: it stands for what users have on their disks.
"""

import lzma
import pickle
import sys
from pathlib import Path

import numpy as np

from skae import (
    AutoEncoderImputer,
    AutoEncoderTransformer,
    MixedLoss,
    ReconstructionOutlierDetector,
)
from tests.conftest import mixed_rows, rows
from tests.test_promises import _in_domain
from tests.variants import VARIANTS, autoencoder, target_of


def golden():
    """Return name -> (pickle, rows, their codes, what these are decoded to)."""
    kept = {}
    for name in VARIANTS:
        X = _in_domain(name, rows())
        y = target_of(name, X)
        parts = VARIANTS[name].keys() & {"network", "hidden_layer_sizes"}
        few = {} if parts else {"hidden_layer_sizes": (8,)}
        model = autoencoder(name, **few).fit(X, y)
        if model._architecture["init"] == "linear":  # the answer is PCA: once more
            longer = {"linearity": 0.0, "max_iter": 300}
            model = autoencoder(name, **few | longer).fit(X, y)
        kept[name] = _entry(model, X)
    X = rows()
    model = autoencoder("default", hidden_layer_sizes=(8,))
    kept["stream"] = _entry(model.partial_fit(X[:50]).partial_fit(X[50:]), X)
    model = autoencoder("default", max_iter=1, early_stopping=True)
    kept["answered by PCA"] = _entry(model.fit(X[:20]), X)
    model = autoencoder("default", warm_start=True, hidden_layer_sizes=(8,))
    kept["warm start"] = _entry(model.fit(X), X)
    model = autoencoder("default", whiten=True, hidden_layer_sizes=(8,))
    kept["whitened"] = _entry(model.fit(X), X)
    wide = rows().T.copy()
    model = autoencoder("default", hidden_layer_sizes=(8,))
    kept["wide"] = _entry(model.fit(wide), wide)
    return kept | golden_data()


def golden_data():
    """Return the same for rows with gaps, mixed tables, and streams of such rows."""
    few = {"hidden_layer_sizes": (8,), "linearity": 0.0, "max_iter": 60}
    few |= {"early_stopping": False, "random_state": 0}
    mixed, X, kept = mixed_rows(), rows(), {}
    gaps = np.where(np.random.default_rng(0).random(X.shape) < 0.2, np.nan, X)
    marked, plain = np.where(np.isnan(gaps), -9, X), {"init": "random", "max_iter": 300}
    loss = MixedLoss([("poisson", [-1]), ("cross_entropy", [1, 2, 3])])
    for name, table, params in [
        ("gaps", gaps, {"missing_values": np.nan, **plain}),
        ("gaps by a number", marked, {"missing_values": -9, **plain}),
        ("mixed, found", mixed, {"loss": "auto"}),
        ("mixed, given", mixed, {"loss": loss}),
    ]:
        model = AutoEncoderTransformer(3, **few | params)
        kept[name] = _entry(model.fit(table), table)
        model = AutoEncoderTransformer(3, **few | params)
        for part in table[:60], table[60:]:
            model.partial_fit(part)
        kept[f"{name}, stream"] = _entry(model, table)
    y = np.arange(len(X)) % 3
    model = AutoEncoderTransformer(3, supervision=1.0, **few)
    model.partial_fit(X[:50], y[:50]).partial_fit(X[50:], y[50:])
    kept["supervised, stream"] = _entry(model, X)
    return kept


def golden_imputer():
    """Return the pickle of an imputer, rows with gaps, and these filled."""
    X = rows()[:, :5]
    gaps = np.where(np.random.default_rng(0).random(X.shape) < 0.2, np.nan, X)
    few = {"linearity": 0.0, "max_iter": 60, "early_stopping": False}
    estimator = AutoEncoderTransformer(3, random_state=0, **few)
    model = AutoEncoderImputer(estimator).fit(gaps)
    return pickle.dumps(model), gaps, model.transform(gaps)


def _entry(model, X):
    state = pickle.dumps(model)
    X = X[:7]
    Z = model.transform(X)
    return state, X, Z, model.inverse_transform(Z)


def golden_detector():
    """Return the pickle of a detector, rows, and how unusual they are."""
    X = rows()
    model = ReconstructionOutlierDetector(n_estimators=2, random_state=0).fit(X)
    return pickle.dumps(model), 1.1 * X, model.score_samples(1.1 * X)


def write(folder, version):
    """Write all files."""
    for name, made in [
        ("state", golden()),
        ("detector", golden_detector()),
        ("imputer", golden_imputer()),
    ]:
        with lzma.open(Path(folder) / f"{name}_{version}.pkl.xz", "xb") as file:
            pickle.dump(made, file)


if __name__ == "__main__":
    write(*sys.argv[1:])
