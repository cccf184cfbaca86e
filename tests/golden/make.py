"""Write the golden files of a state version: every variant, as it is pickled now.

Run once for each version of the state, before the change that begins the next::

    python -W ignore -m tests.golden.make tests/golden VERSION

A golden file is never written again: it stands for what users have on their disks.
"""

import lzma
import pickle
import sys
from pathlib import Path

from skae import ReconstructionOutlierDetector
from tests.conftest import rows
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
    return kept


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
    """Write both files."""
    for name, made in [("state", golden()), ("detector", golden_detector())]:
        with lzma.open(Path(folder) / f"{name}_{version}.pkl.xz", "xb") as file:
            pickle.dump(made, file)


if __name__ == "__main__":
    write(*sys.argv[1:])
