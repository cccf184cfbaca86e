"""Teacher: what it tells of rows without a target, and what that does for the codes."""

import warnings

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.sparse import csr_matrix
from sklearn.base import clone
from sklearn.compose import TransformedTargetRegressor
from sklearn.ensemble import ExtraTreesRegressor, RandomForestClassifier
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LinearRegression, LogisticRegression, RidgeCV
from sklearn.model_selection import GridSearchCV
from sklearn.neighbors import KNeighborsClassifier, KNeighborsRegressor
from sklearn.pipeline import make_pipeline
from sklearn.svm import LinearSVC

from skae import AutoEncoderTransformer
from skae._data.targets import Target
from skae._fitting.pseudo_labels import predict_missing_targets

FEW = {"max_iter": 5, "random_state": 0}


def rows(n_samples=300, n_features=6):
    return np.random.default_rng(0).normal(size=(n_samples, n_features))


def partly(y, n_known=60, unknown=np.nan):
    """Forget all targets but some."""
    y = np.array(y, dtype=np.float64)
    y[n_known:] = unknown
    return y


def told(teacher, X, y, target=None):
    target = target or Target.fit(y, "auto")
    return (
        target,
        target.encode(y),
        predict_missing_targets(teacher, X, y, target, seed=0),
    )


@pytest.mark.parametrize("teacher", ["auto", LinearRegression()])
def test_numbers_are_told_where_they_are_unknown(teacher):
    X = rows()
    y = 100 + 10 * X[:, 0]
    target, before, after = told(teacher, X, partly(y))
    assert_array_equal(after[:60], before[:60])
    assert np.isnan(before[60:]).all()
    y = np.clip(y, y[:60].min(), y[:60].max())
    assert_allclose(after[:, 0] * target.scale + target.mean, y, atol=0.1)


def test_auto_is_trees_where_a_line_tells_nothing():
    X = rows(600)
    y = np.sign(X[:, 0] * X[:, 1]) + 0.01 * X[:, 2]
    _, _, after = told("auto", X, partly(y, 300))
    assert np.corrcoef(after[300:, 0], y[300:])[0, 1] > 0.8


@pytest.mark.parametrize("teacher", ["auto", KNeighborsClassifier(), LinearSVC()])
def test_classes_are_told_one_for_each_row(teacher):
    X = rows(n_features=2)
    y = np.digitize(X[:, 0], [-0.5, 0.5])
    _, before, after = told(teacher, X, partly(y))
    assert_array_equal(after[:60], before[:60])
    assert_array_equal(np.sort(after, axis=1), np.eye(3)[np.full(300, 2)])
    assert np.mean(after[60:].argmax(axis=1) == y[60:]) > 0.7


def test_a_class_that_no_labelled_row_of_a_part_has_is_never_told():
    X = rows()
    y = np.digitize(X[:, 0], [-0.5, 0.5])
    target = Target.fit(y, "auto")
    only_two = np.where((np.arange(len(y)) < 60) & (y < 2), y, np.nan)
    _, _, after = told(LogisticRegression(), X, only_two, target)
    assert (after[60:, 2] == 0).all()
    assert (after.sum(axis=1) == 1).all()


@pytest.mark.parametrize("teacher", ["auto", LogisticRegression()])
def test_labels_are_told_apart_from_each_other(teacher):
    X = rows()
    Y = (X[:, :2] > 0).astype(float)
    Y[60:200, 0] = np.nan
    Y[150:, 1] = np.nan
    _, before, after = told(teacher, X, Y)
    known = ~np.isnan(before)
    assert_array_equal(after[known], before[known])
    assert np.isin(after, [0, 1]).all()
    assert np.mean((after > 0.5) == (X[:, :2] > 0)) > 0.9


def test_where_nothing_beats_a_constant_rows_stay_unknown():
    draws = np.random.default_rng(0).normal(size=(5, 300))
    left = [told("auto", rows(), partly(y))[2][60:] for y in draws]
    assert np.isnan(left).all(axis=(1, 2)).sum() >= 4


@pytest.mark.parametrize("teacher", ["auto", KNeighborsRegressor(1)])
@pytest.mark.parametrize("n_known", [1, 2, 3])
def test_few_labelled_rows_are_no_obstacle(teacher, n_known):
    X = rows(30)
    model = AutoEncoderTransformer(
        2, supervision=1, teacher=teacher, target_type="continuous", **FEW
    )
    y = partly(X[:, 0], n_known)
    if n_known == 1:
        _, before, after = told(teacher, X, y)
        assert_array_equal(after, before)
    assert np.isfinite(model.fit(X, y).transform(X)).all()


def test_one_class_among_the_labelled_teaches_nothing():
    X, y = rows(), partly(np.zeros(300))
    _, before, after = told("auto", X, y, Target.fit([0, 1], "multiclass"))
    assert_array_equal(after, before)


def test_sparse_rows_are_told_like_dense_ones():
    X = rows() * (rows() > 0)
    y = partly(X[:, 0])
    _, _, dense = told(LinearRegression(), X, y)
    _, _, sparse = told(LinearRegression(), csr_matrix(X), y)
    assert_allclose(sparse, dense, atol=1e-4)
    assert not np.isnan(told("auto", csr_matrix(X), y)[2]).any()


