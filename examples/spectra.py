"""Monitor spectra: loadings, errors by wavelength, Q residuals and Hotelling's T2.

The synthetic spectra are of two substances. Their bands move with temperature, and
saturate where they are strong, so that the spectra do not lie in a plane. Models are
fitted to some normal spectra. Others set the limits, so that one in a hundred normal
spectra is above each limit. The new spectra are normal, or have a band of a third
substance, or have more of the first substance than any training spectrum.

Q is the squared reconstruction error of a spectrum. T2 is the squared distance of its
codes from those of normal spectra. Prints the share of each kind of spectra above each
limit, for PCA with three and with eight components, and for an autoencoder with three
codes. Saves pictures as ``out/spectra.png``. Takes less than half a minute.

    python examples/spectra.py
"""

from pathlib import Path

try:
    import matplotlib
except ModuleNotFoundError as error:
    raise SystemExit(f'{error}: pip install -e ".[examples]"') from error
matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
from scipy.stats import chi2, f
from sklearn.decomposition import PCA

from skae import (
    AutoEncoderTransformer,
    EmbeddingDisplay,
    ErrorDisplay,
    LossCurveDisplay,
)

WAVELENGTHS = np.linspace(1000, 2000, 200)  # nm
LEVEL = 0.99


def band(centre, width):
    """Return a Gaussian band for each row's centre."""
    return np.exp(-0.5 * ((WAVELENGTHS - np.reshape(centre, (-1, 1))) / width) ** 2)


def spectra(n_samples, rng, most=1.0, third=0.0):
    """Return absorbances, and the concentration of the first substance.

    Parameters
    ----------
    n_samples : int
    rng : numpy Generator
    most : float
        Highest concentration of the first substance. The lowest is 0.1, or 1.4 if
        ``most`` is above 1.
    third : float
        Concentration of a substance that should not be there.
    """
    low = 0.1 if most <= 1 else 1.4
    first, second = rng.uniform(low, most, n_samples), rng.uniform(0.1, 1.0, n_samples)
    shift = rng.uniform(-25, 25, n_samples)  # of the bands, with temperature
    clean = first[:, None] * (band(1250 + shift, 60) + 0.5 * band(1700 + shift, 40))
    clean += second[:, None] * (band(1400 - shift, 70) + 0.3 * band(1850, 50))
    clean += third * band(np.full(n_samples, 1560.0), 25)
    saturated = clean / (1 + 0.3 * clean)
    return saturated + rng.normal(scale=0.01, size=saturated.shape), first


class Chart:
    """Q and T2 of a model, with their limits.

    Parameters
    ----------
    model : transformer
        Fitted.
    X : ndarray of shape (n_samples, n_features)
        Normal spectra that the model was not fitted to. They set the limits.
    """

    def __init__(self, model, X):
        self.model = model
        Z = model.transform(X)
        self.mean, covariance = Z.mean(axis=0), np.cov(Z.T)
        self.precision = np.linalg.inv(covariance)
        q, _ = self.statistics(X)
        # Box (1954): Q is about a multiple of chi squared, by its mean and variance.
        scale, freedom = q.var() / (2 * q.mean()), 2 * q.mean() ** 2 / q.var()
        (n, k) = Z.shape
        factor = k * (n - 1) * (n + 1) / (n * (n - k))
        self.limits = scale * chi2.ppf(LEVEL, freedom), factor * f.ppf(LEVEL, k, n - k)

    def statistics(self, X):
        """Return Q and T2 of spectra."""
        Z = self.model.transform(X)
        q = np.square(X - self.model.inverse_transform(Z)).sum(axis=1)
        distance = Z - self.mean
        return q, np.einsum("ij,jk,ik->i", distance, self.precision, distance)

    def above(self, X):
        """Return the shares of spectra above the limits of Q and of T2."""
        return [
            (values > limit).mean()
            for values, limit in zip(self.statistics(X), self.limits, strict=True)
        ]


