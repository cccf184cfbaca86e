"""Threads: how many to use at the moment, found by timing the work itself.

Threads of OpenMP wait for each other actively. If another program uses one of their
cores, each of the dozens of waits in a training step takes a time slice of the
scheduler. Then two threads may be thirty times slower than one. No fixed number of
threads is right, because it depends on the other programs of the machine. So the steps
themselves are timed, and now and then more or fewer threads are tried. Measured in
docs/choices.md, "Threads", and in docs/steady.md.

The number of threads must not change a result. For most shapes, matrix products give
the same bits with any number of threads, but not for all shapes. So training uses a
number of threads only if it gives the same bits as one thread (`ThreadTuner.at_work`).
Work without steps to time, such as the encoding of rows, is split into parts that do
not depend on the number of threads. One thread works on each part (`in_parts`).
"""

import ctypes
import math
import os
from collections.abc import Callable, Hashable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import cache
from time import perf_counter
from typing import Any, Self, TypeVar

import joblib
import torch
from threadpoolctl import ThreadpoolController

from .._compat import torch_library

__all__ = ["ThreadTuner", "in_parts", "one_thread"]

Part = TypeVar("Part")
Result = TypeVar("Result")

# Seconds of work in a trial, and in the block of work that a trial is compared with.
# Each has at least this number of pieces.
_TRIAL_SECONDS, _BLOCK_SECONDS = 0.004, 0.02
_LEAST_PIECES = 2
# A larger number of threads is adopted if work is faster by this share. A smaller
# number is adopted even if work is slower by less than this share, because it leaves
# cores to other programs.
_WORTH_A_THREAD = 0.05
# A trial ends at once if its work takes more than this multiple of the time before.
_HOPELESS = 2.0
# If work slows down by this factor, another program probably uses the cores. Then one
# thread is used.
_DISTURBED = 1.3
# Seconds of work between trials: first the first number, then doubled after each trial
# without success, up to the second number. The pause is also at least this multiple of
# the seconds that the last trial has lost.
_FIRST_PAUSE, _LAST_PAUSE = 0.02, 2.0
_REPAYMENT = 100

# The number of threads that was adopted last in this process. New work begins with it.
_paid_last = 1
_forked = False


def _note_fork():
    global _forked
    _forked = True


# A forked process does not have OpenMP's threads, and would wait for them for ever.
# With one thread there is no such wait.
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_note_fork)


