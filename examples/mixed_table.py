"""Classify a mixed table with gaps: numbers, categories and missing values.

A synthetic table of 1,500 customers has 24 columns of numbers that depend on a few
habits, and three columns of categories. A tenth of the numbers is missing. A
``ColumnTransformer`` fills the gaps, scales the numbers and encodes the categories.
PCA or an autoencoder reduces them to four codes, for logistic regression. All of this
is one pipeline, cross-validated as a whole. Prints the accuracy, and draws it as
``out/mixed_table.png``. Takes half a minute.

    python examples/mixed_table.py
"""

from pathlib import Path

try:
    import matplotlib
    import pandas as pd
except ModuleNotFoundError as error:
    raise SystemExit(f'{error}: pip install -e ".[examples]"') from error
matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
from sklearn.compose import ColumnTransformer, make_column_selector
from sklearn.decomposition import PCA
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, OneHotEncoder, StandardScaler

from skae import AutoEncoderTransformer

N_ROWS, K = 1_500, 4
REDUCERS = {
    "all columns": FunctionTransformer(),
    "PCA": PCA(K),
    "autoencoder": AutoEncoderTransformer(K, random_state=0),
    "autoencoder, with y": AutoEncoderTransformer(K, supervision=3.0, random_state=0),
}


def customers(rng):
    """Return the table as a data frame, and whether each customer came back."""
    habits = rng.normal(size=(N_ROWS, 3))
    bends = np.c_[habits, np.sin(2 * habits), habits[:, [0]] * habits[:, [1]]]
    numbers = np.tanh(bends @ rng.normal(scale=0.6, size=(7, 24)))
    numbers += rng.normal(scale=0.1, size=numbers.shape)
    numbers[rng.random(numbers.shape) < 0.1] = np.nan
    table = pd.DataFrame(numbers, columns=[f"spent on {j}" for j in range(24)])
    edges = np.quantile(habits[:, 0], [0.25, 0.5, 0.75])
    table["region"] = np.array(["north", "east", "south", "west"])[
        np.searchsorted(edges, habits[:, 0] + rng.normal(scale=0.5, size=N_ROWS))
    ]
    table["channel"] = np.where(
        habits[:, 1] + rng.normal(size=N_ROWS) > 0, "shop", "web"
    )
    table["day"] = rng.choice(["Mon", "Wed", "Sat"], N_ROWS)
    score = 2 * np.sin(2 * habits[:, 0]) + habits[:, 1] * habits[:, 2]
    return table, (score + rng.normal(scale=0.3, size=N_ROWS) > 0).astype(int)


def prepare():
    """Return the step that turns all columns into numbers."""
    numbers = make_pipeline(SimpleImputer(), StandardScaler())
    kinds = OneHotEncoder(sparse_output=False, handle_unknown="ignore")
    is_number = make_column_selector(dtype_include=float)
    is_kind = make_column_selector(dtype_exclude=float)
    return ColumnTransformer(
        [("numbers", numbers, is_number), ("kinds", kinds, is_kind)]
    )


def main():
    """Print the table and save the picture."""
    table, y = customers(np.random.default_rng(0))
    print(f"{table.isna().to_numpy().mean():.0%} of the values are missing\n")
    print("| logistic regression on | accuracy |\n|---|---|")
    figure, ax = plt.subplots(figsize=(7, 2.6), layout="constrained")
    for i, (name, reducer) in enumerate(REDUCERS.items()):
        model = make_pipeline(prepare(), reducer, LogisticRegression(max_iter=1000))
        scores = cross_val_score(model, table, y, cv=3)
        print(f"| {name} | {scores.mean():.3f} ± {scores.std():.3f} |")
        ax.barh(i, scores.mean(), xerr=scores.std(), color="#0072B2")
    ax.set_yticks(range(len(REDUCERS)), REDUCERS)
    ax.set(xlim=(0.5, 1), xlabel="accuracy of logistic regression", ylim=(3.6, -0.6))
    path = Path("out/mixed_table.png")
    path.parent.mkdir(exist_ok=True)
    figure.savefig(path, dpi=100)
    print(f"\nPicture: {path}")


if __name__ == "__main__":
    main()
