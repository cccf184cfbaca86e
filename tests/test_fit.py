"""Fitting: stopping, validation rows, warnings, warm starts, and failures."""

import warnings

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.sparse import csr_array
from sklearn import datasets
from sklearn.base import clone
from sklearn.decomposition import PCA
from sklearn.exceptions import ConvergenceWarning, NotFittedError
from sklearn.model_selection import GridSearchCV, TimeSeriesSplit, cross_val_score
from sklearn.preprocessing import scale

from skae import AutoEncoderTransformer, ValidationWarning
from skae._data.batches import Batches
from skae._fitting import session, trial
from skae._fitting.verdict import is_lower
from skae._training.optimizers import Optimizer


def make(**params):
    """Return a plain autoencoder with a seed."""
    return AutoEncoderTransformer(**{"random_state": 0, "init": "random"} | params)


class TestLearnt:
    def test_attributes_describe_the_training(self, X):
        model = make(max_iter=7, loss="poisson").fit(np.abs(X))
        assert model.n_iter_ == len(model.loss_curve_) == 7
        assert len(model.validation_loss_curve_) == 7
        assert model.best_loss_ == min(model.validation_loss_curve_)
        assert model.validation_loss_curve_[model.best_iter_ - 1] == model.best_loss_
        assert model.stop_reason_ == "max_iter"
        assert model.device_ == "cpu"
        assert_allclose(model.mean_, np.abs(X).mean(axis=0), rtol=0.2, atol=10)

    def test_baseline_is_the_score_of_pca_on_the_same_rows(self, X):
        model = make(max_iter=1, n_components=3).fit(X[:80], X_val=X[80:])
        pca = PCA(3).fit(X[:80])
        residual = X[80:] - pca.inverse_transform(pca.transform(X[80:]))
        expected = 1 - (residual**2).mean() / X[80:].var(axis=0).mean()
        assert model.baseline_score_ == pytest.approx(expected, abs=1e-5)

    def test_explained_variance_is_measured_on_rows_of_all_the_data(self):
        rng = np.random.RandomState(0)
        X = np.vstack([0.01 * rng.normal(size=(1000, 5)), rng.normal(size=(900, 5))])
        model = make(early_stopping=False, max_iter=5).fit(X)
        total = model.explained_variance_ratio_.sum()
        assert total == pytest.approx(model.score(X), abs=0.05)

    def test_explained_variance_adds_up_to_the_score(self, X):
        model = make(n_components=4, max_iter=20, early_stopping=False).fit(X)
        total = model.explained_variance_ratio_.sum()
        assert total == pytest.approx(model.score(X), abs=1e-5)


