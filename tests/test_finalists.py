"""Finalists: networks that learn from the rows held out as well, in the end."""

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from sklearn.datasets import make_swiss_roll
from sklearn.model_selection import PredefinedSplit

from skae import AutoEncoderTransformer
from skae._fitting import finalists
from skae._fitting.trial import Trial
from skae._training.optimizers import Optimizer


def make(**params):
    """Return an autoencoder that is trained for some passes."""
    return AutoEncoderTransformer(
        **{"n_components": 4, "init": "pca", "max_iter": 60, "random_state": 0} | params
    )


@pytest.fixture
def roll_with_outlier():
    """Return rows on a curved surface, and a fold of each; one held out is far out."""
    X, _ = make_swiss_roll(300, random_state=0)
    fold = np.where(np.arange(300) % 5 == 0, 0, -1)
    X[5] *= 3
    return X, fold


@pytest.fixture(scope="module")
def pictures(digits):
    return digits[0][:400]


class TestFineTuning:
    @pytest.fixture
    def made(self, monkeypatch):
        """Return the names of the second trainings that are made."""
        seen = []
        for name in ("_fine_tuned", "_from_the_start"):
            function = getattr(finalists, name)

            def noted(*args, name=name, function=function):
                seen.append(name)
                return function(*args)

            monkeypatch.setattr(finalists, name, noted)
        return seen

    @pytest.fixture
    def rates(self, monkeypatch):
        """Return the size of each step."""
        seen, step = [], Optimizer.step

        def watched_step(self):
            seen.append(self.lr)
            step(self)

        monkeypatch.setattr(Optimizer, "step", watched_step)
        return seen

    def test_steps_are_few_and_small(self, pictures, rates):
        model = make(alpha=0.0).fit(pictures)  # no epochs with decay besides
        n_before = model.n_iter_ * 3  # batches of 320 rows
        after = rates[n_before:]
        assert len(after) == round(0.5 * model.best_iter_) * 4
        assert max(after) == pytest.approx(0.4 * max(rates), rel=0.05)
        assert np.diff(after).max() < 0
        assert after[-1] < 1e-3 * max(rates)

    def test_rows_that_were_held_out_come_nearer(self, pictures, monkeypatch):
        tuned = make().fit(pictures)
        monkeypatch.setattr(Trial, "fine_tune", lambda *args: None)
        as_it_was = make().fit(pictures)
        assert tuned.best_loss_ == as_it_was.best_loss_
        error = tuned.reconstruction_error(pictures).mean()
        assert error < as_it_was.reconstruction_error(pictures).mean()
        assert tuned.score(pictures) > tuned.baseline_score_

    def test_a_seed_repeats_it(self, pictures):
        first, second = (make().fit_transform(pictures) for _ in range(2))
        assert_array_equal(first, second)

    def test_codes_are_canonical_on_all_rows(self, pictures):
        Z = make().fit_transform(pictures)
        covariance = np.cov(Z.T)
        assert abs(Z.mean(axis=0)).max() < 1e-5
        off = covariance - np.diag(np.diag(covariance))
        assert abs(off).max() < 1e-5 * covariance.max()

    def test_what_makes_it_worse_is_not_kept(self, pictures, monkeypatch):
        def spikes(trial, training):
            training.objective.parameters.values.add_(1.0)

        monkeypatch.setattr(Trial, "fine_tune", spikes)
        monkeypatch.setattr(finalists, "_from_the_start", lambda *args: iter(()))
        broken = make().fit(pictures)
        monkeypatch.setattr(finalists, "_fine_tuned", lambda *args: iter(()))
        not_again = make().fit(pictures)
        assert_array_equal(broken.transform(pictures), not_again.transform(pictures))

    def test_then_the_passes_are_made_again(self, pictures, monkeypatch):
        def spikes(trial, training):
            training.objective.parameters.values.add_(1.0)

        monkeypatch.setattr(Trial, "fine_tune", spikes)
        broken = make().fit(pictures)
        monkeypatch.setattr(finalists, "_fine_tuned", lambda *args: iter(()))
        again = make().fit(pictures)
        assert_array_equal(broken.transform(pictures), again.transform(pictures))

    def test_decay_that_brought_nothing_ends(self, pictures, monkeypatch):
        model, seen = make(), []
        fine_tune = Trial.fine_tune

        def monitored(trial, training):
            trial._parts = [(None, trial.early_stopping.n_iter), (5, 0)]
            training.optimizer.alpha = 1.0
            fine_tune(trial, training)
            seen.append(training.optimizer.alpha)

        monkeypatch.setattr(Trial, "fine_tune", monitored)
        model.fit(pictures)
        assert seen == [0.0]

    @pytest.mark.parametrize("n_samples", [400, 2100])
    def test_what_it_knows_is_fine_tuned(self, digits, made, brief, n_samples):
        X = np.resize(digits[0], (n_samples, 64))
        X += 0.01 * np.random.default_rng(0).normal(size=X.shape)  # no equal rows
        model = make(max_iter="auto").fit(X)
        assert model.result_ == "network"
        assert made == ["_fine_tuned"]

    @pytest.mark.parametrize(
        ("n_samples", "expected"), [(400, ["_from_the_start"]), (2100, [])]
    )
    def test_farther_rows_need_another_start(
        self, digits, made, brief, monkeypatch, n_samples, expected
    ):
        X = np.resize(digits[0], (n_samples, 64))
        X += 0.01 * np.random.default_rng(0).normal(size=X.shape)
        monkeypatch.setattr(finalists, "_AS_FAR", 0.5)
        assert make(max_iter="auto").fit(X).result_ == "network"
        assert made == expected

    def test_very_few_rows_are_learnt_from_the_start(self, pictures, made):
        assert make(max_iter=200).fit(pictures[:199]).result_ == "network"
        assert made == ["_from_the_start"]

    def test_parts_that_users_write_are_not_tuned(self, pictures, made):
        assert make(corruption="masking").fit(pictures).result_ == "network"
        assert made == ["_from_the_start"]

    def test_a_row_held_out_that_is_farther_out_is_noticed(
        self, roll_with_outlier, made
    ):
        X, held_out = roll_with_outlier
        make(n_components=2, validation=PredefinedSplit(held_out)).fit(X)
        assert made == ["_from_the_start"]
