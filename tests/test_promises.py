"""The promises that hold for every variant: state, randomness, dtype, silence."""

import copy
import io
import os
import pickle
import pickletools
import random
import subprocess
import sys
import threading
import warnings
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from types import SimpleNamespace

import joblib
import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning
from threadpoolctl import threadpool_info

from skae import AutoEncoderTransformer

from .conftest import rows
from .variants import VARIANTS, autoencoder, target_of

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
DIGEST = """
import hashlib, numpy as np
from skae import AutoEncoderTransformer
X = np.random.RandomState(0).normal(size=(60, 5))
model = AutoEncoderTransformer(random_state=3, max_iter=4, early_stopping=False)
Z = model.fit_transform(X)
digest = hashlib.sha256(Z.tobytes()).hexdigest()
"""


def _in_domain(name, X):
    """Rows that suit the variant's loss where the class itself does not map them."""
    return np.abs(X) if name in ("poisson", "positive_output") else X


def _global_state():
    # torch sets one variable itself when it first loads its compiler.
    environment = {k: v for k, v in os.environ.items() if "TORCHINDUCTOR" not in k}
    return {
        "torch generator": torch.get_rng_state().numpy().tobytes(),
        "numpy generator": np.random.get_state()[1].tobytes(),
        "python generator": random.getstate(),
        "environment": environment,
        "threads": torch.get_num_threads(),
        "default dtype": torch.get_default_dtype(),
        "deterministic": torch.are_deterministic_algorithms_enabled(),
        "gradients": torch.is_grad_enabled(),
        "floating point errors": np.geterr(),
    }


def _pools():
    """Threads of each library that computes."""
    return {pool["filepath"]: pool["num_threads"] for pool in threadpool_info()}


@contextmanager
def _captured(tmp_path):
    """Collect what is written: capfd, which fixtures of a module cannot have."""
    path = tmp_path / "output"
    sys.stdout.flush()
    sys.stderr.flush()
    with path.open("wb") as file:
        saved = [os.dup(fd) for fd in (1, 2)]
        try:
            for fd in (1, 2):
                os.dup2(file.fileno(), fd)
            with redirect_stdout(io.StringIO()) as out, redirect_stderr(out):
                yield lambda: out.getvalue() + path.read_text()
        finally:
            for fd, before in zip((1, 2), saved, strict=True):
                os.dup2(before, fd)
                os.close(before)


@pytest.fixture(scope="module", params=VARIANTS)
def name(request):
    return request.param


@pytest.fixture(scope="module")
def fit(name, tmp_path_factory):
    """Fit a variant once, on read-only rows, and note what is written meanwhile.

    The tests look at it from all sides, and must leave it as it is.
    """
    X = _in_domain(name, rows())
    given = X.copy()
    X.setflags(write=False)
    y = target_of(name, X)
    model = autoencoder(name)
    parameters = model.get_params()
    with _captured(tmp_path_factory.mktemp("fit")) as output:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            Z = model.fit_transform(X, y)
        Z.setflags(write=False)
        R = model.inverse_transform(Z)
        written = output()
    state = pickle.dumps(model)
    yield SimpleNamespace(
        model=model,
        parameters=parameters,
        X=X,
        given=given,
        y=y,
        Z=Z,
        R=R,
        written=written,
    )
    assert pickle.dumps(model) == state


def test_a_copy_is_the_same_to_joblib(fit):
    """Which hashes what it caches, strides of arrays included."""
    assert joblib.hash(copy.deepcopy(fit.model)) == joblib.hash(fit.model)


def test_state_is_numpy_and_plain_values(fit):
    plain = (np.ndarray, str, int, float, list, tuple, dict, type(None))

    def check(value):
        assert isinstance(value, plain), type(value)
        if isinstance(value, dict):
            value = value.values()
        if not isinstance(value, np.ndarray | str | int | float | type(None)):
            for item in value:
                check(item)

    model = copy.deepcopy(fit.model)
    # A network of one's own is remembered by the functions that make it.
    factories = model._architecture["network"][1]
    model._architecture["network"] = {
        name: v for name, v in factories.items() if not callable(v)
    }
    check({name: v for name, v in vars(model).items() if name not in fit.parameters})


def test_pickle_names_no_torch_class_and_is_small(fit):
    data = pickle.dumps(fit.model)  # it has a module by now, which must stay outside
    strings = [
        argument
        for _, argument, _ in pickletools.genops(data)
        if isinstance(argument, str)
    ]
    assert not [text for text in strings if "torch" in text]
    assert not [text for text in strings if text.startswith("skae.")]
    n_bytes = sum(weight.nbytes for weight in fit.model._weights.values())
    assert len(data) <= 1.1 * n_bytes + 20_000


def test_pickle_gives_the_same_codes(fit):
    again = pickle.loads(pickle.dumps(fit.model))
    assert_array_equal(again.transform(fit.X), fit.model.transform(fit.X))
    assert_array_equal(again.transform(fit.X), fit.Z)


