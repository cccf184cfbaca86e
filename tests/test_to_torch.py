"""`to_torch`: the same numbers as a plain module, which compilers and fits can take."""

import copy
import io
import warnings

import numpy as np
import pytest
import torch
from numpy.testing import assert_array_equal
from sklearn.exceptions import NotFittedError
from torch import nn

from skae import AutoEncoderTransformer, Modules
from skae._inference import torch_module
from skae._parts.losses import LINKS

from .conftest import rows
from .fitted import assert_near, fitted, near_and_far, whitened
from .variants import VARIANTS

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
OTHERS = ["answered by PCA", "stream", "wide", "whitened"]
# One of each kind of layer, for what takes seconds of a compiler.
KINDS = [
    "default",
    "tied",
    "conv",
    "modules",
    "kl_divergence",
    "layer_norm_and_dropout",
]


def _compare(model, X, rtol=1e-9):
    """See that both ways give the same in the dtype of ``X``."""
    module = model.to_torch(X.dtype)
    assert not module.training
    with torch.no_grad():
        Z = model.transform(X)
        assert_near(module.encoder(torch.tensor(X)).numpy(), Z, rtol)
        assert_near(
            module.decoder(torch.tensor(Z)).numpy(), model.inverse_transform(Z), rtol
        )
        Z = Z * 1e3  # farther than any code of a row
        R = model.inverse_transform(Z)
        assert_near(module.decoder(torch.tensor(Z)).numpy(), R, rtol)


@pytest.mark.parametrize("name", [*VARIANTS, *OTHERS])
def test_the_same_inside_outside_and_far_outside(name):
    model, X = fitted(name)
    X = near_and_far(model, X)
    _compare(model, X)
    _compare(model, X.astype(np.float32), rtol=1e-5)


@pytest.mark.parametrize(
    "params", [{}, {"init": "random"}, {"standardize": True}], ids=str
)
def test_whitened_codes_and_constant_features(params):
    model, X = whitened(**params)
    _compare(model, near_and_far(model, X))
    constant = model.to_torch("float64")(torch.randn(4, 12).double() * 1e3)[:, [2, 7]]
    assert_array_equal(constant.detach(), [[0.1, -3e5]] * 4)


@pytest.mark.parametrize("size", [1e-60, 1e60])
def test_units_that_float32_does_not_hold(size):
    model = AutoEncoderTransformer(2, max_iter=3, random_state=0).fit(rows() * size)
    _compare(model, rows() * size)
    assert torch.isfinite(model.to_torch().encoder(torch.randn(3, 12))).all()


def test_the_farthest_rows_of_a_dtype():
    model, X = whitened()
    for dtype in (np.float64, np.float32):
        largest = np.finfo(dtype).max
        far = np.array([[largest] * 12, [0.0] * 11 + [largest]], dtype)
        _compare(model, far, rtol=1e-5)
        _compare(model, -far, rtol=1e-5)


def test_every_link_is_a_layer():
    assert torch_module._LINKS.keys() == LINKS.keys()
    x = torch.linspace(-60, 60, 240).view(4, 60)
    for name, layer in torch_module._LINKS.items():
        assert_array_equal(layer()(x), LINKS[name].inverse(x))


def test_dtypes():
    model, X = fitted("default")
    for dtype in ("float64", float, np.dtype("f8"), torch.float64):
        assert all(p.dtype == torch.float64 for p in model.to_torch(dtype).parameters())
    assert all(p.dtype == torch.float32 for p in model.to_torch().parameters())
    for dtype in ("float16", torch.bfloat16, int, "nothing", None):
        with pytest.raises(ValueError, match="dtype must be 'float32' or 'float64'"):
            model.to_torch(dtype)
    with pytest.raises(NotFittedError):
        AutoEncoderTransformer().to_torch()


def test_nothing_is_shared_with_the_estimator():
    model, X = fitted("tied")
    before = model.transform(X), model.inverse_transform(np.ones((1, 2)))
    with torch.inference_mode():
        module = model.to_torch("float64")
    with torch.no_grad():
        for values in (*module.parameters(), *module.buffers()):
            values.zero_()
    assert_array_equal(model.transform(X), before[0])
    assert_array_equal(model.inverse_transform(np.ones((1, 2))), before[1])