@pytest.mark.parametrize(
    ("teacher", "y", "message"),
    [
        (LinearSVC(), partly(np.arange(300) / 7), "LinearSVC.* must be a regressor"),
        (RidgeCV(), partly(np.arange(300) % 3), "must be a classifier"),
    ],
)
def test_a_teacher_of_the_wrong_kind_is_refused(teacher, y, message):
    model = AutoEncoderTransformer(supervision=1.0, teacher=teacher)
    with pytest.raises(ValueError, match=message):
        model.fit(rows(), y)
    assert not hasattr(model, "n_components_")


@pytest.mark.parametrize("teacher", ["forest", 3])
def test_what_is_no_teacher_is_refused(teacher):
    model = AutoEncoderTransformer(supervision=1.0, teacher=teacher)
    with pytest.raises(ValueError, match="teacher"):
        model.fit(rows(), partly(rows()[:, 0]))


def test_it_is_not_changed_and_fits_repeat():
    X, teacher = rows(), ExtraTreesRegressor(10)
    model = AutoEncoderTransformer(supervision=1.0, teacher=teacher, **FEW)
    y = partly(X[:, 0] * X[:, 1])
    codes = model.fit(X, y).transform(X)
    assert not hasattr(teacher, "estimators_")
    assert teacher.random_state is None
    assert_array_equal(clone(model).fit(X, y).transform(X), codes)


def test_it_has_no_part_where_all_rows_have_a_target():
    X, y = rows(), rows()[:, 0]
    with_one, without = (
        AutoEncoderTransformer(supervision=1.0, teacher=t, **FEW).fit(X, y)
        for t in ("auto", None)
    )
    assert_array_equal(with_one.transform(X), without.transform(X))


def test_codes_know_more_of_the_target_with_a_teacher():
    X = rows(1_000)
    X[:, :2] *= 0.5  # of least variance, so that PCA leaves them out
    y = np.sin(3 * X[:, 0]) + X[:, 1]
    known, new = slice(None, 60), slice(60, None)
    scores = []
    for teacher in (None, ExtraTreesRegressor(random_state=0)):
        model = AutoEncoderTransformer(
            2, supervision=3, teacher=teacher, random_state=0
        )
        Z = model.fit(X, partly(y)).transform(X)
        scores.append(
            KNeighborsRegressor().fit(Z[known], y[known]).score(Z[new], y[new])
        )
    assert scores[1] > scores[0] + 0.05


def test_it_learns_and_answers_in_the_labels_and_units_of_y():
    X = rows(n_features=2)
    y = np.array(["no", "yes"], dtype=object)[(X[:, 0] > 0).astype(int)]
    weighted = LogisticRegression(class_weight={"no": 1, "yes": 1})
    for teacher in (weighted, FrozenEstimator(clone(weighted).fit(X, y))):
        _, _, after = told(teacher, X, np.where(np.arange(300) < 60, y, None))
        assert np.mean(after[:, 1] == (y == "yes")) > 0.9
    y = np.exp(X[:, 0])
    log = TransformedTargetRegressor(
        LinearRegression(), func=np.log, inverse_func=np.exp
    )
    for teacher in (log, FrozenEstimator(clone(log).fit(X, y))):
        target, _, after = told(teacher, X, partly(y))
        between = (y > y[:60].min()) & (y < y[:60].max())
        after = after[:, 0] * target.scale + target.mean
        assert_allclose(after[between], y[between], rtol=1e-4)


def test_numbers_are_told_within_those_that_are_known():
    X = rows()
    _, before, after = told(LinearRegression(), X, partly(X[:, 0], 10))
    assert after[10:].max() == before[:10].max()
    assert after[10:].min() == before[:10].min()


def test_auto_asks_a_random_part_of_many_labelled_rows(monkeypatch):
    monkeypatch.setattr("skae._fitting.pseudo_labels._ROWS", 100)
    X = rows(400)
    is_odd = np.arange(400) % 2
    X[:, 0] += 5 * is_odd
    _, _, after = told("auto", X, partly(is_odd, 250))
    assert np.mean(after[:, 1] == is_odd) > 0.9


@pytest.mark.parametrize(
    ("teacher", "message"),
    [
        (KNeighborsRegressor(70), "n_neighbors"),
        (LinearRegression, "not the class: LinearRegression"),
    ],
)
def test_what_goes_wrong_in_a_teacher_names_it(teacher, message):
    model = AutoEncoderTransformer(supervision=1.0, teacher=teacher)
    with pytest.raises((ValueError, TypeError), match=message) as raised:
        model.fit(rows(), partly(rows()[:, 0]))
    notes = getattr(raised.value, "__notes__", [str(raised.value)])
    assert "teacher" in notes[0]


def test_grids_reach_its_parameters():
    X = rows(200)
    y = (X[:, 0] > 0).astype(int)
    model = make_pipeline(
        AutoEncoderTransformer(
            2, supervision=1.0, teacher=RandomForestClassifier(10), **FEW
        ),
        LogisticRegression(),
    )
    grid = {"autoencodertransformer__teacher__max_depth": [1, 3]}
    search = GridSearchCV(model, grid, cv=2).fit(X, y)
    assert search.best_estimator_[0].teacher.max_depth in (1, 3)


def test_partial_fit_teaches_with_the_rows_at_hand():
    X = rows()
    y = partly(X[:, 0] + X[:, 1] * X[:, 2])
    with_one, without = (
        AutoEncoderTransformer(supervision=3.0, teacher=t, random_state=0)
        for t in (LinearRegression(), None)
    )
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for model in (with_one, without):
            model.partial_fit(X, y).partial_fit(X)
    assert np.abs(with_one.transform(X) - without.transform(X)).max() > 1e-3
