"""Monitor the sensors of a machine: when something is wrong, and with which sensor.

Twenty synthetic sensors depend on the same three causes (load, speed, weather). Each
has its own nonlinear response, and noise. A detector learns from 2,000 normal minutes.
The next 600 minutes contain three faults: one sensor drifts, the cables of two sensors
are swapped, and friction heats three parts more than load and speed explain. Most
values stay within their usual range. Prints the share of minutes that limits for each
sensor, an isolation forest, PCA and autoencoders flag, for normal minutes and for each
fault. Also prints which sensors contribute most. Saves the scores over time as
``out/sensors.png``. Takes about twenty seconds.

    python examples/sensors.py
"""

from pathlib import Path

try:
    import matplotlib
except ModuleNotFoundError as error:
    raise SystemExit(f'{error}: pip install -e ".[examples]"') from error
matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
from sklearn.decomposition import PCA
from sklearn.ensemble import IsolationForest

from skae import AutoEncoderTransformer, ReconstructionOutlierDetector

N_SENSORS, SHARE = 20, 0.01
FAULTS = {
    "sensor 4 drifts": slice(100, 200),
    "7 and 12 swapped": slice(300, 400),
    "friction": slice(500, 600),
}
HEATED = [2, 9, 15]


class Limits:
    """An alarm if any sensor is outside its usual range."""

    def fit(self, X):
        """Set ranges such that all sensors together exclude ``SHARE`` of the rows."""
        part = SHARE / X.shape[1] / 2
        self.low, self.high = np.quantile(X, [part, 1 - part], axis=0)
        return self

    def predict(self, X):
        """Return -1 for rows with an alarm, else 1."""
        return np.where(((X < self.low) | (X > self.high)).any(axis=1), -1, 1)


def machine(n, rng, weights):
    """Return ``n`` minutes of all sensors."""
    steps = rng.normal(scale=0.8, size=(n, 3)).cumsum(axis=0)
    causes = np.sin(steps)  # wander within bounds
    return np.tanh(causes @ weights) + rng.normal(scale=0.03, size=(n, N_SENSORS))


def break_down(X):
    """Return a copy of rows with the faults."""
    X = X.copy()
    drift, swap, friction = FAULTS.values()
    X[drift, 4] = np.clip(X[drift, 4] + np.linspace(0, 0.6, 100), -1, 1)
    X[swap, [7, 12]] = X[swap, [12, 7]]
    X[friction, HEATED] += 0.15
    return X


def main():
    """Print the tables and save the picture."""
    rng = np.random.default_rng(0)
    weights = rng.normal(size=(3, N_SENSORS))
    X, X_new = machine(2_000, rng, weights), machine(600, rng, weights)
    X_new = break_down(X_new)
    is_normal = np.ones(len(X_new), dtype=bool)
    for minutes in FAULTS.values():
        is_normal[minutes] = False
    params = {"contamination": SHARE, "max_samples": 0.8, "n_estimators": 5}
    params |= {"random_state": 0}
    detectors = {
        "limits": Limits(),
        "isolation forest": IsolationForest(contamination=SHARE, random_state=0),
        "PCA": ReconstructionOutlierDetector(PCA(3), **params),
        "autoencoders": ReconstructionOutlierDetector(
            AutoEncoderTransformer(3), **params
        ),
    }
    print(f"| flagged minutes | normal | {' | '.join(FAULTS)} |")
    print("|---|---|---|---|---|")
    for name, detector in detectors.items():
        is_alarm = detector.fit(X).predict(X_new) == -1
        shares = [is_alarm[is_normal].mean()]
        shares += [is_alarm[minutes].mean() for minutes in FAULTS.values()]
        print(f"| {name} | {' | '.join(f'{share:.0%}' for share in shares)} |")

    detector = detectors["autoencoders"]
    contributions = detector.feature_contributions(X_new)
    for name, minutes in FAULTS.items():
        worst = np.argsort(-contributions[minutes].mean(axis=0))[:3]
        print(f"\n{name}: top sensors are {', '.join(map(str, worst))}", end="")
    figure, (top, bottom) = plt.subplots(
        2, 1, figsize=(10, 6), sharex=True, layout="constrained"
    )
    top.semilogy(-detector.score_samples(X_new), lw=0.8, color="#0072B2")
    top.axhline(-detector.offset_, color="#D55E00", ls="--", label="threshold")
    ticks = [1, 2, 3, 4, 6]
    top.set_yticks(ticks, ticks)
    top.minorticks_off()
    top.set(ylabel="how unusual, 2 is ordinary", xlim=(0, len(X_new)))
    top.legend(frameon=False, loc="upper left")
    bottom.imshow(
        np.sqrt(np.clip(contributions.T, 0, None)), aspect="auto", cmap="viridis"
    )
    bottom.set(ylabel="sensor", xlabel="minute", yticks=range(0, N_SENSORS, 2))
    bottom.set_title("contribution of each sensor")
    for name, minutes in FAULTS.items():
        top.axvspan(minutes.start, minutes.stop, color="0.9", zorder=0)
        top.text(minutes.start, 1.02, name, transform=top.get_xaxis_transform())
    path = Path("out/sensors.png")
    path.parent.mkdir(exist_ok=True)
    figure.savefig(path, dpi=90)
    print(f"\n\nPicture: {path}")


if __name__ == "__main__":
    main()
