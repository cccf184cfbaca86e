"""The outlier detector: what it finds, how it explains it, and who judges which row."""

import pickle
import threading
import warnings

import numpy as np
import pandas as pd
import pytest
import sklearn
import torch
from joblib import parallel_config
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse
from sklearn.base import clone
from sklearn.datasets import load_breast_cancer
from sklearn.decomposition import PCA
from sklearn.metrics import roc_auc_score
from sklearn.neighbors import NearestNeighbors
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler, StandardScaler

from skae import (
    AutoEncoderImputer,
    AutoEncoderTransformer,
    ReconstructionOutlierDetector,
    skops_types,
)
from skae._anomaly.sampling import left_out_rows, remember, scoring_members


def plane(n_rows, seed=0):
    """Rows near a plane in four dimensions: the last two follow from the others."""
    rng = np.random.default_rng(seed)
    a, b, *noise = rng.normal(size=(6, n_rows))
    X = np.stack([a, b, a + b, a - b], axis=1)
    return X + 0.05 * np.stack(noise, axis=1)


@pytest.fixture(scope="module")
def detector():
    return ReconstructionOutlierDetector(PCA(2), contamination=0.1, random_state=0).fit(
        plane(300)
    )


@pytest.fixture(scope="module")
def autoencoder():
    return ReconstructionOutlierDetector(n_estimators=2, random_state=0).fit(plane(120))


def test_contributions_sum_to_the_score(detector, autoencoder):
    X = np.concatenate([plane(300)[:20], plane(20, seed=1), [[0, 0, 9, 0]]])
    for fitted in (detector, autoencoder):
        contributions = fitted.feature_contributions(X)
        assert contributions.shape == X.shape
        assert (contributions >= 0).all()
        assert_allclose(contributions.sum(axis=1), -fitted.score_samples(X))


@pytest.mark.parametrize("feature", [2, 3])
def test_a_broken_feature_is_named(feature):
    rows = plane(50, seed=1)
    detector = ReconstructionOutlierDetector(PCA(1), random_state=0)
    # Two clusters far apart: one code tells which, and features 2 and 3 follow.
    side = np.random.default_rng(0).choice([-5.0, 5.0], size=(300, 1))
    detector.fit(side + 0.1 * plane(300))
    rows = 5 + 0.1 * rows
    rows[:, feature] -= 4
    assert (detector.predict(rows) == -1).all()
    assert (detector.feature_contributions(rows).argmax(axis=1) == feature).all()


def test_score_is_what_the_notes_say():
    X, new = plane(40), plane(7, seed=1)
    detector = ReconstructionOutlierDetector(PCA(2), n_estimators=2, random_state=0)
    detector.fit(X)
    raw, mean, scale = new, X.mean(axis=0), X.std(axis=0)
    X, new = (X - mean) / scale, (new - mean) / scale
    (left_out, fitted) = left_out_rows(40, 20, 2, np.random.RandomState(0))
    assert_array_equal(np.sort([*left_out, *fitted]), np.arange(40))
    expected = 0
    for own, others in [(fitted, left_out), (left_out, fitted)]:
        pca = PCA(2).fit(X[np.sort(own)])
        scale = pca.transform(X[own]).std(axis=0)
        nearest = NearestNeighbors(n_neighbors=10).fit(pca.transform(X[own]) / scale)

        def terms(rows, pca=pca, scale=scale, nearest=nearest):
            codes = pca.transform(rows)
            distances, _ = nearest.kneighbors(codes / scale)
            return rows - pca.inverse_transform(codes), distances[:, -1]

        usual_errors, usual_distances = terms(X[others])
        s = np.median(np.abs(usual_errors), axis=0)
        errors, distances = terms(new)
        a = np.median(np.log1p((usual_errors / s) ** 2).sum(axis=1))
        expected -= np.log1p((errors / s) ** 2).sum(axis=1) / a / 2
        expected -= distances / np.median(usual_distances) / 2
    assert_allclose(detector.score_samples(raw), expected)


def test_training_rows_are_judged_as_in_fit(detector, autoencoder):
    for fitted, X in ((detector, plane(300)), (autoencoder, plane(120))):
        assert_allclose(fitted.score_samples(X), fitted.training_scores_, rtol=1e-10)


