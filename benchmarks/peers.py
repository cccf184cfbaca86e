"""Other libraries that a user of scikit-learn could take instead, on the same work.

    python benchmarks/peers.py                          # all that are installed
    python benchmarks/peers.py --only skae PCA encdr    # some of them
    python benchmarks/peers.py --limit 120              # seconds of CPU a part

Prints two tables. The first says what an estimator does where scikit-learn's do it: is
it cloned and pickled (kB of the pickle), searched by ``GridSearchCV`` in two processes
with a classifier behind, does it name its output features (``set_output``), go back
(``inverse_transform``), and how many of scikit-learn's own checks (``check_estimator``)
does it fail. Trainings of these are cut short. The second has numbers with the defaults
of each: 8 codes of digits (64 pixels in [0, 1]) and of breast cancer (30 features,
standardized), on rows that no fit has seen: the squared error over PCA's, the accuracy
of logistic regression and of five neighbours on the codes, seconds of CPU of the fit,
milliseconds of one new row, and the largest memory of the process.

Each peer runs in processes of its own. A first short fit of noise pays for imports and
compilation. What is not installed is left out, with a line. To install them all:

    pip install dimkit encdr flodr parametric-umap ppca-py pyautoencoder pyod pythae
    pip install row2vec skorch torchdr umap-learn tensorflow-cpu

Some of them ask for older versions of their dependencies than they run with: ``pip
install --no-deps``, and what is then missing beside.
"""

import argparse
import datetime
import importlib.metadata
import json
import os
import pickle
import resource
import subprocess
import sys
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import pandas as pd
import torch
from sklearn.base import clone
from sklearn.datasets import load_breast_cancer, load_digits
from sklearn.decomposition import PCA, KernelPCA
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, train_test_split
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import check_estimator

from skae import AutoEncoderTransformer

K = 8
EPOCHS = 100  # of training loops that their users write


@dataclass
class Peer:
    """A library, and how its users make and use an autoencoder or the like.

    Parameters
    ----------
    package : str
        Its name at PyPI, for the version.
    make : callable
        Makes an estimator or model of k codes, with parameters.
    width : str or None
        The parameter that a grid searches; None where there is no estimator.
    short : dict
        Parameters of a short training, for what does not depend on its length.
    fit, encode, decode : callable
        Where they are not scikit-learn's methods; ``decode=None``: no way back.
    """

    package: str
    make: Callable
    width: str | None = "n_components"
    short: dict = field(default_factory=dict)
    fit: Callable = lambda model, X: model.fit(X)
    encode: Callable = lambda model, X: model.transform(X)
    decode: Callable | None = lambda model, Z: model.inverse_transform(Z)


def _encdr(k, **params):
    from encdr import ENCDR

    quiet = dict.fromkeys(
        ["logger", "enable_progress_bar", "enable_model_summary"], False
    )
    quiet |= {"enable_checkpointing": False}
    return ENCDR(latent_dim=k, random_state=0, trainer_kwargs=quiet, **params)


def _dimkit(k, **params):
    from dimkit import AutoencoderReducer

    return AutoencoderReducer(k, random_state=0, **params)


def _flodr(k, **params):
    from flodr import FloDR

    return FloDR(k, random_state=0, verbose=False, **params)


def _umap(k, **params):
    from umap import UMAP

    return UMAP(n_components=k, random_state=0, n_jobs=1, **params)


def _keras_umap(k, **params):
    from umap.parametric_umap import ParametricUMAP

    return ParametricUMAP(n_components=k, verbose=False, **params)


def _parametric_umap(k, **params):
    from parametric_umap import ParametricUMAP

    return ParametricUMAP(n_components=k, **params)


def _torchdr(k, **params):
    from torchdr import UMAP

    encoder = torch.nn.Sequential(
        torch.nn.LazyLinear(64), torch.nn.ReLU(), network(64, 32, k)
    )
    return UMAP(n_components=k, encoder=encoder, random_state=0, **params)


def _row2vec(k, **params):
    from row2vec import Row2VecTransformer

    return Row2VecTransformer(embedding_dim=k, **params)


def _ppca(k, **params):
    from ppca import PPCA

    return PPCA(k, random_state=0, **params)


def _pyod(k, **params):
    from pyod.models.auto_encoder import AutoEncoder

    widths = [64, 32, k]
    return AutoEncoder(hidden_neuron_list=widths, verbose=0, random_state=0, **params)


def network(*sizes):
    """Return linear layers with rectifiers between."""
    layers = []
    for n_in, n_out in zip(sizes[:-1], sizes[1:], strict=True):
        layers += [torch.nn.Linear(n_in, n_out), torch.nn.ReLU()]
    return torch.nn.Sequential(*layers[:-1])