def test_refitting_gives_the_same_codes(fit, name):
    """Also of rows that may be written on, where those of the first fit may not."""
    X, y, model = fit.given, fit.y, clone(fit.model)
    assert_array_equal(model.fit_transform(X, y), fit.Z)
    for seed in range(1, 6):  # until a network is trained, beyond its start
        if model.best_iter_ > 0 or name == "early_stopping":
            return
        # With more passes, so that PCA is not better each time.
        model.set_params(random_state=seed, max_iter=20 * (seed + 1))
        assert_array_equal(model.fit_transform(X, y), clone(model).fit_transform(X, y))
    assert model.best_iter_ > 0, "no seed trained a network"


def test_another_seed_gives_other_codes(fit, name):
    first, second = (
        fit.Z
        if fit.parameters["init"] == "random" and seed == 0
        else autoencoder(
            name, init="random", early_stopping=False, random_state=seed
        ).fit_transform(fit.X, fit.y)
        for seed in (0, 1)
    )
    assert np.abs(first - second).max() > 0


def test_float32_in_float32_out(fit, name):
    X = fit.X.astype("f4")
    model = autoencoder(name).fit(X, fit.y)
    Z = model.transform(X)
    assert Z.dtype == model.inverse_transform(Z).dtype == np.float32
    assert fit.Z.dtype == fit.R.dtype == np.float64


@pytest.mark.parametrize("dtype", ["f2", "i8", "u1", "?"])
@pytest.mark.parametrize(
    "name", ["default", "log_loss", "everything"], scope="function"
)
def test_other_dtypes_become_float64(name, dtype, X):
    """Before they reach a slot: a few variants stand for all."""
    X = np.abs(X).astype(dtype)
    model = autoencoder(name).fit(X, target_of(name, X))
    Z = model.transform(X)
    assert Z.dtype == model.inverse_transform(Z).dtype == np.float64


def test_float32_agrees_with_float64(fit):
    Z32 = fit.model.transform(fit.X.astype("f4"))
    assert_allclose(Z32, fit.Z, atol=1e-4 * np.abs(fit.Z).max())
    R32 = fit.model.inverse_transform(Z32)
    assert_allclose(R32, fit.R, rtol=1e-3, atol=1e-4 * np.abs(fit.R).max())


def test_y_that_is_not_asked_for_changes_nothing(fit, name):
    if fit.parameters["supervision"]:
        expected = autoencoder(name, supervision=0).fit_transform(fit.X)
    else:
        expected = fit.Z
    model = autoencoder(name, supervision=0).fit(fit.X, np.arange(len(fit.X)))
    assert_array_equal(model.transform(fit.X), expected)


@pytest.mark.parametrize("y", [["a"] * 100, np.nan, object(), [[None]]], ids=type)
def test_y_of_any_kind_changes_nothing(y, X):
    model = autoencoder("default")
    expected = model.fit_transform(X)
    assert_array_equal(model.fit(X, y).transform(X), expected)


def test_nothing_global_changes(name, X, two_threads):
    X = _in_domain(name, X)
    before, pools = _global_state(), _pools()
    model = autoencoder(name, max_iter=3).fit(X, target_of(name, X))
    model.inverse_transform(model.transform(X))
    model.score(X)
    assert _global_state() == before
    assert _pools().items() >= pools.items()


def test_input_is_not_changed_and_may_be_read_only(fit):
    assert not fit.X.flags.writeable
    assert_array_equal(fit.X, fit.given)


def test_parameters_are_not_changed(fit):
    found = fit.model.get_params()
    assert all(found[key] is value for key, value in fit.parameters.items())


def test_nothing_is_written(fit):
    assert fit.written == ""


def test_two_processes_give_the_same_codes():
    code = DIGEST + "print(digest)"
    there = subprocess.run(
        [sys.executable, "-W", "error", "-c", code],
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    here = {}
    exec(DIGEST, here)
    assert there == here["digest"] + "\n"


def test_fits_in_threads_do_not_disturb_each_other(X):
    expected = {
        seed: AutoEncoderTransformer(
            init="random", random_state=seed, max_iter=5
        ).fit_transform(X)
        for seed in range(4)
    }
    codes = {}

    def fit(seed):
        model = AutoEncoderTransformer(init="random", random_state=seed, max_iter=5)
        codes[seed] = model.fit_transform(X)

    threads = [threading.Thread(target=fit, args=(seed,)) for seed in expected]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for seed, Z in expected.items():
        # Another thread may compute with another number of cores: other last bits.
        assert_allclose(codes[seed], Z, rtol=1e-3, atol=1e-3)


def test_a_seed_generator_moves_on(X):
    shared = np.random.RandomState(0)
    model = AutoEncoderTransformer(init="random", random_state=shared, max_iter=1)
    model.set_params(early_stopping=False)  # PCA has no seed
    first, second = model.fit_transform(X), model.fit_transform(X)
    assert np.abs(first - second).max() > 0


def test_cuda_is_not_touched_before_fit(monkeypatch):
    """Importing, constructing, cloning and pickling ask nothing of a device."""

    def refuse(*args, **kwargs):
        raise AssertionError("CUDA was asked for")

    for name in ("is_available", "device_count", "current_device", "_lazy_init"):
        monkeypatch.setattr(torch.cuda, name, refuse)
    model = clone(AutoEncoderTransformer(device="cuda"))
    assert pickle.loads(pickle.dumps(model)).device == "cuda"
    AutoEncoderTransformer(max_iter=1).fit([[0.0, 1], [1, 0]])  # too small for a GPU
