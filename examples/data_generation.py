"""Generate new digits: a variational autoencoder, and a mixture on codes.

A classifier trained on real digits predicts the classes of the samples. Prints four
numbers for each generator:

- sureness: the mean probability of the predicted class;
- evenness: how evenly the samples cover the ten classes (the entropy of the classes'
  shares, divided by that of ten equal shares; 1 is even);
- diversity: the mean variance per pixel within a class, divided by that of real digits
  (1 is as diverse as real digits);
- distance: the distance to the nearest training picture, divided by that of unseen real
  digits. Copies are far below 1, noise is far above.

For comparison, two generators draw codes, or pixels, from normal distributions. Saves
samples as ``out/data_generation.png``. Takes about half a minute.

    python examples/data_generation.py
"""

from pathlib import Path

try:
    import matplotlib
except ModuleNotFoundError as error:
    raise SystemExit(f'{error}: pip install -e ".[examples]"') from error
matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
from scipy.stats import entropy
from sklearn.calibration import CalibratedClassifierCV
from sklearn.datasets import load_digits
from sklearn.metrics import pairwise_distances_argmin_min
from sklearn.model_selection import train_test_split
from sklearn.svm import SVC

from skae import AutoEncoderTransformer, Gaussian, Mixture

N_SAMPLES = 1_000


def draw_samples(X):
    """Return (name, rows) from each generator trained on ``X``."""
    common = {"loss": "log_loss", "random_state": 0, "max_iter": 400}
    variational = AutoEncoderTransformer(16, latent=Gaussian(beta=0.5), **common)
    yield "variational", variational.fit(X).sample(N_SAMPLES, random_state=0)
    mixture = AutoEncoderTransformer(8, latent=Mixture(40), **common).fit(X)
    yield "mixture on codes", mixture.sample(N_SAMPLES, random_state=0)
    rng = np.random.default_rng(0)
    Z = mixture.transform(X)
    codes = rng.normal(Z.mean(axis=0), Z.std(axis=0), (N_SAMPLES, Z.shape[1]))
    yield "normal codes", mixture.inverse_transform(codes)
    pixels = rng.multivariate_normal(X.mean(axis=0), np.cov(X.T), N_SAMPLES)
    yield "normal pixels", pixels.clip(0, 1)


def describe(rows, classifier, X_train, X_real, y_real):
    """Sureness, evenness, diversity within classes, distance to training pictures."""
    probability = classifier.predict_proba(rows)
    label = probability.argmax(axis=1)
    shares = np.bincount(label, minlength=10) / len(rows)
    spread = [rows[label == c].var(axis=0).mean() for c in np.flatnonzero(shares)]
    real = [X_real[y_real == c].var(axis=0).mean() for c in np.flatnonzero(shares)]
    distance = pairwise_distances_argmin_min(rows, X_train)[1].mean()
    unseen = pairwise_distances_argmin_min(X_real, X_train)[1].mean()
    return (
        probability.max(axis=1).mean(),
        entropy(shares) / np.log(10),
        np.mean(spread) / np.mean(real),
        distance / unseen,
    )


def main():
    """Print the table and save the samples."""
    X, y = load_digits(return_X_y=True)
    X, X_real, y, y_real = train_test_split(X / 16, y, test_size=400, random_state=0)
    classifier = CalibratedClassifierCV(SVC(), ensemble=False).fit(X, y)
    print("| samples | sureness | evenness | diversity | distance |")
    print("|---|---|---|---|---|")
    rows = [("real, unseen", X_real), *draw_samples(X)]
    figure, axes = plt.subplots(len(rows), 1, figsize=(10, 1.6 * len(rows)))
    for ax, (name, pictures) in zip(axes, rows, strict=True):
        values = describe(pictures, classifier, X, X_real, y_real)
        print(f"| {name} | {' | '.join(f'{value:.2f}' for value in values)} |")
        grid = np.pad(
            pictures[:40].reshape(2, 20, 8, 8), [(0, 0), (0, 0), (0, 2), (1, 1)]
        )
        grid = grid.transpose(0, 2, 1, 3).reshape(20, -1)
        ax.imshow(grid, cmap="gray", vmin=0, vmax=1)
        ax.set_title(name, fontsize=9, loc="left")
        ax.axis("off")
    figure.tight_layout()
    path = Path("out/data_generation.png")
    path.parent.mkdir(exist_ok=True)
    figure.savefig(path, dpi=120)
    print(f"\nSamples: {path}")


if __name__ == "__main__":
    main()
