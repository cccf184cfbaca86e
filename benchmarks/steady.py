"""Steadiness: how long a fit takes on a busy machine, and with threads that do not fit.

    python benchmarks/steady.py --quick      # digits, once each: some four minutes
    SKAE_DATA=folder/with/mnist.npz python benchmarks/steady.py --repeats 5

A fit is timed alone; beside busy Python processes; beside a program that multiplies
matrices on two threads of torch; with 16 threads asked of torch and the BLAS of numpy;
on one core; and with a quota of half the cores, if this process may make a cgroup, as
root often may; otherwise a line says that one core stands for it. Needs Linux.

Each fit has a process of its own, which has fitted a few rows before. It is stopped
after ``--bound`` seconds times the fair share; half of its runs stopped are enough. The
fair share is how many times as long everything may take: (n + c) / c beside n busy
threads on c cores, one over the part of the cores that is left. A cell is the median of
the seconds, its ratio to the same contestant alone, and that over the fair share. Ours
are default fits, with all that they do besides; others take 2,000 steps, of the same
widths. MNIST, three passes of a plain network, needs ``SKAE_DATA``.
"""

import argparse
import multiprocessing
import os
import signal
import sys
import time
import warnings
from collections import defaultdict
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from math import inf
from statistics import median

import numpy as np
from situations import CORES, SITUATIONS, ask_for, other_work, quota_group

# What a contestant needs is imported by its function: its process starts sooner.


@dataclass
class Work:
    """Rows to fit, and the network and the steps of those that do not choose them."""

    rows: callable
    widths: tuple
    batch_size: int
    epochs: int
    is_default: bool = True


def digits():
    """Return 1,400 digits."""
    from sklearn.datasets import load_digits

    return (load_digits().data[:1400] / 16).astype(np.float32)


def curved():
    """Return 5,000 rows of 64 features: curves of 8 factors, and noise."""
    rng = np.random.default_rng(0)
    factors = rng.normal(size=(5000, 8)) @ rng.normal(size=(8, 64)) / 2
    return (np.tanh(factors) + 0.1 * rng.normal(size=factors.shape)).astype(np.float32)


def pictures():
    """Return MNIST."""
    from datasets import mnist

    return mnist()[0]


WORKS = {
    "digits": Work(digits, (64, 128, 64, 16), 128, 182),
    "5,000 x 64": Work(curved, (64, 128, 64, 8), 128, 50),
    "MNIST": Work(pictures, (784, 128, 64), 256, 3, is_default=False),
}


def ours(X, work, epochs):
    """Fit our estimator; a default fit chooses its passes if it may have all."""
    from skae import AutoEncoderTransformer

    params = {"device": "cpu", "random_state": 0}
    if not work.is_default:
        params |= {"hidden_layer_sizes": work.widths[1:-1], "activation": "relu"}
        params |= {"init": "random", "batch_size": work.batch_size}
        params |= {"alpha": 0.0, "early_stopping": False}
    if epochs < work.epochs or not work.is_default:
        params["max_iter"] = epochs
    AutoEncoderTransformer(work.widths[-1], **params).fit(X)


def torch_loop(X, work, epochs):
    """Train the network with the loop that torch's tutorials show, fused Adam."""
    import torch

    widths, layers = [*work.widths, *work.widths[-2::-1]], []
    for n_in, n_out in zip(widths[:-1], widths[1:], strict=True):
        layers += [torch.nn.Linear(n_in, n_out), torch.nn.ReLU()]
    network, X = torch.nn.Sequential(*layers[:-1]), torch.as_tensor(X)
    optimizer = torch.optim.Adam(network.parameters(), fused=True)
    for _ in range(epochs):
        for rows in torch.randperm(len(X)).split(work.batch_size):
            x = X[rows]
            optimizer.zero_grad()
            torch.nn.functional.mse_loss(network(x), x).backward()
            optimizer.step()


def perceptron(X, work, epochs):
    """Train scikit-learn's perceptron on its own input."""
    from sklearn.neural_network import MLPRegressor

    MLPRegressor(
        hidden_layer_sizes=[*work.widths[1:], *work.widths[-2:0:-1]],
        alpha=0.0,
        batch_size=min(work.batch_size, len(X)),
        max_iter=epochs,
        n_iter_no_change=epochs,
    ).fit(X, X)


def pca(X, work, epochs):
    """Fit PCA with as many codes."""
    from sklearn.decomposition import PCA

    PCA(work.widths[-1]).fit(X)


