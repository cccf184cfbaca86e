"""Stopping: when passes end and which weights are kept."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import nn

from skae._training.early_stopping import EarlyStopping
from skae._training.flat_parameters import FlatParameters

DEFAULTS = {"max_iter": 9, "n_iter_no_change": 3, "tol": 0.01}
DEFAULTS["learning_rate"] = "constant"


def watch(losses, start=10.0, **config):
    """Return the monitor after the losses, whose weights are the pass's number."""
    config = SimpleNamespace(**DEFAULTS | config)
    parameters = FlatParameters(nn.Linear(1, 1))
    parameters.values.fill_(0.0)
    early_stopping = EarlyStopping(parameters, config, start)
    for number, loss in enumerate(losses, 1):
        parameters.values.fill_(float(number))
        if early_stopping.should_stop(loss):
            break
    return early_stopping


def test_cap():
    early_stopping = watch(np.linspace(9, 1, 20))
    assert (early_stopping.reason, early_stopping.n_iter) == ("max_iter", 9)
    assert early_stopping.improving


def test_patience_counts_passes_in_a_row():
    early_stopping = watch([5, 4, 4, 4, 3, 3, 3, 3])
    assert (early_stopping.reason, early_stopping.n_iter) == ("converged", 8)


def test_patience_does_not_count_while_the_step_size_rises():
    losses = [5, *[6] * 30]
    rising = {"max_iter": 20, "learning_rate": "one_cycle"}
    assert watch(losses, **rising).n_iter == 4 + 3
    assert watch(losses, **rising | {"learning_rate": "constant"}).n_iter == 1 + 3
    nothing_learnt = [12] * 30
    assert watch(nothing_learnt, **rising).n_iter == 3


def test_improvement_is_relative():
    for unit in (1e-9, 1.0, 1e9):
        falling = [unit * 0.98**i for i in range(9)]
        assert watch(falling, start=unit).reason == "max_iter"
        crawling = [unit * 0.999**i for i in range(9)]
        assert watch(crawling, start=unit).reason == "converged"


def test_many_small_steps_add_up_to_an_improvement():
    assert watch([1 * 0.996**i for i in range(9)]).reason == "max_iter"


def test_best_weights_are_kept_even_of_a_small_improvement():
    early_stopping = watch([5.0, 4.999, 5.1, 5.2])
    assert early_stopping.reason == "converged"
    assert (early_stopping.best_iter, early_stopping.best_loss) == (2, 4.999)
    assert (early_stopping.best_values == 2).all()
    assert not early_stopping.improving


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_divergence(bad):
    early_stopping = watch([5, 4, bad, 1])
    assert (early_stopping.reason, early_stopping.n_iter, early_stopping.best_iter) == (
        "diverged",
        3,
        2,
    )
    assert (early_stopping.best_values == 2).all()
    assert watch([bad]).best_iter == 0


def test_kept_weights_are_a_copy():
    early_stopping = watch([1.0])
    assert isinstance(early_stopping.best_values, torch.Tensor)
    early_stopping.parameters.values.fill_(7.0)
    assert (early_stopping.best_values == 1).all()


def test_start_is_kept_unless_improved():
    early_stopping = watch([12.0, 11.0, 10.5])
    assert (early_stopping.best_iter, early_stopping.best_loss) == (0, 10.0)
    early_stopping.restore_best()
    assert (early_stopping.parameters.values == 0).all()


def test_best_weights_are_put_back_unless_the_start_is_asked_for():
    early_stopping = watch([9.0, 8.0, 8.5])
    early_stopping.restore_best()
    assert (early_stopping.best_iter, early_stopping.best_loss) == (2, 8.0)
    assert (early_stopping.parameters.values == 2).all()
    early_stopping.back_to_start()
    early_stopping.restore_best()
    assert (early_stopping.best_iter, early_stopping.best_loss) == (0, 10.0)
    assert (early_stopping.parameters.values == 0).all()