def test_training_rows_are_judged_by_those_that_have_not_seen_them():
    """Were it otherwise, a network that knows its rows by heart would find none odd."""

    class ByHeart(StandardScaler):
        """Bring back the rows it has seen, and a constant for all others."""

        def fit(self, X, y=None):
            self.rows_ = X.copy()
            return self

        def transform(self, X):
            return np.where((X[:, None] == self.rows_).all(2).any(1)[:, None], X, 0.0)

        def inverse_transform(self, X):
            return X

    X, new = plane(200), plane(200, seed=1)
    detector = ReconstructionOutlierDetector(ByHeart(), random_state=0).fit(X)
    typical = [np.median(detector.score_samples(rows)) for rows in (X, new)]
    assert typical[0] == pytest.approx(typical[1], rel=0.1)


@pytest.mark.parametrize("contamination", [0.05, 0.2])
def test_threshold_holds_on_new_rows(contamination):
    detector = ReconstructionOutlierDetector(
        PCA(3), contamination=contamination, max_samples=0.8, random_state=0
    )
    rng = np.random.default_rng(0)
    X, new = rng.normal(size=(400, 8)), rng.normal(size=(4000, 8))
    assert (detector.fit_predict(X) == -1).mean() == pytest.approx(contamination)
    flagged = (detector.predict(new) == -1).mean()
    assert contamination / 1.5 < flagged < 1.5 * contamination


def test_threshold_of_few_rows():
    """Of 50 rows and one more each is as likely to be the lowest: that is 1 in 51."""
    detector = ReconstructionOutlierDetector(PCA(2), contamination=1 / 51)
    detector.fit(plane(50))
    assert detector.offset_ == pytest.approx(detector.training_scores_.min())


def test_finds_a_few_malignant_rows_among_benign_ones():
    X, y = load_breast_cancer(return_X_y=True)
    rows = np.r_[np.flatnonzero(y == 1), np.flatnonzero(y == 0)[:10]]
    detector = ReconstructionOutlierDetector(n_estimators=4, random_state=0)
    scores = detector.fit(X[rows]).training_scores_
    assert roc_auc_score(y[rows] == 0, -scores) > 0.9


def test_labels_are_those_of_the_decision(detector):
    X = plane(300)
    labels = clone(detector).fit_predict(X)
    assert_array_equal(labels, detector.predict(X))
    assert_array_equal(labels == -1, detector.decision_function(X) < 0)
    assert (labels == -1).sum() == 30


def test_auto_is_the_fence_of_a_box_plot():
    detector = ReconstructionOutlierDetector(PCA(2), random_state=0).fit(plane(100))
    lower, upper = np.percentile(detector.training_scores_, [25, 75])
    assert detector.offset_ == pytest.approx(lower - 1.5 * (upper - lower))


def test_seed_repeats_and_another_differs(detector):
    X = plane(300)
    again = clone(detector).fit(X)
    assert_array_equal(again.training_scores_, detector.training_scores_)
    other = clone(detector).set_params(random_state=1).fit(X)
    assert (other.training_scores_ != detector.training_scores_).any()


def test_members_are_autoencoders_with_seeds_of_their_own(autoencoder):
    first, second = autoencoder.estimators_
    assert isinstance(first, AutoEncoderTransformer)
    assert first.random_state != second.random_state


def test_pickle_answers_and_names_no_private_module(autoencoder):
    pickled = pickle.dumps(autoencoder)
    assert b"skae._" not in pickled
    X = plane(10, seed=1)
    again = pickle.loads(pickled).score_samples(X)
    assert_array_equal(again, autoencoder.score_samples(X))


def test_skops_gives_back_what_answers_the_same(autoencoder):
    skops = pytest.importorskip("skops.io")
    data = skops.dumps(autoencoder)
    assert set(skops.get_untrusted_types(data=data)) <= {*skops_types()}
    again = skops.loads(data, trusted=skops_types())
    X = plane(10, seed=1)
    assert_array_equal(again.score_samples(X), autoencoder.score_samples(X))


def test_members_do_not_warn_each_that_they_are_pca():
    noise = np.random.default_rng(0).normal(size=(60, 3))
    estimator = AutoEncoderTransformer(1, max_iter=2, early_stopping=True)
    detector = ReconstructionOutlierDetector(estimator, n_estimators=2, random_state=0)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        detector.fit(noise)
    assert [member.stop_reason_ for member in detector.estimators_] == ["pca", "pca"]


