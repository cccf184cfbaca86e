"""Report: one self-contained page about a fitted autoencoder."""

import base64
import datetime
import io
import os
import platform
import sys
from collections.abc import Sequence
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from sklearn.base import BaseEstimator
from sklearn.linear_model import LogisticRegression, RidgeCV
from sklearn.model_selection import KFold, StratifiedKFold, cross_val_score
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils import check_consistent_length

from .._notebook import network_shape, result_in_words
from .._reconstruction import ReconstructingTransformer
from .._runtime.files import check_path, write_whole
from .._typing import MatrixLike
from .canvas import pyplot
from .comparison import (
    PCAWithUnits,
    compare,
    encode,
    last_step,
    name_features,
    share_of_variance,
    unpack,
)
from .embedding import EmbeddingDisplay, are_numbers, read_target
from .error import ErrorDisplay
from .loss_curve import LossCurveDisplay
from .reconstruction import ReconstructionDisplay
from .rows import filled_rows, has_gaps, observed_variance, with_slices
from .scree import ScreeDisplay
from .traversal import TraversalDisplay

__all__ = ["report"]

_TEMPLATE = Path(__file__).with_name("report.html.jinja")
_HARDEST = 10
_FOLDS = 5
# Largest number of rows that the score of a simple model is measured on.
_MOST_ROWS = 5_000
_DPI = 110


def report(
    estimator: BaseEstimator,
    X: MatrixLike,
    y: ArrayLike | None = None,
    *,
    path: str | os.PathLike[str] = "report.html",
    X_train: MatrixLike | None = None,
    cv: Any = None,
    image_shape: Sequence[int] | None = None,
    feature_axis: ArrayLike | None = None,
    title: str | None = None,
) -> Path:
    """Write a report on a fitted autoencoder and some rows, as one HTML file.

    The report has a table that compares the raw features, PCA and the autoencoder;
    pictures; the rows and features with the largest errors; settings and versions. The
    file contains its pictures, and loads nothing from the internet.

    Parameters
    ----------
    estimator : AutoEncoderTransformer or Pipeline that ends in one
        Fitted estimator.
    X : {array-like, sparse matrix} of shape (n_samples, n_features)
        Rows to evaluate on, preferably rows that the estimator was not fitted to.
    y : array-like of shape (n_samples,), default=None
        Classes or numbers. If given, a linear model that predicts them (logistic
        regression or ridge) is cross-validated on the features and on the codes.
    path : str or os.PathLike, default="report.html"
        Path of the file, in a folder that exists. An existing file is replaced as a
        whole.
    X_train : {array-like, sparse matrix}, default=None
        The rows that the estimator was fitted to, for PCA and the threshold of errors.
        None means ``X``, which favours PCA if these are new rows.
    cv : int, splitter or None, default=None
        Folds of ``X_train`` for the threshold of the errors of rows, as in
        `ErrorDisplay`. Each takes the time of a fit. None takes the errors of the
        training rows themselves; more than one per cent of normal new rows exceed
        these.
    image_shape : tuple of int, default=None
        Shape of rows that are pictures.
    feature_axis : array-like of shape (n_features,), default=None
        Positions of features that have an order, such as wavelengths.
    title : str, default=None
        Title of the page. None means the name of the estimator.

    Returns
    -------
    path : pathlib.Path
        Path of the file.

    Raises
    ------
    ImportError
        If matplotlib or Jinja2 is missing: ``pip install skae[report]``.
    FileNotFoundError, IsADirectoryError
        If ``path`` is in a folder that does not exist, or is a folder itself.

    Examples
    --------
    >>> import tempfile, os
    >>> from sklearn.datasets import load_iris
    >>> from skae import AutoEncoderTransformer, report
    >>> X, y = load_iris(return_X_y=True)
    >>> ae = AutoEncoderTransformer(2, max_iter=10, random_state=0).fit(X)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     page = report(ae, X, y, path=os.path.join(folder, "iris.html"))
    ...     page.name
    'iris.html'
    """
    template = _template()
    check_path(path)
    X, X_train = with_slices(X), with_slices(X_train)
    compared = compare(estimator, X, X_train)
    fitted, rows, _ = unpack(estimator, X)
    learnt = rows if X_train is None else unpack(estimator, X_train)[1]
    if y is not None:
        check_consistent_length(compared.X, y)
    shape = {"image_shape": image_shape, "feature_axis": feature_axis}
    figures = _pictures(estimator, compared, X, X_train, cv, y, shape)
    text = template.render(
        title=title or f"{type(fitted).__name__}: {_count_rows(len(compared.X))}",
        facts=_facts(fitted, compared),
        table=_table(fitted, compared, rows, filled_rows(fitted, learnt), y),
        notes=_notes(fitted, compared, X_train, cv, y),
        figures=figures,
        rows=_hardest_rows(compared, feature_axis),
        features=_hardest_features(compared, feature_axis),
        steps=_steps(estimator),
        settings=_settings(fitted),
        versions=_versions(),
    )
    return write_whole(path, text)


