"""Search the parameters of an autoencoder with Optuna.

Needs Optuna: ``pip install -e ".[tools]"``.

Each trial chooses the number of codes, ``linearity`` and ``activation`` of an
autoencoder. Its accuracy is that of nearest neighbours on the codes, cross-validated.
There are two objectives: a high accuracy and few codes. Prints the Pareto-optimal
trials, with the accuracy on rows that the search has not seen. Saves all trials as
``out/optuna_search.png``. Takes less than a minute.

    python examples/tools/optuna_search.py
"""

from pathlib import Path

try:
    import matplotlib
    import optuna
except ModuleNotFoundError as error:
    raise SystemExit(f'{error}: pip install -e ".[tools]"') from error
matplotlib.use("Agg")
import matplotlib.pyplot as plt
from sklearn.datasets import load_digits
from sklearn.model_selection import cross_val_score, train_test_split
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline

from skae import AutoEncoderTransformer

N_TRIALS = 12


def build(params):
    """Return a pipeline with parameters that a trial has chosen."""
    reducer = AutoEncoderTransformer(max_iter=30, random_state=0, **params)
    return make_pipeline(reducer, KNeighborsClassifier())


def main():
    """Print the best trials and save the picture."""
    X, y = load_digits(return_X_y=True)
    X, X_new, y, y_new = train_test_split(X, y, train_size=800, random_state=0)

    def objectives(trial):
        params = {
            "n_components": trial.suggest_int("n_components", 2, 10),
            "linearity": trial.suggest_float("linearity", 0, 3),
            "activation": trial.suggest_categorical("activation", ["tanh", "silu"]),
        }
        accuracy = cross_val_score(build(params), X, y, cv=2).mean()
        return accuracy, params["n_components"]

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(
        directions=["maximize", "minimize"],
        sampler=optuna.samplers.TPESampler(seed=0),
    )
    study.optimize(objectives, n_trials=N_TRIALS)
    print("| codes | cross-validated | new rows | linearity | activation |")
    print("|---|---|---|---|---|")
    best = sorted(study.best_trials, key=lambda trial: trial.values[1])
    for trial in best:
        accuracy = build(trial.params).fit(X, y).score(X_new, y_new)
        params = trial.params
        print(
            f"| {params['n_components']} | {trial.values[0]:.3f} | {accuracy:.3f} | "
            f"{params['linearity']:.2f} | {params['activation']} |"
        )
    figure, ax = plt.subplots(figsize=(6, 4), layout="constrained")
    for trials, marker, label in [(study.trials, "o", "trial"), (best, "s", "best")]:
        values = [trial.values[::-1] for trial in trials]
        ax.plot(*zip(*values, strict=True), marker, label=label, alpha=0.7)
    ax.set(xlabel="codes", ylabel="accuracy, cross-validated")
    ax.legend(frameon=False)
    path = Path("out/optuna_search.png")
    path.parent.mkdir(exist_ok=True)
    figure.savefig(path, dpi=100)
    print(f"\nTrials: {path}")


if __name__ == "__main__":
    main()
