"""The estimator among scikit-learn's tools: pipelines, grids, frames, routing."""

import subprocess
import sys

import joblib
import numpy as np
import pytest
import sklearn
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone
from sklearn.compose import ColumnTransformer
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import (
    GridSearchCV,
    RandomizedSearchCV,
    cross_val_score,
    cross_validate,
)
from sklearn.pipeline import FeatureUnion, Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler

from skae import AutoEncoderTransformer


def quick(n_components=2, **params):
    """Return an autoencoder that trains for a moment."""
    params = {"max_iter": 3, "random_state": 0} | params
    return AutoEncoderTransformer(n_components, **params)


@pytest.fixture
def some(digits):
    X, y = digits
    return X[:300], y[:300]


class TestDropIn:
    """A script written for PCA runs with the class name changed."""

    @pytest.mark.parametrize("reducer", [PCA(n_components=5), quick(n_components=5)])
    def test_fit_transform_inverse_names(self, reducer, some):
        X, _ = some
        Z = reducer.fit(X).transform(X)
        assert Z.shape == (300, 5)
        assert reducer.inverse_transform(Z).shape == X.shape
        prefix = type(reducer).__name__.lower()
        names = [f"{prefix}{i}" for i in range(5)]
        assert reducer.get_feature_names_out().tolist() == names
        assert reducer.n_components_ == 5
        assert reducer.mean_.shape == (64,)
        assert reducer.n_samples_ == 300
        assert reducer.explained_variance_ratio_.shape == (5,)

    @pytest.mark.parametrize("n_components", [0.5, 0.95, None])
    def test_number_of_components_is_found_as_by_pca(self, n_components, some):
        X, _ = some
        model = quick(n_components, warm_start=True).fit(X)
        assert model.n_components_ == PCA(n_components).fit(X).n_components_
        assert model.transform(X).shape == (300, model.n_components_)
        assert model.fit(X[:50]).n_components_ == model.n_components_

    @pytest.mark.parametrize("n_components", [0, 1.0, 1.5, -0.5, "all"])
    def test_numbers_of_components_that_mean_nothing(self, n_components, some):
        with pytest.raises(ValueError, match="The 'n_components' parameter"):
            quick(n_components).fit(some[0])

    @pytest.mark.parametrize("reducer", [PCA(8), quick(8)])
    def test_before_a_classifier(self, reducer, some):
        model = make_pipeline(StandardScaler(), reducer, LogisticRegression())
        scores = cross_val_score(model, *some, cv=3)
        assert scores.mean() > 0.5

    def test_grid_over_reducers(self, some):
        pipeline = Pipeline(
            [("reduce", "passthrough"), ("model", LogisticRegression())]
        )
        grid = [
            {"reduce": [PCA(), quick()], "reduce__n_components": [2, 5]},
            {"reduce": ["passthrough"]},
        ]
        search = GridSearchCV(pipeline, grid, cv=3).fit(*some)
        assert len(search.cv_results_["params"]) == 5
        assert np.isfinite(search.cv_results_["mean_test_score"]).all()


class TestModelSelection:
    def test_grid_search_in_two_processes(self, some):
        grid = {"n_components": [2, 4], "activation": ["relu", "tanh"]}
        search = GridSearchCV(quick(), grid, cv=2, n_jobs=2).fit(some[0])
        alone = GridSearchCV(quick(), grid, cv=2).fit(some[0])
        assert search.best_params_["n_components"] == 4
        assert_allclose(
            search.cv_results_["mean_test_score"],
            alone.cv_results_["mean_test_score"],
            atol=1e-3,
        )

    def test_randomized_search(self, some):
        space = {"hidden_layer_sizes": [(), (8,), (16, 8)], "alpha": [0.0, 0.1]}
        search = RandomizedSearchCV(quick(), space, n_iter=3, cv=2, random_state=0)
        assert search.fit(some[0]).best_estimator_.score(some[0]) > 0

    def test_cross_validate_returns_usable_estimators(self, some):
        result = cross_validate(quick(), some[0], cv=2, return_estimator=True)
        for fitted in result["estimator"]:
            assert fitted.transform(some[0]).shape == (300, 2)

    def test_clone_is_unfitted(self, X):
        model = clone(quick(4).fit(X))
        assert not [name for name in vars(model) if name.endswith("_")]
        assert model.n_components == 4


class TestComposition:
    def test_pipeline_memory_hits_its_cache(self, some, tmp_path):
        X, y = some
        model = Pipeline(
            [("reduce", quick()), ("model", LogisticRegression(max_iter=1000))],
            memory=str(tmp_path),
        )
        model.fit(X, y)
        stored = {p: p.stat().st_mtime_ns for p in tmp_path.rglob("output.pkl")}
        assert len(stored) == 1
        codes = model[:-1].transform(X)
        model.set_params(model__C=10.0).fit(X, y)
        again = {p: p.stat().st_mtime_ns for p in tmp_path.rglob("output.pkl")}
        assert again == stored
        assert_array_equal(model[:-1].transform(X), codes)

    def test_feature_union_in_two_processes(self, some):
        X = np.tile(some[0], (8, 1))  # over a megabyte: workers get a read-only map
        union = FeatureUnion([("a", quick(2)), ("p", PCA(2))], n_jobs=2)
        assert union.fit_transform(X).shape == (len(X), 4)

    def test_column_transformer(self, some):
        columns = ColumnTransformer(
            [("left", quick(2), slice(0, 32)), ("right", quick(3), slice(32, 64))],
            remainder="drop",
        )
        assert columns.fit_transform(some[0]).shape == (300, 5)


