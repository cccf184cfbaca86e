"""Explain a table: what the codes mean, and which features and rows have large errors.

After a `StandardScaler`, thirty measurements of cells from 569 breast tumours are
reduced to four codes. Prints which measurements move each code most (by the mean
Jacobian of the encoder, in standard deviations). Also prints the cross-validated
accuracy of a linear model that predicts from the codes whether a tumour is benign or
malignant. Saves pictures as ``out/table.png``, and a full report as ``out/table.html``.
Takes about twenty seconds.

    python examples/table.py
"""

from pathlib import Path

try:
    import matplotlib
except ModuleNotFoundError as error:
    raise SystemExit(f'{error}: pip install -e ".[examples]"') from error
matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
from sklearn.base import clone
from sklearn.datasets import load_breast_cancer
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skae import (
    AutoEncoderTransformer,
    EmbeddingDisplay,
    ErrorDisplay,
    TraversalDisplay,
    report,
)

N_CODES = 4


def main():
    """Print what the codes mean, and save the pictures and the page."""
    data = load_breast_cancer(as_frame=True)
    X, y = data.data, data.target.map({0: "malignant", 1: "benign"})
    ae = AutoEncoderTransformer(N_CODES, random_state=0)
    model = make_pipeline(StandardScaler(), ae).fit(X)
    standardized = model[0].transform(X)
    print("| code | share of the variance | moved most by |")
    print("|---|---|---|")
    slopes = ae.sensitivity(standardized)
    shares = ae.explained_variance_ratio_
    for j, (slope, share) in enumerate(zip(slopes, shares, strict=True)):
        most = np.argsort(-np.abs(slope))[:4]
        names = ", ".join(f"{X.columns[i]} ({slope[i]:+.2f})" for i in most)
        print(f"| {j} | {share:.2f} | {names} |")

    print("\n| features | R2 | accuracy of a linear model |\n|---|---|---|")
    classifier = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000))
    reducers = {"PCA": PCA(N_CODES).fit(standardized), "autoencoder": ae}
    total = np.square(standardized).sum()
    for name, reducer in {"all 30": None, **reducers}.items():
        steps = [StandardScaler(), classifier]
        back = standardized
        if reducer is not None:
            back = reducer.inverse_transform(reducer.transform(standardized))
            steps.insert(1, clone(reducer))  # fitted again in each fold
        r2 = 1 - np.square(standardized - back).sum() / total
        scores = cross_val_score(make_pipeline(*steps), X, y, cv=4)
        print(f"| {name} | {r2:.3f} | {scores.mean():.3f} ± {scores.std():.3f} |")

    folder = Path("out")
    folder.mkdir(exist_ok=True)
    figure, axes = plt.subplots(2, 2, figsize=(15, 12), layout="constrained")
    EmbeddingDisplay.from_estimator(model, X, y, ax=axes[0, 0])
    ErrorDisplay.from_estimator(model, X, ax=axes[0, 1])
    ErrorDisplay.from_estimator(model, X, kind="row", ax=axes[1, 0])
    TraversalDisplay.from_estimator(model, X, components=[0, 1], ax=axes[1, 1])
    figure.savefig(folder / "table.png", dpi=80)
    page = report(model, X, y, path=folder / "table.html", title="Breast tumours")
    print(f"\nPictures: {folder / 'table.png'}\nPage: {page}")


if __name__ == "__main__":
    main()
