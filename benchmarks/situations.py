"""Situations: what a program meets on a machine, for `benchmarks/steady.py`."""

import os
import subprocess
import sys
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from threadpoolctl import threadpool_limits

__all__ = ["CORES", "SITUATIONS", "Situation", "ask_for", "other_work", "quota_group"]

CORES = sorted(os.sched_getaffinity(0))
QUOTA = len(CORES) / 2  # cores
# Both end with the benchmark, however that ends.
BUSY = """
import os, sys
print(flush=True)
while os.getppid() == int(sys.argv[1]):
    for _ in range(100_000):
        pass
"""
MULTIPLYING = """
import os, sys, torch
torch.set_num_threads(2)
A = torch.randn(1000, 1000)
print(flush=True)
while os.getppid() == int(sys.argv[1]):
    A @ A
"""


@dataclass
class Situation:
    """Other programs that run, and the threads and cores that are there for ours."""

    n_busy: int = 0
    n_multiplying: int = 0
    n_threads: int = None
    has_one_core: bool = False
    has_quota: bool = False

    @property
    def fair_share(self):
        """How many times as long everything may take."""
        if self.has_one_core or self.has_quota:
            return len(CORES) / (1 if self.has_one_core else QUOTA)
        return (self.n_busy + 2 * self.n_multiplying + len(CORES)) / len(CORES)


SITUATIONS = {
    "alone": Situation(),
    "beside 1 busy process": Situation(n_busy=1),
    "beside 2 busy processes": Situation(n_busy=2),
    "beside 4 busy processes": Situation(n_busy=4),
    "beside 8 busy processes": Situation(n_busy=8),
    "beside 1 torch program": Situation(n_multiplying=1),
    "16 threads asked for": Situation(n_threads=16),
    "one core (affinity)": Situation(has_one_core=True),
    f"quota of {QUOTA:g} of {len(CORES)} cores (cgroup)": Situation(has_quota=True),
}


def ask_for(n_threads):
    """Ask the BLAS of numpy and scipy for so many threads, and torch where it is."""
    threadpool_limits(n_threads, user_api="blas")
    if "torch" in sys.modules:
        sys.modules["torch"].set_num_threads(n_threads)


@contextmanager
def other_work(situation):
    """Run the other programs meanwhile."""
    programs = [BUSY] * situation.n_busy + [MULTIPLYING] * situation.n_multiplying
    processes = []
    try:
        for program in programs:
            command = [sys.executable, "-c", program, str(os.getpid())]
            processes.append(subprocess.Popen(command, stdout=subprocess.PIPE))
        for process in processes:
            process.stdout.readline()  # it has started
        yield
    finally:
        for process in processes:
            process.kill()
            process.communicate()


@contextmanager
def quota_group():
    """Make a cgroup with a quota meanwhile; yields None if that is not allowed."""
    places = {}
    for line in Path("/proc/self/cgroup").read_text().splitlines():
        _, controllers, place = line.split(":", 2)
        for controller in controllers.split(","):  # none: version 2
            places[controller] = Path("/sys/fs/cgroup", controllers, place.lstrip("/"))
    parent = places.get("cpu", places.get("", Path()))
    group = parent / f"skae-steady-{os.getpid()}"
    is_made = _limit(group, int(100_000 * QUOTA))
    try:
        yield group if is_made else None
    finally:
        if group.is_dir():
            group.rmdir()


def _limit(group, quota):
    """Make this cgroup with microseconds in 100,000; return whether that is allowed."""
    try:
        group.mkdir()
        version_1 = group / "cpu.cfs_quota_us"
        if version_1.exists():
            version_1.write_text(str(quota))
        else:
            (group / "cpu.max").write_text(f"{quota} 100000")
        return True
    except OSError:
        return False