def test_no_random_number_is_drawn():
    before = torch.get_rng_state()
    for name in ("default", "modules", "answered by PCA"):
        fitted(name)[0].to_torch()
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize("name", [*VARIANTS, *OTHERS])
def test_all_parameters_learn(name):
    model, X = fitted(name)
    module = model.to_torch().train()
    x = torch.tensor(near_and_far(model, X), dtype=torch.float32)
    scale = x.abs().amax(dim=1, keepdim=True).clamp(min=1)
    ((module(x) - x) / scale).square().mean().backward()
    parameters = dict(module.named_parameters())
    assert parameters
    for key, parameter in parameters.items():
        assert torch.isfinite(parameter.grad).all(), key


def test_fine_tuning_lowers_the_error():
    model = AutoEncoderTransformer(2, max_iter=1, early_stopping=False, random_state=0)
    model.fit(rows())
    module, x = model.to_torch(), torch.tensor(rows(), dtype=torch.float32)
    solver = torch.optim.Adam(module.parameters(), lr=1e-2)
    errors = []
    for _ in range(40):
        error = nn.functional.mse_loss(module(x), x)
        solver.zero_grad()
        error.backward()
        solver.step()
        errors.append(error.item())
    assert errors[-1] < 0.9 * errors[0]


def test_tied_weights_stay_tied():
    module = fitted("tied")[0].to_torch()
    module = copy.deepcopy(module).double()
    assert module(torch.zeros(2, 12).double()).dtype == torch.float64
    (encoder, *_), (*_, decoder, _) = module.encoder.network, module.decoder.network
    if hasattr(decoder, "weight"):
        assert decoder.weight is encoder.weight
    assert len(list(module.parameters())) < len(list(module.state_dict()))


def test_state_dict_and_pickle():
    model, X = fitted("conv")
    module, x = model.to_torch(), torch.tensor(X, dtype=torch.float32)
    again = model.to_torch()
    file = io.BytesIO()
    torch.save(module.state_dict(), file)
    file.seek(0)
    again.load_state_dict(torch.load(file, weights_only=True))
    assert torch.equal(copy.deepcopy(again)(x), module(x))


@pytest.mark.parametrize("name", KINDS)
@pytest.mark.parametrize("part", ["encoder", "decoder"])
def test_export_for_any_number_of_rows(name, part):
    model, X = fitted(name)
    X = near_and_far(model, X)
    if part == "decoder":
        X = model.transform(X)
    x = torch.tensor(X)
    module = getattr(model.to_torch("float64"), part)
    batch = torch.export.Dim("batch", min=1, max=1_000_000)
    program = torch.export.export(module, (x[:4],), dynamic_shapes=({0: batch},))
    assert_near(program.module()(x).detach().numpy(), module(x).detach().numpy(), 1e-12)


@pytest.mark.parametrize("name", KINDS)
def test_compile_as_one_graph(name):
    model, X = fitted(name)
    module, x = model.to_torch(), torch.tensor(X, dtype=torch.float32)
    compiled = torch.compile(module, fullgraph=True, backend="eager")
    assert torch.allclose(compiled(x), module(x), rtol=1e-5)


def test_quantization_of_linear_layers():
    model, X = fitted("deep_tanh")
    module, x = model.to_torch(), torch.tensor(X, dtype=torch.float32)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch's own plans
        small = torch.ao.quantization.quantize_dynamic(module, {nn.Linear})
    assert not any(type(m) is nn.Linear for m in small.modules())
    error = (small(x) - module(x)).abs().max() / module(x).abs().max()
    assert 0 < error < 0.1


def plain(n_in, n_out):
    return nn.Sequential(nn.Linear(n_in, 5), nn.Softsign(), nn.Linear(5, n_out))


def test_modules_of_ones_own_come_along():
    network = Modules(plain, plain)
    model = AutoEncoderTransformer(2, network=network, max_iter=3, random_state=0)
    module = model.set_params(early_stopping=False).fit(rows()).to_torch()
    assert sum(isinstance(m, nn.Softsign) for m in module.modules()) == 2
    names = {type(m).__module__ for m in module.modules()}
    assert not any("seeded_modules" in name for name in names)


def test_dropout_is_that_of_torch():
    module = fitted("layer_norm_and_dropout")[0].to_torch()
    x = torch.tensor(rows(), dtype=torch.float32)
    assert torch.equal(module(x), module(x))
    module.train()
    assert not torch.equal(module(x), module(x))