def _template():
    try:
        import jinja2
    except ImportError as error:
        raise ImportError(
            "A report needs Jinja2, which is not installed: pip install skae[report]"
        ) from error
    pyplot()  # raises an error at once if matplotlib is missing
    options: dict[str, Any] = {"trim_blocks": True, "lstrip_blocks": True}
    environment = jinja2.Environment(
        autoescape=True, undefined=jinja2.StrictUndefined, **options
    )
    return environment.from_string(_TEMPLATE.read_text(encoding="utf-8"))


def _count_rows(n_rows):
    return f"{n_rows:,} row" if n_rows == 1 else f"{n_rows:,} rows"


def _facts(fitted, compared):
    """Return the main facts, by name."""
    n_rows, n_features = compared.X.shape
    facts = {"rows": f"{n_rows:,}", "features": f"{n_features:,}"}
    if isinstance(fitted, ReconstructingTransformer):
        n_weights = sum(weight.size for weight in fitted._weights.values())
        facts |= {
            "result": result_in_words(fitted),
            "fitted to": _count_rows(fitted.n_samples_),
            "network": network_shape(fitted),
            "parameters": f"{n_weights:,}",
            "epochs": f"{fitted.n_iter_}, kept: {fitted.best_iter_}",
        }
        if fitted.result_ == "network":  # else it is the result that says why
            facts["ended"] = fitted.stop_reason_
    return facts


def _table(fitted, compared, rows, learnt, y):
    """Return a line each for the features, PCA's codes and the estimator's codes."""
    Z = encode(fitted, rows)
    pca = PCAWithUnits(Z.shape[1], compared.unit).fit(learnt)
    codes = {
        "raw features": (compared.filled, compared.X),
        compared.baseline_name: (pca.transform(compared.filled), compared.baseline),
        type(fitted).__name__: (Z, compared.reconstruction),
    }
    return [
        {
            "name": name,
            "n_numbers": values.shape[1],
            "r2": share_of_variance(compared.X, again, compared.unit),
            "score": _score(values, y),
        }
        for name, (values, again) in codes.items()
    ]


def _score(values, y):
    """Return the cross-validated score of a simple model, or None.

    Returns
    -------
    score : dict or None
        Name of the measure, mean and standard deviation over folds.
    """
    if y is None:
        return None
    target, known = read_target(y)
    values = values[known]
    if len(values) > _MOST_ROWS:
        some = np.random.default_rng(0).choice(len(values), _MOST_ROWS, replace=False)
        values, target = values[some], target[some]
    if are_numbers(target):
        n_folds, folds, model, name = len(target), KFold, RidgeCV(), "R²"
    else:
        n_folds = np.unique(target, return_counts=True)[1].min(initial=len(target))
        folds, name = StratifiedKFold, "accuracy"
        model = LogisticRegression(max_iter=1000)
    n_folds = min(_FOLDS, int(n_folds))
    if n_folds < 2 or len(np.unique(target)) < 2:
        return None  # a class with a single row
    model = make_pipeline(StandardScaler(), model)
    split = folds(n_folds, shuffle=True, random_state=0)
    scores = cross_val_score(model, values, target, cv=split)
    return {"measure": name, "mean": scores.mean(), "std": scores.std()}


def _notes(fitted, compared, X_train, cv, y):
    """Return the notes below the table."""
    notes = ["R² is the share of the variance of these rows that is reconstructed."]
    if not observed_variance(compared.X).any():
        notes.append("These rows have no variance, so R² is undefined.")
    if X_train is None:
        notes.append("PCA was fitted to the rows of this report: X_train is not given.")
    elif cv is None:
        notes.append(
            "The threshold of the errors of rows is that of the training rows. More "
            "than one per cent of normal new rows are above it; with cv=5 it holds for "
            "new rows too."
        )
    if has_gaps(compared.X):
        notes.append(
            "R² and errors are of the observed entries. PCA and the linear model of "
            "the raw features get rows whose gaps the autoencoder has filled."
        )
    if y is not None:
        notes.append(
            "The score is that of a linear model (logistic regression, or ridge) on "
            "standardized columns, cross-validated. The codes were not fitted again in "
            "each fold."
        )
        if getattr(fitted, "target_type_", None) is not None:
            notes.append(
                "The autoencoder was fitted with a target: on rows that it was fitted "
                "to, its score is too high."
            )
    return notes


