"""Parameters: one object with all of them, and nothing else."""

from dataclasses import FrozenInstanceError, fields

import numpy as np
import pytest

from skae import AutoEncoderTransformer
from skae._constraints import CONSTRAINTS
from skae._parts.parameters import Parameters

from .variants import parameters

NAMES = [field.name for field in fields(Parameters)]


def test_they_are_those_that_are_checked_and_those_of_the_estimator():
    assert NAMES == list(CONSTRAINTS)
    assert set(NAMES) == set(AutoEncoderTransformer().get_params(deep=False))


def test_each_has_its_value():
    values = AutoEncoderTransformer(3, alpha=0.5).get_params(deep=False)
    found = parameters(n_components=3, alpha=0.5)
    assert all(getattr(found, name) is values[name] for name in NAMES)


def test_a_subclass_that_asks_for_few_has_them_all():
    class Small(AutoEncoderTransformer):
        def __init__(self, n_components=2):
            super().__init__(n_components, solver="sgd")

    found = Parameters.of(Small(3))
    assert (found.n_components, found.solver, found.tol) == (3, "sgd", 1e-4)


def test_they_do_not_change():
    with pytest.raises(FrozenInstanceError):
        parameters().alpha = 1.0


def test_which_are_left_to_chance():
    found = parameters(hidden_layer_sizes=np.array([3, 2]), alpha=0.0)
    assert found.are_auto("solver", "max_iter")
    assert not found.are_auto("solver", "hidden_layer_sizes")
    assert not found.are_auto("alpha")
