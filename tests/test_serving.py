"""Serving: the example's application answers over HTTP, as a model in this process."""

import http.client
import importlib.util
import re
import socket
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from numpy.testing import assert_allclose
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline

from skae import AutoEncoderTransformer

from .conftest import rows

for package in ("fastapi", "skops", "uvicorn"):
    pytest.importorskip(package)

EXAMPLE = Path(__file__).parent.parent / "examples" / "serving.py"


@pytest.fixture(scope="module")
def example():
    spec = importlib.util.spec_from_file_location("serving", EXAMPLE)
    module = importlib.util.module_from_spec(spec)
    sys.modules["serving"] = module  # where pydantic looks for what annotations name
    spec.loader.exec_module(module)
    yield module
    del sys.modules["serving"]


@pytest.fixture(scope="module")
def model():
    ae = AutoEncoderTransformer(2, max_iter=3, random_state=0)
    return make_pipeline(ae, LogisticRegression()).fit(rows(), np.arange(100) % 2)


@pytest.fixture(scope="module")
def server(example, model, tmp_path_factory):
    """Serve the model on a free port of localhost, until the tests are done."""
    path = tmp_path_factory.mktemp("served") / "model.skops"
    example.skops.io.dump(model, path)
    app = example.make_app(path, model[0].reconstruction_error(rows()))
    with example.served(app) as url:
        assert url.startswith("http://127.0.0.1:")

        def ask(path, content=None):
            return example.ask(url + path, content)

        host, port = url.removeprefix("http://").split(":")
        ask.address = host, int(port)
        yield ask


def test_it_says_what_it_serves(server):
    status, answer = server("/health")
    assert status == 200 and answer["n_features"] == 12


def test_answers_are_those_of_the_model(server, model):
    X = rows()[:7]
    status, answer = server("/predict", {"rows": X.tolist()})
    assert status == 200
    assert_allclose(answer["codes"], model[:-1].transform(X), rtol=1e-12)
    assert answer["classes"] == model.predict(X).tolist()


def test_requests_at_once_get_their_own_answers(server, model):
    X = rows()[:20]
    with ThreadPoolExecutor(4) as pool:
        answers = list(
            pool.map(lambda x: server("/predict", {"rows": [x]}), X.tolist())
        )
    codes = [answer["codes"][0] for _, answer in answers]
    assert_allclose(codes, model[:-1].transform(X), rtol=1e-6)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"rows": [[1.0] * 11]}, "X has 11 features, but .* expecting 12"),
        ({"rows": []}, "at least 1 item"),
        ({"rows": [[0.0]] * 1001}, "at most 1000 items"),
        ({"rows": [[0.0] * 1001]}, "at most 1000 items"),
        ({"rows": [["a"] * 12]}, "valid number"),
        ({"rows": [[1.0], [1.0, 2.0]]}, "inhomogeneous"),
        ({"rows": [[None] * 12]}, "valid number"),
        ({}, "Field required"),
    ],
    ids=["narrow", "none", "many", "wide", "text", "ragged", "missing", "empty"],
)
def test_wrong_requests_are_refused_in_a_sentence(content, message, server):
    status, answer = server("/predict", content)
    assert status == 422
    assert re.search(message, str(answer["detail"]))


def test_numbers_that_are_none_are_refused(server):
    for value in (np.nan, np.inf):  # json writes them, against its own standard
        status, answer = server("/predict", {"rows": [[value] * 12]})
        assert status == 422 and "finite number" in answer["detail"]


@pytest.mark.parametrize("value", [True, "0.5"])
def test_what_only_looks_like_a_number_is_refused(value, server):
    status, answer = server("/predict", {"rows": [[value] * 12]})
    assert status == 422 and "valid number" in answer["detail"]


def test_the_input_is_not_sent_back(server):
    _, answer = server("/predict", {"rows": [["x" * 1000] * 12] * 100})
    assert len(answer["detail"]) < 100


@pytest.mark.parametrize(("length", "expected"), [("100000000", 413), (None, 411)])
def test_large_requests_are_refused_before_they_are_read(server, length, expected):
    connection = http.client.HTTPConnection(*server.address, timeout=10)
    connection.putrequest("POST", "/predict")
    if length is not None:
        connection.putheader("Content-Length", length)
    connection.endheaders()
    assert connection.getresponse().status == expected
    connection.close()


def test_drift_is_seen_in_the_errors_of_the_last_rows(example, server):
    n = example.WINDOW // 100
    server("/predict", {"rows": np.tile(rows(), (n, 1)).tolist()})
    _, usual = server("/drift")
    noise = np.random.default_rng(0).normal(0, 30, size=(100 * n, 12))
    server("/predict", {"rows": (np.tile(rows(), (n, 1)) + noise).tolist()})
    _, noisy = server("/drift")
    assert usual["n_rows"] == noisy["n_rows"] == example.WINDOW
    assert usual["p_value"] > 0.5 and usual["above_limit"] <= 0.01
    assert noisy["p_value"] < 1e-10 and noisy["above_limit"] > 0.5


def test_drift_of_no_rows_is_not_known(example):
    assert example.Drift([1.0, 2.0]).summary()["p_value"] is None


def test_a_port_that_is_taken_is_an_error(example):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(OSError, match="in use"):
            with example.served(example.FastAPI(), port):
                pass
