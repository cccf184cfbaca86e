"""Draw ``codes.png``: new digits in the plane, by PCA and by an autoencoder.

Both are fitted to 1,397 digits. The 400 digits that are drawn are others. Each title
says how often the nearest digit of the training set is the same digit.

    python docs/images/codes.py
"""

from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA
from sklearn.model_selection import train_test_split
from sklearn.neighbors import KNeighborsClassifier

from skae import AutoEncoderTransformer

METHODS = {
    "PCA": PCA(2),
    "autoencoder": AutoEncoderTransformer(
        2,
        hidden_layer_sizes=(256, 128, 64),
        max_iter=400,
        linearity=0,  # codes for a picture need not suit linear models
        random_state=0,
    ),
}


def main():
    """Fit both, and draw the codes of the new digits side by side."""
    X, y = load_digits(return_X_y=True)
    X, X_new, y, y_new = train_test_split(X, y, test_size=400, random_state=0)
    figure, axes = plt.subplots(1, 2, figsize=(8, 4))
    colours = plt.get_cmap("tab10").colors
    for ax, (name, method) in zip(axes, METHODS.items(), strict=True):
        neighbour = KNeighborsClassifier(1).fit(method.fit_transform(X), y)
        Z_new = method.transform(X_new)
        same = neighbour.score(Z_new, y_new)
        print(f"{name}: {same:.3f}")
        for digit in range(10):
            of_digit = Z_new[y_new == digit]
            marker = f"${digit}$"
            ax.scatter(*of_digit.T, marker=marker, color=colours[digit], s=28, lw=0.3)
        ax.set_title(f"{name}: the nearest neighbour is the same digit in {same:.0%}")
        ax.title.set_fontsize(9)
        ax.set_xticks([])
        ax.set_yticks([])
    figure.tight_layout()
    figure.savefig(Path(__file__).with_suffix(".png"), dpi=90)


if __name__ == "__main__":
    main()
