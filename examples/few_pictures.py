"""Learn from few pictures: PCA, the dense network and convolutions.

The synthetic pictures of 16 x 16 pixels look like those of a microscope: one bright rod
on a dark ground, with noise. Its position, direction and length vary. Four numbers
describe a rod, but the pictures of all rods do not lie in a plane of few dimensions.
Six codes are learnt from 50, 100 and 200 pictures. Prints the error of reconstructed
new pictures, compared with these pictures without noise and divided by their variance.
Saves pictures, reconstructions and errors as ``out/few_pictures.png``. Takes half a
minute.

    python examples/few_pictures.py
"""

import time
from pathlib import Path

try:
    import matplotlib
except ModuleNotFoundError as error:
    raise SystemExit(f'{error}: pip install -e ".[examples]"') from error
matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
from sklearn.decomposition import PCA

from skae import AutoEncoderTransformer, Conv

SIZE, K = 16, 6
METHODS = {
    "PCA": PCA(K),
    "dense": AutoEncoderTransformer(K, random_state=0),
    "convolutions": AutoEncoderTransformer(
        K, network=Conv((SIZE, SIZE)), random_state=0
    ),
}
NUMBERS = [50, 100, 200]


def rods(n, rng):
    """Return pictures as rows, with noise and without."""
    grid = np.arange(SIZE) - (SIZE - 1) / 2
    left, top = rng.uniform(-3, 3, (2, n, 1, 1))
    angle, length = rng.uniform(0, np.pi, (n, 1, 1)), rng.uniform(1.5, 3.5, (n, 1, 1))
    x, y = grid - left, grid[:, None] - top
    along = x * np.cos(angle) + y * np.sin(angle)
    across = y * np.cos(angle) - x * np.sin(angle)
    clean = np.exp(-0.5 * ((along / length) ** 2 + (across / 1.2) ** 2))
    noisy = clean + rng.normal(scale=0.05, size=clean.shape)
    return np.clip(noisy, 0, 1).reshape(n, -1), clean.reshape(n, -1)


def main():
    """Print the table and save the picture."""
    rng = np.random.default_rng(0)
    X, _ = rods(max(NUMBERS), rng)
    X_new, clean = rods(300, rng)
    errors, strips = {}, {"new": X_new}
    print(f"| method | {' | '.join(f'{n} pictures' for n in NUMBERS)} | seconds |")
    print("|---|---|---|---|---|")
    for name, method in METHODS.items():
        start = time.process_time()
        errors[name] = []
        for n in NUMBERS:
            back = method.fit(X[:n]).inverse_transform(method.transform(X_new))
            errors[name].append(np.mean((back - clean) ** 2) / clean.var(axis=0).mean())
        strips[name] = back
        cells = " | ".join(f"{error:.3f}" for error in errors[name])
        print(f"| {name} | {cells} | {time.process_time() - start:.1f} |")

    figure = plt.figure(figsize=(11, 3.4), layout="constrained")
    left, right = figure.subfigures(1, 2, width_ratios=[2, 1])
    axes = left.subplots(len(strips), 1)
    for ax, (name, rows) in zip(axes, strips.items(), strict=True):
        strip = rows[:12].reshape(-1, SIZE, SIZE).transpose(1, 0, 2).reshape(SIZE, -1)
        ax.imshow(strip, cmap="gray", vmin=0, vmax=1)
        ax.set(xticks=[], yticks=[])
        ax.set_ylabel(name, rotation=0, ha="right", va="center")
    ax = right.subplots()
    for (name, values), marker in zip(errors.items(), "o^s", strict=True):
        ax.plot(NUMBERS, values, f"{marker}-", label=name)
    ax.set(xscale="log", ylim=(0, None), xlabel="pictures to learn from")
    ax.set_xticks(NUMBERS, NUMBERS)
    ax.minorticks_off()
    ax.set_title("error on new pictures")
    ax.legend(frameon=False)
    path = Path("out/few_pictures.png")
    path.parent.mkdir(exist_ok=True)
    figure.savefig(path, dpi=100)
    print(f"\nPicture: {path}")


if __name__ == "__main__":
    main()
