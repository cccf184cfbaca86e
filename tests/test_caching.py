"""Caching: a property is computed once, and nobody waits for another thread's."""

import threading

import pytest

from skae._runtime.caching import cached_property


class Slow:
    """Something whose property may take long."""

    def __init__(self, compute):
        self.compute = compute
        self.n_calls = 0

    @cached_property
    def value(self):
        """What is computed."""
        self.n_calls += 1
        return self.compute()


def test_it_is_computed_once():
    slow = Slow(lambda: 3)
    assert (slow.value, slow.value, slow.n_calls) == (3, 3, 1)
    assert vars(slow)["value"] == 3
    assert Slow.value.__doc__ == "What is computed."


def test_what_fails_is_computed_anew():
    slow = Slow(lambda: 1 / 0)
    for n_calls in (1, 2):
        with pytest.raises(ZeroDivisionError):
            assert slow.value
        assert slow.n_calls == n_calls


def test_another_instance_does_not_wait():
    """As in a process that is forked meanwhile, where the other would never end."""
    begun, end = threading.Event(), threading.Event()
    busy = Slow(lambda: begun.set() or end.wait(60))
    thread = threading.Thread(target=lambda: busy.value)
    thread.start()
    others = []
    try:
        assert begun.wait(60)
        other = threading.Thread(target=lambda: others.append(Slow(lambda: 2).value))
        other.start()
        other.join(20)
        assert others == [2]
    finally:
        end.set()
        thread.join()
        other.join()
