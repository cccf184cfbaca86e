"""max_time: seconds of a whole fit, by a clock that only moves with what is done."""

import itertools
from types import SimpleNamespace

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from sklearn.exceptions import ConvergenceWarning

from skae import AutoEncoderTransformer, ValidationWarning
from skae._data.scaling import Scaling
from skae._fitting.session import TrainingSession
from skae._fitting.timing import Shares
from skae._fitting.trial import Trial
from skae._inference.codec import Codec
from skae._nn.autoencoder import AutoEncoder
from skae._runtime import clock
from skae._runtime.clock import TimeLimit
from skae._training.objective import Objective
from skae._training.optimizers import Optimizer

STEP, ROW = 0.01, 1e-4


def make(**params):
    """Return a plain autoencoder with a seed."""
    return AutoEncoderTransformer(**{"random_state": 0, "init": "random"} | params)


@pytest.fixture(autouse=True)
def ticking(monkeypatch):
    """Let the clock move on by a millisecond each time it is read."""
    ticks = itertools.count()
    monkeypatch.setattr(clock, "now", lambda: next(ticks) / 1000)


@pytest.fixture
def worked(monkeypatch):
    """Let it move with work alone: steps, and rows on their way through networks."""
    time = SimpleNamespace(now=0.0, training=0.0)
    monkeypatch.setattr(clock, "now", lambda: time.now)

    def costs(cls, name, seconds):
        method = getattr(cls, name)

        def costly(self, *args, **kwargs):
            time.now += seconds(*args)
            return method(self, *args, **kwargs)

        monkeypatch.setattr(cls, name, costly)

    def step():
        time.training += STEP
        return STEP

    costs(Optimizer, "step", step)
    costs(Objective, "evaluation_batch", lambda x, *_: ROW * len(x))
    costs(AutoEncoder, "forward", lambda x: ROW * len(x))
    costs(AutoEncoder, "encode", lambda x: ROW / 2 * len(x))
    costs(Codec, "_run", lambda function, x: ROW / 2 * len(x))
    return time


class TestTimeLimit:
    def test_without_seconds_it_is_never_over(self):
        limit = TimeLimit()
        assert (limit.is_set, limit.left, limit.part_spent) == (False, np.inf, 0.0)

    def test_it_is_over_after_its_seconds(self, worked):
        worked.now = 5.0
        limit = TimeLimit(4.0)
        worked.now = 8.0
        assert (limit.is_set, limit.left, limit.part_spent) == (True, 1.0, 0.75)
        worked.now = 10.0
        assert (limit.left, limit.part_spent) == (0.0, 1.0)

    @pytest.mark.parametrize("seconds", [0.0, -1.0])
    def test_no_time_is_over_at_once(self, seconds):
        assert TimeLimit(seconds).part_spent == 1.0


class TestShares:
    def test_without_a_limit_all_rows_count(self):
        assert Shares() == Shares(np.inf, np.inf, 0.0)

    @pytest.mark.parametrize("row_seconds", [1e-6, 1e-5])
    def test_a_small_part_of_the_time_is_kept(self, row_seconds):
        shares = Shares.of(60.0, row_seconds, 100_000, 10_000, 1_000_000)
        assert 1_000 < shares.n_monitored <= 100_000 * 1e-5 / row_seconds
        assert 0.01 * 60 < shares.reserved_seconds < 0.2 * 60

    def test_rows_that_are_not_there_take_none(self):
        few = Shares.of(60.0, 1e-5, 10, 90, 100)
        many = Shares.of(60.0, 1e-5, 100, 900, 1_000)
        assert few.reserved_seconds == pytest.approx(many.reserved_seconds / 10)


class TestWhole:
    """Of the whole fit, as the clock of ``worked`` has it."""

    @pytest.mark.parametrize(
        "params",
        [
            {},
            {"init": "pca"},
            {"init": "auto", "n_components": 8},
            {"early_stopping": False},
            {"max_iter": 1_000, "loss": "huber"},
        ],
    )
    def test_it_ends_about_with_its_time(self, params, digits, worked):
        X = digits[0][:400]
        make(max_time=4.0, **params).fit(X)
        assert 0.75 * 4 < worked.now < 1.05 * 4
        assert worked.training > 0.6 * worked.now

    def test_what_comes_before_training_counts(self, X, worked, monkeypatch):
        model = make(max_time=2.0).fit(X)
        fit = Scaling.fit

        def slow(*args):
            worked.now += 1.0
            return fit(*args)

        monkeypatch.setattr(Scaling, "fit", slow)
        begin = worked.now
        slowed = make(max_time=2.0).fit(X)
        assert 1.5 < worked.now - begin < 2.1
        assert slowed.n_iter_ == pytest.approx(model.n_iter_ / 2, rel=0.2)

    def test_without_time_to_train_it_is_pca(self, X, worked, monkeypatch):
        prepare = TrainingSession.__init__

        def slow(*args, **kwargs):
            worked.now += 3.0
            prepare(*args, **kwargs)

        monkeypatch.setattr(TrainingSession, "__init__", slow)
        with pytest.warns(ValidationWarning, match=r"max_time=2 s were over before"):
            model = make(init="auto", max_time=2.0).fit(X)
        assert model.stop_reason_ == "pca"
        assert model.score(X) == pytest.approx(model.baseline_score_, rel=0.01)

    def test_of_many_rows_some_are_watched(self, worked, monkeypatch):
        place = np.random.default_rng(0).normal(size=12_000)
        X = np.stack([place, place**2], axis=1)
        seen, watch = [], Trial.advance

        def monitored(self, *args):
            seen.append((self.validation.n_samples, self.training_sample.n_samples))
            watch(self, *args)

        monkeypatch.setattr(Trial, "advance", monitored)
        make(n_components=1, hidden_layer_sizes=2, max_time=20.0).fit(X)
        assert seen[0] == (1_000, 1_000)
        assert worked.now < 1.05 * 20
        seen.clear()
        make(n_components=1, hidden_layer_sizes=2, max_iter=1).fit(X)
        assert seen[0] == (1_200, 10_000)

    def test_training_again_stops_with_the_time(self, digits, worked, monkeypatch):
        retrain = Trial.retrain

        def slow(self, training):
            costly = training.optimizer.step

            def step():
                worked.now += 9 * STEP  # another program has come
                costly()

            training.optimizer.step = step
            retrain(self, training)

        monkeypatch.setattr(Trial, "retrain", slow)
        make(init="pca", max_time=4.0).fit(digits[0][:400])
        assert worked.now < 1.1 * 4


