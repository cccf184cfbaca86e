"""Find unusual rows, and the features that make them unusual: malignant tumours.

Detectors are fitted without labels, to measurements of benign tumours only (novelty
detection), or of benign tumours with one malignant for every thirty (outlier
detection). Prints how well each detector ranks malignant above benign tumours (area
under the ROC curve), and the share of new benign tumours beyond a threshold set for
5 %. Saves the scores with the threshold, and the features that make one tumour the most
unusual, as ``out/anomalies.png``. Takes about ten seconds.

    python examples/anomalies.py
"""

from pathlib import Path

try:
    import matplotlib
except ModuleNotFoundError as error:
    raise SystemExit(f'{error}: pip install -e ".[examples]"') from error
matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_breast_cancer
from sklearn.decomposition import PCA
from sklearn.ensemble import IsolationForest
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import train_test_split
from sklearn.neighbors import LocalOutlierFactor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skae import ReconstructionOutlierDetector

SHARE = 0.05
BLUE, ORANGE, GREY = "#0072B2", "#D55E00", "0.35"

DETECTORS = {
    "autoencoders": ReconstructionOutlierDetector(contamination=SHARE, random_state=0),
    "ensemble of PCA": ReconstructionOutlierDetector(
        PCA(2), contamination=SHARE, random_state=0
    ),
    "isolation forest": IsolationForest(contamination=SHARE, random_state=0),
    "local outlier factor": make_pipeline(
        StandardScaler(), LocalOutlierFactor(contamination=SHARE, novelty=True)
    ),
}


def main():
    """Print the table and save the picture."""
    data = load_breast_cancer()
    benign, malignant = data.data[data.target == 1], data.data[data.target == 0]
    train, new = train_test_split(benign, test_size=0.4, random_state=0)
    with_outliers = np.concatenate([train, malignant[: len(train) // 30]])
    unseen = malignant[len(train) // 30 :]
    is_malignant = np.r_[np.zeros(len(new)), np.ones(len(unseen))]
    print("| detector | AUROC, from benign | flagged new benign | AUROC, from both |")
    print("|---|---|---|---|")
    for name, detector in DETECTORS.items():
        cells = []
        for rows in (with_outliers, train):  # the last fit is drawn
            detector.fit(rows)
            scores = -detector.score_samples(np.concatenate([new, unseen]))
            cells.append(roc_auc_score(is_malignant, scores))
        flagged = (detector.predict(new) == -1).mean()
        print(f"| {name} | {cells[1]:.3f} | {flagged:.1%} | {cells[0]:.3f} |")
    path = Path("out/anomalies.png")
    path.parent.mkdir(exist_ok=True)
    draw(DETECTORS["autoencoders"], new, unseen, data.feature_names).savefig(path)
    print(f"\nPicture: {path}")


def draw(detector, benign, malignant, names):
    """Return a figure of the scores, and of the features of the most unusual row."""
    figure, (left, right) = plt.subplots(1, 2, figsize=(11, 4.2), dpi=100)
    groups = {"new benign": (benign, BLUE), "malignant": (malignant, ORANGE)}
    unusual = {key: -detector.score_samples(rows) for key, (rows, _) in groups.items()}
    every = np.concatenate([*unusual.values()])
    edges = np.geomspace(every.min(), every.max(), 40)
    for key, (_, color) in groups.items():
        left.hist(unusual[key], edges, alpha=0.6, color=color, label=key)
    label = f"threshold for {SHARE:.0%}"
    left.axvline(-detector.offset_, color=GREY, linestyle="--", label=label)
    left.set_xscale("log")
    ticks = [1, 2, 5, 10]
    left.set_xticks(ticks, ticks)
    left.xaxis.set_minor_formatter("")
    left.set(xlabel="how unusual, 2 is ordinary", ylabel="tumours", title="Scores")
    left.legend(frameon=False)

    row = malignant[[unusual["malignant"].argmax()]]
    contributions = detector.feature_contributions(row)[0]
    first = np.argsort(contributions)[-8:]
    right.barh(np.array(names)[first], contributions[first], color=ORANGE)
    right.set(
        xlabel=f"contribution to its score of {contributions.sum():.0f}",
        title="The most unusual malignant tumour",
    )
    for ax in (left, right):
        ax.spines[["top", "right"]].set_visible(False)
    figure.tight_layout()
    return figure


if __name__ == "__main__":
    main()
