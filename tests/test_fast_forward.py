"""FastForward: the same numbers as the modules give, near the data and far out."""

import pytest
import torch
from torch import nn

from skae import AutoEncoderTransformer, Conv, Dense, Modules
from skae._inference.codec import from_numpy
from skae._nn.fast_forward import FastForward
from skae._parts.networks import Architecture

NETWORKS = {
    "default": {},
    "plain": {"init": "random", "activation": "relu"},
    "linear": {"hidden_layer_sizes": (), "init": "random"},
    "tied": {"network": Dense(tied=True, layer_norm=True, dropout=0.2)},
    "signals": {"network": Conv()},
    "own": {
        "network": Modules(
            lambda n_in, n_out: nn.Sequential(nn.Linear(n_in, n_out), nn.Tanh()),
            lambda n_in, n_out: nn.Linear(n_in, n_out),
        )
    },
}


@torch.inference_mode()
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("name", NETWORKS)
def test_the_fast_way_gives_the_same(name, dtype, digits):
    params = {"max_iter": 2, "early_stopping": False, "random_state": 0}
    model = AutoEncoderTransformer(4, **params | NETWORKS[name]).fit(digits[0][:300])
    architecture = Architecture(**model._architecture)
    network = from_numpy(architecture, model._weights, dtype).eval()
    bare = FastForward(network)
    rng = torch.Generator().manual_seed(0)
    for n_samples in (1, 40):
        for factor in (1.0, 1e6):  # the second is where corrections fade
            x = factor * torch.randn(n_samples, 64, dtype=dtype, generator=rng)
            z = network.encoder(x)
            exact = {"rtol": 1e-5, "atol": 1e-5 * factor}
            torch.testing.assert_close(bare.encoder(x), z, **exact)
            output = network.decoder(z)
            torch.testing.assert_close(bare.decoder(z), output, **exact)
            assert output.isfinite().all()
