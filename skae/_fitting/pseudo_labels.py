"""Teacher: a model fitted to the labelled rows that predicts the other targets.

With few labels, codes learn little about the target. A model that needs fewer labels,
such as trees, can predict the targets of the other rows. These predictions are then
used to train the codes (Lee 2013, "pseudo-labels").
"""

import warnings

import numpy as np
from numpy.typing import ArrayLike
from scipy.sparse import issparse
from sklearn.base import BaseEstimator, clone, is_classifier, is_regressor
from sklearn.dummy import DummyClassifier, DummyRegressor
from sklearn.ensemble import (
    ExtraTreesClassifier,
    ExtraTreesRegressor,
    VotingClassifier,
)
from sklearn.linear_model import LogisticRegression, RidgeCV
from sklearn.model_selection import GridSearchCV, KFold
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler

from .._data.scaling import row_slices
from .._data.targets import Target
from .._linear.pcovr import RIDGE_ALPHAS
from .._runtime.helpers import helper
from .._typing import Floats, Rows

__all__ = ["predict_missing_targets"]

_N_FOLDS = 5
# For teacher="auto": the largest number of labelled rows, and the largest number of
# features that a split of its trees tries. With more, it would take longer than the
# network.
_ROWS = 5_000
_MOST_TRIED = 32


def predict_missing_targets(
    teacher: str | BaseEstimator | None,
    X: Rows,
    y: ArrayLike,
    target: Target,
    seed: int,
) -> Floats:
    """Return the encoded ``y``, with unknown targets predicted by the teacher.

    Parameters
    ----------
    teacher : estimator, "auto" or None
        A clone of it is fitted for each output. None predicts nothing.
    X : ndarray or CSR matrix of shape (n_samples, n_features)
    y : array-like of shape (n_samples,) or (n_samples, n_outputs)
    target : Target
        How ``y`` is encoded.
    seed : int
        Random seed for parts of the teacher that have no seed of their own.

    Returns
    -------
    values : ndarray of shape (n_samples, sum of ``target.sizes``)
        NaN if there was nothing to learn from: fewer than two rows, or one class.
    """
    values = target.encode(y)
    if teacher is None:
        return values
    if not isinstance(teacher, str):
        _check(teacher, target.kind)
    ends = np.cumsum(target.sizes)
    for i, (known, answers) in enumerate(target.answers(y)):
        columns = slice(ends[i] - target.sizes[i], ends[i])
        try:
            predicted = _predict_unlabelled(
                teacher, X, known, answers, target.kind == "continuous", seed
            )
            if predicted is not None:
                values[~known, columns] = target.encode_output(i, predicted)
        except Exception as error:
            error.add_note(f"So says teacher={teacher!r}, of the rows with a target.")
            raise
    return values


def _check(teacher, kind):
    if isinstance(teacher, type):
        raise TypeError(
            f"teacher must be an object, not the class: {teacher.__name__}(...)."
        )
    is_right, wanted = is_classifier, "classifier"
    if kind == "continuous":
        is_right, wanted = is_regressor, "regressor"
    if not is_right(teacher):
        raise ValueError(
            f"teacher={teacher!r} must be a {wanted}, since y is taken for {kind!r}. "
            "Pass another one, or name the kind of y by target_type."
        )


def _predict_unlabelled(teacher, X, known, answers, is_number, seed):
    """Return predictions for the rows without a known answer, or None."""
    rows, others = np.flatnonzero(known), np.flatnonzero(~known)
    n_answers = len(answers) if is_number else len(np.unique(answers))
    if not len(others) or n_answers < 2:
        return None
    if isinstance(teacher, str):
        model = _best_model(X, rows, answers, is_number, seed)
    else:
        model = helper(_seeded(clone(teacher), seed)).fit(X[rows], answers)
    if model is None:
        return None
    parts = row_slices(len(others), X.shape[1])
    predicted = np.concatenate([np.ravel(model.predict(X[others[p]])) for p in parts])
    # Predictions are clipped to the range of the known targets: extrapolated
    # pseudo-labels would be too uncertain.
    return np.clip(predicted, answers.min(), answers.max()) if is_number else predicted


def _best_model(X, rows, answers, is_number, seed):
    """Return the best model in cross-validation, None if no model beats a constant."""
    if len(rows) > _ROWS:
        chosen = np.random.default_rng(seed).choice(len(rows), _ROWS, replace=False)
        rows, answers = rows[chosen], answers[chosen]
    models = _candidates(X, is_number, seed)
    search = GridSearchCV(
        Pipeline([("model", models[0])]),
        {"model": [helper(model) for model in models]},
        cv=KFold(min(_N_FOLDS, len(rows)), shuffle=True, random_state=seed),
        refit=_best_beyond_noise,
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # folds may have one row, or lack a class
        helper(search).fit(X[rows], answers)
    return search.best_estimator_["model"] if search.best_index_ > 0 else None


def _candidates(X, is_number, seed):
    """Return the candidates for ``teacher="auto"``, a constant first."""
    scaler = StandardScaler(with_mean=not issparse(X))
    if is_number:
        n_tried = min(X.shape[1], _MOST_TRIED)
        trees = ExtraTreesRegressor(max_features=n_tried, random_state=seed)
        return [DummyRegressor(), trees, make_pipeline(scaler, RidgeCV(RIDGE_ALPHAS))]
    trees = ExtraTreesClassifier(random_state=seed)
    linear = make_pipeline(scaler, LogisticRegression(max_iter=1_000))
    both = VotingClassifier([("trees", trees), ("linear", linear)], voting="soft")
    return [DummyClassifier(), both]


def _best_beyond_noise(results):
    """Return the best model's index, or 0 if its gain is within a standard error."""
    folds = [scores for name, scores in results.items() if name.startswith("split")]
    gains = np.array([scores - scores[0] for scores in folds])  # (n_folds, n_models)
    sure = gains.mean(axis=0) - gains.std(axis=0) / np.sqrt(len(gains))
    best = int(np.nan_to_num(gains.mean(axis=0), nan=-1.0).argmax())
    return best if sure[best] > 0 else 0


def _seeded(model, seed):
    """Set the random seed of all parts of a model that have none."""
    for name, value in model.get_params().items():
        if name.split("__")[-1] == "random_state" and value is None:
            model.set_params(**{name: seed})
    return model
