"""Compress texts: k codes instead of a thousand word weights, against TruncatedSVD.

The texts are parts of the docstrings of scikit-learn's public classes and functions,
with TF-IDF weights. For held-out texts, prints the share of the weights' variance that
is reconstructed, and the share of the five nearest texts (by cosine) that are from the
same module (retrieval precision). Saves curves of both as ``out/text_compression.png``.
Takes half a minute.

    python examples/text_compression.py
"""

import importlib
import inspect
from pathlib import Path

try:
    import matplotlib
except ModuleNotFoundError as error:
    raise SystemExit(f'{error}: pip install -e ".[examples]"') from error
matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
from sklearn.decomposition import TruncatedSVD
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.model_selection import train_test_split
from sklearn.neighbors import NearestNeighbors

from skae import AutoEncoderTransformer

MODULES = (
    "cluster covariance datasets decomposition ensemble feature_extraction "
    "feature_selection gaussian_process impute linear_model manifold metrics "
    "mixture model_selection naive_bayes neighbors neural_network "
    "preprocessing svm tree utils"
).split()
COMPONENTS = [2, 4, 8, 16, 32, 64]


def docstrings():
    """Return parts of docstrings, and the modules they are from."""
    texts, modules = [], []
    for name in MODULES:
        module = importlib.import_module(f"sklearn.{name}")
        for public in module.__all__:
            text = inspect.getdoc(vars(module).get(public)) or ""
            # Long docstrings are split into parts of 1,500 letters.
            parts = [text[i : i + 1_500] for i in range(0, len(text), 1_500)]
            texts += [part for part in parts if len(part) > 300]
            modules += [name] * (len(texts) - len(modules))
    return texts, np.array(modules)


def precision(codes, codes_new, modules, modules_new):
    """Return the share of the five nearest texts that are from the same module."""
    index = NearestNeighbors(n_neighbors=5, metric="cosine").fit(codes)
    nearest = index.kneighbors(codes_new, return_distance=False)
    return np.mean(modules[nearest] == modules_new[:, None])


def main():
    """Print the table and save the curves."""
    texts, modules = docstrings()
    texts, texts_new, modules, modules_new = train_test_split(
        texts, modules, test_size=0.25, random_state=0
    )
    tfidf = TfidfVectorizer(max_features=1_000, sublinear_tf=True, stop_words="english")
    X, X_new = tfidf.fit_transform(texts), tfidf.transform(texts_new)
    full = precision(X, X_new, modules, modules_new)
    dense = X_new.toarray()
    variance = np.mean((dense - X.toarray().mean(axis=0)) ** 2)
    print(
        f"{X.shape[0]} texts, {len(dense)} new ones; precision of all words {full:.3f}"
    )
    print("\n| k | SVD | autoencoder | SVD, precision | autoencoder, precision |")
    print("|---|---|---|---|---|")
    table = []
    for k in COMPONENTS:
        shares, precisions = [], []
        for model in (
            TruncatedSVD(k, random_state=0),
            AutoEncoderTransformer(k, random_state=0),
        ):
            Z, Z_new = model.fit_transform(X), model.transform(X_new)
            error = np.mean((model.inverse_transform(Z_new) - dense) ** 2)
            shares.append(1 - error / variance)
            precisions.append(precision(Z, Z_new, modules, modules_new))
        table.append(shares + precisions)
        print(f"| {k} | {' | '.join(f'{value:.3f}' for value in table[-1])} |")
    figure, axes = plt.subplots(1, 2, figsize=(10, 4))
    columns = np.array(table).T.reshape(2, 2, -1)
    for ax, title, pair in zip(
        axes, ("variance explained", "precision"), columns, strict=True
    ):
        for name, values in zip(("SVD", "autoencoder"), pair, strict=True):
            ax.plot(COMPONENTS, values, "o-", label=name)
        ax.set_xscale("log", base=2)
        ax.set_xlabel("components")
        ax.set_title(f"{title}, new texts")
    axes[1].axhline(full, color="gray", label="all words")
    axes[1].legend()
    figure.tight_layout()
    path = Path("out/text_compression.png")
    path.parent.mkdir(exist_ok=True)
    figure.savefig(path, dpi=100)
    print(f"\nCurves: {path}")


if __name__ == "__main__":
    main()
