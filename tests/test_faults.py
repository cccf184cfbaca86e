"""Faults: an exception from any line of a fit leaves the fit before as it was.

A few lines here; ``benchmarks/faults.py`` tries many, and signals, forks, full disks.
"""

import gc
import sys
from pathlib import Path

import pytest
import torch
from numpy.testing import assert_array_equal

import skae
from skae import AutoEncoderTransformer
from skae._runtime.atomic import all_or_nothing

from .conftest import rows

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
PACKAGE = str(Path(skae.__file__).parent)
N_LINES = 20


def run_until_line(function, stop, error=RuntimeError):
    """Call a function, and raise at some line of skae; return how many there were."""
    n = 0
    before = sys.gettrace()

    def enter(frame, event, argument):
        return line if frame.f_code.co_filename.startswith(PACKAGE) else None

    def line(frame, event, argument):
        nonlocal n
        n += event == "line"
        if n == stop:
            raise error("from a line of skae")
        return line

    sys.settrace(enter)
    try:
        function()
    finally:
        sys.settrace(before)
    return n


@pytest.fixture(scope="module")
def fitted():
    """Return a fitted estimator, its codes, and how many lines a second fit runs."""
    model = AutoEncoderTransformer(max_iter=1, early_stopping=False, random_state=0)
    codes = model.fit(rows()).transform(rows())
    for _ in range(2):  # the first one fills caches
        n_lines = run_until_line(lambda: fit_again(AutoEncoderTransformer()), 0)
    return model, codes, n_lines


def fit_again(model):
    """Fit to other rows, of other width, in as few lines as may be."""
    params = {"max_iter": 1, "early_stopping": False, "random_state": 0}
    return model.set_params(**params).fit(rows()[:40, :5])


@pytest.mark.parametrize("part", range(N_LINES))
def test_an_exception_from_any_line_leaves_the_fit_before(part, fitted):
    model, codes, n_lines = fitted
    before = dict(vars(model))
    stop = 10 + int(0.95 * n_lines * part / N_LINES)
    with pytest.raises(RuntimeError, match="from a line of skae"):
        run_until_line(lambda: fit_again(model), stop)
    assert vars(model) == before
    assert_array_equal(model.transform(rows()), codes)


class Witness:
    """Looks at an estimator when it is let go of."""

    def __init__(self, estimator, seen):
        self.estimator, self.seen = estimator, seen

    def __del__(self):
        self.seen.append(dict(vars(self.estimator)))


def test_the_state_before_comes_back_in_one_step():
    """Who looks meanwhile, as another thread, never meets a part of it."""
    model, seen = AutoEncoderTransformer(3), []
    before = dict(vars(model))
    with pytest.raises(KeyboardInterrupt):
        with all_or_nothing(model):
            model.learnt_ = Witness(model, seen)
            raise KeyboardInterrupt
    gc.collect()
    assert seen == [before] and vars(model) == before


def too_large(output, target):
    """Ask for more memory than any machine has."""
    return torch.ones(1).expand(10**15).contiguous()


def on_a_full_gpu(output, target):
    """Raise what torch raises there."""
    raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")


@pytest.mark.parametrize(
    ("loss", "message"),
    [(too_large, "not enough memory.*batch_size"), (on_a_full_gpu, "device='cpu'")],
)
@pytest.mark.parametrize("method", ["fit", "partial_fit"])
def test_no_memory_is_a_memory_error_in_a_sentence(loss, message, method):
    model = AutoEncoderTransformer(loss=loss, max_iter=1)
    before = dict(vars(model))
    with pytest.raises(MemoryError, match=message):
        getattr(model, method)(rows())
    assert vars(model) == before


def test_another_error_of_torch_stays_what_it_is():
    def wrong(output, target):
        return output @ target

    with pytest.raises((RuntimeError, ValueError)) as caught:
        AutoEncoderTransformer(loss=wrong).fit(rows())
    assert not isinstance(caught.value, MemoryError)
