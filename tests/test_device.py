"""Devices: how one is chosen, and what holds where there is a GPU."""

import pickle
import subprocess
import sys

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone

from skae import AutoEncoderTransformer, Conv, Modules
from skae._inference.codec_cache import cached_codec
from skae._runtime import device as _device
from skae._runtime.device import check_device, inference_device

from .variants import one_layer

gpu = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="needs CUDA"),
]


@pytest.fixture
def cuda(monkeypatch):
    """Two CUDA devices that exist by name only."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)


@pytest.fixture
def no_cuda(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)


class TestChoice:
    def test_auto_takes_a_gpu_for_large_steps_only(self, cuda):
        assert check_device("auto", lambda: 1e12) == torch.device("cuda:0")
        assert check_device("auto", lambda: 1e5) == torch.device("cpu")

    def test_auto_without_a_gpu(self, no_cuda):
        assert check_device("auto", lambda: 1e12) == torch.device("cpu")

    @pytest.mark.parametrize("name", ["cuda", "cuda:0"])
    def test_first_gpu(self, name, cuda):
        assert check_device(name, 0) == torch.device("cuda:0")

    def test_second_gpu(self, cuda):
        assert check_device("cuda:1", 0) == torch.device("cuda:1")

    @pytest.mark.parametrize("name", ["cpu", "cpu:0", "cuda", "cuda:0", "cuda:1"])
    def test_devices_of_torch_are_what_their_names_are(self, name, cuda):
        assert check_device(torch.device(name), 0) == check_device(name, 0)

    def test_a_process_forked_after_cuda_had_started(self, cuda, monkeypatch):
        """CUDA would raise there, whatever it is asked for."""
        monkeypatch.setattr(_device, "cuda_is_lost", lambda: True)
        assert check_device("auto", lambda: 1e12) == torch.device("cpu")
        assert check_device("cpu", 0) == torch.device("cpu")
        assert inference_device("cuda:0", lambda: 1e12) == torch.device("cpu")
        with pytest.raises(ValueError, match="device='cuda:1'.*forked.*'cpu'.*'spawn'"):
            check_device("cuda:1", 0)

    def test_a_device_of_torch_as_parameter(self, X):
        few = {"max_iter": 2, "early_stopping": False, "random_state": 0}
        model = clone(AutoEncoderTransformer(device=torch.device("cpu"), **few))
        expected = AutoEncoderTransformer(device="cpu", **few).fit_transform(X)
        assert_array_equal(model.fit_transform(X), expected)
        assert model.device_ == "cpu"
        with pytest.raises(ValueError, match="device.*'meta'.* is not known: use"):
            model.set_params(device=torch.device("meta")).fit(X)

    @pytest.mark.parametrize("name", ["cuda", "cuda:1"])
    def test_missing_gpu_is_an_error_with_a_remedy(self, name, no_cuda, X):
        with pytest.raises(ValueError, match=rf"device='{name}'.*sees 0 CUDA.*'cpu'"):
            AutoEncoderTransformer(device=name).fit(X)

    def test_gpu_beyond_the_last(self, cuda):
        with pytest.raises(ValueError, match="device='cuda:2'.*sees 2 CUDA"):
            check_device("cuda:2", 0)

    @pytest.mark.parametrize("name", ["gpu", "cuda:", "cuda:x", "cuda:-1", "CPU", ""])
    def test_unknown_name(self, name, cuda):
        with pytest.raises(ValueError, match="is not known: use 'auto', 'cpu'"):
            check_device(name, 0)

    def test_inference_falls_back_to_the_cpu(self, no_cuda):
        assert inference_device("cuda:0", lambda: 1e12) == torch.device("cpu")

    def test_inference_stays_where_it_can(self, cuda):
        assert inference_device("cuda:1", lambda: 1e12) == torch.device("cuda:1")
        assert inference_device("cuda:2", lambda: 1e12) == torch.device("cpu")

    def test_few_rows_are_not_worth_the_way(self, cuda):
        assert inference_device("cuda:1", lambda: 1e5) == torch.device("cpu")


def test_model_fitted_on_a_gpu_works_without_one(X, no_cuda):
    model = AutoEncoderTransformer(max_iter=1, random_state=0).fit(X)
    expected = model.transform(X)
    model.device_ = "cuda:0"  # as a fit there would have left it
    assert_array_equal(pickle.loads(pickle.dumps(model)).transform(X), expected)


def test_threshold_of_auto_is_between_a_small_and_a_large_net():
    assert 1e6 < _device._CUDA_STEP_FLOPS < 1e10


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_operations_of_rows_are_those_of_all_weights(dtype, X):
    model = AutoEncoderTransformer(3, hidden_layer_sizes=(8,), init="random")
    model.set_params(max_iter=1, early_stopping=False, random_state=0).fit(X)
    codec = cached_codec(model, np.dtype(dtype), len(X))
    assert codec.flops == 2 * 2 * (12 * 8 + 8 * 3)


def test_operations_of_someones_own_layers_are_not_told_by_their_weights(X):
    network = Modules(one_layer, one_layer)
    model = AutoEncoderTransformer(3, network=network, init="random", max_iter=1)
    model.set_params(early_stopping=False).fit(X)
    assert cached_codec(model, X.dtype, len(X)).flops == np.inf


class TestGpu:
    pytestmark = gpu

    def test_agrees_with_the_cpu(self, digits):
        X, _ = digits
        params = {"n_components": 8, "max_iter": 20, "random_state": 0}
        there = AutoEncoderTransformer(device="cuda", **params).fit(X)
        here = AutoEncoderTransformer(device="cpu", **params).fit(X)
        assert there.device_ == "cuda:0"
        assert there.score(X) == pytest.approx(here.score(X), abs=0.02)

    def test_repeats_bit_for_bit(self, digits):
        model = AutoEncoderTransformer(8, device="cuda", max_iter=5, random_state=0)
        first = model.fit_transform(digits[0])
        assert_array_equal(model.fit_transform(digits[0]), first)

    def test_streamed_agrees_with_resident(self, digits, monkeypatch):
        X, _ = digits
        model = AutoEncoderTransformer(
            8, device="cuda", max_iter=2, batch_size=2000, random_state=0
        )
        expected = model.fit_transform(X)
        monkeypatch.setattr("skae._data.batches.free_memory", lambda device: 0)
        assert_allclose(model.fit_transform(X), expected, atol=1e-3)

    def test_nothing_stays_on_the_device(self, digits, monkeypatch):
        model = AutoEncoderTransformer(8, device="cuda", max_iter=2).fit(digits[0])
        before = torch.cuda.memory_allocated()  # with what CUDA's libraries keep
        model.fit(digits[0])
        monkeypatch.setattr(_device, "_CUDA_ROWS_FLOPS", 0)  # as for many rows
        model.inverse_transform(model.transform(digits[0]))
        assert torch.cuda.memory_allocated() == before

    @pytest.mark.parametrize("network", [None, Conv(image_shape=(8, 8))])
    def test_rows_are_encoded_alike_anywhere(self, network, digits, monkeypatch):
        model = AutoEncoderTransformer(8, device="cuda", network=network, max_iter=5)
        model.set_params(random_state=0).fit(digits[0])
        monkeypatch.setattr(_device, "_CUDA_ROWS_FLOPS", np.inf)
        here = model.transform(digits[0])
        monkeypatch.setattr(_device, "_CUDA_ROWS_FLOPS", 0)
        there = model.transform(digits[0])
        assert_allclose(there, here, atol=1e-4 * np.abs(here).max())

    def test_pickle_works_where_there_is_none(self, digits, tmp_path):
        X = digits[0][:20]
        model = AutoEncoderTransformer(4, device="cuda", max_iter=2).fit(X)
        path = tmp_path / "model"
        path.write_bytes(pickle.dumps((model, X)))
        code = (
            "import os, pickle, sys; os.environ['CUDA_VISIBLE_DEVICES'] = ''\n"
            "import numpy as np\n"
            f"model, X = pickle.load(open({str(path)!r}, 'rb'))\n"
            "np.save(sys.argv[1], model.transform(X))\n"
        )
        out = tmp_path / "codes.npy"
        subprocess.run([sys.executable, "-c", code, str(out)], check=True)
        assert_allclose(np.load(out), model.transform(X), atol=1e-6)
