"""Search parameters on several machines, and encode data that do not fit in memory.

Needs Dask: ``pip install -e ".[tools]"``.

A Dask cluster of two processes on this machine stands for a cluster of several
machines: only the address in ``Client`` would change. ``GridSearchCV`` sends its fits
to the cluster through joblib. The best autoencoder then encodes an array that is split
into parts, each in the process that holds the part. Prints the scores, and saves the
codes as ``out/dask_search.png``. Takes about twenty seconds.

    python examples/tools/dask_search.py
"""

from logging import ERROR
from pathlib import Path

try:
    import dask.array as da
    import matplotlib
    from dask.distributed import Client, LocalCluster
except ModuleNotFoundError as error:
    raise SystemExit(f'{error}: pip install -e ".[tools]"') from error
matplotlib.use("Agg")
import joblib
import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits
from sklearn.model_selection import GridSearchCV
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import Pipeline

from skae import AutoEncoderTransformer

N_PARTS = 8


def main():
    """Print the scores and save the picture."""
    X, y = load_digits(return_X_y=True)
    pipeline = Pipeline(
        [
            ("reduce", AutoEncoderTransformer(2, random_state=0)),
            ("classify", KNeighborsClassifier()),
        ]
    )
    grid = {"reduce__linearity": [0.0, 1.0], "reduce__max_iter": [10, 40]}
    with (
        LocalCluster(n_workers=2, threads_per_worker=1, silence_logs=ERROR) as cluster,
        Client(cluster),
    ):
        search = GridSearchCV(pipeline, grid, cv=2)
        with joblib.parallel_config("dask"):
            search.fit(X, y)
        results = search.cv_results_
        print("| linearity | max_iter | accuracy of neighbours on 2 codes |")
        print("|---|---|---|")
        for params, score in zip(
            results["params"], results["mean_test_score"], strict=True
        ):
            print(f"| {' | '.join(map(str, params.values()))} | {score:.3f} |")

        ae = search.best_estimator_["reduce"]
        parts = da.from_array(X, chunks=(len(X) // N_PARTS + 1, X.shape[1]))
        Z = parts.map_blocks(
            ae.transform, dtype=float, chunks=(parts.chunks[0], (2,))
        ).compute()
        apart = np.abs(Z - ae.transform(X)).max()
        print(f"\n{parts.numblocks[0]} parts: codes differ by {apart:.0e} at most")
    figure, ax = plt.subplots(figsize=(6, 5), layout="constrained")
    points = ax.scatter(*Z.T, c=y, cmap="tab10", s=8)
    ax.legend(*points.legend_elements(), frameon=False, loc="upper left", ncols=2)
    ax.set(title="codes, encoded in parts", xlabel="code 0", ylabel="code 1")
    path = Path("out/dask_search.png")
    path.parent.mkdir(exist_ok=True)
    figure.savefig(path, dpi=100)
    print(f"\nPicture: {path}")


if __name__ == "__main__":
    main()