class TestFrames:
    @pytest.mark.parametrize("library", ["pandas", "polars"])
    def test_frames_in_and_out(self, library, X):
        frames = pytest.importorskip(library)
        columns = [f"column {i}" for i in range(X.shape[1])]
        frame = frames.DataFrame(dict(zip(columns, X.T, strict=True)))
        model = quick().set_output(transform=library).fit(frame)
        assert model.feature_names_in_.tolist() == columns
        for Z in (model.transform(frame), model.fit_transform(frame)):
            assert isinstance(Z, frames.DataFrame)
            assert list(Z.columns) == model.get_feature_names_out().tolist()
        # Frames of codes go back without a warning about their names.
        assert isinstance(model.inverse_transform(Z), np.ndarray)
        assert_allclose(np.asarray(Z), quick().fit_transform(X))

    def test_other_names_are_refused(self, X):
        pandas = pytest.importorskip("pandas")
        frame = pandas.DataFrame(X, columns=[f"x{i}" for i in range(12)])
        model = quick().fit(frame)
        with pytest.raises(ValueError, match="feature names should match"):
            model.transform(frame.rename(columns={"x0": "other"}))

    def test_other_width_is_refused(self, X):
        with pytest.raises(ValueError, match="X has 11 features, but"):
            quick().fit(X).transform(X[:, :-1])


class TestRouting:
    def test_pipeline_scales_X_val(self, X):
        """The autoencoder gets the validation rows that the scaler has scaled."""
        X, X_val = X[:80], X[80:] + 1000.0
        with sklearn.config_context(enable_metadata_routing=True):
            model = Pipeline(
                [
                    ("scale", StandardScaler()),
                    ("reduce", quick().set_fit_request(X_val=True)),
                    ("model", LogisticRegression()),
                ],
                transform_input=["X_val"],
            )
            model.fit(X, np.arange(80) % 2, X_val=X_val)
        scaler = StandardScaler().fit(X)
        alone = quick().fit(scaler.transform(X), X_val=scaler.transform(X_val))
        routed = model["reduce"].validation_loss_curve_
        assert routed == alone.validation_loss_curve_
        unscaled = quick().fit(scaler.transform(X), X_val=X_val)
        assert routed != unscaled.validation_loss_curve_

    def test_cross_validation_routes_X_val(self, X):
        with sklearn.config_context(enable_metadata_routing=True):
            model = quick().set_fit_request(X_val=True)
            result = cross_validate(
                model, X, cv=2, params={"X_val": X[:7]}, return_estimator=True
            )
        assert all(m.validation_loss_curve_ for m in result["estimator"])


class TestScores:
    def test_reconstruction_error_is_the_squared_difference(self, X):
        model = quick().fit(X)
        difference = X - model.inverse_transform(model.transform(X))
        error = model.reconstruction_error(X)
        assert_allclose(error, (difference**2).mean(axis=1))
        assert_allclose(model.reconstruction_error(X, per_feature=True), difference**2)
        assert_array_equal(model.score_samples(X), -error)

    def test_standardized_error_is_in_units_of_the_features(self, X):
        X = X * 10.0 ** np.arange(12)
        model = quick(standardize=True, early_stopping=False).fit(X)
        difference = X - model.inverse_transform(model.transform(X))
        expected = ((difference / X.std(axis=0)) ** 2).mean(axis=1)
        assert_allclose(model.reconstruction_error(X), expected)

    @pytest.mark.parametrize("standardize", [False, True])
    def test_score_is_one_minus_error_over_that_of_the_mean(self, standardize, X):
        model = quick(standardize=standardize, early_stopping=False).fit(X)
        unit = X.std(axis=0) if standardize else 1.0
        of_mean = np.mean(((X - X.mean(axis=0)) / unit) ** 2)
        expected = 1 - model.reconstruction_error(X).mean() / of_mean
        assert model.score(X) == pytest.approx(expected, abs=1e-9)

    def test_score_of_one_row(self, X):
        assert np.isfinite(quick().fit(X).score(X[:1]))

    def test_perfect_reconstruction_scores_one(self):
        model = quick(early_stopping=False).fit(np.full((20, 3), 4.5))
        assert model.score(np.full((5, 3), 4.5)) == 1.0


def test_load_in_another_process(X, tmp_path):
    model = quick().fit(X)
    path = tmp_path / "model"
    joblib.dump((model, X), path)
    code = (
        "import joblib, sys\n"
        "codes = []\n"
        "for mmap_mode in (None, 'r'):\n"
        f"    model, X = joblib.load({str(path)!r}, mmap_mode=mmap_mode)\n"
        "    codes.append(model.transform(X))\n"
        "joblib.dump(codes, sys.argv[1])\n"
    )
    out = tmp_path / "codes"
    subprocess.run([sys.executable, "-W", "error", "-c", code, str(out)], check=True)
    for Z in joblib.load(out):
        assert_allclose(Z, model.transform(X), rtol=1e-12)
