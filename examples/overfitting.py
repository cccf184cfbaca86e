"""Overfitting, and what prevents it: losses on training and on held-out rows.

A wide plain network memorises 300 digits: its error on new digits falls, then rises.
The same network is then trained with one measure against overfitting at a time: weight
decay, dropout, a corruption, a penalty, early stopping, and the start as PCA. Prints
the error, divided by the variance, of training rows and of new rows that are not used
for early stopping. Saves the loss curves of training and validation rows as
``out/overfitting.png``. Takes about half a minute.

    python examples/overfitting.py
"""

import warnings
from pathlib import Path

try:
    import matplotlib
except ModuleNotFoundError as error:
    raise SystemExit(f'{error}: pip install -e ".[examples]"') from error
matplotlib.use("Agg")
import matplotlib.pyplot as plt
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import train_test_split

from skae import AutoEncoderTransformer, Contraction, Dense, SwapNoise

K, PASSES = 8, 400
# No measure against overfitting: neither early stopping nor a decreasing step size.
PLAIN = {
    "init": "random",
    "output_activation": "identity",
    "hidden_layer_sizes": (256, 128),
    "learning_rate": "constant",
    "learning_rate_init": 1e-3,
    "early_stopping": False,
    "max_iter": PASSES,
    "n_iter_no_change": PASSES,
    "random_state": 0,
}
MEANS = {
    "nothing": {},
    "weight decay": {"alpha": 1.0},
    "dropout": {"network": Dense(dropout=0.1)},
    "swap noise": {"corruption": SwapNoise(0.1)},
    "contraction": {"penalty": Contraction(0.3)},
    "early stop": {"early_stopping": True, "n_iter_no_change": 20},
    "start as PCA, early stop": {
        "init": "pca",
        "early_stopping": True,
        "n_iter_no_change": 20,
        "linearity": 0.0,
    },
}


def main():
    """Print the table and save the curves."""
    # The plain network has a constant step size, and is meant to train for too long.
    warnings.simplefilter("ignore", ConvergenceWarning)
    X, X_new = train_test_split(load_digits().data / 16, train_size=600, random_state=0)
    X, X_val = X[:300], X[300:]
    variance = X_new.var(axis=0).mean()
    figure, axes = plt.subplots(1, len(MEANS), figsize=(3 * len(MEANS), 3), sharey=True)
    print("| against overfitting | training rows | new rows | epochs |")
    print("|---|---|---|---|")
    pca = PCA(K).fit(X)
    errors = [
        ((pca.inverse_transform(pca.transform(rows)) - rows) ** 2).mean() / variance
        for rows in (X, X_new)
    ]
    print(f"| PCA | {errors[0]:.3f} | {errors[1]:.3f} | |")
    for ax, (name, means) in zip(axes, MEANS.items(), strict=True):
        model = AutoEncoderTransformer(K, **PLAIN | means).fit(X, X_val=X_val)
        errors = [model.reconstruction_error(R).mean() / variance for R in (X, X_new)]
        print(f"| {name} | {errors[0]:.3f} | {errors[1]:.3f} | {model.n_iter_} |")
        ax.plot(model.loss_curve_, label="training")
        ax.plot(model.validation_loss_curve_, label="validation")
        ax.set_title(name, fontsize=9)
        ax.set_xlabel("passes")
        ax.set_yscale("log")
    axes[0].legend()
    axes[0].set_ylabel("loss")
    figure.tight_layout()
    path = Path("out/overfitting.png")
    path.parent.mkdir(exist_ok=True)
    figure.savefig(path, dpi=100)
    print(f"\nCurves: {path}")


if __name__ == "__main__":
    main()
