"""Track fits with mlflow, and load the best model again.

Needs mlflow and skops: ``pip install -e ".[tools]"``.

Three pipelines, with 2, 8 and 16 codes, are logged as three runs in a local folder.
Each run has the parameters, the loss of each epoch, the scores and the model. The model
is a skops file, which runs no code when it is loaded. The best run is then found by its
score. Its model is loaded from the folder, and scored again. Prints the runs, and draws
the loss curves that mlflow has stored, as ``out/mlflow_runs.png``. Takes half a minute.

    python examples/tools/mlflow_runs.py
"""

import os
import tempfile
from pathlib import Path

os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"
try:
    import matplotlib
    import mlflow
    import skops  # noqa: F401  in which mlflow stores the models
except ModuleNotFoundError as error:
    raise SystemExit(f'{error}: pip install -e ".[tools]"') from error
matplotlib.use("Agg")
import matplotlib.pyplot as plt
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline

from skae import AutoEncoderTransformer, skops_types


def track(k, X, X_new, y, y_new):
    """Fit a pipeline with ``k`` codes, and log it as one run."""
    with mlflow.start_run(run_name=f"{k} codes"):
        ae = AutoEncoderTransformer(k, random_state=0)
        model = make_pipeline(ae, LogisticRegression(max_iter=2000)).fit(X, y)
        mlflow.log_params({"n_components": k, "result": ae.result_})
        mlflow.log_metrics(
            {
                "R2": ae.score(X_new),
                "R2_of_PCA": ae.baseline_score_,
                "accuracy": model.score(X_new, y_new),
            }
        )
        for epoch, loss in enumerate(ae.validation_loss_curve_):
            mlflow.log_metric("validation_loss", loss, step=epoch)
        mlflow.sklearn.log_model(
            model,
            name="model",
            skops_trusted_types=skops_types(),
            pip_requirements=["skae[skops]"],  # mlflow takes long to find these out
        )


def main():
    """Print the runs, score the best model and save the picture."""
    X, y = load_digits(return_X_y=True)
    X, X_new, y, y_new = train_test_split(X / 16, y, random_state=0)
    with tempfile.TemporaryDirectory() as folder:
        mlflow.set_tracking_uri(f"sqlite:///{folder}/runs.db")
        mlflow.create_experiment("digits", artifact_location=f"file://{folder}/models")
        mlflow.set_experiment("digits")
        for k in (2, 8, 16):
            track(k, X, X_new, y, y_new)
        runs = mlflow.search_runs(order_by=["metrics.accuracy DESC"])
        columns = {"R2": "metrics.R2", "accuracy": "metrics.accuracy"}
        print(f"| run | {' | '.join(columns)} |\n|---|---|---|")
        for _, run in runs.iterrows():
            cells = [f"{run[column]:.3f}" for column in columns.values()]
            print(f"| {run['tags.mlflow.runName']} | {' | '.join(cells)} |")
        best = runs.iloc[0]
        model = mlflow.sklearn.load_model(f"runs:/{best['run_id']}/model")
        print(
            f"\nloaded {best['tags.mlflow.runName']}: {model.score(X_new, y_new):.3f}"
        )
        figure, ax = plt.subplots(figsize=(6, 4), layout="constrained")
        client = mlflow.MlflowClient()
        for _, run in runs.iterrows():
            history = client.get_metric_history(run["run_id"], "validation_loss")
            losses = [metric.value for metric in history]
            ax.semilogy(losses, label=run["tags.mlflow.runName"])
    ax.set(xlabel="epoch", ylabel="loss on held-out rows")
    ax.legend(frameon=False)
    path = Path("out/mlflow_runs.png")
    path.parent.mkdir(exist_ok=True)
    figure.savefig(path, dpi=100)
    print(f"\nPicture: {path}")


if __name__ == "__main__":
    main()
