"""The imputer: where KNNImputer stands."""

import pickle

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.datasets import load_wine
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import parametrize_with_checks

from skae import AutoEncoderImputer, AutoEncoderTransformer

X = StandardScaler().fit_transform(load_wine().data[:, :6])
MISSING = np.random.default_rng(0).random(X.shape) < 0.15
GAPS = np.where(MISSING, np.nan, X)
SMALL = AutoEncoderTransformer(
    2, hidden_layer_sizes=(8,), max_iter=3, early_stopping=False, random_state=0
)
pytestmark = pytest.mark.filterwarnings("ignore::UserWarning")


@parametrize_with_checks([AutoEncoderImputer(SMALL)])
def test_it_passes_the_checks(estimator, check):
    check(estimator)


def test_gaps_are_filled_as_impute_does_and_the_rest_stays():
    imputer = AutoEncoderImputer(SMALL).fit(GAPS)
    complete = imputer.transform(GAPS)
    assert_array_equal(complete[~MISSING], X[~MISSING])
    assert np.isfinite(complete).all()
    assert_array_equal(complete, imputer.estimator_.impute(GAPS))
    errors = np.square(complete - X)[MISSING].mean()
    assert errors < 0.8 * np.square(X - np.nanmean(GAPS, axis=0))[MISSING].mean()


def test_markers_are_gaps():
    expected = AutoEncoderImputer(SMALL).fit_transform(GAPS)
    marked = np.where(MISSING, -99.0, X)
    imputer = AutoEncoderImputer(SMALL, missing_values=-99)
    assert_array_equal(imputer.fit_transform(marked), expected)
    with pytest.raises(ValueError, match="NaN"):
        imputer.fit(GAPS)


def test_by_default_there_are_half_as_many_codes_as_features(brief):
    imputer = AutoEncoderImputer(random_state=0).fit(GAPS[:40])
    assert imputer.estimator_.n_components_ == 3
    again = AutoEncoderImputer(random_state=0).fit(GAPS[:40])
    assert_array_equal(again.transform(GAPS), imputer.transform(GAPS))


def test_complete_training_rows_teach_too():
    complete = AutoEncoderImputer(SMALL).fit(X).transform(GAPS)
    assert np.isfinite(complete).all()


def test_frames_pickles_and_searches():
    frame = pd.DataFrame(GAPS, columns=list("abcdef")).astype("float32")
    imputer = AutoEncoderImputer(SMALL).set_output(transform="pandas").fit(frame)
    complete = imputer.transform(frame)
    assert list(complete.columns) == list("abcdef")
    assert (complete.dtypes == np.float32).all()
    again = pickle.loads(pickle.dumps(imputer))
    assert_allclose(again.transform(frame), complete)
    model = make_pipeline(AutoEncoderImputer(SMALL), LogisticRegression())
    grid = {"autoencoderimputer__estimator__n_components": [1, 2]}
    search = GridSearchCV(model, grid, cv=2, error_score="raise")
    assert search.fit(GAPS, load_wine().target).best_score_ > 0.5


def test_a_failing_fit_leaves_the_old_one():
    imputer = AutoEncoderImputer(SMALL).fit(GAPS)
    before = imputer.transform(GAPS)
    empty = GAPS.copy()
    empty[:, 2] = np.nan
    with pytest.raises(ValueError, match="No value of feature 2"):
        imputer.fit(empty)
    assert_array_equal(imputer.transform(GAPS), before)
