"""Threads: how many are chosen, that nobody else notices, and that nothing depends."""

import multiprocessing
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import numpy as np
import pytest
import torch
from numpy.testing import assert_array_equal
from sklearn.datasets import load_digits

from skae import AutoEncoderTransformer
from skae._runtime import threads as _threads
from skae._runtime.threads import ThreadTuner, one_thread


class Machine:
    """A machine by its clock: how long a piece of work takes with n threads."""

    def __init__(self, monkeypatch):
        self.now = 0.0
        self.seconds = lambda n_threads: 1e-3
        monkeypatch.setattr(_threads, "perf_counter", lambda: self.now)
        monkeypatch.setattr(_threads, "_paid_last", 1)

    def work(self, tuner, seconds):
        """Let pieces be done for some seconds; return how many were."""
        end, n_pieces = self.now + seconds, 0
        while self.now < end:
            with tuner.at_work(tuner):
                self._piece(tuner)
            n_pieces += 1
        return n_pieces

    def _piece(self, tuner):
        self.now += self.seconds(tuner.n_threads)


@pytest.fixture
def machine(monkeypatch):
    return Machine(monkeypatch)


def tuner(most):
    tuner = ThreadTuner(most)
    tuner.begin_work()
    return tuner


class TestChoice:
    @pytest.mark.parametrize("most", [2, 3, 8, 64])
    def test_all_where_they_share_the_work(self, most, machine):
        machine.seconds = lambda n: 1e-3 / n
        threads = tuner(most)
        machine.work(threads, 1.0)
        assert threads._choices[threads._held] == most

    @pytest.mark.parametrize("most", [2, 8, 64])
    def test_one_where_they_wait_for_each_other(self, most, machine):
        machine.seconds = lambda n: 1e-3 if n == 1 else 30e-3
        n_pieces = machine.work(tuner(most), 10.0)
        assert n_pieces > 0.97 * 10.0 / 1e-3

    def test_as_many_as_pay(self, machine):
        machine.seconds = lambda n: 1e-3 * (1 / n + 0.02 * n)
        threads = tuner(64)
        machine.work(threads, 2.0)
        assert threads._choices[threads._held] == 8

    def test_cost_of_trials_on_an_idle_machine(self, machine):
        machine.seconds = lambda n: 1e-3 / n**0.8
        threads = tuner(2)
        machine.work(threads, 1.0)
        n_pieces = machine.work(threads, 10.0)
        assert n_pieces > 0.98 * 10.0 / machine.seconds(2)

    def test_other_work_that_comes_and_goes(self, machine):
        machine.seconds = idle = lambda n: 1e-3 / n
        threads = tuner(2)
        machine.work(threads, 1.0)
        machine.seconds = lambda n: 1e-3 if n == 1 else 30e-3
        assert machine.work(threads, 2.0) > 0.9 * 2.0 / 1e-3
        machine.seconds = idle
        machine.work(threads, 5.0)
        assert threads._choices[threads._held] == 2

    def test_the_next_work_begins_where_the_last_ended(self, machine):
        machine.seconds = lambda n: 1e-3 / n
        machine.work(tuner(2), 1.0)
        assert ThreadTuner(2).n_threads == 2

    def test_work_that_is_not_worth_sharing(self, machine):
        machine.seconds = lambda n: 1e-3 / n
        threads = ThreadTuner(2)
        threads.begin_work(most=1)
        machine.work(threads, 1.0)
        assert threads.n_threads == 1

    def test_a_number_that_would_change_the_result_is_not_used(self, machine):
        machine.seconds = lambda n: 1e-3 / n
        threads = ThreadTuner(8)
        outcome = lambda tuner: torch.tensor([float(tuner._set > 2)])  # noqa: E731
        threads.begin_work(outcome=outcome)
        used = set()

        def work(tuner):
            used.add(tuner._set)
            machine._piece(tuner)

        class Libraries:
            def set(self, n_threads):
                threads._set = n_threads

        threads._libraries, threads._set = Libraries(), 1
        for _ in range(2000):
            with threads.at_work(threads):
                work(threads)
        assert used == {1, 2} and threads.n_threads == 2

    def test_no_more_than_were_allowed(self):
        with one_thread():
            assert ThreadTuner()._choices == [1]

    def test_no_more_than_there_are_cores(self, monkeypatch):
        monkeypatch.setattr(torch, "get_num_threads", lambda: 64)
        monkeypatch.setattr(_threads, "_cores", lambda process: 3)
        assert ThreadTuner()._choices == [1, 2, 3]


