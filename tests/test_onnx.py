"""ONNX: converted estimators and pipelines give the same numbers under onnxruntime."""

import sys

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from torch import nn
from torch.nn import functional as F

from skae import AutoEncoderTransformer, Modules
from skae._nn.layers import ACTIVATIONS
from skae._parts.losses import LINKS

from .conftest import mixed_rows, rows
from .fitted import assert_near, fitted, near_and_far, whitened
from .variants import VARIANTS

onnxruntime = pytest.importorskip("onnxruntime")
skl2onnx = pytest.importorskip("skl2onnx")
convert = pytest.importorskip("skae.onnx")

pytestmark = [
    pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning"),
    # Of the libraries themselves.
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::FutureWarning"),
]
OTHERS = ["answered by PCA", "stream", "wide", "whitened"]
# One of each kind of layer and link.
KINDS = ["default", "random", "conv", "tied", "layer_norm_and_dropout", "variational"]
KINDS += ["log_loss", "kl_divergence", "answered by PCA"]
# Equal but for what float32 rounds; convolutions are float32 in float64 graphs too.
TOLERANCE = {np.float32: 1e-5, np.float64: 1e-6}


@pytest.fixture(autouse=True)
def registered():
    convert.register()


def _session(model, X, **options):
    """Return a function of rows, which onnxruntime computes on one thread."""
    graph = skl2onnx.to_onnx(model, X[:1], **options)
    assert all(o.domain in ("", "ai.onnx.ml") for o in graph.opset_import)
    settings = onnxruntime.SessionOptions()
    settings.intra_op_num_threads = settings.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(
        graph.SerializeToString(), settings, providers=["CPUExecutionProvider"]
    )
    return lambda X: session.run(None, {"X": X})


def assert_same(model, X, dtype, **options):
    X = X.astype(dtype)
    Z = model.transform(X)
    (found,) = _session(model, X, **options)(X)
    assert_near(found, Z, TOLERANCE[dtype])
    decode = _session(convert.Decoder(model), Z, **options)
    for codes in (Z, Z * dtype(1e3)):  # some farther than any code of a row
        (found,) = decode(codes)
        assert_near(found, model.inverse_transform(codes), TOLERANCE[dtype])


@pytest.mark.parametrize("early_stopping", [False, True], ids=["network", "pca"])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_mixed_columns_have_their_links(dtype, early_stopping):
    X = mixed_rows()
    X[:, 0] /= 1000  # float32 compares all columns by the largest
    few = {"max_iter": 1 if early_stopping else 60, "random_state": 0}
    model = AutoEncoderTransformer(
        2, loss="auto", early_stopping=early_stopping, **few
    ).fit(X)
    assert model.result_ == ("pca" if early_stopping else "network")
    assert_same(model, X, dtype)


@pytest.mark.parametrize("name", [*VARIANTS, *OTHERS])
def test_the_same_inside_outside_and_far_outside(name):
    model, X = fitted(name)
    assert_same(model, near_and_far(model, X), np.float32)


@pytest.mark.parametrize("name", KINDS)
def test_the_same_in_float64(name):
    model, X = fitted(name)
    assert_same(model, near_and_far(model, X), np.float64)


@pytest.mark.parametrize("dtype", TOLERANCE)
def test_whitened_codes_and_constant_features(dtype):
    model, X = whitened()
    assert_same(model, near_and_far(model, X), dtype)


def _quick(**params):
    params = {"max_iter": 2, "init": "random", "early_stopping": False} | params
    return AutoEncoderTransformer(2, random_state=0, **params)


DATA = np.abs(rows()) / np.abs(rows()).max() * 0.98 + 0.01


@pytest.mark.parametrize(
    "activation",
    [*sorted(ACTIVATIONS), nn.ELU(0.5), nn.GELU("tanh"), nn.Softplus(2.0), F.hardtanh],
    ids=lambda activation: getattr(activation, "__name__", str(activation)),
)
def test_every_activation(activation):
    model = _quick(activation=activation, hidden_layer_sizes=(9,)).fit(DATA)
    for dtype in TOLERANCE if activation is not F.hardtanh else [np.float32]:
        assert_same(model, near_and_far(model, DATA[:5]), dtype)


