"""Map counts of single cells: many cells, hundreds of genes, most counts zero.

In the synthetic data, cells develop along a trunk that splits into two branches. Genes
switch on and off on the way, and each cell has its own sequencing depth. As usual,
counts are divided by their sum in the cell, and log-transformed. The matrix stays
sparse. For cells that no model has seen, prints the share of the variance that two
codes reconstruct, and how well nearest neighbours on the map predict the stage of a
cell, and the branch of a late cell. Saves the maps as ``out/single_cells.png``. Takes
about ten seconds.

    python examples/single_cells.py
"""

from pathlib import Path

try:
    import matplotlib
except ModuleNotFoundError as error:
    raise SystemExit(f'{error}: pip install -e ".[examples]"') from error
matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
from scipy.sparse import csr_array
from sklearn.decomposition import PCA
from sklearn.model_selection import train_test_split
from sklearn.neighbors import KNeighborsClassifier, KNeighborsRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, normalize

from skae import AutoEncoderTransformer

N_CELLS, N_GENES = 1_000, 300
SPLIT = 0.3  # the stage at which the branches separate


def cells(rng):
    """Return sparse counts, the stage of each cell in [0, 1], and its branch."""
    stage, branch = rng.uniform(size=N_CELLS), rng.integers(2, size=N_CELLS)
    on, width = rng.uniform(-0.2, 1.2, N_GENES), rng.uniform(0.08, 0.2, N_GENES)
    activity = np.exp(-0.5 * ((stage[:, None] - on) / width) ** 2)
    # After the split, some genes are active in one branch only.
    owner = rng.choice([0, 1, 2], N_GENES, p=[0.4, 0.4, 0.2])
    late = np.clip((stage[:, None] - SPLIT) / 0.3, 0, 1)
    is_other = (owner < 2) & (owner != branch[:, None])
    activity *= 1 - late * is_other
    depth = rng.lognormal(sigma=0.4, size=(N_CELLS, 1))
    level = rng.lognormal(mean=0.5, sigma=0.8, size=N_GENES)
    return csr_array(rng.poisson(depth * level * activity)), stage, branch


def log_shares(counts):
    """Return log(1 + 200 p) of the shares p of each cell's counts."""
    return (200 * normalize(counts, norm="l1")).log1p()


def main():
    """Print the table and save the maps."""
    counts, stage, branch = cells(np.random.default_rng(0))
    split = train_test_split(counts, stage, branch, test_size=400, random_state=0)
    X, X_new, stage, stage_new, branch, branch_new = split
    zeros = 1 - X.nnz / np.prod(X.shape)
    print(f"{X.shape[0]} cells, {X.shape[1]} genes, {zeros:.0%} zeros\n")
    models = {
        "PCA": PCA(2, svd_solver="arpack", random_state=0),  # takes sparse matrices
        "autoencoder": AutoEncoderTransformer(2, random_state=0),
    }
    print("| map | variance explained | R2 of the stage | branch, late cells |")
    print("|---|---|---|---|")
    figure, axes = plt.subplots(2, 2, figsize=(9, 8), layout="constrained")
    for column, (name, model) in zip(axes.T, models.items(), strict=True):
        pipeline = make_pipeline(FunctionTransformer(log_shares), model)
        Z, Z_new = pipeline.fit_transform(X), pipeline.transform(X_new)
        wanted = pipeline[0].transform(X_new).toarray()
        back = model.inverse_transform(Z_new)
        share = 1 - np.mean((back - wanted) ** 2) / wanted.var(axis=0).mean()
        r2 = KNeighborsRegressor(15).fit(Z, stage).score(Z_new, stage_new)
        late, late_new = stage > SPLIT + 0.3, stage_new > SPLIT + 0.3
        neighbours = KNeighborsClassifier(15).fit(Z[late], branch[late])
        accuracy = neighbours.score(Z_new[late_new], branch_new[late_new])
        print(f"| {name} | {share:.3f} | {r2:.3f} | {accuracy:.3f} |")
        points = column[0].scatter(*Z_new.T, c=stage_new, cmap="viridis", s=9)
        column[0].set_title(f"{name}: new cells by stage")
        for value, colour in enumerate(["#0072B2", "#D55E00"]):
            rows = Z_new[branch_new == value]
            column[1].scatter(*rows.T, color=colour, s=9, label=f"branch {value}")
        column[1].set_title(f"{name}: by branch")
    figure.colorbar(points, ax=axes[0, 1], label="stage")
    axes[1, 1].legend(frameon=False)
    path = Path("out/single_cells.png")
    path.parent.mkdir(exist_ok=True)
    figure.savefig(path, dpi=80)
    print(f"\nMaps: {path}")


if __name__ == "__main__":
    main()