class TestOthers:
    def test_keep_theirs(self):
        with ThreadPoolExecutor(1) as pool:
            before = pool.submit(torch.get_num_threads).result()
            with one_thread():
                elsewhere = pool.submit(torch.get_num_threads).result()
                assert torch.get_num_threads() == 1
        assert elsewhere == before

    def test_a_failed_fit_gives_them_back(self, X):
        class Broken:
            def corrupt(self, x, rng):
                raise KeyboardInterrupt

        with _two_threads():
            with pytest.raises(KeyboardInterrupt):
                AutoEncoderTransformer(corruption=Broken()).fit(X)
            assert torch.get_num_threads() == 2


@contextmanager
def _two_threads():
    """Two threads for torch, whatever the machine has."""
    with one_thread():  # which puts back what there was
        _threads._libraries().set(2)
        yield


@pytest.mark.parametrize(
    "params",
    [
        {},
        {"loss": "log_loss"},
        {"solver": "muon", "early_stopping": False},
        {"latent": "gaussian", "output_activation": "identity"},
        {"supervision": 1.0, "penalty": "sparsity"},
    ],
    ids=["default", "log_loss", "muon", "variational", "supervised"],
)
def test_their_number_changes_no_bit(params, monkeypatch):
    X, y = load_digits(return_X_y=True)
    model = AutoEncoderTransformer(
        8, hidden_layer_sizes=(512, 96), max_iter=2, random_state=0, **params
    )
    fits = []
    for most in (1, 2, 3):
        monkeypatch.setattr(_threads, "_allowed", lambda most=most: most)
        monkeypatch.setattr(_threads, "_paid_last", most)
        # Always that many: no time is long enough for a trial.
        monkeypatch.setattr(_threads, "_BLOCK_SECONDS", np.inf)
        model.fit(X[:900] / 16, y[:900])
        fits.append((model.transform(X / 16), model.loss_curve_, model.best_loss_))
    for codes, curve, loss in fits[1:]:
        assert_array_equal(codes, fits[0][0])
        assert curve == fits[0][1] and loss == fits[0][2]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_rows_are_encoded_alike_by_any_number(dtype, monkeypatch):
    X, _ = load_digits(return_X_y=True)
    X = np.tile(X, (4, 1)).astype(dtype)
    model = AutoEncoderTransformer(8, hidden_layer_sizes=(512, 96), max_iter=1)
    model.fit(X[:300])
    found = []
    for most in (1, 2, 3):
        monkeypatch.setattr(_threads, "_allowed", lambda most=most: most)
        codes = model.transform(X)
        found.append((codes, model.inverse_transform(codes)))
    for codes, rows in found[1:]:
        assert_array_equal(codes, found[0][0])
        assert_array_equal(rows, found[0][1])


def _work_in_a_forked_process(model, X, answers):
    answers.put(model.transform(X))
    answers.put(model.set_params(max_iter=1).fit(X).transform(X).shape)


@pytest.mark.skipif(
    "fork" not in multiprocessing.get_all_start_methods(), reason="needs fork"
)
@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_a_forked_process_answers():
    X = np.random.default_rng(0).normal(size=(3000, 300))
    model = AutoEncoderTransformer(2, hidden_layer_sizes=(512,), max_iter=1)
    with _two_threads():
        torch.ones(1000, 1000) @ torch.ones(1000, 1000)  # OpenMP's threads exist
        expected = model.fit(X).transform(X)
        fork = multiprocessing.get_context("fork")
        answers = fork.SimpleQueue()
        worker = fork.Process(
            target=_work_in_a_forked_process, args=(model, X, answers), daemon=True
        )
        worker.start()
        worker.join(120)  # seconds; it takes one
        try:
            assert worker.exitcode == 0
        finally:
            worker.kill()
        assert_array_equal(answers.get(), expected)
