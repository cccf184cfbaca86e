"""Speed: training and encoding against the bare matrix products and against peers.

    python benchmarks/speed.py                      # needs nothing but skae
    python benchmarks/speed.py --peers keras skorch # and what is installed of these

Each row interleaves its contestants, repeats, and gives medians and their ratio to
ours. The floor is the matrix products alone, ``torch.mm(out=)``, forward and backward.
Peers that are not installed are left out with a line. MNIST comes from the folder
``SKAE_DATA`` or from OpenML.
"""

import argparse
import json
import os
import platform
import time
import warnings
from importlib.util import find_spec
from pathlib import Path
from statistics import median

import numpy as np
import sklearn
import torch
from datasets import mnist
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA
from sklearn.exceptions import ConvergenceWarning
from sklearn.neural_network import MLPRegressor

from skae import AutoEncoderTransformer

warnings.simplefilter("ignore", ConvergenceWarning)


def skae(widths, batch_size, loss="squared_error", max_iter=1):
    """Return our network of the given encoder widths, plain, with Adam."""
    return AutoEncoderTransformer(
        widths[-1],
        hidden_layer_sizes=widths[1:-1],
        activation="relu",
        loss=loss,
        init="random",
        solver="adam",
        learning_rate="constant",
        alpha=0.0,
        batch_size=batch_size,
        max_iter=max_iter,
        n_iter_no_change=max_iter,
        early_stopping=False,
        random_state=0,
    )


