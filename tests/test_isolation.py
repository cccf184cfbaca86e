"""Isolation: what is set for all of torch, numpy or scikit-learn is no matter."""

import contextlib
import os
import pickle
import subprocess
import sys
import threading
import warnings

import numpy as np
import pytest
import sklearn
import torch
from numpy.testing import assert_array_equal
from sklearn.base import clone
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skae import (
    AutoEncoderTransformer,
    Conv,
    Dense,
    Gaussian,
    Mixture,
    Modules,
)

from .variants import two_layers

FEW = {"max_iter": 2, "early_stopping": False, "random_state": 0}
ESTIMATORS = {
    "default": {"max_iter": 3, "random_state": 0},
    "supervised": {"supervision": 1.0, "teacher": "auto", "solver": "muon", **FEW},
    "drawn": {"latent": Gaussian(), "network": Dense(layer_norm=True), **FEW},
    "mixture": {"latent": Mixture(2), "corruption": "masking", "ordered": True, **FEW},
    "contractive": {"penalty": "contraction", "activation": "tanh", **FEW},
    "conv": {"network": Conv(channels=(4,)), "loss": "huber", **FEW},
    "modules": {"network": Modules(two_layers, two_layers), **FEW},
    "tied": {"network": Dense(tied=True, dropout=0.1), "loss": "poisson", **FEW},
}


def everything(name, X):
    """Return what all methods give that train or compute, and the fitted estimator."""
    y = np.arange(len(X)) % 3.0
    y[::5] = np.nan
    X = np.abs(X)
    model = AutoEncoderTransformer(**ESTIMATORS[name])
    results = [model.fit_transform(X, y), model.score(X), model.loss_curve_]
    results.append(model.inverse_transform(model.transform(X.astype("f4"))))
    if name == "mixture":
        results.append(model.sample(3, random_state=0))
    results.append(model.set_params(warm_start=True).fit_transform(X, y))
    model.partial_fit(X[:50], y[:50]).partial_fit(X[50:], y[50:])
    results += [model.transform(X), model.explained_variance_ratio_]
    return results, pickle.dumps(model)


@pytest.fixture(scope="module")
def expected():
    known = {}

    def find(name, X):
        if name not in known:
            known[name] = everything(name, X)
        return known[name]

    return find


@contextlib.contextmanager
def changed(change, value, before):
    """Call a function that sets something for all, and put it back behind."""
    change(value)
    try:
        yield
    finally:
        change(before)


def set_precision(value):
    torch.backends.fp32_precision = value


def float64_by_tensor_type(value):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.set_default_tensor_type(value)


SETTINGS = {
    "float64": lambda: changed(torch.set_default_dtype, torch.float64, torch.float32),
    "bfloat16": lambda: changed(torch.set_default_dtype, torch.bfloat16, torch.float32),
    "tensor type": lambda: changed(
        float64_by_tensor_type, torch.DoubleTensor, torch.FloatTensor
    ),
    "device": lambda: changed(torch.set_default_device, "meta", None),
    "device block": lambda: torch.device("meta"),
    "no_grad": torch.no_grad,
    "inference_mode": torch.inference_mode,
    "autocast": lambda: torch.autocast("cpu", dtype=torch.bfloat16),
    "deterministic": lambda: changed(torch.use_deterministic_algorithms, True, False),
    "anomaly": lambda: changed(torch.autograd.set_detect_anomaly, True, False),
    "warn_always": lambda: changed(torch.set_warn_always, True, False),
    "medium": lambda: changed(torch.set_float32_matmul_precision, "medium", "highest"),
    "np.seterr": lambda: np.errstate(all="raise"),
    "pandas": lambda: sklearn.config_context(transform_output="pandas"),
    "polars": lambda: sklearn.config_context(transform_output="polars"),
    "scikit-learn": lambda: sklearn.config_context(
        enable_metadata_routing=True,
        assume_finite=True,
        skip_parameter_validation=True,
        working_memory=1,
    ),
}


# What a setting of scikit-learn or numpy could reach is in these.
FOR_ALL = ("default", "supervised", "mixture")
PAIRS = [
    (name, setting)
    for setting in SETTINGS
    for name in ESTIMATORS
    if name in FOR_ALL or setting in ("float64", "bfloat16", "device", "autocast")
]


@pytest.mark.parametrize(("name", "setting"), PAIRS)
def test_what_is_set_for_all_changes_nothing(name, setting, X, few_trees, expected):
    results, stored = expected(name, X)
    if setting == "pandas":
        pytest.importorskip("pandas")
    if setting == "polars":
        pytest.importorskip("polars")
    with SETTINGS[setting]():
        found, _ = everything(name, X)
        loaded = pickle.loads(stored).transform(np.abs(X))
    for result, other in zip(found, results, strict=True):
        assert_array_equal(np.asarray(result), other)
    assert_array_equal(np.asarray(loaded), results[-2])