def _pictures(estimator, compared, X, X_train, cv, y, shape):
    """Return all pictures that are possible, each with a caption."""
    of_rows = {"X_train": X_train}
    axis = {"feature_axis": shape["feature_axis"]}
    fitted = last_step(estimator)
    draw = partial(_draw, estimator, X)
    figures = [
        draw("Reconstructions", ReconstructionDisplay, **of_rows, **shape),
        draw("Errors of the features", ErrorDisplay, **of_rows, **axis),
        draw("Errors of the rows", ErrorDisplay, kind="row", cv=cv, **of_rows),
        draw("What the codes do", TraversalDisplay, **shape),
    ]
    if np.shape(estimator.transform(X[:1]))[1] > 1:
        figures.append(draw("Two codes", EmbeddingDisplay, y=y))
    if getattr(fitted, "loss_curve_", None):
        display = LossCurveDisplay.from_estimator(estimator)
        figures.append({"caption": "The training", "png": _png(display)})
    varies = np.any(observed_variance(compared.X) > 0)
    if varies and getattr(fitted, "_ordered", False):
        figures.append(draw("How many codes", ScreeDisplay, **of_rows))
    return figures


def _draw(estimator, X, caption, display, **options):
    picture = display.from_estimator(estimator, X, **options)
    return {"caption": caption, "png": _png(picture)}


def _png(display):
    """Return a picture as base64 text, and close its figure."""
    buffer = io.BytesIO()
    display.figure_.savefig(buffer, format="png", dpi=_DPI)
    pyplot().close(display.figure_)
    return base64.b64encode(buffer.getvalue()).decode("ascii")


def _hardest_rows(compared, feature_axis):
    """Return the rows with the largest errors, and the features that cause them."""
    errors = compared.row_errors(compared.reconstruction)
    of_pca = compared.row_errors(compared.baseline)
    names = name_features(compared.names, compared.X.shape[1], feature_axis)
    lines = []
    for i in np.argsort(-errors)[:_HARDEST]:
        parts = np.square((compared.X[i] - compared.reconstruction[i]) / compared.unit)
        parts = np.nan_to_num(parts) / (np.nansum(parts) or 1.0)
        largest = np.argsort(-parts)[:3]
        why = ", ".join(f"{names[j]} ({parts[j]:.0%})" for j in largest)
        lines.append({"row": i, "error": errors[i], "pca": of_pca[i], "why": why})
    return lines


def _hardest_features(compared, feature_axis):
    """Return the features that lose the largest shares of their variance."""
    variances = observed_variance(compared.X)
    names = name_features(compared.names, compared.X.shape[1], feature_axis)
    varied = np.flatnonzero(variances > 0)
    ours, of_pca = (
        compared.feature_errors(again)[varied] / variances[varied]
        for again in (compared.reconstruction, compared.baseline)
    )
    return [
        {"name": names[varied[i]], "lost": ours[i], "pca": of_pca[i]}
        for i in np.argsort(-ours)[:_HARDEST]
    ]


def _steps(estimator):
    """Return the steps of a pipeline before its last one, with their parameters."""
    if not isinstance(estimator, Pipeline):
        return {}
    return {name: repr(step) for name, step in estimator.steps[:-1]}


def _settings(fitted):
    """Return the parameters that differ from the defaults, and the others."""
    defaults = type(fitted)().get_params(deep=False)
    params = fitted.get_params(deep=False)
    texts = {name: repr(value) for name, value in params.items()}
    changed = {n: t for n, t in texts.items() if t != repr(defaults[n])}
    return {"changed": changed, "others": {n: texts[n] for n in texts.keys() - changed}}


def _versions():
    package = sys.modules[__package__.partition(".")[0]]
    names = ("scikit-learn", "torch", "numpy", "matplotlib")
    written = datetime.datetime.now().astimezone().strftime("%Y-%m-%d %H:%M %Z")
    return {
        "skae": package.__version__,
        **{name: version(name) for name in names},
        "Python": platform.python_version(),
        "written": written,
    }


report.__module__ = "skae"
