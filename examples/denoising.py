"""Restore digits from noise and from gaps: PCA, a plain and a denoising autoencoder.

The test pictures are corrupted, and no model was trained on them. Prints the squared
error per pixel of the restored pictures, and saves them as ``out/denoising.png``. Takes
a few seconds.

    python examples/denoising.py
"""

from pathlib import Path

try:
    import matplotlib
except ModuleNotFoundError as error:
    raise SystemExit(f'{error}: pip install -e ".[examples]"') from error
matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA
from sklearn.model_selection import train_test_split

from skae import AutoEncoderTransformer, GaussianNoise, Masking

K = 16


def restore(model, X):
    """Encode and decode."""
    return model.inverse_transform(model.transform(X))


def draw(rows, path):
    """Save a strip of pictures for each of the named ``rows``."""
    figure, axes = plt.subplots(len(rows), 1, figsize=(9, 0.9 * len(rows)))
    for ax, (name, pictures) in zip(axes, rows, strict=True):
        strip = pictures[:16].reshape(-1, 8, 8).transpose(1, 0, 2).reshape(8, -1)
        ax.imshow(strip, cmap="gray", vmin=0, vmax=1)
        ax.set_xticks([])
        ax.set_yticks([])
        ax.set_ylabel(name, rotation=0, ha="right", va="center")
    figure.tight_layout()
    path.parent.mkdir(exist_ok=True)
    figure.savefig(path, dpi=120)


def main():
    """Print the table and save the pictures."""
    X = load_digits().data / 16
    X, X_test = train_test_split(X, test_size=400, random_state=0)
    mean, scale = X.mean(axis=0), np.sqrt(X.var(axis=0).mean())
    rng = np.random.default_rng(0)
    noisy = X_test + scale * 0.7 * rng.normal(size=X_test.shape)
    gaps = np.where(rng.random(X_test.shape) < 0.4, mean, X_test)
    corrupted = {
        "noise": (noisy, GaussianNoise(0.7)),
        "gaps": (gaps, Masking(0.4)),
    }
    rows = [("clean", X_test)]
    print("| corrupted by | not restored | PCA | plain | denoising |")
    print("|---|---|---|---|---|")
    for name, (rows_in, corruption) in corrupted.items():
        models = {
            "PCA": PCA(K),
            "plain": AutoEncoderTransformer(K, random_state=0),
            "denoising": AutoEncoderTransformer(
                K, corruption=corruption, random_state=0
            ),
        }
        back = {label: restore(m.fit(X), rows_in) for label, m in models.items()}
        errors = [np.mean((Z - X_test) ** 2) for Z in (rows_in, *back.values())]
        print(f"| {name} | {' | '.join(f'{error:.4f}' for error in errors)} |")
        rows += [(name, rows_in), *back.items()]
    draw(rows, Path("out/denoising.png"))
    print("\nPictures: out/denoising.png")


if __name__ == "__main__":
    main()
