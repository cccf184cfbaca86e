"""Draw digits as points in a plane: PCA, the autoencoder, t-SNE.

Prints how well neighbours on the map agree with neighbours in the data
(trustworthiness, 1 is perfect), how often the nearest neighbour on the map is the same
digit, and the seconds of the fit. The first two are measured for training pictures and
for new ones. t-SNE cannot map new pictures. Saves the maps as
``out/visualisation.png``. Takes about twenty seconds.

    python examples/visualisation.py
"""

import time
from pathlib import Path

try:
    import matplotlib
except ModuleNotFoundError as error:
    raise SystemExit(f'{error}: pip install -e ".[examples]"') from error
matplotlib.use("Agg")
import matplotlib.pyplot as plt
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA
from sklearn.manifold import TSNE, trustworthiness
from sklearn.model_selection import train_test_split
from sklearn.neighbors import KNeighborsClassifier

from skae import AutoEncoderTransformer

METHODS = {
    "PCA": PCA(2),
    "autoencoder": AutoEncoderTransformer(2, linearity=0.0, random_state=0),
    "deep autoencoder": AutoEncoderTransformer(
        2, hidden_layer_sizes=(256, 128, 64), max_iter=400, random_state=0
    ),
    "t-SNE": TSNE(random_state=0),
}


def main():
    """Print the table and save the maps."""
    X, y = load_digits(return_X_y=True)
    X, X_new, y, y_new = train_test_split(X, y, test_size=400, random_state=0)
    figure, axes = plt.subplots(1, len(METHODS), figsize=(4 * len(METHODS), 4))
    print("| map | trustworthiness | same digit | new | trustworthiness, new | s |")
    print("|---|---|---|---|---|---|")
    for ax, (name, method) in zip(axes, METHODS.items(), strict=True):
        start = time.perf_counter()
        Z = method.fit_transform(X)
        seconds = time.perf_counter() - start
        neighbours = KNeighborsClassifier(1).fit(Z, y)
        # The nearest neighbour of a picture is itself, so take the second one.
        nearest = neighbours.kneighbors(Z, 2, return_distance=False)[:, 1]
        row = [trustworthiness(X, Z, n_neighbors=10), (y[nearest] == y).mean()]
        if hasattr(method, "transform"):
            Z_new = method.transform(X_new)
            row += [neighbours.score(Z_new, y_new)]
            row += [trustworthiness(X_new, Z_new, n_neighbors=10)]
        cells = [f"{value:.3f}" for value in row] + ["-"] * (4 - len(row))
        print(f"| {name} | {' | '.join(cells)} | {seconds:.1f} |")
        ax.scatter(*Z.T, c=y, cmap="tab10", s=4)
        ax.set_title(name)
        ax.set_xticks([])
        ax.set_yticks([])
    figure.tight_layout()
    path = Path("out/visualisation.png")
    path.parent.mkdir(exist_ok=True)
    figure.savefig(path, dpi=100)
    print(f"\nMaps: {path}")


if __name__ == "__main__":
    main()
