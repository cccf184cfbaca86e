"""Compress pictures to a few bytes each: an autoencoder, PCA and JPEG at equal sizes.

Handwritten digits (8 x 8 pixels) are encoded to k codes. The codes are rounded to steps
and compressed by zlib. Models, k and steps are chosen on training pictures and measured
on 400 others. JPEG has blocks of 8 x 8 pixels too. It compresses all pictures on one
sheet, so that its header hardly counts, with the quality whose file size is nearest.
JPEG's lowest quality still takes 5.6 bytes per picture. Prints the peak signal-to-noise
ratio (PSNR, in dB, higher is better), and saves the pictures as
``out/image_compression.png``. Takes about 15 seconds.

    python examples/image_compression.py
"""

import io
import zlib
from pathlib import Path

try:
    import matplotlib
except ModuleNotFoundError as error:
    raise SystemExit(f'{error}: pip install -e ".[examples]"') from error
matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
from PIL import Image
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA
from sklearn.model_selection import train_test_split

from skae import AutoEncoderTransformer

BYTES = [2, 4, 8]  # per picture
COMPONENTS = [4, 6, 8, 12, 16, 24]
STEPS = np.geomspace(0.2, 3.0, 16)  # in units of the codes' standard deviation
SIDE = 20  # pictures on each side of the sheet


def compress(model, X, step):
    """Return the bytes of pictures: first code 0 of all pictures, then code 1, ..."""
    Z = np.rint(model.transform(X) / step)
    return zlib.compress(Z.clip(-128, 127).astype("i1").T.tobytes(), 9)


def decompress(model, data, step):
    """Return pictures from the bytes that `compress` made."""
    Z = np.frombuffer(zlib.decompress(data), "i1").reshape(model.n_components_, -1)
    return model.inverse_transform(Z.T * step).clip(0, 1)


def psnr(X, X_again):
    """Return the peak signal-to-noise ratio in dB."""
    return -10 * np.log10(np.mean((X - X_again) ** 2))


def sheet(X):
    """Return pictures side by side."""
    return X.reshape(SIDE, SIDE, 8, 8).transpose(0, 2, 1, 3).reshape(8 * SIDE, -1)


def unsheet(picture):
    """Undo `sheet`."""
    return picture.reshape(SIDE, 8, SIDE, 8).transpose(0, 2, 1, 3).reshape(-1, 64)


def jpeg(X, size):
    """Return pictures after JPEG, and the size of its file, nearest to ``size``."""
    files = []
    for quality in range(1, 96):
        file = io.BytesIO()
        picture = Image.fromarray(np.rint(255 * sheet(X)).astype("u1"))
        picture.save(file, "JPEG", quality=quality, optimize=True)
        files.append(file)
    file = min(files, key=lambda file: abs(file.getbuffer().nbytes - size))
    return unsheet(np.asarray(Image.open(file)) / 255), file.getbuffer().nbytes


def choose(models, X, size):
    """Return the best model and step on training pictures, for a given size."""
    best = (-np.inf, None, None)
    for model in models:
        for step in STEPS * model.transform(X).std():
            data = compress(model, X, step)
            if len(data) <= size * len(X):
                back = decompress(model, data, step)
                best = max(best, (psnr(X, back), model, step), key=lambda b: b[0])
    return best[1:]


def main():
    """Print the table and save the pictures."""
    X = load_digits().data / 16
    X, X_new = train_test_split(X, test_size=SIDE**2, random_state=0)
    models = {
        "PCA": [PCA(k).fit(X) for k in COMPONENTS],
        "autoencoder": [
            AutoEncoderTransformer(k, random_state=0).fit(X) for k in COMPONENTS
        ],
    }
    rows = [("original", X_new)]
    print("PSNR in dB (bytes per picture, components)\n")
    print("| bytes, about | JPEG | PCA | autoencoder |")
    print("|---|---|---|---|")
    for size in BYTES:
        back, n_bytes = jpeg(X_new, size * len(X_new))
        rows.append((f"JPEG, {n_bytes / len(X_new):.1f}", back))
        cells = [f"{psnr(X_new, back):.1f} ({n_bytes / len(X_new):.1f})"]
        for name, candidates in models.items():
            model, step = choose(candidates, X, size)
            data = compress(model, X_new, step)
            back = decompress(model, data, step)
            n_bytes = len(data) / len(X_new)
            rows.append((f"{name}, {n_bytes:.1f}", back))
            used = f"{n_bytes:.1f}, {model.n_components_}"
            cells.append(f"{psnr(X_new, back):.1f} ({used})")
        print(f"| {size} | {' | '.join(cells)} |")
    figure, axes = plt.subplots(len(rows), 1, figsize=(9, 0.7 * len(rows)))
    for ax, (name, pictures) in zip(axes, rows, strict=True):
        strip = pictures[:20].reshape(-1, 8, 8).transpose(1, 0, 2).reshape(8, -1)
        ax.imshow(strip, cmap="gray", vmin=0, vmax=1)
        ax.set_xticks([])
        ax.set_yticks([])
        ax.set_ylabel(name, rotation=0, ha="right", va="center")
    figure.tight_layout()
    path = Path("out/image_compression.png")
    path.parent.mkdir(exist_ok=True)
    figure.savefig(path, dpi=120)
    print(f"\nPictures, with bytes per picture: {path}")


if __name__ == "__main__":
    main()