CONTESTANTS = {
    "skae": ours,
    "skae, one thread": ours,
    "torch loop": torch_loop,
    "MLPRegressor": perceptron,
    "PCA": pca,
}


def fit_when_told(pipe, name, work, n_threads, bound):
    """Get ready for a fit, wait for the word, and send the seconds."""
    warnings.simplefilter("ignore")
    fit, X = CONTESTANTS[name], pipe.recv()
    fit(X[:200], work, 1)  # a first fit loads much
    n_threads = 1 if name == "skae, one thread" else n_threads
    if n_threads is not None:
        ask_for(n_threads)
    pipe.send("ready")
    pipe.recv()
    signal.alarm(int(bound) + 5)  # the end, if the benchmark has met its own
    start = time.perf_counter()
    fit(X, work, work.epochs)
    pipe.send(time.perf_counter() - start)


@contextmanager
def contestant(name, work, situation, bound, X):
    """Start a contestant's process; yields it and a pipe to it."""
    context = multiprocessing.get_context("spawn")
    pipe, far_end = context.Pipe()
    arguments = far_end, name, work, situation.n_threads, bound
    process = context.Process(target=fit_when_told, args=arguments, daemon=True)
    os.sched_setaffinity(0, CORES[:1] if situation.has_one_core else CORES)
    process.start()
    os.sched_setaffinity(0, CORES)
    far_end.close()
    try:
        pipe.send(X)
        yield process, pipe
    finally:
        process.kill()
        process.join()


def one_round(names, work, situation, bound, X, group):
    """Return the seconds of each contestant, infinite where it was stopped."""
    taken = {}
    with ExitStack() as stack:
        runs = {n: contestant(n, work, situation, bound, X) for n in names}
        waiting = {name: stack.enter_context(run) for name, run in runs.items()}
        for process, pipe in waiting.values():
            pipe.recv()
            if situation.has_quota:
                (group / "cgroup.procs").write_text(str(process.pid))
        stack.enter_context(other_work(situation))
        for name, (process, pipe) in waiting.items():
            time.sleep(0.3)
            pipe.send("go")
            taken[name] = pipe.recv() if pipe.poll(bound) else inf
            process.kill()
            process.join()
    return taken


def measure(work, situations, repeats, bound, group):
    """Return the seconds by situation and contestant."""
    X = work.rows()
    times = {place: defaultdict(list) for place in situations}
    for _ in range(repeats):
        for place, situation in situations.items():
            longest = bound * situation.fair_share
            stopped = {name: times[place][name].count(inf) for name in CONTESTANTS}
            names = [name for name, n in stopped.items() if n <= repeats / 2]
            taken = one_round(names, work, situation, longest, X, group)
            print(place, taken, file=sys.stderr, flush=True)
            for name, value in taken.items():
                times[place][name].append(value)
    return times


def cell(times, alone, fair_share, bound):
    """Return "seconds (over alone; that over the fair share)"."""
    value = median(times)
    ratio = value / median(alone)
    if value == inf or not ratio:  # stopped, or alone
        return f"> {bound * fair_share:g} s" if value == inf else f"{value:.2g} s"
    return f"{value:.2g} s ({ratio:.2f}; {ratio / fair_share:.2f})"


def main():
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="digits, once each")
    parser.add_argument("--repeats", type=int, help="by default 3")
    parser.add_argument("--bound", type=float, help="seconds that a fit may take alone")
    args = parser.parse_args()
    repeats = args.repeats or (1 if args.quick else 3)
    bound = args.bound or (4 if args.quick else 15)
    works = {"digits": WORKS["digits"]} if args.quick else dict(WORKS)
    if "SKAE_DATA" not in os.environ and works.pop("MNIST", None):
        print("SKAE_DATA is not set: MNIST is left out")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("stopped"))
    with quota_group() as group:
        situations = {n: s for n, s in SITUATIONS.items() if group or not s.has_quota}
        if group is None:
            print("no cgroup may be made here: one core stands for a quota")
        print(f"{len(CORES)} cores\n\n| work | | fair | {' | '.join(CONTESTANTS)} |")
        print("|---" * (3 + len(CONTESTANTS)) + "|", flush=True)
        for work_name, work in works.items():
            times = measure(work, situations, repeats, bound, group)
            for place, situation in situations.items():
                fair = situation.fair_share
                cells = [
                    cell(times[place][name], times["alone"][name], fair, bound)
                    for name in CONTESTANTS
                ]
                print(f"| {work_name} | {place} | {fair:.2g} | {' | '.join(cells)} |")


if __name__ == "__main__":
    main()