def draw(ae, chart, X, new):
    """Draw loadings, sensitivities, errors, codes and the chart."""
    figure, axes = plt.subplots(2, 3, figsize=(16, 8.5), layout="constrained")
    LossCurveDisplay.from_estimator(ae, ax=axes[0, 0])
    loadings, sensitivity = axes[0, 1], axes[0, 2]
    for j, (loading, slope) in enumerate(
        zip(ae.components_, ae.sensitivity(X), strict=True)
    ):
        style = {"ls": ["-", "--", ":"][j], "label": f"code {j}"}
        loadings.plot(WAVELENGTHS, loading, **style)
        sensitivity.plot(WAVELENGTHS, slope, **style)
    loadings.set(title="loadings: what a code does", xlabel="wavelength (nm)")
    sensitivity.set(title="sensitivity: what moves a code", xlabel="wavelength (nm)")
    loadings.legend(frameon=False)
    normal, concentration = new["normal"]
    display = ErrorDisplay.from_estimator(
        ae, normal, X_train=X, feature_axis=WAVELENGTHS, metric="rmse", ax=axes[1, 0]
    )
    display.ax_.axhline(0.01, color="0.5", lw=0.8)
    display.ax_.text(2000, 0.01, "noise", ha="right", va="top", color="0.4")
    display.ax_.set(xlabel="wavelength (nm)", ylabel="error (absorbance)")
    EmbeddingDisplay.from_estimator(ae, normal, concentration, ax=axes[1, 1])
    axes[1, 1].set_title("colour: concentration of the first substance")
    ax = axes[1, 2]
    looks = zip(["o", "^", "s"], ["#0072B2", "#D55E00", "#009E73"], strict=True)
    for (name, (rows, _)), (marker, colour) in zip(new.items(), looks, strict=True):
        q, t2 = chart.statistics(rows)
        ax.scatter(
            t2, q, s=14, marker=marker, color=colour, alpha=0.7, lw=0, label=name
        )
    ax.axhline(chart.limits[0], color="k", ls="--", lw=1)
    ax.axvline(chart.limits[1], color="k", ls="--", lw=1)
    ax.set(xscale="log", yscale="log", xlabel="Hotelling's T²", ylabel="Q residual")
    ax.set_title(f"limits for {LEVEL:.0%} of normal spectra")
    ax.legend(frameon=False)
    path = Path("out/spectra.png")
    path.parent.mkdir(exist_ok=True)
    figure.savefig(path, dpi=80)
    return path


def main():
    """Print the table and save the pictures."""
    rng = np.random.default_rng(0)
    X, _ = spectra(1_000, rng)
    unseen, _ = spectra(400, rng)
    new = {
        "normal": spectra(500, rng),
        "third substance": spectra(200, rng, third=0.06),
        "more of the first": spectra(200, rng, most=1.8),
    }
    models = {
        "PCA, 3": PCA(3),
        "PCA, 8": PCA(8),
        "autoencoder, 3": AutoEncoderTransformer(3, random_state=0),
    }
    print(
        f"share of new spectra above the limits (Q, T2) for {LEVEL:.0%} of normal ones"
    )
    print(f"\n| model | RMSE | {' | '.join(new)} |")
    print("|---|---|---|---|---|")
    charts = {}
    for name, model in models.items():
        chart = charts[name] = Chart(model.fit(X), unseen)
        rows = new["normal"][0]
        rmse = np.sqrt(chart.statistics(rows)[0].mean() / X.shape[1])
        shares = [chart.above(rows) for rows, _ in new.values()]
        cells = " | ".join(f"{q:.3f}, {t2:.3f}" for q, t2 in shares)
        print(f"| {name} | {rmse:.4f} | {cells} |")
    name = "autoencoder, 3"
    print(f"\nPictures: {draw(models[name], charts[name], X, new)}")


if __name__ == "__main__":
    main()