@pytest.mark.parametrize("link", sorted(LINKS))
def test_every_link(link):
    X = DATA / DATA.sum(axis=1, keepdims=True) if link == "softmax" else DATA
    loss = {"softmax": "kl_divergence", "exp": "poisson"}.get(link, "squared_error")
    model = _quick(output_activation=link, loss=loss, hidden_layer_sizes=(5,)).fit(X)
    for dtype in TOLERANCE:
        assert_same(model, near_and_far(model, X[:5]), dtype)


def test_units_that_float32_does_not_hold():
    model = _quick().fit(rows() * 1e-60)
    assert_same(model, near_and_far(model, rows()[:5] * 1e-60), np.float64)


@pytest.mark.parametrize("dtype", TOLERANCE)
def test_a_pipeline_to_a_classifier(dtype):
    X, y = rows().astype(dtype), np.arange(100) % 3
    model = make_pipeline(StandardScaler(), fitted("default")[0], LogisticRegression())
    model[:1].fit(X)
    model[2].fit(model[:2].transform(X), y)
    far = near_and_far(fitted("default")[0], X[:7]).astype(dtype)
    labels, shares = _session(model, far, options={"zipmap": False})(far)
    assert_allclose(shares, model.predict_proba(far), atol=1e-4)
    assert (labels == model.predict(far)).all()


def test_whole_numbers_are_taken_as_float32():
    model, X = fitted("default")
    X = np.round(X).astype(np.int64)
    (found,) = _session(model, X)(X)
    assert_near(found, model.transform(X.astype(np.float32)), 1e-5)


@pytest.mark.parametrize("opset", [17, 18, 20])
def test_opsets(opset):
    for name in ("layer_norm_and_dropout", "default", "conv", "softmax"):
        model, X = fitted(name) if name in VARIANTS else whitened()
        assert_same(model, X, np.float32, target_opset=opset)


def test_an_estimator_that_is_not_fitted_is_refused():
    for model in (_quick(), convert.Decoder(_quick())):
        with pytest.raises(NotFittedError):
            skl2onnx.to_onnx(model, DATA[:1])


def test_an_older_opset_is_refused():
    model, X = fitted("default")
    with pytest.raises(ValueError, match="opset 17 or newer, got target_opset=15"):
        skl2onnx.to_onnx(model, X[:1], target_opset=15)


def options(n_in, n_out):
    return nn.Sequential(
        nn.Linear(n_in, 12, bias=False),
        nn.LayerNorm(12, elementwise_affine=False),
        nn.Unflatten(1, (2, 6)),
        nn.Conv1d(2, 4, 3, groups=2, padding="same"),
        nn.Softmax(dim=1),
        nn.Flatten(),
        nn.Linear(24, n_out),
    )


def test_options_of_layers_of_ones_own(capfd):
    model = _quick(network=Modules(options, nn.Linear)).fit(DATA)
    assert_same(model, near_and_far(model, DATA[:5]), np.float32)
    assert capfd.readouterr() == ("", "")


def test_torch_exports_the_module_itself():
    pytest.importorskip("onnxscript")
    model, X = fitted("default")
    x = near_and_far(model, X).astype(np.float32)
    program = torch.onnx.export(
        model.to_torch(),
        (torch.tensor(x[:4]),),
        dynamic_shapes=({0: torch.export.Dim("batch")},),
        dynamo=True,
        verbose=False,
    )
    graph = program.model_proto.SerializeToString()
    session = onnxruntime.InferenceSession(graph, providers=["CPUExecutionProvider"])
    (found,) = session.run(None, {session.get_inputs()[0].name: x})
    assert_near(found, model.inverse_transform(model.transform(x)), 1e-5)


class Branching(nn.Linear):
    def forward(self, x):
        return super().forward(x if x.sum() > 0 else -x)


def test_a_module_that_cannot_be_exported_is_refused_with_the_reason():
    model = _quick(network=Modules(Branching, nn.Linear), max_iter=1).fit(DATA)
    with pytest.raises(ValueError, match="torch.onnx.export"):
        skl2onnx.to_onnx(model, DATA[:1])


def test_the_extra_is_named_where_it_is_missing(monkeypatch):
    monkeypatch.setitem(sys.modules, "skl2onnx", None)
    monkeypatch.delitem(sys.modules, "skae.onnx")
    with pytest.raises(ImportError, match=r"pip install 'skae\[onnx\]'"):
        import skae.onnx  # noqa: F401