def test_given_estimator_is_cloned():
    pca = PCA(2)
    detector = ReconstructionOutlierDetector(pca, n_estimators=3).fit(plane(50))
    assert not hasattr(pca, "components_")
    assert [e.n_components for e in detector.estimators_] == [2, 2, 2]


def test_pipeline_and_frames():
    X = pd.DataFrame(plane(60), columns=["a", "b", "sum", "difference"])
    estimator = make_pipeline(MinMaxScaler(), PCA(2, random_state=0))
    detector = ReconstructionOutlierDetector(estimator, random_state=0)
    plain = detector.fit(X.to_numpy()).training_scores_
    with sklearn.config_context(transform_output="pandas"):
        assert_allclose(detector.fit(X).training_scores_, plain)
        assert_allclose(detector.score_samples(X), plain)
    assert list(detector.feature_names_in_) == list(X.columns)


def test_units_do_not_matter_unless_asked_for():
    X = plane(100)
    params = {"estimator": PCA(2), "random_state": 0}
    detector = ReconstructionOutlierDetector(**params)
    scores = detector.fit(X).training_scores_
    in_other_units = detector.fit(X * [1e3, 1, 1e-3, 1] + 5).training_scores_
    assert_allclose(in_other_units, scores, rtol=1e-6)
    scores = detector.set_params(standardize=False).fit(X).training_scores_
    in_other_units = detector.fit(X * [1e3, 1, 1e-3, 1]).training_scores_
    assert not np.allclose(in_other_units, scores, rtol=0.1)
    in_one_other_unit = detector.fit(X * 1e-6).training_scores_
    assert_allclose(in_one_other_unit, scores, rtol=1e-6)


@pytest.mark.parametrize("kind", [sparse.csr_matrix, sparse.csc_array])
@pytest.mark.parametrize("standardize", [True, False])
def test_sparse_rows_are_judged_as_dense_ones(kind, standardize):
    X = np.maximum(plane(120), 0.0)
    params = {"estimator": PCA(2), "standardize": standardize, "random_state": 0}
    dense = ReconstructionOutlierDetector(**params).fit(X)
    detector = ReconstructionOutlierDetector(**params).fit(kind(X))
    assert_allclose(detector.training_scores_, dense.training_scores_)
    new = np.maximum(plane(20, seed=1), 0.0)
    scores = dense.score_samples(new)
    assert_allclose(detector.score_samples(kind(new)), scores)
    assert_allclose(detector.feature_contributions(kind(new)).sum(axis=1), -scores)
    # Rows are recognised, whatever they are stored in.
    assert_allclose(detector.score_samples(X), dense.training_scores_)
    assert_array_equal(detector.score_samples(X), detector.training_scores_)


def test_members_fitted_at_the_same_time_are_the_same():
    X, two_at_a_time = plane(60), threading.Barrier(2)

    class Waiting(AutoEncoderTransformer):
        def fit(self, X, y=None):
            two_at_a_time.wait(timeout=60)  # fails if no other one comes
            return super().fit(X)

    few = {"hidden_layer_sizes": (8,), "max_iter": 2, "early_stopping": False}
    params = {"n_estimators": 4, "random_state": 0}
    in_turn = ReconstructionOutlierDetector(AutoEncoderTransformer(**few), **params)
    in_turn.fit(X)
    at_once = ReconstructionOutlierDetector(Waiting(**few), n_jobs=2, **params)
    with parallel_config("threading"):
        at_once.fit(X)
    assert_array_equal(at_once.training_scores_, in_turn.training_scores_)
    assert_array_equal(at_once.score_samples(X + 1), in_turn.score_samples(X + 1))


def test_constant_features_and_equal_rows():
    X = np.tile([[1.0, 2.0, 3.0], [1.0, 4.0, 1.0]], (30, 1))
    detector = ReconstructionOutlierDetector(PCA(1), random_state=0).fit(X)
    assert_allclose(detector.training_scores_, 0, atol=1e-6)
    assert_array_equal(detector.predict([[2.0, 2.0, 3.0]]), [-1])
    assert detector.feature_contributions([[2.0, 2.0, 3.0]]).argmax() == 0


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"estimator": object()}, "estimator"),
        ({"estimator": "pca"}, "estimator"),
        ({"contamination": 0.6}, "contamination"),
        ({"n_estimators": 1}, "n_estimators"),
        ({"max_samples": 1.0}, "max_samples"),
    ],
)
def test_refuses_parameters(params, message):
    with pytest.raises(ValueError, match=message):
        ReconstructionOutlierDetector(**params).fit(plane(20))