def floor(X, widths, batch_size, max_iter=1):
    """Do the matrix products of training and no more."""
    widths = [*widths, *widths[-2::-1]]
    pairs = list(zip(widths[:-1], widths[1:], strict=True))
    weights = [torch.randn(n_out, n_in) for n_in, n_out in pairs]
    values = [torch.randn(batch_size, n) for n in widths]
    outputs = [torch.empty_like(v) for v in values]
    gradients = [torch.empty_like(w) for w in weights]
    for _ in range(max_iter * -(-len(X) // batch_size)):
        for i, weight in enumerate(weights):
            torch.mm(values[i], weight.t(), out=outputs[i + 1])
            torch.mm(values[i + 1].t(), values[i], out=gradients[i])
            if i:
                torch.mm(values[i + 1], weight, out=outputs[i])


def torch_network(widths):
    """Return the network as torch's users write it."""
    widths = [*widths, *widths[-2::-1]]
    layers = []
    for n_in, n_out in zip(widths[:-1], widths[1:], strict=True):
        layers += [torch.nn.Linear(n_in, n_out), torch.nn.ReLU()]
    return torch.nn.Sequential(*layers[:-1])


def autograd_loop(X, widths, batch_size, loss="squared_error", max_iter=1):
    """Train the network with the loop that torch's tutorials show, fused Adam."""
    network = torch_network(widths)
    compare = {
        "squared_error": torch.nn.functional.mse_loss,
        "log_loss": torch.nn.functional.binary_cross_entropy_with_logits,
    }[loss]
    optimizer = torch.optim.Adam(network.parameters(), fused=True)
    X = torch.from_numpy(X)
    for _ in range(max_iter):
        for rows in torch.randperm(len(X)).split(batch_size):
            x = X[rows]
            optimizer.zero_grad()
            compare(network(x), x).backward()
            optimizer.step()


def mlp(X, widths, batch_size, max_iter=1):
    """Train scikit-learn's perceptron on its own input."""
    MLPRegressor(
        hidden_layer_sizes=[*widths[1:], *widths[-2:0:-1]],
        alpha=0.0,
        batch_size=batch_size,
        max_iter=max_iter,
        n_iter_no_change=max_iter,
        random_state=0,
    ).fit(X, X)


def keras(X, widths, batch_size, loss="squared_error", max_iter=1):
    """Train the network with Keras."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    import keras

    model = keras.Sequential([keras.Input((widths[0],))])
    for width in [*widths[1:], *widths[-2:0:-1]]:
        model.add(keras.layers.Dense(width, activation="relu"))
    last = "sigmoid" if loss == "log_loss" else None
    model.add(keras.layers.Dense(widths[0], activation=last))
    named = {"squared_error": "mse", "log_loss": "binary_crossentropy"}
    model.compile("adam", named[loss])
    model.fit(X, X, batch_size=batch_size, epochs=max_iter, verbose=0)


def skorch(X, widths, batch_size, max_iter=1):
    """Train the network with skorch."""
    from skorch import NeuralNetRegressor

    NeuralNetRegressor(
        torch_network(widths),
        optimizer=torch.optim.Adam,
        batch_size=batch_size,
        max_epochs=max_iter,
        train_split=None,
        verbose=0,
    ).fit(X, X)


def seconds(function):
    """Return how long a call takes."""
    start = time.perf_counter()
    function()
    return time.perf_counter() - start


def one_pass(X, widths, batch_size, loss):
    """Return the seconds of one pass of ours, without what a fit does once."""
    short, long = (skae(widths, batch_size, loss, n) for n in (1, 3))
    return (seconds(lambda: long.fit(X)) - seconds(lambda: short.fit(X))) / 2


def contest(name, contestants, repeats):
    """Run the contestants in turns, print a row each, and return the medians."""
    times = {contestant: [] for contestant in contestants}
    for _ in range(repeats):
        for contestant, run in contestants.items():
            times[contestant].append(run())
    medians = {contestant: median(values) for contestant, values in times.items()}
    for contestant, value in medians.items():
        ratio = value / medians["skae"]
        print(f"| {name} | {contestant} | {value:.4g} | {ratio:.2f} |", flush=True)
    return medians


def main():
    """Print the table and save the numbers."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--peers", nargs="*", default=["mlp", "keras", "skorch"])
    parser.add_argument("--quick", action="store_true", help="fewer repeats")
    parser.add_argument("--out", type=Path, default=Path("out/speed.json"))
    args = parser.parse_args()
    peers = {"mlp": mlp, "keras": keras, "skorch": skorch}
    for name in args.peers:
        if name != "mlp" and find_spec(name) is None:
            print(f"{name} is not installed: left out")
            peers.pop(name)
    peers = {name: peers[name] for name in args.peers if name in peers}
    repeats = 3 if args.quick else 7
    print(
        f"torch {torch.__version__}, scikit-learn {sklearn.__version__}, "
        f"{torch.get_num_threads()} threads, {platform.machine()}\n"
    )
    print("| work | who | seconds, median | ratio to skae |")
    print("|---|---|---|---|")
    results = {}

    train, _ = mnist()
    widths, batch_size = (784, 128, 64), 256
    for loss in ("squared_error", "log_loss"):
        contestants = {
            "skae": lambda loss=loss: one_pass(train, widths, batch_size, loss),
            "floor": lambda: seconds(lambda: floor(train, widths, batch_size)),
            "autograd loop": lambda loss=loss: seconds(
                lambda: autograd_loop(train, widths, batch_size, loss)
            ),
        }
        for name, peer in peers.items():
            extra = {"loss": loss} if name == "keras" else {}
            if loss == "squared_error" or extra:
                contestants[name] = lambda peer=peer, extra=extra: seconds(
                    lambda: peer(train, widths, batch_size, **extra)
                )
        results[loss] = contest(f"MNIST, one pass, {loss}", contestants, repeats)

    digits = (load_digits().data / 16).astype(np.float32)
    widths, batch_size = (64, 32, 8), 32
    contestants = {
        "skae": lambda: seconds(
            lambda: skae(widths, batch_size, max_iter=50).fit(digits)
        ),
        "floor": lambda: seconds(lambda: floor(digits, widths, batch_size, 50)),
        "autograd loop": lambda: seconds(
            lambda: autograd_loop(digits, widths, batch_size, max_iter=50)
        ),
    }
    for name, peer in peers.items():
        contestants[name] = lambda peer=peer: seconds(
            lambda: peer(digits, widths, batch_size, max_iter=50)
        )
    results["digits"] = contest("digits, 50 passes of 32 rows", contestants, repeats)

    model = skae((784, 128, 64), 256).fit(train)
    pca = PCA(64).fit(train)
    contestants = {
        "skae": lambda: seconds(lambda: model.transform(train)),
        "PCA": lambda: seconds(lambda: pca.transform(train)),
    }
    results["transform"] = contest("transform 60,000 rows", contestants, repeats)
    one = train[:1]
    contestants = {
        "skae": lambda: seconds(lambda: [model.transform(one) for _ in range(100)]),
        "PCA": lambda: seconds(lambda: [pca.transform(one) for _ in range(100)]),
    }
    results["one row"] = contest("transform one row, 100 times", contestants, repeats)

    args.out.parent.mkdir(parents=True, exist_ok=True)
    args.out.write_text(json.dumps(results, indent=1))


if __name__ == "__main__":
    main()
