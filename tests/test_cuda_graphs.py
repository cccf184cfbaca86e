"""Replay: recorded steps against the same steps made one by one.

A recording on a GPU makes the operations of a step again, with the tensors and numbers
that it was recorded with. Here a tape does so on the CPU.
"""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from skae import (
    AutoEncoderTransformer,
    Conv,
    Dense,
    Gaussian,
    Masking,
    Modules,
    Sparsity,
)
from skae._parts import losses
from skae._training import cuda_graphs, loop
from skae._training.cuda_graphs import _Replay
from skae._training.optimizers import Optimizer

from .variants import huber, one_layer


class Tape(TorchDispatchMode):
    """The operations of a step with the very tensors and numbers they were given."""

    def __init__(self):
        super().__init__()
        self.operations, self.before = [], []

    def __torch_dispatch__(self, operation, types, args=(), kwargs=None):
        kwargs, arguments = kwargs or {}, operation._schema.arguments
        given = dict(zip((a.name for a in arguments), args, strict=False)) | kwargs
        for argument in arguments:
            if argument.alias_info is not None and argument.alias_info.is_write:
                written = tree_leaves(given.get(argument.name))
                self.before += [(tensor, tensor.clone()) for tensor in written]
        result = operation(*args, **kwargs)
        self.operations.append((operation, args, kwargs, result))
        return result

    def undo(self):
        for tensor, before in reversed(self.before):
            tensor.copy_(before)

    def play(self):
        for operation, args, kwargs, result in self.operations:
            now = operation(*args, **kwargs)
            for old, new in zip(tree_leaves(result), tree_leaves(now), strict=True):
                if old is not None and old.data_ptr() != new.data_ptr():
                    old.copy_(new)


class Recorder:
    """Counts recordings, and launches of them; like a GPU's, they run nothing."""

    def __init__(self):
        self.n_recordings = self.n_launches = 0

    def __call__(self, kernels, device):
        self.n_recordings += 1
        with Tape() as tape:
            loss = kernels()
        tape.undo()

        def launch():
            self.n_launches += 1
            tape.play()

        return launch, loss


def replay_on_the_cpu(monkeypatch):
    """Let steps be recorded and replayed there, without asking for numbers."""
    monkeypatch.setattr(cuda_graphs, "_record", recorder := Recorder())
    monkeypatch.setattr(cuda_graphs, "_BEFORE_RECORDING", 3)
    monkeypatch.setattr(loop, "recorded_steps", _Replay)
    monkeypatch.setattr(losses, "_number", lambda value: value)
    return recorder


@pytest.fixture
def recorder(monkeypatch):
    return replay_on_the_cpu(monkeypatch)


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
    "tied": {"network": Dense(tied=True)},
    "batches of two sizes": {"batch_size": 30},
    "until the time is over": {"max_time": 600.0},
    "decayed gradient": {"solver": "adam", "alpha": 0.01},
    **{
        solver: {"solver": solver}
        for solver in ("adam", "adamw", "muon", "rmsprop", "sgd", "soap")
    },
}
NOT_THE_SAME = {
    "drawn codes": {"latent": Gaussian()},
    "a penalty": {"penalty": Sparsity()},
    "dropout": {"network": Dense(dropout=0.1)},
    "someone's loss": {"loss": huber},
    "someone's network": {"network": Modules(one_layer, one_layer)},
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
        recorder = replay_on_the_cpu(patch)
        replayed = fit(params, *rows)
    assert recorder.n_launches > 0
    assert replayed.n_iter_ == expected.n_iter_ == 8
    assert_allclose(replayed.loss_curve_, expected.loss_curve_, rtol=1e-4)
    for name, weight in expected._weights.items():
        assert_allclose(replayed._weights[name], weight, atol=1e-4, err_msg=name)


def test_each_kind_is_recorded_once_it_came_often(rows, recorder):
    X, y = rows
    fit({"init": "random"}, X, y)
    assert recorder.n_recordings == 1  # all batches have as many rows
    assert recorder.n_launches == 8 * 5 - 3


def test_few_steps_are_not_worth_a_recording(rows, recorder):
    X, y = rows
    fit({"init": "random", "max_iter": 1, "batch_size": 70}, X, y)
    assert recorder.n_recordings == 0


@pytest.mark.parametrize("params", NOT_THE_SAME.values(), ids=NOT_THE_SAME)
def test_what_differs_each_time_is_not_replayed(params, rows, monkeypatch):
    asked = []

    def recorded_steps(objective, optimizer):
        asked.append(objective.is_replayable)

    monkeypatch.setattr(loop, "recorded_steps", recorded_steps)
    fit(params, *rows)
    fit({}, *rows)
    assert asked == [False, True]


class TestGpu:
    pytestmark = [
        pytest.mark.gpu,
        pytest.mark.skipif(not torch.cuda.is_available(), reason="needs CUDA"),
    ]

    @pytest.mark.parametrize("params", SAME_EACH_TIME.values(), ids=SAME_EACH_TIME)
    def test_steps_are_those_made_one_by_one(self, params, rows, monkeypatch):
        there = {"device": "cuda", **params}
        monkeypatch.setattr(cuda_graphs, "_BEFORE_RECORDING", 3)
        replayed = fit(there, *rows)
        again = fit(there, *rows)
        on_a_cpu = fit(params, *rows)
        monkeypatch.setattr(cuda_graphs, "_BEFORE_RECORDING", 1_000)
        expected = fit(there, *rows)
        assert_allclose(replayed.loss_curve_, on_a_cpu.loss_curve_, rtol=1e-2)
        assert_allclose(replayed.loss_curve_, expected.loss_curve_, rtol=1e-3)
        for name, weight in expected._weights.items():
            assert_allclose(replayed._weights[name], weight, atol=1e-3, err_msg=name)
            assert_array_equal(again._weights[name], replayed._weights[name], name)

    def test_fits_record_beside_each_other(self, rows, monkeypatch):
        monkeypatch.setattr(cuda_graphs, "_BEFORE_RECORDING", 3)
        expected = fit({"device": "cuda"}, *rows)
        with ThreadPoolExecutor(4) as pool:
            fits = [pool.submit(fit, {"device": "cuda"}, *rows) for _ in range(8)]
        for each in fits:
            assert_allclose(each.result().loss_curve_, expected.loss_curve_, rtol=1e-4)

    def test_an_interrupted_recording_leaves_it_as_it_was(self, rows, monkeypatch):
        monkeypatch.setattr(cuda_graphs, "_BEFORE_RECORDING", 3)
        expected = fit({"device": "cuda"}, *rows)

        def interrupted(self, rate):
            if torch.cuda.is_current_stream_capturing():
                raise KeyboardInterrupt
            step(self, rate)

        step = Optimizer.step
        with monkeypatch.context() as patch:
            patch.setattr(Optimizer, "update", interrupted)
            with pytest.raises(KeyboardInterrupt):
                fit({"device": "cuda"}, *rows)
        again = fit({"device": "cuda"}, *rows)
        assert_array_equal(again.loss_curve_, expected.loss_curve_)
