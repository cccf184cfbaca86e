"""Principal covariates: PCA that uses the target, to initialise supervised codes.

Principal covariates regression (de Jong, Kiers 1992) finds codes that are linear in X.
They minimise the error of reconstructing X plus a weight times the error of predicting
y. These codes are the principal components of a matrix: the columns of X beside the
predictions of y by linear regression.
"""

import warnings

import numpy as np
from sklearn.linear_model import LinearRegression, LogisticRegression, RidgeCV

from .._data.batches import Sample
from .._runtime.helpers import helper
from .._typing import Floats
from .pca import weighted_components

__all__ = ["RIDGE_ALPHAS", "linear_head", "principal_covariates"]

#: Candidates for the penalty weight of ridge regression.
RIDGE_ALPHAS = np.logspace(-3, 5, 17)
# Largest number of rows that a regression is fitted to.
_ROWS = 10_000


def principal_covariates(
    some: Sample, sizes: list[int], n_components: int, weight: float, seed: int
) -> tuple[Floats, Floats]:
    """Return the maps of the best linear autoencoder that also predicts the target.

    Parameters
    ----------
    some : Sample
        Scaled rows with their targets, NaN where unknown.
    sizes : list of int
        Number of columns of each output.
    n_components : int
    weight : float
        Weight of the target's squared error, in units of its variance, relative to the
        mean squared error of the features.
    seed : int

    Returns
    -------
    encoder : ndarray of shape (n_found, n_features)
    decoder : ndarray of shape (n_features, n_found)
        ``n_found`` is ``n_components``, or less if rows or features are fewer.
    """
    x, n_features = some.x, some.x.shape[1]
    coefficients = _regression(*some, sizes)  # (n_features, width)
    coefficients *= np.sqrt(weight * n_features / len(sizes))
    coefficients = coefficients.astype(x.dtype)
    both = np.hstack([x, x @ coefficients])
    n_components = min(n_components, *x.shape)
    components = weighted_components(both, some.weights, n_components, seed)
    # Coefficients of the features and of the predictions. Predictions are linear in the
    # features, so the two sets combine into one linear map.
    of_x, of_y = np.hsplit(components, [n_features])
    return of_x + of_y @ coefficients.T, of_x.T


def _regression(x, values, weights, sizes):
    """Return coefficients, (n_features, width), of cross-validated ridge regressions.

    Each output is divided by its standard deviation. The variance of an output is the
    sum over its classes.
    """
    coefficients = np.zeros((x.shape[1], values.shape[1]))
    known = ~np.isnan(values)
    columns_of: dict[bytes, list[int]] = {}
    for column, rows in enumerate(known.T):
        columns_of.setdefault(rows.tobytes(), []).append(column)
    for columns in columns_of.values():
        rows = _evenly_spaced(np.flatnonzero(known[:, columns[0]]))
        if len(rows) < 2:
            continue
        target = values[np.ix_(rows, columns)].astype(np.float64)
        ridge = helper(RidgeCV(RIDGE_ALPHAS, alpha_per_target=len(columns) > 1))
        ridge.fit(x[rows].astype(np.float64), target, _weights_of(weights, rows))
        coefficients[:, columns] = ridge.coef_.reshape(len(columns), -1).T
    spread = _spread(np.ma.masked_invalid(values), weights)
    outputs = np.split(spread, np.cumsum(sizes)[:-1])
    unit = np.sqrt([output.sum() or 1.0 for output in outputs])
    return coefficients / np.repeat(unit, sizes)


def _weights_of(weights, rows):
    return None if weights is None else weights[rows]


def _spread(values, weights):
    """Return variances of columns of a masked array, (width,), 0 if all is masked."""
    if weights is None:
        return values.var(axis=0, dtype=np.float64).filled(0.0)
    weights = weights[:, None] * ~values.mask
    total = np.maximum(weights.sum(axis=0), np.finfo(float).tiny)
    values = values.filled(0.0).astype(np.float64)
    mean = (weights * values).sum(axis=0) / total
    return (weights * np.square(values - mean)).sum(axis=0) / total


def linear_head(
    codes: Floats, values: Floats, weights: Floats | None, kind: str, sizes: list[int]
) -> tuple[Floats, Floats]:
    """Fit one linear model for each output, with the same loss as the head.

    Returns
    -------
    coefficients : ndarray of shape (width, n_components)
    intercept : ndarray of shape (width,)
    """
    heads = [
        _HEADS[kind](codes, output, weights)
        for output in np.split(values, np.cumsum(sizes)[:-1], axis=1)
    ]
    coefficients, intercept = zip(*heads, strict=True)
    return np.concatenate(coefficients), np.concatenate(intercept)


def _number_head(codes, output, weights):
    rows = _known(output)
    if not len(rows):
        return _constant_head(codes, output, 0.0)
    model = helper(LinearRegression()).fit(
        codes[rows], output[rows, 0], _weights_of(weights, rows)
    )
    return model.coef_[None], np.array([model.intercept_])


def _label_head(codes, output, weights):
    rows = _known(output)
    labels = output[rows, 0]
    if len(np.unique(labels)) < 2:
        return _constant_head(codes, output, 20.0 * labels.max(initial=0) - 10.0)
    model = _logistic_regression(codes[rows], labels, _weights_of(weights, rows))
    return model.coef_, model.intercept_


def _class_head(codes, output, weights):
    rows = _known(output)
    labels = output[rows].argmax(axis=1)
    if len(np.unique(labels)) < 2:
        return _constant_head(codes, output, 0.0)
    model = _logistic_regression(codes[rows], labels, _weights_of(weights, rows))
    coefficients, intercept = _constant_head(codes, output, -np.log(len(rows)))
    if len(model.classes_) == 2:  # scikit-learn has one score for both
        coefficients[model.classes_] = np.outer([-0.5, 0.5], model.coef_)
        intercept[model.classes_] = np.outer([-0.5, 0.5], model.intercept_)[:, 0]
    else:
        coefficients[model.classes_] = model.coef_
        intercept[model.classes_] = model.intercept_
    return coefficients, intercept


_HEADS = {
    "continuous": _number_head,
    "multilabel": _label_head,
    "multiclass": _class_head,
}


def _constant_head(codes, output, value):
    width = output.shape[1]
    return np.zeros((width, codes.shape[1])), np.full(width, float(value))


def _logistic_regression(codes, labels, weights):
    with warnings.catch_warnings():
        # An initialisation need not converge. For many classes `Target` warns already.
        warnings.simplefilter("ignore")
        return helper(LogisticRegression()).fit(codes, labels, weights)


def _known(output):
    return _evenly_spaced(np.flatnonzero(~np.isnan(output[:, 0])))


def _evenly_spaced(rows):
    """Return evenly spaced rows, ``_ROWS`` at most."""
    return rows[:: -(-len(rows) // _ROWS) or 1]
