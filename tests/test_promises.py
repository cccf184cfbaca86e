"""The promises that hold for every variant: state, randomness, dtype, silence."""

import os
import pickle
import pickletools
import random
import subprocess
import sys
import threading

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone

from skae import AutoEncoderTransformer

from .variants import VARIANTS, autoencoder, target_of

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
every_variant = pytest.mark.parametrize("name", VARIANTS)
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


@every_variant
def test_state_is_numpy_and_plain_values(name, X):
    model = autoencoder(name).fit(_in_domain(name, X), target_of(name, X))
    plain = (np.ndarray, str, int, float, list, tuple, dict, type(None))

    def check(value):
        assert isinstance(value, plain), type(value)
        if isinstance(value, dict):
            value = value.values()
        if not isinstance(value, np.ndarray | str | int | float | type(None)):
            for item in value:
                check(item)

    parameters = model.get_params()
    # A network of one's own is remembered by the functions that make it.
    factories = model._architecture["network"][1]
    model._architecture["network"] = {
        name: v for name, v in factories.items() if not callable(v)
    }
    check({name: v for name, v in vars(model).items() if name not in parameters})


@every_variant
def test_pickle_names_no_torch_class_and_is_small(name, X):
    model = autoencoder(name).fit(_in_domain(name, X), target_of(name, X))
    model.transform(_in_domain(name, X))  # builds the module that must stay outside
    data = pickle.dumps(model)
    strings = [
        argument
        for _, argument, _ in pickletools.genops(data)
        if isinstance(argument, str)
    ]
    assert not [text for text in strings if "torch" in text]
    assert not [text for text in strings if text.startswith("skae.")]
    n_bytes = sum(weight.nbytes for weight in model._weights.values())
    assert len(data) <= 1.1 * n_bytes + 20_000


@every_variant
def test_pickle_gives_the_same_codes(name, X):
    X = _in_domain(name, X)
    model = autoencoder(name).fit(X, target_of(name, X))
    again = pickle.loads(pickle.dumps(model))
    assert_array_equal(again.transform(X), model.transform(X))


@every_variant
def test_refitting_gives_the_same_codes(name, X):
    X = _in_domain(name, X)
    model, y = autoencoder(name), target_of(name, X)
    for seed in range(6):  # until a network is trained, beyond its start
        model.set_params(random_state=seed)
        assert_array_equal(model.fit_transform(X, y), clone(model).fit_transform(X, y))
        if model.best_iter_ > 0 or name == "early_stopping":
            return
    pytest.fail("no seed trained a network")


@every_variant
def test_another_seed_gives_other_codes(name, X):
    X = _in_domain(name, X)
    first, second = (
        autoencoder(name, init="random", random_state=seed).fit_transform(X)
        for seed in (0, 1)
    )
    assert np.abs(first - second).max() > 0


@every_variant
@pytest.mark.parametrize(
    ("dtype", "expected"),
    [("f4", "f4"), ("f8", "f8"), ("f2", "f8"), ("i8", "f8"), ("u1", "f8"), ("?", "f8")],
)
def test_dtype_follows_the_input(name, dtype, expected, X):
    X = np.abs(X).astype(dtype)
    model = autoencoder(name).fit(X, target_of(name, X))
    Z = model.transform(X)
    assert Z.dtype == expected
    assert model.inverse_transform(Z).dtype == expected


@every_variant
def test_float32_agrees_with_float64(name, X):
    X = _in_domain(name, X)
    model = autoencoder(name).fit(X, target_of(name, X))
    Z = model.transform(X)
    Z32 = model.transform(X.astype("f4"))
    assert_allclose(Z32, Z, atol=1e-4 * np.abs(Z).max())
    R, R32 = model.inverse_transform(Z), model.inverse_transform(Z32)
    assert_allclose(R32, R, rtol=1e-3, atol=1e-4 * np.abs(R).max())


@every_variant
def test_y_of_any_kind_changes_nothing(name, X):
    X = _in_domain(name, X)
    expected = autoencoder(name, supervision=0).fit_transform(X)
    for y in (np.arange(len(X)), ["a"] * len(X), np.nan, object(), [[None]]):
        model = autoencoder(name, supervision=0).fit(X, y)
        assert_array_equal(model.transform(X), expected)


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


@every_variant
def test_nothing_global_changes(name, X, two_threads):
    before = _global_state()
    X = _in_domain(name, X)
    model = autoencoder(name).fit(X, target_of(name, X))
    model.inverse_transform(model.transform(X))
    model.score(X)
    assert _global_state() == before


@every_variant
def test_input_is_not_changed_and_may_be_read_only(name, X):
    X = _in_domain(name, X)
    expected = autoencoder(name).fit_transform(X, target_of(name, X))
    frozen = X.copy()
    frozen.setflags(write=False)
    model = autoencoder(name).fit(frozen, target_of(name, X))
    Z = model.transform(frozen)
    Z.setflags(write=False)
    model.inverse_transform(Z)
    assert_array_equal(frozen, X)
    assert_array_equal(Z, expected)


@every_variant
def test_parameters_are_not_changed(name, X):
    model = autoencoder(name)
    before = model.get_params()
    model.fit(_in_domain(name, X), target_of(name, X))
    assert all(model.get_params()[key] is value for key, value in before.items())


@every_variant
def test_nothing_is_written(name, X, capfd):
    X = _in_domain(name, X)
    model = autoencoder(name).fit(X, target_of(name, X))
    model.inverse_transform(model.transform(X))
    captured = capfd.readouterr()
    assert (captured.out, captured.err) == ("", "")


def test_verbose_writes_a_line_a_pass(X, capfd):
    AutoEncoderTransformer(max_iter=3, verbose=True, random_state=0).fit(X)
    lines = capfd.readouterr().out.splitlines()
    assert len(lines) == 3
    assert "pass 3/3: loss" in lines[-1]
    assert "validation loss" in lines[-1]


def test_two_processes_give_the_same_codes():
    code = DIGEST + "print(digest)"
    digests = {
        subprocess.run(
            [sys.executable, "-W", "error", "-c", code],
            check=True,
            capture_output=True,
            text=True,
        ).stdout
        for _ in range(2)
    }
    here = {}
    exec(DIGEST, here)
    assert digests == {here["digest"] + "\n"}


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
