"""Choose the architecture by a search.

Successive halving over networks, activations, corruptions and penalties: first, all
candidates are fitted to few rows; then the best third is fitted to more rows. The
search maximises the accuracy of a classifier on eight codes of the digits, not the
reconstruction. Prints the accuracy of the best candidate, the default and PCA on rows
that the search has not seen. Saves the scores of all rounds as
``out/architecture_search.png``. Takes less than a minute.

    python examples/architecture_search.py
"""

import time
import warnings
from pathlib import Path

try:
    import matplotlib
    import pandas as pd
except ModuleNotFoundError as error:
    raise SystemExit(f'{error}: pip install -e ".[examples]"') from error
matplotlib.use("Agg")
import matplotlib.pyplot as plt
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA
from sklearn.experimental import enable_halving_search_cv  # noqa: F401
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import HalvingGridSearchCV, train_test_split
from sklearn.pipeline import Pipeline

from skae import (
    AutoEncoderTransformer,
    Conv,
    Dense,
    Masking,
    Sparsity,
)


def make(reducer):
    """Return a pipeline that ends in a classifier."""
    return Pipeline(
        [("reduce", reducer), ("classify", LogisticRegression(max_iter=2_000))]
    )


GRID = [
    {
        "reduce__hidden_layer_sizes": ["auto", (), (64,)],
        "reduce__activation": ["gelu", "tanh"],
    },
    {"reduce__linearity": [0.0, 10.0]},
    {"reduce__network": [Dense(dropout=0.1), Conv((8, 8), channels=(4, 8))]},
    {"reduce__corruption": [Masking(0.1), Masking(0.3)]},
    {"reduce__penalty": [Sparsity(0.03), Sparsity(0.1)]},
]


def main():
    """Print the tables and save the picture."""
    X, y = load_digits(return_X_y=True)
    X, X_new, y, y_new = train_test_split(X / 16, y, test_size=500, random_state=0)
    pipeline = make(AutoEncoderTransformer(8, random_state=0))
    search = HalvingGridSearchCV(
        pipeline, GRID, factor=3, cv=2, n_jobs=2, random_state=0, min_resources=400
    )
    start = time.perf_counter()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # joblib's, about busy workers
        search.fit(X, y)
    seconds = time.perf_counter() - start
    results = pd.DataFrame(search.cv_results_)
    print(f"{search.n_candidates_[0]} candidates, {seconds:.0f} s")
    print("chosen:", search.best_params_)
    print("\n| reducer before the classifier | accuracy, new rows |")
    print("|---|---|")
    for name, reducer in {
        "PCA": PCA(8),
        "default": AutoEncoderTransformer(8, random_state=0),
    }.items():
        print(f"| {name} | {make(reducer).fit(X, y).score(X_new, y_new):.3f} |")
    print(f"| chosen | {search.score(X_new, y_new):.3f} |")
    figure, ax = plt.subplots(figsize=(6, 4))
    for _, candidate in results.groupby(results["params"].map(str)):
        ax.plot(candidate["n_resources"], candidate["mean_test_score"], "o-", alpha=0.6)
    ax.set_xlabel("rows")
    ax.set_ylabel("accuracy, cross-validated")
    figure.tight_layout()
    path = Path("out/architecture_search.png")
    path.parent.mkdir(exist_ok=True)
    figure.savefig(path, dpi=100)
    print(f"\nScores: {path}")


if __name__ == "__main__":
    main()
