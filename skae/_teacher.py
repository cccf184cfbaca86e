"""Teacher: what a model of the labelled rows makes of the others.

With few labels codes learn little of the target. A model that needs less of them, such
as trees, can tell it of the other rows, which then guide the codes too (Lee 2013,
"pseudo-labels").
"""

import warnings

import numpy as np
from scipy.sparse import issparse
from sklearn.base import clone, is_classifier, is_regressor
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

from ._scaling import row_slices

__all__ = ["teach"]

_ALPHAS = np.logspace(-3, 5, 17)
_N_FOLDS = 5
# Labelled rows that "auto" learns from, and features a split of its trees looks at, at
# most: beyond, it would take longer than the network.
_ROWS = 5_000
_MOST_TRIED = 32


def teach(teacher, X, target, values, seed):
    """Return the values of targets, those that are unknown as the teacher tells them.

    Parameters
    ----------
    teacher : estimator, "auto" or None
        Not changed: each output is told by a clone of it. None knows nothing.
    X : ndarray or CSR matrix of shape (n_samples, n_features)
    target : Target
    values : ndarray of shape (n_samples, sum of ``target.sizes``)
        NaN where unknown, and so are they left where there is nothing to learn from:
        less than two rows, or one class.
    seed : int
        For what is random in it, if it has no seed of its own.
    """
    if teacher is None or not np.isnan(values).any():
        return values
    is_number = target.kind == "continuous"
    if not isinstance(teacher, str):
        _check(teacher, is_number, target.kind)
    outputs = np.split(values, np.cumsum(target.sizes)[:-1], axis=1)
    return np.hstack([_told(teacher, X, v, is_number, seed) for v in outputs])


def _check(teacher, is_number, kind):
    wanted = "regressor" if is_number else "classifier"
    if not (is_regressor if is_number else is_classifier)(teacher):
        raise ValueError(
            f"teacher={teacher!r} must be a {wanted}, since y is taken for {kind!r}. "
            "Pass another one, or name the kind of y by target_type."
        )


def _told(teacher, X, output, is_number, seed):
    """Return the values of one output, told where they are unknown."""
    known = ~np.isnan(output[:, 0])
    rows, others = np.flatnonzero(known), np.flatnonzero(~known)
    answers = output[rows, 0] if is_number else _classes(output[rows])
    n_answers = len(answers) if is_number else len(np.unique(answers))
    if not len(others) or n_answers < 2:
        return output
    if isinstance(teacher, str):
        model = _best_model(X, rows, answers, is_number, seed)
    else:
        model = _seeded(clone(teacher), seed).fit(X[rows], answers)
    if model is None:
        return output
    told = output.copy()
    for part in row_slices(len(others), X.shape[1]):
        told[others[part]] = _ask(model, X[others[part]], output.shape[1], is_number)
    return told


def _classes(output):
    """Return the class of each row, or whether it has the label."""
    return output[:, 0].astype(int) if output.shape[1] == 1 else output.argmax(axis=1)


def _best_model(X, rows, answers, is_number, seed):
    """Return the model that tells most of rows held out, None if a constant does."""
    some = slice(None, None, -(-len(rows) // _ROWS))
    rows, answers = rows[some], answers[some]
    models = _candidates(X, is_number, seed)
    search = GridSearchCV(
        Pipeline([("model", models[0])]),
        {"model": models},
        cv=KFold(min(_N_FOLDS, len(rows)), shuffle=True, random_state=seed),
        refit=_best_beyond_noise,
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of folds of one row, or without some class
        search.fit(X[rows], answers)
    return search.best_estimator_["model"] if search.best_index_ > 0 else None


def _candidates(X, is_number, seed):
    """Return what may be a teacher by itself, a constant first."""
    scaler = StandardScaler(with_mean=not issparse(X))
    if is_number:
        n_tried = min(X.shape[1], _MOST_TRIED)
        trees = ExtraTreesRegressor(max_features=n_tried, random_state=seed)
        return [DummyRegressor(), trees, make_pipeline(scaler, RidgeCV(_ALPHAS))]
    trees = ExtraTreesClassifier(random_state=seed)
    linear = make_pipeline(scaler, LogisticRegression(max_iter=1_000))
    both = VotingClassifier([("trees", trees), ("linear", linear)], voting="soft")
    return [DummyClassifier(), both]


def _best_beyond_noise(results):
    """Return which model is best, 0 unless it beats the first by a standard error."""
    folds = [scores for name, scores in results.items() if name.startswith("split")]
    gains = np.array([scores - scores[0] for scores in folds])  # (n_folds, n_models)
    sure = gains.mean(axis=0) - gains.std(axis=0) / np.sqrt(len(gains))
    best = int(np.nan_to_num(gains.mean(axis=0), nan=-1.0).argmax())
    return best if sure[best] > 0 else 0


def _seeded(model, seed):
    """Give a seed to all of a model that has none."""
    for name, value in model.get_params().items():
        if name.split("__")[-1] == "random_state" and value is None:
            model.set_params(**{name: seed})
    return model


def _ask(model, x, width, is_number):
    """Return what a model tells of rows, (n_rows, width)."""
    answers = np.reshape(model.predict(x), (-1, 1))
    # A number; a label, which is there or not; or a column for each class.
    return answers if is_number or width == 1 else answers == np.arange(width)
