"""MNIST: squared error on the test pictures against PCA's, and the time it takes.

    python benchmarks/mnist.py                # all four widths
    python benchmarks/mnist.py -k 30          # one of them

Reads ``mnist.npz`` from the folder ``SKAE_DATA``, or fetches MNIST from OpenML. Prints
a table and saves test pictures with their reconstructions to ``out/mnist.png``.
"""

import argparse
import time
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
from datasets import mnist
from sklearn.decomposition import PCA

from skae import AutoEncoderTransformer


def measure(model, train, test):
    """Fit; return the reconstruction of ``test``, its error a pixel, and seconds."""
    start = time.perf_counter()
    model.fit(train)
    seconds = time.perf_counter() - start
    reconstruction = model.inverse_transform(model.transform(test))
    return reconstruction, np.mean((reconstruction - test) ** 2), seconds


def draw(rows, path):
    """Save a strip of pictures for each of the named ``rows``."""
    figure, axes = plt.subplots(len(rows), 1, figsize=(9, 0.85 * len(rows)))
    for ax, (name, pictures) in zip(axes, rows, strict=True):
        strip = pictures.reshape(-1, 28, 28).transpose(1, 0, 2).reshape(28, -1)
        ax.imshow(strip, cmap="gray", vmin=0, vmax=1)
        ax.set_xticks([])
        ax.set_yticks([])
        ax.set_ylabel(name, rotation=0, ha="right", va="center")
    figure.tight_layout()
    path.parent.mkdir(exist_ok=True)
    figure.savefig(path, dpi=120)


def main():
    """Print the table and save the pictures."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("-k", type=int, nargs="+", default=[2, 10, 30, 64])
    parser.add_argument("--out", type=Path, default=Path("out/mnist.png"))
    args = parser.parse_args()
    train, test = mnist()
    shown = slice(0, 16)
    rows = [("test", test[shown])]
    print("| k | PCA | autoencoder | ratio | PCA, s | autoencoder, s |")
    print("|---|---|---|---|---|---|")
    for k in args.k:
        linear, pca_error, pca_seconds = measure(PCA(k, random_state=0), train, test)
        deep, error, seconds = measure(
            AutoEncoderTransformer(k, random_state=0), train, test
        )
        print(
            f"| {k} | {pca_error:.5f} | {error:.5f} | {error / pca_error:.2f} "
            f"| {pca_seconds:.1f} | {seconds:.1f} |",
            flush=True,
        )
        rows += [(f"PCA {k}", linear[shown]), (f"autoencoder {k}", deep[shown])]
    draw(rows, args.out)
    print(f"\nReconstructions: {args.out}")


if __name__ == "__main__":
    main()