def test_failing_fit_changes_nothing(detector):
    fitted = clone(detector).fit(plane(50))
    before = vars(fitted).copy()
    fitted.set_params(estimator=PCA(5))
    with pytest.raises(ValueError, match="n_components=5"):
        fitted.fit(plane(60))
    assert vars(fitted) == before | {"estimator": fitted.estimator}


@pytest.mark.parametrize(("n_rows", "n_left_out"), [(10, 5), (10, 2), (11, 4), (9, 7)])
def test_rows_are_left_out_about_equally_often(n_rows, n_left_out):
    rng = np.random.RandomState(0)
    hands = list(left_out_rows(n_rows, n_left_out, 10, rng))
    assert all(len(np.unique(hand)) == n_left_out for hand in hands)
    counts = np.bincount(np.concatenate(hands), minlength=n_rows)
    assert counts.max() - counts.min() <= 2
    assert counts.min() >= 1


@pytest.mark.parametrize("max_samples", [0.95, 1000])
def test_no_row_is_judged_by_those_that_have_seen_it_alone(max_samples):
    detector = ReconstructionOutlierDetector(
        PCA(1), n_estimators=3, max_samples=max_samples, random_state=0
    ).fit(plane(20))
    assert detector._seen.sum(axis=1).max() < 3


def test_rows_are_recognised_by_their_values():
    X = np.array([[0.0, 1.0], [1.0, 0.0], [0.5, 2.0], [0.5, 2.0]])
    memory = remember(X, [np.array([0, 2]), np.array([0, 1])])
    new = [[-0.0, 1.0], [1.0, 0.0], [0.5, 2.0], [0.5, 2.0 + 1e-15], [3.0, 3.0]]
    expected = [[1, 1], [1, 0], [0, 1], [1, 1], [1, 1]]  # all have seen the first
    assert_array_equal(scoring_members(np.array(new), *memory), expected)


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16])
def test_tensors_are_taken(dtype):
    X = torch.from_numpy(np.random.default_rng(0).normal(size=(40, 3))).to(dtype)
    expected = ReconstructionOutlierDetector(PCA(2), random_state=0)
    expected.fit(X.double().numpy())
    found = ReconstructionOutlierDetector(PCA(2), random_state=0).fit(X)
    scores = found.score_samples(X)
    assert_array_equal(scores, expected.score_samples(X.double().numpy()))


@pytest.mark.parametrize("size", [1e60, 1e300])
@pytest.mark.parametrize("estimator", [None, PCA(2)])
def test_huge_values_are_unusual_and_scores_stay_finite(estimator, size):
    X = np.random.default_rng(0).normal(size=(100, 5))
    detector = ReconstructionOutlierDetector(
        estimator, n_estimators=2, contamination=0.05, random_state=0
    ).fit(X)
    far = np.full((1, 5), size)
    far[0, 1] = -size
    score = detector.score_samples(far)
    assert np.isfinite(score).all() and score < detector.training_scores_.min()
    why = detector.feature_contributions(far)
    assert np.isfinite(why).all()
    assert_allclose(why.sum(axis=1), -score)
    assert detector.predict(far) == -1


def test_variances_that_overflow_are_named():
    X = np.random.default_rng(0).normal(size=(100, 5))
    X[0, 3] = 1e300
    with pytest.raises(ValueError, match="variance of feature 3 overflows.*1e\\+300"):
        ReconstructionOutlierDetector(random_state=0).fit(X)


@pytest.mark.parametrize("missing_values", [None, np.nan])
def test_missing_values_are_refused_with_a_remedy(missing_values):
    """Also if the estimator of the members takes them."""
    few = {"max_iter": 1, "early_stopping": False, "random_state": 0}
    inner = AutoEncoderTransformer(2, missing_values=missing_values, **few)
    X = plane(40)
    gaps = np.where(np.arange(X.size).reshape(X.shape) % 9 == 8, np.nan, X)
    detector = ReconstructionOutlierDetector(inner, n_estimators=2, random_state=0)
    message = "Input X contains NaN.*takes no missing values.*AutoEncoderImputer"
    with pytest.raises(ValueError, match=message):
        detector.fit(gaps)
    with pytest.raises(ValueError, match=message):
        detector.fit(X).predict(gaps)
    remedy = make_pipeline(AutoEncoderImputer(inner), detector)
    assert len(remedy.fit_predict(gaps)) == 40
