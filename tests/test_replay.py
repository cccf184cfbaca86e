"""Replay: recorded steps against the same steps made one by one.

A recording on a GPU makes the operations of a step again. Here a stand-in does so on
the CPU, from whatever tensors the step was recorded with.
"""

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal

from skae import (
    AutoEncoderTransformer,
    Conv,
    Dense,
    Gaussian,
    Masking,
    Modules,
    Sparsity,
    _replay,
    _training,
)
from skae._replay import _BEFORE_RECORDING, _Replay
from skae._solvers import Solver


class Recorder:
    """Counts recordings, and launches of them."""

    def __init__(self):
        self.n_recordings = self.n_launches = 0

    def __call__(self, kernels, device):
        self.n_recordings += 1
        loss = torch.zeros(())

        def launch():
            self.n_launches += 1
            loss.fill_(kernels())

        return launch, loss


@pytest.fixture
def recorder(monkeypatch):
    """Let steps be replayed on the CPU."""
    monkeypatch.setattr(_replay, "_record", recorder := Recorder())
    monkeypatch.setattr(_training, "stepper", _Replay)
    return recorder


def mean_squared_error(output, target):
    return (output - target).square().mean(dim=1)


def linear(n_in, n_out):
    return torch.nn.Linear(n_in, n_out)


SAME_EACH_TIME = {
    "defaults": {},
    "plain": {"init": "random"},
    "autograd's loss": {"loss": "huber"},
    "counts": {"loss": "poisson"},
    "in other units": {"loss": "log_loss"},
    "corrupted": {"corruption": Masking(0.2)},
    "ordered": {"ordered": True},
    "supervised": {"supervision": 1.0},
    "convolutions": {"network": Conv(image_shape=(8, 8), channels=(4,))},
    "batches of two sizes": {"batch_size": 30},
    "decayed gradient": {"solver": "adam", "alpha": 0.01},
    **{solver: {"solver": solver} for solver in ("adam", "muon", "rmsprop", "sgd")},
}
NOT_THE_SAME = {
    "drawn codes": {"latent": Gaussian()},
    "a penalty": {"penalty": Sparsity()},
    "dropout": {"network": Dense(dropout=0.1)},
    "someone's loss": {"loss": mean_squared_error},
    "someone's network": {"network": Modules(linear, linear)},
}


@pytest.fixture(scope="module")
def rows():
    rng = np.random.default_rng(0)
    return rng.random((200, 64)), rng.integers(0, 3, 200)


def fit(params, X, y):
    model = AutoEncoderTransformer(3, max_iter=8, random_state=0, early_stopping=False)
    return model.set_params(**{"batch_size": 40, **params}).fit(X, y)


@pytest.mark.parametrize("params", SAME_EACH_TIME.values(), ids=SAME_EACH_TIME)
def test_replayed_steps_are_those_made_one_by_one(params, rows, monkeypatch):
    expected = fit(params, *rows)
    with monkeypatch.context() as patch:
        patch.setattr(_replay, "_record", recorder := Recorder())
        patch.setattr(_training, "stepper", _Replay)
        replayed = fit(params, *rows)
    assert recorder.n_launches > 0
    assert replayed.n_iter_ == expected.n_iter_ == 8
    assert_allclose(replayed.loss_curve_, expected.loss_curve_, rtol=1e-4)
    for name, weight in expected._weights.items():
        assert_allclose(replayed._weights[name], weight, atol=1e-4, err_msg=name)


def test_each_kind_is_recorded_once_it_came_often(rows, recorder):
    X, y = rows
    fit({"init": "random", "batch_size": 40}, X, y)
    assert recorder.n_recordings == 1  # all batches have as many rows
    assert recorder.n_launches == 8 * 5 - _BEFORE_RECORDING


def test_few_steps_are_not_worth_a_recording(rows, recorder):
    X, y = rows
    fit({"init": "random", "max_iter": 1}, X, y)
    assert recorder.n_recordings == 0


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs CUDA")
@pytest.mark.parametrize("params", SAME_EACH_TIME.values(), ids=SAME_EACH_TIME)
def test_a_gpu_replays_its_own_steps(params, rows, monkeypatch):
    there = {"device": "cuda", **params}
    replayed = fit(there, *rows)
    again = fit(there, *rows)
    on_a_cpu = fit(params, *rows)
    monkeypatch.setattr(_replay, "_BEFORE_RECORDING", np.inf)
    expected = fit(there, *rows)
    assert_allclose(replayed.loss_curve_, on_a_cpu.loss_curve_, rtol=1e-2)
    assert_allclose(replayed.loss_curve_, expected.loss_curve_, rtol=1e-3)
    for name, weight in expected._weights.items():
        assert_allclose(replayed._weights[name], weight, atol=1e-3, err_msg=name)
        assert_array_equal(again._weights[name], replayed._weights[name], name)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs CUDA")
def test_an_interrupted_recording_leaves_the_gpu_as_it_was(rows, monkeypatch):
    expected = fit({"device": "cuda"}, *rows)

    def interrupted(self, rate):
        if torch.cuda.is_current_stream_capturing():
            raise KeyboardInterrupt
        move(self, rate)

    move = Solver.move
    with monkeypatch.context() as patch:
        patch.setattr(Solver, "move", interrupted)
        with pytest.raises(KeyboardInterrupt):
            fit({"device": "cuda"}, *rows)
    again = fit({"device": "cuda"}, *rows)
    assert_array_equal(again.loss_curve_, expected.loss_curve_)


@pytest.mark.parametrize("params", NOT_THE_SAME.values(), ids=NOT_THE_SAME)
def test_what_differs_each_time_is_not_replayed(params, rows, monkeypatch):
    asked = []

    def stepper(objective, solver):
        asked.append(objective.is_replayable)
        return make(objective, solver)

    make = _training.stepper
    monkeypatch.setattr(_training, "stepper", stepper)
    fit(params, *rows)
    fit({}, *rows)
    assert asked == [False, True]
