"""Forks: what another thread held or had changed is free and as it was in a child."""

import multiprocessing
import os
import signal
import threading
import time

import pytest
import torch

from skae import AutoEncoderTransformer, Contraction
from skae._nn import seeded_modules
from skae._parts import penalties
from skae._runtime import isolation
from skae._runtime.forks import forkable_lock

from .conftest import rows

pytestmark = [
    pytest.mark.skipif(
        "fork" not in multiprocessing.get_all_start_methods(), reason="needs fork"
    ),
    pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning"),
]


def in_a_child(function):
    """Return whether a function returns in a forked process, and says that all is well.

    One that hangs is ended.
    """
    child = os.fork()
    if child == 0:
        is_well = False
        try:
            is_well = bool(function())
        finally:
            os._exit(0 if is_well else 1)
    end = time.monotonic() + 60
    while time.monotonic() < end:
        pid, status = os.waitpid(child, os.WNOHANG)
        if pid:
            return status == 0
        time.sleep(0.005)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return False


@pytest.fixture
def beside():
    """Run a context in another thread until the end of the test."""
    end, threads = threading.Event(), []

    def run(context):
        begun = threading.Event()

        def hold():
            with context:
                begun.set()
                end.wait(120)

        threads.append(threading.Thread(target=hold))
        threads[-1].start()
        assert begun.wait(60)

    yield run
    end.set()
    for thread in threads:
        thread.join()


def test_a_lock_that_another_thread_holds_is_free(beside):
    lock = forkable_lock()
    beside(lock)
    assert in_a_child(lambda: lock.acquire(timeout=5))
    assert lock.locked()


@pytest.mark.parametrize("module", [penalties, seeded_modules], ids=str)
def test_locks_of_the_package_are_such(module, beside):
    beside(module._ONE_AT_A_TIME)
    assert in_a_child(lambda: module._ONE_AT_A_TIME.acquire(timeout=5))


def test_what_another_thread_set_aside_is_put_back(beside):
    """In the child alone, where nobody else would."""
    with torch.autograd.set_detect_anomaly(True):
        beside(isolation._GLOBAL_SETTINGS[0].at_default())
        assert not torch.is_anomaly_enabled()
        assert in_a_child(torch.is_anomaly_enabled)
        assert not torch.is_anomaly_enabled()


def fit():
    """Fit with forward derivatives."""
    params = {"penalty": Contraction(), "max_iter": 1, "early_stopping": False}
    return AutoEncoderTransformer(**params, random_state=0).fit(rows())


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_forward_derivatives_of_another_thread_do_not_stay_open(beside):
    fit()
    beside(penalties._ONE_AT_A_TIME)
    beside(penalties._FORWARD_DERIVATIVES)
    assert in_a_child(lambda: fit().n_components_ == 2)


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("step", ["enter_dual_level", "exit_dual_level"])
@pytest.mark.parametrize("first", [True, False], ids=["before", "after"])
def test_an_interrupt_in_torch_leaves_no_derivatives_open(step, first, monkeypatch):
    """Whether it comes before or after torch has opened or closed them."""
    fit()
    does = getattr(penalties.forward_ad, step)

    def interrupted():
        if not first:
            does()
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(penalties.forward_ad, step, interrupted)
        with pytest.raises(KeyboardInterrupt):
            fit()
    assert fit().n_components_ == 2


def test_derivatives_that_a_user_has_open_stay_so():
    from torch.autograd import forward_ad

    with forward_ad.dual_level():
        dual = forward_ad.make_dual(torch.ones(2), torch.ones(2))
        for _ in range(2):
            with pytest.raises(RuntimeError, match="Nested"):
                fit()
        assert forward_ad.unpack_dual(dual).tangent is not None
