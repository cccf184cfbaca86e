"""Threads: as many as pay at the moment, found out by timing the work itself.

Threads of OpenMP wait for each other actively. Where another program has their core,
each of the dozens of waits in a training step takes as long as the scheduler's turn,
and two threads may be thirty times slower than one. No constant can tell: it depends on
what else the machine does. So the steps themselves are timed, now and then with more
threads and with fewer.

The number of threads must not change a result. Products of most shapes give the same
bits however they are shared out, of some they do not: so a number of threads is used
for a training only if it gives the bits of one thread (`ThreadTuner.at_work`). What has
no steps to time, as rows to be encoded, is cut into parts that do not depend on the
threads, and each part is worked on by one (`in_parts`).
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

# Seconds of work that are timed at once, and pieces at least: of a trial, and of what
# it is compared with.
_TRIAL_SECONDS, _BLOCK_SECONDS = 0.004, 0.02
_LEAST_PIECES = 2
# A trial of more threads has to be faster by this part to be followed, one of fewer may
# be as much slower: they leave cores to others.
_WORTH_A_THREAD = 0.05
# A trial that takes so many times as long as the same work did before ends at once.
_HOPELESS = 2.0
# Work that slows down by this factor has met other work: one thread is tried.
_DISTURBED = 1.3
# Seconds of work between trials: from the first to the last number, doubled while
# trials bring nothing; and so many times what the last trial has lost.
_FIRST_PAUSE, _LAST_PAUSE = 0.02, 2.0
_REPAYMENT = 100

# Threads that paid when last tried in this process: where the next work begins.
_paid_last = 1
_forked = False


def _note_fork():
    global _forked
    _forked = True


# OpenMP's threads do not come along into a forked process, and to wait for them would
# never end. One thread needs none.
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_note_fork)


class ThreadTuner:
    """Chooses how many threads work, of those that the caller may use.

    As a context it lets the calling thread work alone, except in `at_work`, and puts
    its number of threads back in the end. Other threads and processes see nothing of
    it.

    Parameters
    ----------
    most : int, optional
        Threads at most. By default as many as torch would use, or as the process has
        cores: those of its affinity mask or of its quota, if there is one.

    Attributes
    ----------
    n_threads : int
        How many are `at_work` at the moment.
    """

    def __init__(self, most: int | None = None) -> None:
        most = _allowed() if most is None else most
        #: One, two, four and so on, and all.
        self._choices = [2**i for i in range(math.ceil(math.log2(most)))] + [most]
        self._place = self._held = self._usual()
        self._libraries = _libraries()
        self._tunes = False
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
        """Forget how long pieces took, if others come now.

        When it was last seen that more threads do not pay is not forgotten: the machine
        is the same, and each trial costs.

        Parameters
        ----------
        most : int or float
            Threads that are worth a trial.
        outcome : callable, optional
            Returns a tensor of a piece of work without doing it. Numbers of threads
            with which it has not the bits that it has with one are not used.
        """
        if self._tunes and outcome is not None and outcome == self._outcome:
            return
        self._last = sum(choice <= most for choice in self._choices) - 1
        self._outcome, self._checked = outcome, set()
        self._tunes = self._last > 0
        self._cost = None  # seconds of a piece, when its number of threads was chosen
        self._held = min(self._held, self._last)
        self._move_to(self._held)

    def at_work(self, piece: object, kind: Hashable = None) -> "_AtWork":
        """Return a context for work on a piece; those of a kind take the same steps."""
        return _AtWork(self, piece, kind)

    def _begin(self, piece: object, kind: Hashable) -> float | None:
        """Let as many threads work as were chosen; return when that was, or None."""
        if not self._tunes:
            return None
        if self._place and (self._place, kind) not in self._checked:
            self._check(piece, kind)
        begin = perf_counter()
        if self._place:
            self._libraries.set(self.n_threads)
        return begin

    def _end(self, begin: float) -> None:
        """Choose for the next piece, by how long this one took."""
        self._seconds += perf_counter() - begin
        self._pieces += 1
        if self._place != self._held:
            self._try()
        elif self._seconds >= _BLOCK_SECONDS and self._pieces >= _LEAST_PIECES:
            self._hold()

    def __enter__(self) -> Self:
        torch.get_num_threads()  # a thread's first question would undo what is set
        self._before = self._libraries.get()
        try:
            self._libraries.set(1)
            return self
        except BaseException:  # Ctrl-C among them
            self._libraries.put_back(self._before)
            raise

    def __exit__(self, *_: object) -> None:
        self._libraries.put_back(self._before)

    def _usual(self):
        return sum(choice <= _paid_last for choice in self._choices[1:])

    def _move_to(self, place):
        """Work with another number of threads, or with the same, from now on."""
        self._place = place
        self._seconds, self._pieces = 0.0, 0

    def _hold(self):
        """Look at a block of work with the number of threads that was chosen."""
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
        """Go back to fewer threads if so many would change the result."""
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
        """Look at the trial so far: follow it, give it up, or let it go on."""
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
    """What `ThreadTuner.at_work` returns: a class is quicker than a generator."""

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
    """Call a function of each part, on all cores, each part by one thread.

    Parameters
    ----------
    function : callable
        May be called by several threads at once.
    parts : list
        Not made by how many threads there are, so that the results are not either.

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
        torch.get_num_threads()  # a thread's first question would undo what is set
        self._libraries = _libraries()
        self._before = self._libraries.get()
        self._libraries.set(1)

    def __exit__(self, *_: object) -> None:
        self._libraries.put_back(self._before)


def _allowed():
    """How many threads the caller may use, and can."""
    asked = torch.get_num_threads()
    return 1 if _forked or asked == 1 else min(asked, _cores(os.getpid()))


@cache
def _cores(process):
    """Cores of a process: to read its quota takes a while."""
    return joblib.cpu_count()


class _Libraries:
    """How many threads OpenMP and MKL take for the calling thread alone."""

    def __init__(self):
        openmp = ThreadpoolController().select(user_api="openmp").lib_controllers
        # Looked up once: a row is encoded in the time of a few hundred look-ups.
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
    """Return what sets MKL's number of threads in the calling thread alone.

    It returns the number before; zero stands for that of the process. MKL looks at it
    first, and at OpenMP's only if `torch.set_num_threads` was never called.
    """
    try:
        library = ctypes.CDLL(torch_library())
        return library.MKL_Set_Num_Threads_Local
    except (AttributeError, OSError):  # a build of torch without MKL
        return lambda n_threads: 0


@cache
def _libraries():
    """Return those of this process; to find them takes milliseconds."""
    return _Libraries()