class Loop:
    """A training loop as users of libraries of modules write it: Adam, 64 rows a step.

    Parameters
    ----------
    build : callable
        Makes the module for a number of features and codes.
    loss, encode, decode : callable
        Of the module and a tensor.
    """

    def __init__(self, k, build, loss, encode, decode, epochs=EPOCHS):
        self.k, self.build, self.epochs = k, build, epochs
        self.loss, self.encode, self.decode = loss, encode, decode

    def fit(self, X):
        """Train on rows."""
        torch.manual_seed(0)
        x = torch.tensor(X, dtype=torch.float32)
        self.module = self.build(x.shape[1], self.k)
        solver = torch.optim.Adam(self.module.parameters(), lr=1e-3)
        for _ in range(self.epochs):
            for rows in torch.randperm(len(x)).split(64):
                solver.zero_grad()
                self.loss(self.module, x[rows]).backward()
                solver.step()
        self.module.eval()
        return self

    def _apply(self, function, values):
        with torch.no_grad():
            return function(
                self.module, torch.tensor(values, dtype=torch.float32)
            ).numpy()

    def transform(self, X):
        """Return codes."""
        return self._apply(self.encode, X)

    def inverse_transform(self, Z):
        """Return rows."""
        return self._apply(self.decode, Z)


def _pyautoencoder(k, **params):
    from pyautoencoder.vanilla import AE

    return Loop(
        k,
        lambda d, k: AE(network(d, 64, 32, k), network(k, 32, 64, d)),
        lambda module, x: torch.nn.functional.mse_loss(module(x).x_hat, x),
        lambda module, x: module.encoder(x),
        lambda module, z: module.decoder(z),
        **params,
    )


def _pythae(k, **params):
    from pythae.models import AE, AEConfig

    return Loop(
        k,
        lambda d, k: AE(AEConfig(input_dim=(d,), latent_dim=k)),
        lambda module, x: module({"data": x}).loss,
        lambda module, x: module.embed(x),
        lambda module, z: module.decoder(z).reconstruction,
        **params,
    )


class Autoencoder(torch.nn.Module):
    """The module that a user of skorch writes."""

    def __init__(self, n_features=64, k=K):
        super().__init__()
        self.encoder = network(n_features, 64, 32, k)
        self.decoder = network(k, 32, 64, n_features)

    def forward(self, x):
        """Return what comes back."""
        return self.decoder(self.encoder(x))


def _skorch(k, **params):
    from skorch import NeuralNetRegressor

    torch.manual_seed(0)
    return NeuralNetRegressor(
        Autoencoder,
        module__k=k,
        optimizer=torch.optim.Adam,
        lr=1e-3,
        batch_size=64,
        train_split=None,
        verbose=0,
        **{"max_epochs": EPOCHS} | params,
    )


def _fit_skorch(model, X):
    X = X.astype(np.float32)
    return model.set_params(module__n_features=X.shape[1]).fit(X, X)


def _through(part):
    def apply(model, values):
        values = torch.tensor(values, dtype=torch.float32)
        with torch.no_grad():
            return getattr(model.module_, part)(values).numpy()

    return apply


PEERS = {
    "skae": Peer(
        "skae",
        lambda k, **params: AutoEncoderTransformer(k, random_state=0, **params),
        short={"max_iter": 2},
    ),
    "PCA": Peer("scikit-learn", lambda k: PCA(k, random_state=0)),
    "KernelPCA, rbf": Peer(
        "scikit-learn",
        lambda k: KernelPCA(k, kernel="rbf", fit_inverse_transform=True),
    ),
    "encdr": Peer("encdr", _encdr, "latent_dim", {"max_epochs": 2}),
    "dimkit": Peer("dimkit", _dimkit, short={"epochs": 2}),
    "FloDR": Peer("flodr", _flodr, short={"max_iter": 2}),
    "UMAP": Peer("umap-learn", _umap, short={"n_epochs": 11}),
    "ParametricUMAP (Keras)": Peer(
        "umap-learn", _keras_umap, short={"n_epochs": 1}, decode=None
    ),
    "parametric-umap": Peer(
        "parametric-umap", _parametric_umap, short={"n_epochs": 1}, decode=None
    ),
    "TorchDR UMAP": Peer("torchdr", _torchdr, short={"max_iter": 5}, decode=None),
    "row2vec": Peer("row2vec", _row2vec, "embedding_dim", decode=None),
    "ppca-py": Peer(
        "ppca-py",
        _ppca,
        encode=lambda model, X: model.posterior_latent(X)[0],
        decode=lambda model, Z: model.lmmse_reconstruction(Z),
    ),
    "PyOD AutoEncoder": Peer(
        "pyod", _pyod, "hidden_neuron_list", {"epoch_num": 1}, decode=None
    ),
    "skorch": Peer(
        "skorch",
        _skorch,
        "module__k",
        {"max_epochs": 2},
        _fit_skorch,
        _through("encoder"),
        _through("decoder"),
    ),
    "pyautoencoder": Peer("pyautoencoder", _pyautoencoder, None, {"epochs": 2}),
    "pythae": Peer("pythae", _pythae, None, {"epochs": 2}),
}
CONTRACT = ["clone", "pickle, kB", "grid search", "names", "goes back", "checks failed"]
WORK = ["digits", "breast cancer"]
NUMBERS = ["error / PCA's", "linear", "neighbours", "fit, s", "one row, ms", "peak, MB"]


