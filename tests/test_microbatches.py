"""Memory that is too short for a batch: steps in parts, and rows in halves."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal

from skae import AutoEncoderTransformer
from skae._inference.codec import Codec
from skae._runtime.memory import in_halves
from skae._training.microbatches import Microbatches
from skae._training.objective import Objective

from .conftest import mixed_rows, rows
from .variants import autoencoder, target_of

# Rows that the memory of these tests holds at once.
ROOM = 16
SHORT = "not enough memory for a batch of .* rows"


def limited(function, room=ROOM):
    """Return a method of one batch that finds no memory for more rows than a few."""

    def method(self, batch, *args):
        if len(batch) > room:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate ...")
        return function(self, batch, *args)

    return method


@pytest.fixture
def little_memory(monkeypatch):
    monkeypatch.setattr(Objective, "backward", limited(Objective.backward))
    monkeypatch.setattr(Objective, "__call__", limited(Objective.__call__))


# Of these, nothing is drawn in a step, and costs are means over rows.
@pytest.mark.parametrize("n_parts", [2, 8])
@pytest.mark.parametrize(
    "name",
    ["default", "random", "log_loss", "huber", "ordered", "conv", "supervised_plain"],
)
def test_parts_have_the_gradient_of_the_batch(monkeypatch, name, n_parts):
    compared = []
    whole_backward = Objective.backward

    def compare(objective, batch, progress=1.0):
        monkeypatch.undo()
        loss = whole_backward(objective, batch, progress)
        gradient = objective.parameters.gradients.clone()
        steps = Microbatches(objective, SimpleNamespace(progress=progress), n_parts)
        compared.append((steps._backward(batch), loss))
        compared.append((objective.parameters.gradients.clone(), gradient))
        objective.parameters.gradients.copy_(gradient)
        monkeypatch.setattr(Objective, "backward", compare)
        return loss

    monkeypatch.setattr(Objective, "backward", compare)
    X = np.repeat(rows()[:24], 4, axis=0) + 1e-3 * np.arange(96)[:, None]
    weights = 1 + np.arange(96) % 3
    model = autoencoder(name, max_iter=2, batch_size=48)
    model.fit(X, target_of(name, X), sample_weight=weights)
    assert len(compared) >= 8
    for of_parts, of_whole in compared:
        of_parts, of_whole = np.asarray(of_parts), np.asarray(of_whole)
        # A part may have a row more that is an outlier, or has no target.
        largest = np.abs(of_whole).max()
        assert_allclose(of_parts, of_whole, rtol=0, atol=2e-2 * largest)


def test_of_rows_alike_in_kind_the_gradient_is_equal():
    """Without outliers nothing differs but the last digits."""
    X = rows().astype(np.float32)
    model = autoencoder("log_loss", max_iter=3, batch_size=64)
    whole = model.fit(X).transform(X)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Objective, "backward", limited(Objective.backward))
        with pytest.warns(UserWarning, match=SHORT):
            in_parts = model.fit(X).transform(X)
    assert_allclose(in_parts, whole, rtol=1e-3, atol=1e-4 * np.abs(whole).max())


@pytest.mark.parametrize("name", ["default", "conv", "variational", "modules"])
def test_a_fit_goes_on_in_parts(little_memory, name):
    X = rows()
    with pytest.warns(UserWarning, match=SHORT) as caught:
        model = autoencoder(name, batch_size=50).fit(X)
    assert len([w for w in caught if "memory" in str(w.message)]) == 1
    assert np.isfinite(model.transform(X)).all()
    assert model.score(X) > 0


def test_a_stream_and_rows_with_gaps_go_on_in_parts(little_memory):
    X = mixed_rows()
    X[::7, 0] = np.nan
    params = {"missing_values": np.nan, "max_iter": 3, "early_stopping": False}
    model = AutoEncoderTransformer(2, random_state=0, batch_size=60, **params)
    with pytest.warns(UserWarning, match=SHORT):
        model.fit(X)
    with pytest.warns(UserWarning, match=SHORT):
        model.partial_fit(X)
    assert np.isfinite(model.impute(X)).all()


def test_batches_that_fit_are_made_as_ever(monkeypatch):
    """A limit that no batch meets changes no bit, and warns of nothing."""
    model = autoencoder("default", batch_size=ROOM, max_iter=2)
    codes = model.fit(rows()).transform(rows())
    monkeypatch.setattr(Objective, "backward", limited(Objective.backward))
    monkeypatch.setattr(Objective, "__call__", limited(Objective.__call__))
    assert_array_equal(model.fit(rows()).transform(rows()), codes)


def test_rows_are_encoded_in_halves(monkeypatch):
    X = rows()
    model = autoencoder("default").fit(X)
    Z, error = model.transform(X), model.reconstruction_error(X)
    monkeypatch.setattr(Codec, "codes", limited(Codec.codes))
    assert_allclose(model.transform(X), Z, rtol=1e-9)
    assert_allclose(model.reconstruction_error(X), error, rtol=1e-9)


@pytest.mark.parametrize("n_rows", [1, 2, 7, 64])
def test_halves_are_put_together_in_order(n_rows):
    asked = []

    def double(part):
        asked.append(len(part))
        if len(part) > 3:
            raise RuntimeError("DefaultCPUAllocator: can't allocate memory")
        return 2 * part

    values = torch.arange(n_rows)
    assert torch.equal(in_halves(double, values), 2 * values)
    assert asked[0] == n_rows and max(asked[-2:]) <= 3


def test_one_row_that_is_too_large_is_an_error():
    def never(part):
        raise torch.OutOfMemoryError("CUDA out of memory.")

    with pytest.raises(torch.OutOfMemoryError):
        in_halves(never, torch.zeros(5))


def test_another_error_is_raised_at_once():
    asked = []

    def wrong(part):
        asked.append(part)
        raise RuntimeError("shapes do not match")

    with pytest.raises(RuntimeError, match="shapes"):
        in_halves(wrong, torch.zeros(5))
    assert len(asked) == 1
