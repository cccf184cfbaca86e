"""Fitted state: what an estimator has learnt, as objects."""

from dataclasses import FrozenInstanceError, is_dataclass

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from skae import AutoEncoderTransformer
from skae._inference.explained_variance import EXPLAINED
from skae._inference.fitted_state import FittedState

from .conftest import rows
from .fitted import fitted

# What states of older versions may lack.
OPTIONAL = {
    "_ppca": "ppca",
    "_imputation": "imputation",
    "_target": "target",
    "_loss_parts": "loss_parts",
    "_memory": "memory",
    "baseline_score_": "baseline_score",
}

PARTS = "ppca", "imputation", "target"


@pytest.fixture(scope="module")
def model():
    params = {"supervision": 1.0, "missing_values": np.nan, "random_state": 0}
    X = rows()[:60]  # few enough to be kept
    X[::7, 3] = np.nan
    return AutoEncoderTransformer(2, **params).partial_fit(X, np.arange(60) % 3)


def test_each_object_has_the_values_that_are_stored(model):
    state, stored = FittedState.of(vars(model)), vars(model)
    for name in ("architecture", "scaling", "code_transform", *PARTS):
        found = getattr(state, name)
        assert is_dataclass(found)
        assert vars(found).keys() == stored[f"_{name}"].keys()
        assert all(vars(found)[k] is v for k, v in stored[f"_{name}"].items())
    memory, of_stream = state.memory, stored["_memory"]
    moments, checkpoint = vars(memory.moments), vars(memory.checkpoint)
    assert_array_equal(moments["loadings"], of_stream["moments"]["loadings"])
    assert checkpoint.keys() | {"moments", "first"} == of_stream.keys()
    assert memory.first.X is of_stream["first"]["X"]
    assert state.explained == {name: stored[name] for name in EXPLAINED}
    assert (state.n_samples, state.n_components) == (60, 2)


def test_it_is_read_and_not_written(model):
    with pytest.raises(FrozenInstanceError):
        FittedState.of(vars(model)).n_samples = 3


def test_it_is_of_one_moment(model):
    attributes = vars(model).copy()
    state = FittedState.of(attributes)
    attributes.update(vars(fitted("default")[0]))
    assert state.weights is model._weights is not attributes["_weights"]


@pytest.mark.parametrize("name", OPTIONAL)
def test_what_older_states_lack_is_none(name, model):
    attributes = vars(model).copy()
    assert getattr(FittedState.of(attributes), OPTIONAL[name]) is not None
    del attributes[name]
    assert getattr(FittedState.of(attributes), OPTIONAL[name]) is None


def test_older_states_lack_attributes_of_codes(model):
    attributes = vars(model).copy()
    del attributes["noise_variance_"]
    assert FittedState.of(attributes).explained.keys() == {*EXPLAINED[:4], EXPLAINED[5]}


def test_a_fit_that_is_over_has_no_memory(model):
    assert FittedState.of(vars(fitted("default")[0])).memory is None
    # As callbacks are shown an estimator that was a stream before.
    assert FittedState.of({**vars(model), "_memory": {}}).memory is None