@pytest.fixture
def progress(monkeypatch):
    """Return how far the training was at each step."""
    seen, step = [], Optimizer.step

    def watched_step(self):
        seen.append(self.progress)
        step(self)

    monkeypatch.setattr(Optimizer, "step", watched_step)
    return seen


def test_it_ends_the_training_with_its_schedule(X, progress):
    model = make(early_stopping=False, max_time=2.0).fit(X)
    assert model.stop_reason_ == "max_time"
    assert model.loss_curve_[-1] < model.loss_curve_[0]
    assert np.diff(progress).min() > 0
    assert 0.99 < progress[-1] <= 1
    assert len(model.loss_curve_) == model.n_iter_ > 1


def test_twice_the_time_is_twice_the_steps(X, progress):
    make(early_stopping=False, max_time=1.0).fit(X)
    n_steps = len(progress)
    make(early_stopping=False, max_time=2.0).fit(X)
    assert len(progress) - n_steps == pytest.approx(2 * n_steps, rel=0.1)


def test_a_pass_ends_with_it(X, progress):
    model = make(early_stopping=False, batch_size=1, max_time=0.1).fit(X)
    assert (model.n_iter_, model.stop_reason_) == (1, "max_time")
    assert 0 < len(progress) < len(X)
    assert np.isfinite(model.loss_curve_).all()


def test_passes_may_end_before(X):
    model = make(early_stopping=False, max_iter=2, max_time=100.0).fit(X)
    assert (model.n_iter_, model.stop_reason_) == (2, "max_iter")


def test_patience_may_end_it_before(X):
    params = {"loss": "poisson", "n_iter_no_change": 1, "tol": 0.9}
    model = make(max_time=100.0, **params).fit(np.abs(X))
    assert (model.n_iter_, model.stop_reason_) == (1, "converged")


def test_what_is_not_trained_again_takes_all_of_it(X):
    def epochs(**params):
        return make(max_time=2.0, n_components=2, **params).fit(X).n_iter_

    # Of nothing that is anchored the rows held out are left out.
    assert epochs() > 1.15 * epochs(init="pca")


def test_time_that_is_not_needed_changes_nothing(digits):
    X = digits[0][:300]
    params = {"init": "pca", "max_iter": 20, "n_iter_no_change": 2, "tol": 0.02}
    model = make(**params).fit(X)
    assert model.n_iter_ < 20
    timed = make(max_time=1e9, **params).fit(X)
    assert_array_equal(timed.transform(X), model.transform(X))


def test_patience_is_that_of_the_passes(X):
    params = {"loss": "poisson", "max_iter": 120, "tol": 1.0}
    params["learning_rate"] = "constant"
    model = make(max_time=1e9, **params).fit(np.abs(X))
    assert (model.n_iter_, model.stop_reason_) == (12, "converged")


def test_a_network_that_learnt_nothing_warns(X):
    with pytest.warns(ConvergenceWarning, match="the network is untrained"):
        make(max_time=1e-9).fit(X)


def test_what_is_trained_again_takes_as_many_passes(digits, progress):
    X = digits[0][:300]
    model = make(init="pca", max_time=2.0).fit(X)
    assert 0 < model.best_iter_ <= model.n_iter_
    # There and again: never farther than the schedule, and never more steps.
    (again,) = np.flatnonzero(np.diff(progress) < 0) + 1
    assert len(progress) - again <= again * 300 / 240 + 2
    assert max(progress) <= 1


@pytest.mark.parametrize("value", [0, -1.0, "long"])
def test_no_time_is_an_error(value, X):
    with pytest.raises(ValueError, match="'max_time' parameter"):
        make(max_time=value).fit(X)
