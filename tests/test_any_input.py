"""Any input: examples that hypothesis draws; answered in numbers, or in a sentence.

``SKAE_EXAMPLES=10000 pytest -n 0 tests/test_any_input.py`` tries more than 200.
"""

import os
import traceback
from pathlib import Path

import hypothesis.extra.numpy as hnp
import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st
from numpy.testing import assert_array_equal

from skae import AutoEncoderTransformer, Dense, Sparsity

from .test_edges import check_round_trip

TORCH = str(Path(torch.__file__).parent)

N_EXAMPLES = int(os.environ.get("SKAE_EXAMPLES", 200))


def tried(share):
    """Return settings that try a share of the examples."""
    return settings(
        max_examples=max(1, int(share * N_EXAMPLES)),
        deadline=None,  # of a machine that others use too
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
    )


@tried(0.25)
@given(
    X=hnp.arrays(
        st.sampled_from([np.float32, np.float64, np.int32]),
        st.tuples(st.integers(2, 40), st.integers(1, 6)),
        elements={"min_value": -1_000_000, "max_value": 1_000_000},
        fill=st.nothing(),
    ),
    n_components=st.integers(1, 8),
    batch_size=st.integers(1, 50),
    standardize=st.booleans(),
)
def test_any_array(X, n_components, batch_size, standardize):
    params = {
        "n_components": n_components,
        "batch_size": batch_size,
        "standardize": standardize,
        "max_iter": 2,
    }
    model = check_round_trip(X, **params)
    constant = X.min(axis=0) == X.max(axis=0)
    R = model.inverse_transform(model.transform(X))
    assert_array_equal(R[:, constant], X[:, constant])


def _any(*values):
    return st.sampled_from(values)


# Some of the values are wrong, and some do not suit each other or the rows.
PARAMETERS = {
    "n_components": _any(1, 3, 9, 0.5, None, 0, 1.5, True, "two"),
    "hidden_layer_sizes": _any("auto", (4,), (), 5, (0,), (4.5,)),
    "activation": _any("relu", "tanh", "gelu", "exp", torch.nn.Mish, torch.sign, abs),
    "loss": _any("huber", "log_loss", "kl_divergence", "poisson", torch.sub),
    "output_activation": _any("identity", "logistic", "relu", "exp", "softmax"),
    "init": _any("pca", "random", "zeros"),
    "linearity": _any(0.0, 1.0, -1.0, np.inf),
    "ordered": st.booleans(),
    "network": _any("conv", Dense(tied=True), Dense(layer_norm=True), "deep"),
    "corruption": _any("masking", "swap_noise", torch.neg, "dropout"),
    "latent": _any("gaussian", "mixture", "cauchy"),
    "penalty": _any("contraction", Sparsity(0.1), torch.abs),
    "supervision": _any(0.0, 1.0, 1e6, -1.0, np.nan),
    "standardize": st.booleans(),
    "whiten": st.booleans(),
    "solver": _any("adam", "adamw", "soap", "muon", "rmsprop", "sgd", "lbfgs"),
    "learning_rate_init": _any(1e-12, 0.1, 1e6, 0.0),
    "alpha": _any(0.0, 10.0, -1.0),
    "batch_size": _any(1, 7, 1000, 0),
    "validation": _any(0.3, None, 1.5),
    "device": _any("cpu", "cuda:7", "tpu"),
}


@st.composite
def parameters(draw):
    """Draw a few parameters: with many, one would nearly always be wrong."""
    names = draw(st.lists(_any(*PARAMETERS), max_size=3, unique=True))
    few = {"max_iter": 2, "random_state": 0, "early_stopping": draw(st.booleans())}
    return few | {name: draw(PARAMETERS[name]) for name in names}


@st.composite
def arrays(draw):
    """Draw an array of any size and scale, of which one value may be another."""
    dtype = draw(_any(np.float32, np.float64))
    shape = draw(st.integers(1, 30)), draw(st.integers(1, 7))
    scale = draw(_any(1.0, 0.0, 1e-30, 1e-300, 1e6, 1e30, 1e300))
    rng = np.random.default_rng(draw(st.integers(0, 99)))
    with np.errstate(over="ignore", under="ignore"):
        X = (scale * rng.normal(size=shape) ** draw(_any(1, 3))).astype(dtype)
    value = draw(_any(None, None, None, 0.0, 1e30, -1.0, np.nan, np.inf))
    if value is not None:
        X.flat[draw(st.integers(0, X.size - 1))] = value
    return X


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.filterwarnings("ignore:invalid value.*in reduce")  # of check_array
@tried(0.75)
@given(X=arrays(), y=_any(None, "classes", "numbers", "gaps"), params=parameters())
def test_numbers_or_a_sentence(X, y, params):
    given_X = X.copy()
    X.setflags(write=False)
    y = target(y, len(X))
    try:
        model = AutoEncoderTransformer(**params).fit(X, y)
        Z = model.transform(X)
        R = model.inverse_transform(Z)
    except (ValueError, TypeError) as error:
        event("refused")
        assert str(error)[:1].isprintable() and len(str(error)) > 10
        # Whoever reads it did not call torch.
        raised_in = traceback.extract_tb(error.__traceback__)[-1].filename
        assert not raised_in.startswith(TORCH), error
    else:
        event(f"answered by {model.result_}")
        assert Z.shape == (len(X), model.n_components_) and R.shape == X.shape
        assert np.isfinite(Z).all() and np.isfinite(R).all()
        assert Z.dtype == R.dtype == X.dtype
    assert_array_equal(X, given_X)


def target(kind, n):
    """Return a target of a kind for so many rows."""
    if kind is None:
        return None
    values = np.arange(n) % 3
    if kind == "classes":
        return values
    return np.where(values == 0, np.nan if kind == "gaps" else 0.5, values)