class ThreadTuner:
    """Chooses how many of the threads that the caller may use do the work.

    Within this context the calling thread works alone, except in `at_work`. At the end
    its number of threads is restored. Other threads and processes are not affected.

    Parameters
    ----------
    most : int, optional
        Largest number of threads. By default the smaller of torch's number of threads
        and the number of cores of the process, which respects its affinity mask and its
        quota.

    Attributes
    ----------
    n_threads : int
        Number of threads that `at_work` uses at the moment.
    """

    def __init__(self, most: int | None = None) -> None:
        most = _allowed() if most is None else most
        #: The powers of two below the largest number, and the largest number.
        self._choices = [2**i for i in range(math.ceil(math.log2(most)))] + [most]
        self._place = self._held = self._usual()
        self._libraries = _libraries()
        self._tunes = False
        # Seconds of a piece, when its number of threads was chosen.
        self._cost: float | None = None
        self._outcome: Callable[[Any], torch.Tensor] | None = None
        self._checked: set[tuple[int, Hashable]] = set()
        self._pause, self._until_trial = _FIRST_PAUSE, 0.0
        self._upward = True

    @property
    def n_threads(self) -> int:
        return self._choices[self._place]

    def begin_work(
        self,
        most: float = math.inf,
        outcome: Callable[[Any], torch.Tensor] | None = None,
    ) -> None:
        """Prepare for new work, and forget the times of other work.

        The pause until the next trial is not reset, because the machine is the same and
        each trial costs time.

        Parameters
        ----------
        most : int or float
            Largest number of threads to try.
        outcome : callable, optional
            Takes a piece of work, and returns a tensor of its results without side
            effects. Numbers of threads that change a bit of this tensor are not used.
        """
        if self._tunes and outcome is not None and outcome == self._outcome:
            return
        self._last = sum(choice <= most for choice in self._choices) - 1
        self._outcome, self._checked = outcome, set()
        self._tunes = self._last > 0
        self._cost = None  # seconds of a piece when the number of threads was adopted
        self._held = min(self._held, self._last)
        self._move_to(self._held)

    def at_work(self, piece: object, kind: Hashable = None) -> "_AtWork":
        """Return a context for work on a piece.

        Pieces of the same ``kind`` need the same operations.
        """
        return _AtWork(self, piece, kind)

    def _begin(self, piece: object, kind: Hashable) -> float | None:
        """Set the chosen number of threads. Return the start time, None if untimed."""
        if not self._tunes:
            return None
        if self._place and (self._place, kind) not in self._checked:
            self._check(piece, kind)
        begin = perf_counter()
        if self._place:
            self._libraries.set(self.n_threads)
        return begin

    def _end(self, begin: float) -> None:
        """Choose the number of threads for the next piece, from the time so far."""
        self._seconds += perf_counter() - begin
        self._pieces += 1
        if self._place != self._held:
            self._try()
        elif self._seconds >= _BLOCK_SECONDS and self._pieces >= _LEAST_PIECES:
            self._hold()

    def __enter__(self) -> Self:
        torch.get_num_threads()  # a thread's first call would reset what is set
        self._before = self._libraries.get()
        try:
            self._libraries.set(1)
            return self
        except BaseException:  # also for Ctrl-C
            self._libraries.put_back(self._before)
            raise

    def __exit__(self, *_: object) -> None:
        self._libraries.put_back(self._before)

    def _usual(self):
        return sum(choice <= _paid_last for choice in self._choices[1:])

    def _move_to(self, place):
        """Use this number of threads from now on, and restart the timing."""
        self._place = place
        self._seconds, self._pieces = 0.0, 0

    def _hold(self):
        """Evaluate a block of work with the adopted number of threads."""
        cost = self._seconds / self._pieces
        self._until_trial -= self._seconds
        disturbed = self._cost is not None and cost > _DISTURBED * self._cost
        self._reference = cost
        if self._cost is None:
            self._cost = cost
        if disturbed and self._held > 0:
            self._follow(0, cost)
            self._move_to(0)
        elif self._until_trial <= 0:
            self._move_to(self._neighbour())
        else:
            self._move_to(self._held)

    def _follow(self, place, cost):
        global _paid_last
        self._held, self._cost = place, cost
        self._pause, self._until_trial = _FIRST_PAUSE, 0.0
        _paid_last = self._choices[place]

    @contextmanager
    def _together(self):
        self._libraries.set(self.n_threads)
        try:
            yield
        finally:
            self._libraries.set(1)

    def _check(self, piece, kind):
        """Reduce the number of threads as long as it would change the result."""
        while self._place and self._outcome is not None:
            alone = self._outcome(piece).clone()
            with self._together():
                is_same = torch.equal(self._outcome(piece), alone)
            if is_same:
                break
            self._last = self._place - 1
            self._tunes = self._last > 0
            self._held = min(self._held, self._last)
            self._move_to(self._last)
        self._checked.add((self._place, kind))

    def _neighbour(self):
        last = self._last
        if self._held in (0, last):
            self._upward = self._held == 0
        return self._held + (1 if self._upward else -1)

    def _try(self):
        """Evaluate the present trial: adopt its number of threads, end it, or go on."""
        cost, more = self._seconds / self._pieces, self._place > self._held
        enough = self._seconds >= _TRIAL_SECONDS and self._pieces >= _LEAST_PIECES
        hopeless = (
            self._seconds >= _TRIAL_SECONDS and cost > _HOPELESS * self._reference
        )
        if not enough and not hopeless:
            return
        worth = 1 - _WORTH_A_THREAD if more else 1 + _WORTH_A_THREAD
        if cost < worth * self._reference:
            self._follow(self._place, cost)
        else:
            lost = self._seconds - self._pieces * self._reference
            self._pause = min(2 * self._pause, _LAST_PAUSE)
            self._until_trial = max(self._pause, _REPAYMENT * lost)
            self._upward = not more
        self._move_to(self._held)


