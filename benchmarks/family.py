"""The family: what each part costs in time, and what some are worth, on MNIST.

    python benchmarks/family.py                      # all three tables
    python benchmarks/family.py --only speed         # speed, conv, variational

*speed*: a pass of each part over 20,000 pictures against the floor of its own network,
its matrix products and convolutions alone, forward and backward (with a contraction,
those of the encoder twice: the derivative along one direction costs as much as the
value). *conv*: the dense and the convolutional network with 30 components, for about
the same seconds. *variational*: the bound in nats on the test pictures of the network
that Kingma and Welling's paper made common, one hidden layer, 20 components; its
samples go to ``out/family.png``. MNIST comes from ``SKAE_DATA`` or from OpenML.
"""

import argparse
import time
import warnings
from functools import partial
from pathlib import Path
from statistics import median

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
import torch
from datasets import mnist
from sklearn.exceptions import ConvergenceWarning
from torch import nn

from skae import (
    AutoEncoderTransformer,
    Contraction,
    Conv,
    Dense,
    Gaussian,
    Modules,
)
from skae._nn.layers import Weighted
from skae._parts.networks import make_autoencoder

warnings.simplefilter("ignore", ConvergenceWarning)

BATCH = 256
N_ROWS = 20_000
N_REPEATS = 40  # of the products of a step, for one measurement


def two_layers(n_in, n_out):
    """Return half of the default network, as modules of one's own."""
    return nn.Sequential(
        nn.Linear(n_in, 512), nn.GELU(), nn.Linear(512, 256), nn.GELU(),
        nn.Linear(256, n_out),
    )  # fmt: skip


PARTS = {
    "plain": {},
    "masking": {"corruption": "masking"},
    "gaussian noise": {"corruption": "gaussian_noise"},
    "swap noise": {"corruption": "swap_noise"},
    "sparsity": {"penalty": "sparsity"},
    "contraction": {"penalty": Contraction()},
    "gaussian": {"latent": "gaussian"},
    "tied": {"network": Dense(tied=True)},
    "layer norm": {"network": Dense(layer_norm=True)},
    "dropout": {"network": Dense(dropout=0.1)},
    "modules": {"network": Modules(two_layers, two_layers)},
    "conv": {"network": Conv((28, 28))},
}


def seconds(function):
    """Return how long a call takes."""
    start = time.perf_counter()
    function()
    return time.perf_counter() - start


def make(params, max_iter):
    """Return an estimator that makes so many passes, from the plain start."""
    return AutoEncoderTransformer(
        30,
        init="random",
        early_stopping=False,
        batch_size=BATCH,
        max_iter=max_iter,
        n_iter_no_change=max_iter,
        random_state=0,
        **params,
    )


def products(model):
    """Return a function that does the products of a step of a fitted network."""
    network = make_autoencoder(**model._architecture)
    operations = []

    def record(layer, inputs, output):
        x, y = inputs[0].detach(), torch.randn_like(output)
        needs_input = not any(x.data_ptr() == first for first in firsts)
        operations.append((layer, x, y, needs_input))

    x = torch.rand(BATCH, 784)
    firsts = [x.data_ptr()]
    for layer in network.modules():
        if isinstance(layer, Weighted):
            nn.init.normal_(layer.weight, std=0.01)
            layer.register_forward_hook(record)
    with torch.no_grad():
        network.train()
        for layer in network.modules():
            if hasattr(layer, "rng"):
                layer.rng = np.random.default_rng(0)
        network(x)
    if isinstance(model.network, Dense) and model.network.tied:
        operations = operations + operations  # the decoder's are the encoder's, turned
    if isinstance(model.penalty, Contraction):
        half = len(operations) // 2
        operations = operations[:half] + operations

    def linear(layer, x, y, needs_input):
        torch.mm(x, layer.weight.t())
        torch.mm(y.t(), x)
        if needs_input:
            torch.mm(y, layer.weight)

    def convolution(layer, x, y, needs_input):
        transposed = isinstance(layer, nn.ConvTranspose2d)
        options = (
            layer.stride,
            layer.padding,
            layer.dilation,
            transposed,
            layer.output_padding,
            1,
        )
        torch.convolution(x, layer.weight, None, *options)
        torch.ops.aten.convolution_backward(
            y, x, layer.weight, None, *options, (needs_input, True, False)
        )

    @torch.no_grad()
    def run():
        for _ in range(N_REPEATS):
            for layer, x, y, needs_input in operations:
                kind = linear if isinstance(layer, nn.Linear) else convolution
                kind(layer, x, y, needs_input)

    return run


def speed(train, test, quick):
    """Time a pass of each part against the products of its own network."""
    X = train[:N_ROWS]
    n_steps = -(-N_ROWS // BATCH)
    print("| part | a pass, s | products alone, s | ratio |")
    print("|---|---|---|---|")
    for name, params in PARTS.items():
        floor = products(make(params, 1).fit(X))
        epochs, floors = [], []
        for _ in range(3 if quick else 7):
            short, long = (seconds(partial(make(params, n).fit, X)) for n in (1, 4))
            epochs.append((long - short) / 3)
            floors.append(n_steps * seconds(floor) / N_REPEATS)
        ours, least = median(epochs), median(floors)
        print(f"| {name} | {ours:.2f} | {least:.2f} | {ours / least:.2f} |", flush=True)


def conv(train, test, quick):
    """Compare the networks for about the same seconds."""
    print("\n| network | passes | s | squared error a pixel |")
    print("|---|---|---|---|")
    for name, network, n_epochs in (
        ("dense", None, 10),
        ("conv", Conv((28, 28)), 5),
        ("dense", None, 20),
        ("conv", Conv((28, 28)), 10),
    ):
        model = AutoEncoderTransformer(
            30, network=network, max_iter=n_epochs, random_state=0
        )
        taken = seconds(lambda model=model: model.fit(train))
        error = model.reconstruction_error(test).mean()
        print(f"| {name} | {n_epochs} | {taken:.1f} | {error:.5f} |", flush=True)


def variational(train, test, quick):
    """Measure the bound and draw samples."""
    print("\n| hidden | passes | s | bound, nats |")
    print("|---|---|---|---|")
    for hidden, n_epochs in (((400,), 10), ((400,), 50)):
        model = AutoEncoderTransformer(
            20,
            hidden_layer_sizes=hidden,
            loss="log_loss",
            latent=Gaussian(),
            max_iter=n_epochs,
            random_state=0,
        )
        taken = seconds(lambda model=model: model.fit(train, X_val=test))
        bound = 784 * model.best_loss_
        print(f"| {hidden} | {n_epochs} | {taken:.0f} | {bound:.1f} |", flush=True)
    rows = model.sample(100, random_state=0).reshape(5, 20, 28, 28)
    figure, ax = plt.subplots(figsize=(12, 3.2))
    ax.imshow(rows.transpose(0, 2, 1, 3).reshape(140, 560), cmap="gray")
    ax.axis("off")
    figure.tight_layout()
    path = Path("out/family.png")
    path.parent.mkdir(exist_ok=True)
    figure.savefig(path, dpi=120)
    print(f"\nSamples: {path}")


TABLES = {"speed": speed, "conv": conv, "variational": variational}


def main():
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", nargs="+", choices=TABLES, default=list(TABLES))
    parser.add_argument("--quick", action="store_true", help="fewer repeats")
    args = parser.parse_args()
    train, test = mnist()
    for name in args.only:
        TABLES[name](train, test, args.quick)


if __name__ == "__main__":
    main()
