"""Serve a model without torch and scikit-learn: a small web service with ONNX.

Needs skl2onnx and onnxruntime: ``pip install -e ".[tools]"``.

An autoencoder and a classifier are fitted, and exported to three ONNX files: encoder,
decoder and classifier. A service in its own process needs only onnxruntime, numpy and
Python's ``http.server``. For rows in JSON it returns class probabilities, codes, and
reconstruction errors. A large error shows its users that a row is unlike the training
data. Checks that the answers are the same as from the fitted models, and prints how
long they take. Saves errors of usual and of unusual rows, from the service, as
``out/onnx_service.png``. Takes about ten seconds.

    python examples/tools/onnx_service.py
"""

import json
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

try:
    import matplotlib
    import onnxruntime  # noqa: F401  that the service needs
    from skl2onnx import to_onnx
except ModuleNotFoundError as error:
    raise SystemExit(f'{error}: pip install -e ".[tools]"') from error
matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import skae.onnx
from skae import AutoEncoderTransformer

SERVICE = """
import json, sys
from http.server import BaseHTTPRequestHandler, HTTPServer
import numpy as np, onnxruntime

encoder, decoder, classifier = (
    onnxruntime.InferenceSession(path) for path in sys.argv[1:]
)

def run(session, rows):
    return session.run(None, {session.get_inputs()[0].name: rows})

class Handler(BaseHTTPRequestHandler):
    def do_POST(self):
        text = self.rfile.read(int(self.headers["Content-Length"]))
        rows = np.array(json.loads(text), dtype=np.float32)
        (codes,) = run(encoder, rows)
        (back,) = run(decoder, codes)
        labels, probabilities = run(classifier, codes)
        answer = {
            "labels": labels.tolist(),
            "probabilities": probabilities.tolist(),
            "codes": codes.tolist(),
            "errors": np.square(back - rows).mean(axis=1).tolist(),
        }
        self.send_response(200)
        self.end_headers()
        self.wfile.write(json.dumps(answer).encode())

    def log_message(self, *arguments):
        pass

server = HTTPServer(("127.0.0.1", 0), Handler)
print(server.server_port, "torch" in sys.modules, "sklearn" in sys.modules, flush=True)
server.serve_forever()
"""


def export(ae, classifier, X, folder):
    """Write the three graphs, and return their paths."""
    skae.onnx.register()
    row = X[:1].astype(np.float32)
    codes = ae.transform(row)
    options = {"zipmap": False}
    graphs = {
        "encoder": to_onnx(ae, row),
        "decoder": to_onnx(skae.onnx.Decoder(ae), codes),
        "classifier": to_onnx(classifier, codes, options=options),
    }
    paths = []
    for name, graph in graphs.items():
        paths.append(folder / f"{name}.onnx")
        paths[-1].write_bytes(graph.SerializeToString())
    return paths


def ask(port, rows):
    """Return what the service answers."""
    request = urllib.request.Request(
        f"http://127.0.0.1:{port}", data=json.dumps(rows.tolist()).encode()
    )
    # Use no proxy, whatever the environment variables say.
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(request) as response:
        return json.load(response)


def main():
    """Fit, export, serve and ask; save the picture."""
    X, y = load_digits(return_X_y=True)
    X, X_new, y, y_new = train_test_split(X / 16, y, random_state=0)
    ae = AutoEncoderTransformer(16, random_state=0).fit(X)
    classifier = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000))
    classifier.fit(ae.transform(X), y)
    folder = Path("out/onnx")
    folder.mkdir(parents=True, exist_ok=True)
    paths = export(ae, classifier, X, folder)
    for path in paths:
        print(f"{path}: {path.stat().st_size / 1000:.0f} kB")
    command = [sys.executable, "-c", SERVICE, *map(str, paths)]
    service = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        port, has_torch, has_sklearn = service.stdout.readline().split()
        print(f"the service has imported torch: {has_torch}, sklearn: {has_sklearn}")
        answers = ask(port, X_new)
        expected = classifier.predict_proba(ae.transform(X_new))
        apart = np.abs(answers["probabilities"] - expected).max()
        accuracy = np.mean(np.array(answers["labels"]) == y_new)
        print(f"accuracy {accuracy:.3f}; probabilities differ by {apart:.0e} at most")
        times = []
        for row in X_new[:200, None]:
            start = time.perf_counter()
            ask(port, row)
            times.append(1000 * (time.perf_counter() - start))
        print(f"a request with one row: {np.median(times):.1f} ms in the median")
        turned = X_new.reshape(-1, 8, 8)[:, ::-1].reshape(len(X_new), -1)
        strange = {"usual": X_new, "upside down": turned, "negative": 1 - X_new}
        errors = {name: ask(port, rows)["errors"] for name, rows in strange.items()}
    finally:
        service.terminate()
        service.communicate()
    figure, ax = plt.subplots(figsize=(7, 3.6), layout="constrained")
    edges = np.geomspace(min(errors["usual"]), max(errors["negative"]), 50)
    for name, values in errors.items():
        ax.hist(values, edges, alpha=0.6, label=name)
    ax.set(xscale="log", xlabel="error of a row, from the service", ylabel="rows")
    ax.legend(frameon=False)
    path = Path("out/onnx_service.png")
    figure.savefig(path, dpi=100)
    print(f"\nPicture: {path}")


if __name__ == "__main__":
    main()