class _AtWork:
    """The context of `ThreadTuner.at_work`. A class is faster than a generator."""

    def __init__(self, tuner: ThreadTuner, piece: object, kind: Hashable) -> None:
        self._tuner, self._piece, self._kind = tuner, piece, kind

    def __enter__(self) -> None:
        self._begin = self._tuner._begin(self._piece, self._kind)

    def __exit__(self, error, *_):
        tuner = self._tuner
        if self._begin is None:
            return
        if tuner._place:
            tuner._libraries.set(1)
        if error is None:
            tuner._end(self._begin)


def in_parts(function: Callable[[Part], Result], parts: Sequence[Part]) -> list[Result]:
    """Call a function with each part, on all cores, with one thread for each part.

    Parameters
    ----------
    function : callable
        May be called by several threads at once.
    parts : list
        Parts that do not depend on the number of threads, so that the results do not
        either.

    Returns
    -------
    results : list
    """
    n_workers = 1 if len(parts) == 1 else min(_allowed(), len(parts))
    if n_workers == 1:
        with one_thread():
            return [function(part) for part in parts]

    def work(part):
        with one_thread():
            return function(part)

    with ThreadPoolExecutor(n_workers) as pool:
        return list(pool.map(work, parts))


class one_thread:  # noqa: N801, used as a function
    """A context in which the calling thread works alone."""

    def __enter__(self) -> None:
        torch.get_num_threads()  # a thread's first call would reset what is set
        self._libraries = _libraries()
        self._before = self._libraries.get()
        self._libraries.set(1)

    def __exit__(self, *_: object) -> None:
        self._libraries.put_back(self._before)


def _allowed():
    """Return how many threads the caller may use, limited by the number of cores."""
    asked = torch.get_num_threads()
    return 1 if _forked or asked == 1 else min(asked, _cores(os.getpid()))


@cache
def _cores(process):
    """Return the cores of a process. Cached, because reading the quota is slow."""
    return joblib.cpu_count()


class _Libraries:
    """The numbers of threads that OpenMP and MKL use for the calling thread."""

    def __init__(self):
        openmp = ThreadpoolController().select(user_api="openmp").lib_controllers
        # Looked up once, because encoding a row takes only as long as a few hundred
        # look-ups.
        libraries = [library.dynlib for library in openmp]
        self._get = [library.omp_get_max_threads for library in libraries]
        self._set = [library.omp_set_num_threads for library in libraries]
        self._mkl = _mkl_setter()

    def get(self):
        return [get() for get in self._get], self._mkl(0)

    def set(self, n_threads):
        for set_number in self._set:
            set_number(n_threads)
        self._mkl(n_threads)

    def put_back(self, numbers):
        openmp, mkl = numbers
        for set_number, n_threads in zip(self._set, openmp, strict=True):
            set_number(n_threads)
        self._mkl(mkl)


def _mkl_setter():
    """Return a function that sets MKL's number of threads for the calling thread only.

    The function returns the previous number. Zero means the number of the process. MKL
    uses this number first. It uses OpenMP's number only if `torch.set_num_threads` was
    never called.
    """
    try:
        library = ctypes.CDLL(torch_library())
        return library.MKL_Set_Num_Threads_Local
    except (AttributeError, OSError):  # a build of torch without MKL
        return lambda n_threads: 0


@cache
def _libraries():
    """Return the libraries of this process. Cached: finding them takes milliseconds."""
    return _Libraries()