def rows(name):
    """Return training and test rows and classes."""
    load = {"digits": load_digits, "breast cancer": load_breast_cancer}[name]
    X, y = load(return_X_y=True)
    X, X_test, y, y_test = train_test_split(X, y, random_state=0)
    if name == "digits":
        X, X_test = X / 16, X_test / 16  # some decoders end in a sigmoid
    else:
        scaler = StandardScaler().fit(X)
        X, X_test = scaler.transform(X), scaler.transform(X_test)
    return X, X_test, y, y_test


def tell(**values):
    """Print results, for the process that asked for them."""
    print("RESULT " + json.dumps(values), flush=True)


def shortened(peer, k):
    """Return an estimator whose training is short."""
    return peer.make(k, **peer.short)


def check_contract(peer):
    """Tell what the estimator does where scikit-learn's do it."""
    if peer.width is None:
        return
    X, X_new, y, _ = rows("digits")
    X, y, X_new = X[:300], y[:300], X_new[:20]
    probes = [_clones, _pickles, _searches, _names, _goes_back, _checks]
    for column, probe in zip(CONTRACT, probes, strict=True):
        try:
            answer = probe(peer, X, X_new, y)
        except Exception as error:
            answer = "no"
            print(f"{column}: {error!r}"[:300], file=sys.stderr)
        tell(**{column: answer})


def _clones(peer, X, X_new, y):
    clone(clone(peer.make(K)))
    return "yes"


def _pickles(peer, X, X_new, y):
    model = peer.fit(shortened(peer, K), X)
    text = pickle.dumps(model)
    again = pickle.loads(text)
    if hasattr(model, "transform"):
        np.testing.assert_allclose(
            peer.encode(again, X_new), peer.encode(model, X_new), atol=1e-5
        )
    return f"{len(text) / 1000:.0f}"


def _searches(peer, X, X_new, y):
    steps = [
        ("scale", StandardScaler()),
        ("reduce", shortened(peer, K)),
        ("again", StandardScaler()),
        ("classify", LogisticRegression(max_iter=500)),
    ]
    widths = [[32, 4], [32, 8]] if peer.width == "hidden_neuron_list" else [4, 8]
    search = GridSearchCV(
        Pipeline(steps),
        {f"reduce__{peer.width}": widths},
        cv=2,
        n_jobs=2,
        error_score="raise",
    )
    search.fit(X, y).predict(X_new)
    return "yes"


def _names(peer, X, X_new, y):
    frame = pd.DataFrame(X, columns=[f"pixel {j}" for j in range(X.shape[1])])
    model = shortened(peer, K).set_output(transform="pandas").fit(frame)
    codes = model.transform(frame)
    if list(codes.columns) != list(model.get_feature_names_out()):
        raise AssertionError(f"names {list(codes.columns)}")
    return "yes"


def _goes_back(peer, X, X_new, y):
    model = shortened(peer, 2).fit(X)
    back = model.inverse_transform(model.transform(X_new[:3]))
    if np.shape(back) != X_new[:3].shape:
        raise AssertionError(f"shape {np.shape(back)}")
    return "yes"


def _checks(peer, X, X_new, y):
    try:
        results = check_estimator(shortened(peer, 2), on_fail=None, on_skip=None)
    except Exception as error:
        print(f"check_estimator: {error!r}"[:300], file=sys.stderr)
        return "cannot start"
    statuses = [result["status"] for result in results]
    failed, passed = statuses.count("failed"), statuses.count("passed")
    for result in results:
        if result["status"] == "failed":
            print(f"failed: {result['check_name']}", file=sys.stderr)
    return f"{failed} of {failed + passed}"