class TestStartFromPCA:
    """What ``init="pca"`` promises."""

    @staticmethod
    def pca_error(X, check, n_components):
        pca = PCA(n_components).fit(X)
        residual = check - pca.inverse_transform(pca.transform(check))
        return (residual**2).mean()

    @pytest.mark.parametrize("n_samples", [2, 5, 14])
    @pytest.mark.parametrize("n_components", [1, 2, 20])
    def test_too_few_rows_are_answered_by_pca(self, n_samples, n_components, X):
        X = X[:n_samples]
        model = make(init="pca", n_components=n_components).fit(X)
        assert model.stop_reason_ == "pca"
        assert model.loss_curve_ == []
        error = self.pca_error(X, X, min(n_components, n_samples, 12))
        assert model.reconstruction_error(X).mean() == pytest.approx(
            error, rel=1e-4, abs=1e-9
        )

    def test_noise_is_answered_by_pca_of_all_rows(self):
        X = np.random.RandomState(0).normal(size=(120, 10)) * np.arange(1, 11)
        model = make(init="auto", n_components=3).fit(X)
        assert (model.stop_reason_, model.best_iter_) == ("pca", 0)
        assert_allclose(model.mean_, X.mean(axis=0))
        pca = PCA(3).fit(X)
        assert_allclose(
            abs(model.transform(X)),
            abs(pca.transform(X)) / model.scale_[0],
            rtol=1e-4,
            atol=1e-5,
        )
        assert_allclose(
            model.inverse_transform(model.transform(X)),
            pca.inverse_transform(pca.transform(X)),
            atol=1e-4,
        )

    @pytest.mark.parametrize("seed", range(3))
    @pytest.mark.parametrize("n_components", [1, 4, 8])
    def test_never_worse_than_pca_on_the_rows_it_validates_on(
        self, seed, n_components, digits
    ):
        X, check = digits[0][:600], digits[0][600:700]
        model = make(init="pca", n_components=n_components, random_state=seed)
        model.set_params(max_iter=100).fit(X, X_val=check)
        error = model.reconstruction_error(check).mean()
        assert error <= self.pca_error(X, check, n_components) * (1 + 1e-6)
        assert model.score(check) >= model.baseline_score_ - 1e-6

    def test_never_worse_than_pca_on_the_training_rows_if_those_are_watched(self, X):
        for rate in (1e-3, 0.1, 1.0):  # the last two are far too large
            model = make(
                init="pca", early_stopping=False, learning_rate_init=rate, max_iter=5
            ).fit(X)
            assert model.score(X) >= model.baseline_score_ - 1e-6

    @pytest.mark.slow
    def test_learns_what_pca_cannot(self, digits):
        X, check = digits[0][:1200], digits[0][1200:]
        model = make(init="pca", n_components=2).fit(X)
        left = 1 - model.score(check)
        assert left < 0.8 * self.pca_error(X, check, 2) / check.var(axis=0).mean()

    def test_divergence_after_the_first_pass_is_answered_by_pca(self, monkeypatch):
        X = np.random.RandomState(0).normal(size=(100, 5))
        losses = iter([1.0, 1.0, np.nan])

        def epochs(self):
            for loss in losses:
                self.objective.parameters.values.add_(1e-3)
                yield loss
                if np.isnan(loss):
                    self.objective.parameters.values.fill_(np.nan)

        monkeypatch.setattr(session.TrainingSession, "epochs", epochs)
        validation = iter([0.9, 2.0, 2.0, np.nan])
        real = trial.evaluate
        monkeypatch.setattr(
            trial, "evaluate", lambda *args: next(validation, None) or real(*args)
        )
        with pytest.warns(ConvergenceWarning, match="diverged in epoch 3"):
            model = make(init="pca").fit(X)
        assert model.stop_reason_ == "pca"
        assert model.score(X) == pytest.approx(model.baseline_score_, abs=1e-6)

    def test_what_is_trained_again_follows_the_config_that_was_validated(self, digits):
        X = digits[0][:150]  # 120 rows make one batch, 150 would make two
        configs, steps = [], []
        with pytest.MonkeyPatch.context() as patch:
            train, step = session.TrainingSession.epochs, Optimizer.step

            def epochs(self):
                configs.append(self.config)
                return train(self)

            def watched_step(self):
                step(self)
                steps.append(self.n_steps_made / self.n_steps)

            patch.setattr(session.TrainingSession, "epochs", epochs)
            patch.setattr(Optimizer, "step", watched_step)
            make(init="pca", n_components=2).fit(X)
        assert len(configs) >= 2  # there and again, and perhaps with weights that decay
        assert all(config == configs[0] for config in configs)
        assert max(steps) <= 1

    def test_small_tables_are_trained_again_on_all_rows(self, digits):
        X = digits[0][:190]
        model = make(init="pca", n_components=2, max_iter=100).fit(X)
        assert model.result_ == "network"
        assert_allclose(model.mean_, X.mean(axis=0))

    @pytest.mark.slow
    @pytest.mark.parametrize("name", ["digits", "breast_cancer", "wine", "linnerud"])
    @pytest.mark.parametrize("tail", ["none", "heavy"])
    def test_far_rows_are_reconstructed_about_as_by_pca(self, name, tail):
        X = scale(getattr(datasets, f"load_{name}")().data[:900])
        if tail == "heavy":
            X *= np.random.RandomState(0).standard_t(2, size=(len(X), 1))
        X, rows = X[: 2 * len(X) // 3], X[2 * len(X) // 3 :]
        for n_components in (2, X.shape[1] // 2):
            model = make(init="pca", n_components=n_components).fit(X)
            for factor in (3, 10, 100, 1e6):
                far = factor * rows
                error = model.reconstruction_error(far).mean()
                assert error <= 1.5 * self.pca_error(X, far, n_components)

    def test_what_convinces(self):
        """A gain in the mean and on most rows, not on few rows and not a small one."""
        losses = np.random.RandomState(0).chisquare(3, size=100)
        assert is_lower(0.8 * losses, losses)
        assert not is_lower(0.8 * losses[:6], losses[:6])
        assert not is_lower(0.95 * losses, losses)
        assert is_lower(0.8 * losses, losses, min_gain=0.15)
        assert not is_lower(0.8 * losses, losses, min_gain=0.25)
        assert not is_lower(losses, losses)
        with_outlier = np.append(losses, 1000.0)
        one_row = np.append(losses, 10.0)
        assert not is_lower(one_row, with_outlier)
        most_rows = np.append(0.9 * losses, 1000.0)
        assert not is_lower(most_rows, with_outlier)

    @pytest.mark.slow
    def test_linearity_keeps_the_codes_near_those_of_pca(self, digits):
        X = digits[0][:600]
        codes = PCA(4).fit_transform(X)
        left = []
        for linearity in (0, 1, 100):
            model = make(init="pca", n_components=4, linearity=linearity)
            model.set_params(max_iter=100).fit(X)
            Z = model.transform(X) * model.scale_[0]
            left.append(((abs(Z) - abs(codes)) ** 2).mean())
        assert left[0] > left[1] > left[2]

    def test_codes_bend_for_a_good_part_of_the_error_or_not_at_all(self, monkeypatch):
        monkeypatch.setattr(trial, "_WORTH_LEAVING_PCA", 0.15)  # more than there is
        rng = np.random.default_rng(0)
        X = rng.normal(size=(4000, 6)) * [4, 4, 1, 1, 1, 1]
        X[:, 2] += 0.025 * (X[:, 0] ** 2 - 16)
        held, free = (
            AutoEncoderTransformer(2, random_state=0, linearity=linearity).fit(X)
            for linearity in ("auto", 0.0)
        )
        assert held.stop_reason_ == "pca" != free.stop_reason_
        assert 0.85 < (1 - free.score(X)) / (1 - held.score(X)) < 0.99

    def test_baseline_of_what_became_pca_is_its_own_score(self):
        X = np.random.RandomState(0).normal(size=(60, 6))
        model = make(init="pca").fit(X)
        assert model.stop_reason_ == "pca"
        assert model.baseline_score_ == pytest.approx(model.score(X), abs=1e-5)


class TestPictures:
    """Data in [0, 1], often at its ends, where nothing is said of the output."""

    @pytest.mark.slow
    def test_they_are_reconstructed_better_by_a_logistic_output(self, digits):
        X, check = digits[0][:800], digits[0][1200:]
        auto = AutoEncoderTransformer(8, random_state=0).fit(X)
        linear = AutoEncoderTransformer(8, init="pca", random_state=0).fit(X)
        assert (auto._link, linear._link) == ("logistic", "identity")
        assert auto.score(check) > linear.score(check) > linear.baseline_score_
        R = auto.inverse_transform(auto.transform(check))
        assert 0 <= R.min() <= R.max() <= 1

    def test_what_does_not_beat_pca_has_a_linear_output(self):
        X = np.random.RandomState(0).normal(0.5, 0.5, size=(200, 8)).clip(0, 1)
        model = AutoEncoderTransformer(3, random_state=0).fit(X)
        assert (model._link, model.stop_reason_) == ("identity", "pca")
        again = clone(model).fit(X)
        assert_array_equal(again.transform(X), model.transform(X))

    def test_a_warm_start_goes_on_with_what_the_first_fit_found(self, digits):
        X = digits[0]
        model = AutoEncoderTransformer(4, warm_start=True, max_iter=9, random_state=0)
        assert model.fit(X)._link == "logistic"
        assert model.fit(X[:500] / 3)._link == "logistic"
        assert model.fit(2 * X)._link == "logistic"
        assert model.fit(X[:9])._link == "logistic"

    def test_few_of_them_are_answered_by_pca(self, digits):
        model = AutoEncoderTransformer(2, random_state=0).fit(digits[0][:14])
        assert (model._link, model.stop_reason_) == ("identity", "pca")


class TestStopping:
    def test_patience_ends_the_training_with_the_best_weights(self, X):
        train, check = X[:50], X[50:]
        # A network this small stops improving long before the cap.
        model = make(
            hidden_layer_sizes=(16,),
            max_iter=2000,
            learning_rate="constant",
            n_iter_no_change=5,
            tol=1e-2,
        ).fit(train, X_val=check)
        assert model.stop_reason_ == "converged"
        assert model.n_iter_ < 2000
        # The weights kept are those of the best pass, not of the last.
        rows = (check - model.mean_) / model.scale_
        decoded = model.inverse_transform(model.transform(check))
        decoded = (decoded - model.mean_) / model.scale_
        assert np.mean((rows - decoded) ** 2) == pytest.approx(
            model.best_loss_, rel=1e-4
        )
        assert model.best_loss_ == min(model.validation_loss_curve_)

    def test_X_val_without_early_stopping_is_only_recorded(self, X):
        model = make(early_stopping=False, max_iter=4).fit(X[:80], X_val=X[80:])
        assert len(model.validation_loss_curve_) == 4
        assert model.best_loss_ == min(model.loss_curve_)
        alone = make(early_stopping=False, max_iter=4).fit(X[:80])
        assert alone.validation_loss_curve_ is None
        assert_array_equal(alone.transform(X), model.transform(X))

    def test_every_row_trains_without_early_stopping(self, X):
        model = make(early_stopping=False, max_iter=1).fit(X)
        assert_allclose(model.mean_, X.mean(axis=0))

    def test_validation_rows_do_not_train(self, X):
        # A feature for each row, whose mean is zero where that row does not train.
        X = np.hstack([np.abs(X), np.eye(100)])
        params = {"loss": "poisson", "validation_fraction": 0.3}  # PCA is no answer
        model = make(max_iter=2, **params).fit(X)
        held_out = model.mean_[12:] == 0
        assert held_out.sum() == 30
        other = X.copy()
        other[held_out, :12] += 1e3
        again = make(max_iter=2, **params).fit(other)
        assert again.loss_curve_ == model.loss_curve_
        assert again.validation_loss_curve_ != model.validation_loss_curve_

    def test_few_rows_are_not_split(self, X):
        assert make(max_iter=1).fit(X[:14]).validation_loss_curve_ is None
        assert make(max_iter=1).fit(X[:15]).validation_loss_curve_ is not None

    @pytest.mark.slow
    def test_small_and_large_data_get_steps(self):
        rng = np.random.RandomState(0)
        small = make().fit(rng.normal(size=(30, 3)))
        assert small.n_iter_ >= 100
        large = make(max_iter="auto", hidden_layer_sizes=(4,))
        large.fit(rng.normal(size=(60_000, 3)))
        assert 5 <= large.n_iter_ <= 15


@pytest.mark.parametrize("standardize", [False, True])
@pytest.mark.parametrize("matrix", [np.asarray, csr_array])
def test_baseline_is_the_score_of_pca_also_where_a_feature_was_constant(
    matrix, standardize
):
    rng = np.random.RandomState(0)
    X = np.column_stack([rng.normal(size=(200, 3)), np.full(200, 4.0)])
    X[150:, 3] += rng.normal(size=50)  # in training it never moves
    params = {"n_components": 2, "max_iter": 2, "standardize": standardize}
    model = make(init="random", **params).fit(matrix(X[:150]), X_val=matrix(X[150:]))
    scale = model.scale_ if standardize else 1.0
    pca = PCA(2).fit(X[:150] / scale)
    check = X[150:] / scale
    error = np.mean((check - pca.inverse_transform(pca.transform(check))) ** 2)
    expected = 1 - error / np.var(check, axis=0).mean()
    assert model.baseline_score_ == pytest.approx(expected, abs=1e-5)


class TestWarnings:
    def test_cap_while_still_improving_warns(self, X):
        model = make(max_iter=3, learning_rate="constant")
        with pytest.warns(ConvergenceWarning, match="max_iter=3") as caught:
            model.fit(X)
        assert caught[0].filename == __file__

    def test_cap_after_the_last_improvement_does_not_warn(self, X):
        model = make(max_iter=3, learning_rate="constant", tol=0.99, loss="poisson")
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            model.fit(np.abs(X))
        assert (model.stop_reason_, model.n_iter_) == ("max_iter", 3)

    def test_a_schedule_that_ran_to_its_end_does_not_warn(self, X):
        model = make(max_iter=3, loss="poisson")
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            model.fit(np.abs(X))
        assert (model.stop_reason_, model.n_iter_) == ("max_iter", 3)

    def test_a_network_that_learnt_nothing_warns(self, X):
        model = make(learning_rate_init=1.0, learning_rate="constant", solver="adam")
        with pytest.warns(ConvergenceWarning, match="the network is untrained"):
            model.fit(X)
        assert (model.stop_reason_, model.best_iter_) == ("pca", 0)

    def test_pca_that_was_kept_says_so_and_what_would_help(self):
        X = np.random.RandomState(0).normal(size=(120, 6))
        model = AutoEncoderTransformer(random_state=0, max_iter=30)
        with pytest.warns(ValidationWarning, match="rows held out") as caught:
            model.fit_transform(X)
        assert [w.filename for w in caught] == [__file__]
        assert model.stop_reason_ == "pca"
        with pytest.warns(ValidationWarning, match="9 different rows are too few"):
            model.fit(X[:9])

    def test_without_validation_rows_are_not_too_few(self):
        X = np.random.RandomState(0).normal(size=(60, 4))
        steps = {"learning_rate_init": 1.0, "learning_rate": "constant", "max_iter": 3}
        model = AutoEncoderTransformer(2, random_state=0, **steps)
        with pytest.warns(ValidationWarning, match="was better than PCA on the train"):
            model.set_params(early_stopping=False).fit(X)
        assert (model.result_, model.n_iter_) == ("pca", 3)

    def test_more_time_would_not_help_too_few_rows(self):
        X = np.random.RandomState(0).normal(size=(6, 4))
        with pytest.warns(ValidationWarning, match="6 different rows are too few"):
            AutoEncoderTransformer(random_state=0, max_time=1e-9).fit(X)

    def test_it_does_not_where_many_models_are_fitted(self):
        X = np.random.RandomState(0).normal(size=(60, 4))
        model = AutoEncoderTransformer(random_state=0, max_iter=5)
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            scores = cross_val_score(model, X, cv=2)
            search = GridSearchCV(model, {"n_components": [1, 2]}, cv=2, refit=False)
            search.fit(X)
        assert np.isfinite(scores).all() and search.best_params_["n_components"] == 2

    def test_near_copies_are_noticed(self):
        series = np.cumsum(np.random.default_rng(0).normal(size=300))
        windows = np.lib.stride_tricks.sliding_window_view(series, 12)
        model = AutoEncoderTransformer(random_state=0, max_iter=2)
        with pytest.warns(ValidationWarning, match="overlapping windows"):
            model.fit(windows)
        for block in (TimeSeriesSplit(3), None):
            with warnings.catch_warnings(record=True) as caught:
                warnings.simplefilter("always")
                model.set_params(validation=block).fit(windows)
            assert not [w for w in caught if "windows" in str(w.message)]


class TestDivergence:
    def test_at_once_is_an_error_that_names_the_step(self, X):
        model = make(solver="sgd", learning_rate_init=1e20, learning_rate="constant")
        with pytest.raises(ValueError, match=r"learning_rate_init=1e\+20"):
            model.fit(X)
        with pytest.raises(NotFittedError):
            model.transform(X)

    def test_later_keeps_the_best_weights(self, X, monkeypatch):
        original = session.epochs

        def broken_in_the_third_pass(objective, *args):
            for number, loss in enumerate(original(objective, *args), 1):
                if number == 3:
                    objective.parameters.values.fill_(np.nan)
                yield loss if number < 3 else np.nan

        monkeypatch.setattr(session, "epochs", broken_in_the_third_pass)
        X = np.abs(X)
        model = make(max_iter=9, loss="poisson")
        with pytest.warns(ConvergenceWarning, match="diverged in epoch 3"):
            model.fit(X)
        assert model.stop_reason_ == "diverged"
        assert model.best_iter_ in (1, 2)
        assert np.isfinite(model.transform(X)).all()

    @pytest.mark.parametrize("broken", [np.nan, np.inf])
    def test_weights_that_break_in_the_last_step_are_not_kept(
        self, broken, X, monkeypatch
    ):
        """The losses of the pass are finite, but its last step broke a weight."""
        step = Optimizer.step

        def breaking(solver):
            step(solver)
            if solver.n_steps_made == solver.n_steps:
                solver.parameters.values[0] = broken

        monkeypatch.setattr(Optimizer, "step", breaking)
        model = make(max_iter=3, batch_size=50, early_stopping=False)
        with pytest.warns(ConvergenceWarning, match="diverged in epoch 3"):
            model.fit(X)
        assert model.best_iter_ in (1, 2)
        assert np.isfinite(model.transform(X)).all()
        with pytest.raises(ValueError, match="diverged at once"):
            make(max_iter=1, batch_size=50, early_stopping=False).fit(X)


class TestAtomicity:
    @pytest.mark.parametrize("error", [KeyboardInterrupt, MemoryError, RuntimeError])
    def test_failing_refit_leaves_the_old_one(self, error, X, monkeypatch):
        model = make(max_iter=2).fit(X)
        before = dict(vars(model))
        codes = model.transform(X)
        original = Batches.shuffled

        def fail_in_the_second_batch(self, *args):
            x, t, *_, sizes = next(original(self, *args))
            yield x[: sizes[0]], t[: sizes[0]], None, None, sizes[:1]
            raise error

        monkeypatch.setattr(Batches, "shuffled", fail_in_the_second_batch)
        with pytest.raises(error):
            model.fit(X[:, :7])
        assert vars(model) == before
        assert_array_equal(model.transform(X), codes)

    def test_failing_first_fit_leaves_nothing(self, X):
        model = make(loss="log_loss")
        before = dict(vars(model))
        with pytest.raises(ValueError, match="Negative values"):
            model.fit(X - 100)
        assert vars(model) == before

    def test_refit_leaves_no_attribute_of_the_old_fit(self, X):
        pandas = pytest.importorskip("pandas")
        code_transform = pandas.DataFrame(X).add_prefix("x")
        model = make(max_iter=1).fit(code_transform)
        model.set_params(early_stopping=False).fit(X[:, :5])
        fresh = make(max_iter=1, early_stopping=False).fit(X[:, :5])
        assert set(vars(model)) == set(vars(fresh))
        assert model.validation_loss_curve_ is None
        assert_array_equal(model.transform(X[:, :5]), fresh.transform(X[:, :5]))


class TestWarmStart:
    def test_goes_on_from_the_previous_weights(self, X):
        params = {"learning_rate": "constant", "early_stopping": False}
        model = make(max_iter=30, tol=0.5, n_iter_no_change=30, **params).fit(X)
        first = model.loss_curve_
        model.set_params(warm_start=True).fit(X)
        assert model.loss_curve_[0] < first[1]
        assert model.loss_curve_[-1] < first[-1]

    def test_keeps_the_scaling(self, X):
        model = make(max_iter=1, warm_start=True).fit(X)
        mean = model.mean_
        model.fit(X + 5)
        assert_array_equal(model.mean_, mean)

    def test_auto_sizes_stay_when_the_rows_change(self, X):
        model = make(max_iter=1, warm_start=True).fit(X)
        sizes = model._architecture["hidden_layer_sizes"]
        rows = np.random.RandomState(0).normal(size=(2000, 12))
        assert model.fit(rows)._architecture["hidden_layer_sizes"] == sizes

    @pytest.mark.parametrize(
        "params",
        [{"n_components": 3}, {"activation": "relu"}, {"loss": "poisson"}],
    )
    def test_another_network_is_refused(self, params, X):
        X = np.abs(X)
        model = make(max_iter=1, warm_start=True).fit(X)
        codes = model.transform(X)
        with pytest.raises(ValueError, match="warm_start=True goes on with"):
            model.set_params(**params).fit(X)
        assert_array_equal(model.transform(X), codes)

    def test_other_features_are_refused(self, X):
        with pytest.raises(ValueError, match="X has 5 features"):
            make(max_iter=1, warm_start=True).fit(X).fit(X[:, :5])


class TestValidation:
    @pytest.mark.parametrize(
        ("params", "message"),
        [
            ({"n_components": 0}, "'n_components' parameter"),
            ({"n_components": 1.5}, "'n_components' parameter"),
            ({"activation": "cube"}, "'activation' parameter"),
            ({"loss": "zero"}, "'loss' parameter"),
            ({"hidden_layer_sizes": (8, 0)}, "hidden_layer_sizes must be"),
            ({"hidden_layer_sizes": (8, 1.5)}, "hidden_layer_sizes must be"),
            ({"hidden_layer_sizes": [[8], [8]]}, "hidden_layer_sizes must be"),
            ({"hidden_layer_sizes": "deep"}, "'hidden_layer_sizes' parameter"),
            ({"learning_rate_init": 0}, "'learning_rate_init' parameter"),
            ({"validation_fraction": 1.0}, "'validation_fraction' parameter"),
            ({"device": "tpu"}, "device='tpu' is not known"),
            ({"device": 0}, "'device' parameter"),
            ({"batch_size": 0}, "'batch_size' parameter"),
            ({"alpha": -1}, "'alpha' parameter"),
            (
                {"loss": "log_loss", "output_activation": "tanh"},
                "loss='log_loss' goes with output_activation='logistic'",
            ),
        ],
    )
    def test_bad_parameter_is_named(self, params, message, X):
        with pytest.raises(ValueError, match=message):
            make(**params).fit(X)

    @pytest.mark.parametrize("sizes", [(), [8], (8, 4), np.array([8, 4]), range(4, 6)])
    def test_hidden_layer_sizes_may_be_any_sequence(self, sizes, X):
        model = make(hidden_layer_sizes=sizes, max_iter=1).fit(X)
        assert model._architecture["hidden_layer_sizes"] == tuple(sizes)

    def test_X_val_is_checked(self, X):
        with pytest.raises(ValueError, match="X has 3 features"):
            make().fit(X, X_val=X[:, :3])
        with pytest.raises(ValueError, match="NaN"):
            make().fit(X, X_val=np.full((2, 12), np.nan))
        with pytest.raises(ValueError, match="maximum of 2"):
            make(loss="log_loss").fit(X > 0, X_val=np.full((2, 12), 2.0))

    def test_codes_are_checked(self, X):
        model = make(max_iter=1).fit(X)
        with pytest.raises(ValueError, match="X has 3 columns, but .* n_components=2"):
            model.inverse_transform(np.zeros((4, 3)))
        with pytest.raises(ValueError, match="X contains NaN"):
            model.inverse_transform(np.full((4, 2), np.nan))

    @pytest.mark.parametrize(
        "method", ["transform", "inverse_transform", "score", "reconstruction_error"]
    )
    def test_methods_need_a_fit(self, method, X):
        with pytest.raises(NotFittedError):
            getattr(make(), method)(X)