@pytest.mark.parametrize("setting", ["float64", "device", "medium", "anomaly"])
def test_it_is_put_back(setting, X):
    def state():
        return (
            torch.get_default_dtype(),
            torch.get_default_device(),
            torch.get_float32_matmul_precision(),
            torch.is_anomaly_enabled(),
        )

    with SETTINGS[setting]():
        before = state()
        AutoEncoderTransformer(network=Modules(two_layers, two_layers), **FEW).fit(X)
        assert state() == before


def test_precision_of_all_operations_is_put_back_as_such(X):
    """What was inherited is not written down for products: a later change is heard."""
    if not hasattr(torch.backends.mkldnn, "matmul"):
        pytest.skip("older torch")
    before = torch.backends.mkldnn.matmul.fp32_precision
    torch.backends.mkldnn.matmul.fp32_precision = "none"
    torch.backends.fp32_precision = "bf16"
    try:
        AutoEncoderTransformer(**FEW).fit(X)
        assert torch.backends.mkldnn.matmul.fp32_precision == "bf16"
        torch.backends.fp32_precision = "tf32"
        assert torch.backends.mkldnn.matmul.fp32_precision == "tf32"
    finally:
        torch.backends.fp32_precision = "none"
        torch.backends.mkldnn.matmul.fp32_precision = before


def test_the_last_of_several_threads_puts_it_back(X):
    expected = AutoEncoderTransformer(**FEW).fit_transform(X)
    codes = [None] * 4

    def work(i):
        for _ in range(3):
            codes[i] = AutoEncoderTransformer(**FEW).fit_transform(X)

    with SETTINGS["medium"](), SETTINGS["anomaly"]():
        threads = [threading.Thread(target=work, args=(i,)) for i in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert torch.get_float32_matmul_precision() == "medium"
        assert torch.is_anomaly_enabled()
    for Z in codes:
        np.testing.assert_allclose(Z, expected, rtol=1e-3, atol=1e-3)


def test_a_default_dtype_is_not_changed_for_others_meanwhile(X):
    """Threads that make tensors of their own would get those of another dtype."""
    seen = []

    def loss(output, target):
        thread = threading.Thread(target=lambda: seen.append(torch.get_default_dtype()))
        thread.start()
        thread.join()
        return (output - target).square().mean(dim=1)

    with SETTINGS["float64"]():
        AutoEncoderTransformer(loss=loss, **FEW).fit(X)
    assert set(seen) == {torch.float64}


def test_import_under_other_defaults():
    code = """
import numpy as np, torch
torch.set_default_device("meta")
torch.set_default_dtype(torch.bfloat16)
from skae import AutoEncoderTransformer
X = np.random.RandomState(0).normal(size=(60, 5))
model = AutoEncoderTransformer(init="random", max_iter=2, early_stopping=False)
print(model.set_params(random_state=3).fit(X).score(X))
"""
    X = np.random.RandomState(0).normal(size=(60, 5))
    model = AutoEncoderTransformer(init="random", max_iter=2, early_stopping=False)
    run = subprocess.run(
        [sys.executable, "-W", "error", "-c", code],
        check=True,
        capture_output=True,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    assert float(run.stdout) == pytest.approx(
        model.set_params(random_state=3).fit(X).score(X), rel=1e-4
    )


def test_frames_of_the_pipeline_stay_frames(X):
    """The configuration is set aside for what is fitted inside, not for its user."""
    pytest.importorskip("pandas")
    pipeline = make_pipeline(StandardScaler(), AutoEncoderTransformer(**FEW))
    with sklearn.config_context(transform_output="pandas"):
        Z = pipeline.fit_transform(X)
    assert list(Z.columns) == ["autoencodertransformer0", "autoencodertransformer1"]


def test_a_teacher_of_the_users_own_under_routing(X):
    y = np.arange(len(X)) % 2.0
    y[50:] = np.nan
    model = AutoEncoderTransformer(
        supervision=1.0, teacher=LogisticRegression(max_iter=1000), **FEW
    )
    expected = model.fit_transform(X, y)
    with sklearn.config_context(enable_metadata_routing=True):
        assert_array_equal(model.fit_transform(X, y), expected)


@pytest.mark.skipif(
    torch.cuda.is_available(), reason="needs a device that is not there"
)
def test_a_default_device_that_is_not_there(X):
    model = AutoEncoderTransformer(init="random", device="cpu", **FEW).fit(X)
    expected = model.transform(X)
    torch.set_default_device("cuda")
    try:
        assert_array_equal(model.transform(X), expected)
        assert_array_equal(clone(model).fit(X).transform(X), expected)
    finally:
        torch.set_default_device(None)