def measure(peer, work):
    """Tell the numbers of the defaults on one data set."""
    X, X_test, y, y_test = rows(work)
    noise = np.random.default_rng(0).normal(size=(200, 64))
    warm = peer.fit(shortened(peer, K), noise)
    has_codes = not hasattr(warm, "decision_function") or hasattr(warm, "transform")
    if has_codes:
        peer.encode(warm, noise[:1])
    start = time.process_time()
    model = peer.fit(peer.make(K), X)
    tell(**{"fit, s": f"{time.process_time() - start:.3g}"})
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    tell(**{"peak, MB": f"{peak / 1000:.0f}"})
    if not has_codes:
        return
    Z, Z_test = (
        np.asarray(peer.encode(model, X)),
        np.asarray(peer.encode(model, X_test)),
    )
    classifiers = {
        "linear": LogisticRegression(max_iter=2000),
        "neighbours": KNeighborsClassifier(),
    }
    for name, classifier in classifiers.items():
        behind = make_pipeline(StandardScaler(), classifier).fit(Z, y)
        tell(**{name: f"{behind.score(Z_test, y_test):.3f}"})
    times = []
    for row in X_test[:5, None]:
        start = time.perf_counter()
        peer.encode(model, row)
        times.append(1000 * (time.perf_counter() - start))
    tell(**{"one row, ms": f"{np.median(times):.2g}"})
    if peer.decode is not None:
        pca = PCA(K).fit(X)
        least = np.mean((pca.inverse_transform(pca.transform(X_test)) - X_test) ** 2)
        error = np.mean((np.asarray(peer.decode(model, Z_test)) - X_test) ** 2)
        tell(**{"error / PCA's": f"{error / least:.2f}"})


def ask(name, part, limit, log):
    """Run a part of one peer in a process of its own, and return what it told."""
    command = [sys.executable, "-W", "ignore", __file__, "--child", name, part]
    environment = os.environ | {"TF_CPP_MIN_LOG_LEVEL": "3", "PYTHONWARNINGS": "ignore"}
    results = {}
    try:
        done = subprocess.run(
            command,
            env=environment,
            timeout=20 * limit,  # where other programs run, or it sleeps
            preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_CPU, (limit, limit)),
            text=True,
            capture_output=True,
        )
        output, errors = done.stdout, done.stderr
        if done.returncode < 0:  # killed, at the limit
            results["stopped"] = True
    except subprocess.TimeoutExpired as stopped:
        output = (stopped.stdout or b"").decode()
        errors = (stopped.stderr or b"").decode()
        results["stopped"] = True
    for line in output.splitlines():
        if line.startswith("RESULT "):
            results |= json.loads(line.removeprefix("RESULT "))
    if log:
        log.write(f"== {name}, {part}\n{errors[-4000:]}\n")
        log.flush()
    return results


def row(results, columns):
    """Return the cells of a row: "-" for what there is not, ">" for what took long."""
    missing = "too long" if results.get("stopped") else "-"
    return " | ".join(results.get(column, missing) for column in columns)


def installed(names):
    """Return the version of each peer that is there, and print who is not."""
    versions = {}
    for name in names:
        try:
            versions[name] = importlib.metadata.version(PEERS[name].package)
        except importlib.metadata.PackageNotFoundError:
            if PEERS[name].package != "skae":  # which may run from its folder
                print(f"{name} is left out: {PEERS[name].package} is not installed")
                continue
            import skae

            versions[name] = skae.__version__
    return versions


def main():
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", nargs="*", choices=PEERS, default=list(PEERS))
    parser.add_argument("--limit", type=int, default=300, help="CPU seconds a part")
    parser.add_argument("--log", help="a file for what peers print of errors")
    parser.add_argument("--child", nargs=2, help=argparse.SUPPRESS)
    args = parser.parse_args()
    warnings.simplefilter("ignore")
    if args.child:
        name, part = args.child
        peer = PEERS[name]
        return check_contract(peer) if part == "contract" else measure(peer, part)
    versions = installed(args.only)
    log = open(args.log, "w") if args.log else None
    print(f"\n{datetime.date.today()}, Python {sys.version.split()[0]}, ", end="")
    libraries = ["numpy", "scikit-learn", "torch"]
    print(", ".join(f"{lib} {importlib.metadata.version(lib)}" for lib in libraries))
    for part, columns in [("contract", CONTRACT), *((work, NUMBERS) for work in WORK)]:
        print(f"\n{part}\n\n| library | {' | '.join(columns)} |")
        print(f"|---|{'---|' * len(columns)}")
        for name, version in versions.items():
            results = ask(name, part, args.limit, log)
            print(f"| {name} {version} | {row(results, columns)} |", flush=True)


if __name__ == "__main__":
    main()
