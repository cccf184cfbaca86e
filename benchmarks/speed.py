"""Speed: training and encoding against the bare matrix products and against peers.

    python benchmarks/speed.py                              # what is installed
    python benchmarks/speed.py --peers keras,skorch,pyod,mlp --quick
    python benchmarks/speed.py --only growth                # one part

Each row interleaves its contestants, repeats, and gives medians and their ratio to
ours. The floor is the matrix products alone, ``torch.mm(out=)``, forward and backward.
All parts but ``gpu`` are of the CPU. Peers that are not installed are left out with a
line. MNIST comes from the folder ``SKAE_DATA`` or from OpenML. The numbers go to a JSON
and, as bars, to a PNG.
"""

import argparse
import io
import json
import os
import platform
import sys
import time
import warnings
from contextlib import redirect_stdout
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from statistics import median

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
import sklearn
import torch
from datasets import mnist, tables
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import GridSearchCV
from sklearn.neural_network import MLPRegressor
from sklearn.preprocessing import StandardScaler, scale

from skae import AutoEncoderTransformer

warnings.simplefilter("ignore", ConvergenceWarning)


def skae(widths, batch_size, loss="squared_error", max_iter=1, device="cpu"):
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
        device=device,
        random_state=0,
    )


def products(widths, batch_size, device="cpu"):
    """Return a function that does the matrix products of a training step, no more."""
    widths = [*widths, *widths[-2::-1]]
    pairs = list(zip(widths[:-1], widths[1:], strict=True))
    weights = [torch.randn(n_out, n_in, device=device) for n_in, n_out in pairs]
    values = [torch.randn(batch_size, n, device=device) for n in widths]
    outputs = [torch.empty_like(v) for v in values]
    gradients = [torch.empty_like(w) for w in weights]

    def step():
        for i, weight in enumerate(weights):
            torch.mm(values[i], weight.t(), out=outputs[i + 1])
            torch.mm(values[i + 1].t(), values[i], out=gradients[i])
            if i:
                torch.mm(values[i + 1], weight, out=outputs[i])

    return step


