"""Explain codes by the pixels that cause them, with SHAP's DeepExplainer.

Needs shap: ``pip install -e ".[tools]"``.

The encoder is exported with ``to_torch``. DeepExplainer compares some digits with a
background of fifty others, and divides the difference of each code among the pixels.
The values of the pixels should sum to that difference. Prints by how much they miss it,
for the activations "relu" and "tanh", which SHAP knows, and for the default, for which
it falls back to the gradient. Saves the values of one code as ``out/shap_digits.png``.
Takes half a minute.

    python examples/tools/shap_digits.py
"""

import warnings
from pathlib import Path

try:
    import matplotlib
    import shap
except ModuleNotFoundError as error:
    raise SystemExit(f'{error}: pip install -e ".[tools]"') from error
matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
import torch
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

from skae import AutoEncoderTransformer

N_SHOWN = 5


def explain(ae, background, X):
    """Return what each pixel adds to each code, (rows, pixels, codes), and the miss.

    The miss is the largest difference between the sum of the pixels and what they
    explain, as a share of the largest code.
    """
    encoder = ae.to_torch().encoder
    given, rows = (torch.tensor(x, dtype=torch.float32) for x in (background, X))
    explainer = shap.DeepExplainer(encoder, given)
    with warnings.catch_warnings():  # that it does not know an activation
        warnings.simplefilter("ignore")
        values = explainer.shap_values(rows, check_additivity=False)
    with torch.no_grad():
        codes, usual = encoder(rows).numpy(), encoder(given).numpy().mean(axis=0)
    miss = np.abs(values.sum(axis=1) - (codes - usual)).max() / np.abs(codes).max()
    return values, miss


def draw(X, values, path):
    """Draw digits, and which pixels raise (red) or lower (blue) their first code."""
    figure, axes = plt.subplots(2, N_SHOWN, figsize=(1.6 * N_SHOWN, 3.4))
    largest = np.abs(values[:, :, 0]).max()
    for i in range(N_SHOWN):
        axes[0, i].imshow(X[i].reshape(8, 8), cmap="gray_r")
        shown = values[i, :, 0].reshape(8, 8)
        axes[1, i].imshow(shown, cmap="RdBu_r", vmin=-largest, vmax=largest)
    for ax in axes.ravel():
        ax.set(xticks=[], yticks=[])
    axes[0, 0].set_ylabel("digit")
    axes[1, 0].set_ylabel("effect on code 0")
    figure.tight_layout()
    path.parent.mkdir(exist_ok=True)
    figure.savefig(path, dpi=120)


def main():
    """Fit three autoencoders, and explain the codes of some digits."""
    X = load_digits().data / 16
    X_train, X_new = train_test_split(X, random_state=0)
    print("activation | pixels miss the code by")
    for activation in ("relu", "tanh", "auto"):
        ae = AutoEncoderTransformer(4, activation=activation, random_state=0)
        ae.fit(X_train)
        values, miss = explain(ae, X_train[:50], X_new[:N_SHOWN])
        print(f"{activation:10} | {100 * miss:.1f} % of the largest code")
        if activation == "relu":
            draw(X_new, values, Path("out/shap_digits.png"))


if __name__ == "__main__":
    main()
