"""Serve a fitted pipeline over HTTP with FastAPI, and monitor its requests for drift.

Fits an autoencoder and a classifier to digits, saves them with skops, and starts a
server (uvicorn) on localhost, which loads the file. Then sends requests, some of them
invalid, and windows of rows with different kinds of drift. Prints the answers, the
drift in each window, and how long a request takes. Stops the server in the end. Takes
about ten seconds.

    pip install -e ".[serving]"
    python examples/serving.py

``python examples/serving.py --serve`` waits for your requests until Ctrl-C instead.
"""

import argparse
import json
import socket
import tempfile
import threading
import time
from collections import deque
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Annotated
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import numpy as np
import skops.io
import uvicorn
from fastapi import FastAPI, HTTPException
from pydantic import BaseModel, Field
from scipy.stats import ks_2samp
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline

from skae import AutoEncoderTransformer, __version__, skops_types

MOST_ROWS = 1_000  # in a request; more are refused
WINDOW = 200  # the last rows, in which drift is measured
SECONDS = 10  # that a request may take


class Rows(BaseModel):
    """The content of a request: a few rows of numbers."""

    rows: Annotated[list[list[float]], Field(min_length=1, max_length=MOST_ROWS)]


class Drift:
    """Reconstruction errors of the last rows, compared with those of held-out rows.

    The model was fitted to neither. So without drift both have the same distribution,
    which the Kolmogorov-Smirnov test checks.

    Parameters
    ----------
    reference : array-like of shape (n_rows,)
        Errors of rows that the model was not fitted to, measured after its training.
    """

    def __init__(self, reference):
        self.reference = np.asarray(reference)
        self.limit = np.quantile(self.reference, 0.99)
        self._recent = deque(maxlen=WINDOW)
        self._lock = threading.Lock()  # requests come in several threads

    def see(self, errors):
        """Add the errors of new rows, and forget as many of the oldest ones."""
        with self._lock:
            self._recent.extend(errors.tolist())

    def summary(self):
        """Return the p-value of the last rows, and their share above the limit."""
        with self._lock:
            errors = np.array(self._recent)
        if len(errors) == 0:
            return {"n_rows": 0, "p_value": None, "above_limit": None}
        return {
            "n_rows": len(errors),
            "p_value": float(ks_2samp(errors, self.reference).pvalue),
            "above_limit": float(np.mean(errors > self.limit)),
        }


def make_app(path, reference):
    """Return the application that serves a model from a skops file."""
    model = skops.io.load(path, trusted=skops_types())
    encoder, classifier = model[:-1], model[-1]
    drift = Drift(reference)
    app = FastAPI(title="Digits in eight numbers", version=__version__)

    @app.get("/health")
    def health():
        return {"skae": __version__, "n_features": int(encoder.n_features_in_)}

    # A function without "async" runs in a thread: the server answers others meanwhile.
    @app.post("/predict")
    def predict(request: Rows):
        try:
            X = np.array(request.rows)
            codes = encoder.transform(X)
            errors = encoder[-1].reconstruction_error(X)
        except ValueError as error:  # another width, or NaN
            raise HTTPException(422, str(error)) from error
        drift.see(errors)
        return {
            "codes": codes.tolist(),
            "classes": classifier.predict(codes).tolist(),
            "is_unusual": (errors > drift.limit).tolist(),
        }

    @app.get("/drift")
    def recent_drift():
        return drift.summary()

    return app


@contextmanager
def served(app, port=0):
    """Serve an application on localhost in a thread, and yield its address."""
    listening = socket.create_server(("127.0.0.1", port))  # error if the port is used
    server = uvicorn.Server(uvicorn.Config(app, log_level="warning", ws="none"))
    run = partial(server.run, sockets=[listening])
    thread = threading.Thread(target=run, daemon=True)
    with listening:
        thread.start()
        try:
            # Requests wait until the server has started.
            yield f"http://127.0.0.1:{listening.getsockname()[1]}"
        finally:
            server.should_exit = True
            thread.join(SECONDS)


def ask(url, content=None):
    """Return the status and the answer of a request, or time out."""
    data = None if content is None else json.dumps(content).encode()
    request = Request(url, data, {"Content-Type": "application/json"})
    try:
        with urlopen(request, timeout=SECONDS) as answer:
            return answer.status, json.load(answer)
    except HTTPError as error:
        with error:
            return error.code, json.load(error)


def windows(X, y, rng):
    """Return windows of rows, by the kind of drift in them."""
    some = rng.choice(len(X), WINDOW, replace=False)
    noise = rng.normal(0, 0.1, size=(WINDOW, X.shape[1]))
    dead = X[some].copy()
    dead[:, 28] = 0.0  # a pixel in the middle
    return {
        "as in training": X[some],
        "one digit alone": X[rng.choice(np.flatnonzero(y == 3), WINDOW)],
        "noise of a tenth": X[some] + noise,
        "a dead pixel": dead,
        "half as bright": X[some] / 2,
        "upside down": X[some][:, ::-1],
    }


def train(folder):
    """Fit and save a pipeline; return its file, held-out errors, and unseen rows."""
    X, y = load_digits(return_X_y=True)
    known, new, labels, labels_new = train_test_split(X / 16, y, random_state=0)
    known, held_out, labels, _ = train_test_split(known, labels, random_state=0)
    model = make_pipeline(
        AutoEncoderTransformer(8, random_state=0), LogisticRegression(max_iter=1000)
    )
    model.fit(known, labels)
    path = Path(folder) / "model.skops"
    skops.io.dump(model, path)
    return path, model[0].reconstruction_error(held_out), new, labels_new


def demonstrate(url, X, y):
    """Send several requests to the server, and print the answers."""
    print("health:", ask(f"{url}/health"))
    status, answer = ask(f"{url}/predict", {"rows": X.tolist()})
    accuracy = np.mean(np.array(answer["classes"]) == y)
    print(f"predict, {len(X)} rows: {status}, accuracy {accuracy:.3f}")
    for name, rows in {
        "63 pixels": X[:1, :63].tolist(),
        "no rows": [],
        f"{MOST_ROWS + 1:,} rows": [[0.0]] * (MOST_ROWS + 1),
        "a text": [["a"] * 64],
    }.items():
        status, answer = ask(f"{url}/predict", {"rows": rows})
        detail = answer["detail"]
        reason = detail if isinstance(detail, str) else detail[0]["msg"]
        print(f"predict, {name}: {status}, {reason}")
    print(f"\n| the last {WINDOW} rows | p-value of their errors | above the limit |")
    print("|---|---|---|")
    for name, rows in windows(X, y, np.random.default_rng(0)).items():
        ask(f"{url}/predict", {"rows": rows.tolist()})
        _, found = ask(f"{url}/drift")
        share = found["above_limit"]
        print(f"| {name} | {found['p_value']:.0e} | {100 * share:.1f} % |")
    start = time.perf_counter()
    for row in X[:200]:
        ask(f"{url}/predict", {"rows": [row.tolist()]})
    seconds = time.perf_counter() - start
    print(f"\na request of one row: {1000 * seconds / 200:.1f} ms")


def main():
    """Train, serve, and either send requests or wait for those of others."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--serve", action="store_true", help="wait for requests")
    parser.add_argument("--port", type=int, default=0, help="0 chooses a free port")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        path, reference, X, y = train(folder)
        with served(make_app(path, reference), args.port) as url:
            if not args.serve:
                demonstrate(url, X, y)
                return
            print(f"{url}/docs, until Ctrl-C")
            try:
                threading.Event().wait()
            except KeyboardInterrupt:
                print("stopped")


if __name__ == "__main__":
    main()