def floor(X, widths, batch_size, max_iter=1):
    """Do the matrix products of training."""
    step = products(widths, batch_size)
    for _ in range(max_iter * -(-len(X) // batch_size)):
        step()


def torch_network(widths):
    """Return the network as torch's users write it."""
    widths = [*widths, *widths[-2::-1]]
    layers = []
    for n_in, n_out in zip(widths[:-1], widths[1:], strict=True):
        layers += [torch.nn.Linear(n_in, n_out), torch.nn.ReLU()]
    return torch.nn.Sequential(*layers[:-1])


def autograd_loop(X, widths, batch_size, loss="squared_error", max_iter=1):
    """Train the network with the loop that torch's tutorials show, fused Adam."""
    X = torch.as_tensor(X)
    network = torch_network(widths).to(X.device)
    compare = {
        "squared_error": torch.nn.functional.mse_loss,
        "log_loss": torch.nn.functional.binary_cross_entropy_with_logits,
    }[loss]
    optimizer = torch.optim.Adam(network.parameters(), fused=True)
    for _ in range(max_iter):
        for rows in torch.randperm(len(X), device=X.device).split(batch_size):
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


def pyod(X, widths, batch_size, max_iter=1):
    """Train PyOD's autoencoder, with batch norm and dropout as it has them.

    Its fit ends with the scores of all rows.
    """
    from pyod.models.auto_encoder import make_autoencoder

    make_autoencoder(
        hidden_neuron_list=list(widths[1:]),
        batch_size=batch_size,
        epoch_num=max_iter,
        preprocessing=False,
        verbose=0,
    ).fit(X)


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
        take_turns(contestants, times)
    return report(name, times)


def take_turns(contestants, times, rest=0.3):
    """Run each contestant once, after a rest of some seconds."""
    for contestant, run in contestants.items():
        time.sleep(rest)  # threads of the last one wait for more work at full speed
        times[contestant].append(run())


def report(name, times):
    """Print a row for each contestant and return the medians."""
    medians = {contestant: median(values) for contestant, values in times.items()}
    for contestant, value in medians.items():
        ratio = value / medians["skae"]
        print(f"| {name} | {contestant} | {value:.4g} | {ratio:.2f} |", flush=True)
    return medians


class Turns(io.TextIOBase):
    """Where verbose=2 writes a line after each pass: then the others have a turn.

    Machines that are shared change their speed within seconds.
    """

    def __init__(self, others, rest=0.3):
        self.others, self.rest = others, rest
        self.times = {name: [] for name in ["skae", *others]}
        self.began = None

    def write(self, line):
        """Time the pass that has ended, and let the others have their turn."""
        if self.began is not None:  # the first line comes after what a fit does once
            self.times["skae"].append(time.perf_counter() - self.began)
        with redirect_stdout(sys.__stdout__):
            take_turns(self.others, self.times, self.rest)
        time.sleep(self.rest)
        self.began = time.perf_counter()
        return len(line)


def training(peers, repeats):
    """One pass over MNIST, squared error and cross-entropy."""
    train, _ = mnist()
    widths, batch_size, results = (784, 128, 64), 256, {}
    for loss in ("squared_error", "log_loss"):
        others = {
            "floor": lambda: seconds(lambda: floor(train, widths, batch_size)),
            "autograd loop": lambda loss=loss: seconds(
                lambda: autograd_loop(train, widths, batch_size, loss)
            ),
        }
        for name, peer in peers.items():
            extra = {"loss": loss} if name == "keras" else {}
            if loss == "squared_error" or extra:
                others[name] = lambda peer=peer, extra=extra: seconds(
                    lambda: peer(train, widths, batch_size, **extra)
                )
        model = skae(widths, batch_size, loss, max_iter=1 + 3 * repeats)
        with redirect_stdout(Turns(others)) as turns:
            model.set_params(verbose=2).fit(train)
        turns.times["skae"].pop()  # the last line comes after what a fit does once
        name = f"MNIST, one pass, {loss}"
        results[name] = report(name, turns.times)
    return results


def gpu(peers, repeats):
    """One pass over MNIST on a GPU, the rows being there; its floor is recorded."""
    if not torch.cuda.is_available():
        print("no CUDA device: the part gpu is left out", file=sys.stderr)
        return {}
    train, _ = mnist()
    widths, batch_size, results = (784, 128, 64), 256, {}
    n_steps, there = -(-len(train) // batch_size), torch.from_numpy(train).cuda()
    step = products(widths, batch_size, "cuda")
    step()
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        step()
    for loss in ("squared_error", "log_loss"):
        others = {
            "floor": lambda: [graph.replay() for _ in range(n_steps)],
            "floor, kernel by kernel": lambda: [step() for _ in range(n_steps)],
            "autograd loop": lambda loss=loss: autograd_loop(
                there, widths, batch_size, loss
            ),
        }
        timed = {name: partial(gpu_seconds, run) for name, run in others.items()}
        model = skae(widths, batch_size, loss, 1 + 5 * repeats, device="cuda")
        # A GPU that rests slows down.
        with redirect_stdout(Turns(timed, rest=0.0)) as turns:
            model.set_params(verbose=2).fit(train)
        turns.times["skae"].pop()  # the last line comes after what a fit does once
        name = f"{torch.cuda.get_device_name()}, MNIST, one pass, {loss}"
        results[name] = report(name, turns.times)
    return results


def gpu_seconds(function):
    """Return how long a call and all that it has launched take."""
    torch.cuda.synchronize()
    return seconds(lambda: (function(), torch.cuda.synchronize()))


def small(peers, repeats):
    """Fifty passes over the digits in batches of 32."""
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
    name = "digits, 50 passes of 32 rows"
    return {name: contest(name, contestants, repeats)}


def to_quality(peers, repeats):
    """Seconds until the test cross-entropy is that of Keras' recipe after 50 passes.

    784-128-64-128-784, ReLU; ours with the defaults for all else.
    """
    train, test = mnist()

    def run(max_iter, **params):
        model = AutoEncoderTransformer(
            64,
            hidden_layer_sizes=(128,),
            activation="relu",
            loss="log_loss",
            max_iter=max_iter,
            early_stopping=False,
            device="cpu",
            random_state=0,
            **params,
        )
        taken = seconds(lambda: model.fit(train))
        output = np.clip(model.inverse_transform(model.transform(test)), 1e-7, 1 - 1e-7)
        entropy = -np.mean(test * np.log(output) + (1 - test) * np.log(1 - output))
        return taken, float(entropy)

    results = {}
    for init in ("auto", "random"):
        for max_iter in (1, 2, 3, 4, 5, 6, 7, 8, 10):
            runs = [run(max_iter, init=init) for _ in range(min(repeats, 3))]
            taken, entropy = median(r[0] for r in runs), runs[0][1]
            name = f"test cross-entropy, init={init!r}, {max_iter} passes"
            print(f"| {name} | skae | {taken:.4g} | {entropy:.5f} |", flush=True)
            results[name] = {"skae": taken, "cross-entropy": entropy}
            if entropy <= 0.0725:
                break
    if "keras" in peers:
        keras_seconds = seconds(
            lambda: peers["keras"](train, (784, 128, 64), 256, "log_loss", 50)
        )
        print(f"| the recipe, 50 passes | keras | {keras_seconds:.4g} | |", flush=True)
        results["the recipe, 50 passes"] = {"keras": keras_seconds}
    return results


def default_fits(peers, repeats):
    """Defaults on each table, eight components."""
    taken = {}
    for name, (X, _) in tables().items():
        model = AutoEncoderTransformer(8, device="cpu", random_state=0)
        X = StandardScaler().fit_transform(X)
        taken[name] = median(
            seconds(lambda X=X, model=model: model.fit(X)) for _ in range(repeats)
        )
    values = sorted(taken.values())
    print(
        f"| default fit, {len(values)} tables, median | skae | {median(values):.3g} | |"
    )
    print(f"| the slowest table | skae | {values[-1]:.3g} | |", flush=True)
    return {f"default fit, {name}": {"skae": value} for name, value in taken.items()}


def encoding(peers, repeats):
    """`transform` of many rows and of one."""
    train, _ = mnist()
    model = skae((784, 128, 64), 256).fit(train)
    pca = PCA(64).fit(train)
    x = torch.from_numpy(train)
    weights = torch.randn(784, 128), torch.randn(128, 64)
    contestants = {
        "skae": lambda: seconds(lambda: model.transform(train)),
        "floor": lambda: seconds(
            lambda: [part @ weights[0] @ weights[1] for part in x.split(1024)]
        ),
        "PCA": lambda: seconds(lambda: pca.transform(train)),
    }
    name = "transform 60,000 rows"
    results = {name: contest(name, contestants, repeats)}
    one = train[:1]
    contestants = {
        "skae": lambda: seconds(lambda: [model.transform(one) for _ in range(100)]),
        "PCA": lambda: seconds(lambda: [pca.transform(one) for _ in range(100)]),
    }
    name = "transform one row, 100 times"
    return results | {name: contest(name, contestants, repeats)}


def growth(peers, repeats):
    """Seconds of a pass, by rows and by features; nanoseconds a row and weight."""
    results = {}
    rng = np.random.default_rng(0)
    for n, d in ((10**3, 100), (10**4, 100), (10**5, 100), (10**6, 100)) + tuple(
        (20_000, d) for d in (10, 100, 500, 2000)
    ):
        X = rng.normal(size=(n, d)).astype(np.float32)
        taken = median(
            one_pass(X, (d, 128, 8), 256, "squared_error") for _ in range(repeats)
        )
        unit = 1e9 * taken / (n * 2 * (d * 128 + 128 * 8))
        name = f"one pass, {n:,} rows of {d}"
        print(f"| {name} | skae | {taken:.4g} | {unit:.3f} ns |", flush=True)
        results[name] = {"skae": taken}
    return results


def grid(peers, repeats):
    """Search a grid with one job and with two."""
    X = scale(load_digits().data)
    params = {"n_components": [2, 4, 8, 16]}

    def search(n_jobs):
        model = AutoEncoderTransformer(random_state=0, max_iter=40, device="cpu")
        search = GridSearchCV(model, params, cv=3, n_jobs=n_jobs, refit=False)
        return seconds(lambda: search.fit(X))

    search(2)  # starts the workers
    contestants = {"skae": lambda: search(2), "one job": lambda: search(1)}
    name = "grid search, 12 fits, two jobs"
    return {name: contest(name, contestants, min(repeats, 3))}


PARTS = {
    "training": training,
    "gpu": gpu,
    "small": small,
    "to_quality": to_quality,
    "default_fits": default_fits,
    "encoding": encoding,
    "growth": growth,
    "grid": grid,
}
PEERS = {"mlp": mlp, "keras": keras, "skorch": skorch, "pyod": pyod}


def draw(results, path):
    """Save the contests as bars, in multiples of our time."""
    contests = {n: r for n, r in results.items() if len(r) > 1 and "skae" in r}
    contests = {n: r for n, r in contests.items() if "cross-entropy" not in r}
    if not contests:
        return
    figure, all_axes = plt.subplots(
        len(contests), 1, figsize=(8, 1.2 + 1.2 * len(contests)), squeeze=False
    )
    for axes, (name, medians) in zip(all_axes[:, 0], contests.items(), strict=True):
        ratios = [value / medians["skae"] for value in medians.values()]
        axes.barh(list(medians), ratios)
        axes.axvline(1, color="gray", linewidth=0.5)
        axes.set_title(f"{name}: seconds over skae's", fontsize="small", loc="left")
        axes.invert_yaxis()
    figure.tight_layout()
    figure.savefig(path, dpi=120)


def main():
    """Print the table and save the numbers."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--peers", default=",".join(PEERS), help="names with commas")
    parser.add_argument("--only", nargs="+", choices=PARTS, default=list(PARTS))
    parser.add_argument("--quick", action="store_true", help="fewer repeats")
    parser.add_argument("--out", type=Path, default=Path("out/speed.json"))
    args = parser.parse_args()
    peers = {}
    for name in filter(None, args.peers.split(",")):
        if name not in PEERS:
            parser.error(f"unknown peer {name!r}: choose from {', '.join(PEERS)}")
        if name == "mlp" or find_spec(name):
            peers[name] = PEERS[name]
        else:
            print(f"{name} is not installed: left out")
    machine = (
        f"torch {torch.__version__}, scikit-learn {sklearn.__version__}, "
        f"{torch.get_num_threads()} threads, {platform.machine()}"
    )
    print(f"{machine}\n")
    print("| work | who | seconds, median | ratio to skae |")
    print("|---|---|---|---|")
    results = {}
    for part in args.only:
        results |= PARTS[part](peers, 3 if args.quick else 7)
    args.out.parent.mkdir(parents=True, exist_ok=True)
    args.out.write_text(json.dumps({"machine": machine, "seconds": results}, indent=1))
    draw(results, args.out.with_suffix(".png"))


if __name__ == "__main__":
    main()
