"""State: what was fitted by any older version of skae is read, and gives the same."""

import copy
import lzma
import pickle
import warnings

import numpy as np
import pytest
from numpy.testing import assert_allclose
from sklearn.exceptions import InconsistentVersionWarning

from skae import (
    AutoEncoderTransformer,
    ReconstructionOutlierDetector,
    __version__,
)
from skae._inference.state import STATE_VERSION, from_pickle

from .conftest import rows
from .fitted import GOLDEN, fitted, read
from .variants import VARIANTS, autoencoder

FILES = GOLDEN


def _read(path):
    with lzma.open(path) as file:
        return pickle.load(file)


@pytest.fixture(scope="module", params=FILES, ids=lambda path: path.name.split(".")[0])
def golden(request):
    return _read(request.param)


def test_every_version_has_a_golden_file():
    """The present one too: a change of its format shows at once."""
    names = {path.name for path in FILES}
    assert names == {f"state_{v}.pkl.xz" for v in range(STATE_VERSION + 1)}


def test_what_older_versions_fitted_gives_the_same(golden):
    assert VARIANTS.keys() <= golden.keys()
    for name, (state, X, Z, R) in golden.items():
        model = read(state)
        # Written on another machine, perhaps: products may differ in the last digits.
        near = {"rtol": 1e-4, "atol": 1e-5 * np.abs(Z).max(), "err_msg": name}
        assert_allclose(model.transform(X), Z, **near)
        near["atol"] = 1e-5 * np.abs(R).max()
        assert_allclose(model.inverse_transform(Z), R, **near)


def test_streams_of_older_versions_go_on(golden):
    model = read(golden["stream"][0])
    before = model.transform(rows())
    assert np.abs(model.partial_fit(rows()).transform(rows()) - before).max() > 0


def test_warm_starts_from_older_versions(golden):
    model = read(golden["warm start"][0])
    score = model.score(rows())
    assert model.set_params(max_iter=2).fit(rows()).score(rows()) > score - 0.02


def test_a_newer_version_is_refused_in_a_sentence():
    model = AutoEncoderTransformer()
    state = model.__getstate__()
    state["_state_version"] = STATE_VERSION + 1
    with pytest.raises(ValueError, match="newer version of skae.*Update skae"):
        model.__setstate__(state)


@pytest.mark.parametrize("version", ["x", None, -1, 2.5, True])
def test_a_version_that_is_none_is_a_damaged_file(version):
    model = AutoEncoderTransformer()
    state = model.__getstate__() | {"_state_version": version}
    with pytest.raises(ValueError, match="damaged"):
        model.__setstate__(state)


@pytest.mark.parametrize(
    "key",
    ["_scaling", "_architecture", "_code_transform", "_link", "n_components_"]
    + ["n_features_in_", "device_", "n_samples_"],
)
def test_a_key_that_is_lost_is_seen_when_the_file_is_read(key):
    model, _ = fitted("default")
    state = model.__getstate__()
    state[key[:-1] + "?"] = state.pop(key)
    again = AutoEncoderTransformer()
    before = dict(vars(again))
    with pytest.raises(ValueError, match="damaged"):
        again.__setstate__(state)
    assert vars(again) == before


def test_fields_and_weights_that_do_not_fit_are_named():
    model, X = fitted("default")
    state = model.__getstate__()
    renamed = {**state["_scaling"]}
    renamed["meen"] = renamed.pop("mean")
    with pytest.raises(ValueError, match="damaged.*meen"):
        AutoEncoderTransformer().__setstate__(state | {"_scaling": renamed})
    weights = dict(state["_weights"])
    name = next(iter(weights))
    weights["?" + name] = weights.pop(name)
    again = AutoEncoderTransformer()
    again.__setstate__(state | {"_weights": weights})
    with pytest.raises(ValueError, match="damaged"):
        again.transform(X)


def _written_by(release):
    state = AutoEncoderTransformer().__getstate__()
    assert state["_skae_version"] == __version__
    return state | {"_skae_version": release}


@pytest.mark.parametrize("release", ["99.0", "99.1.0rc1", "0.2.99"])
def test_a_newer_release_with_the_same_state_is_warned_of(release):
    model = AutoEncoderTransformer()
    with pytest.warns(InconsistentVersionWarning, match=f"by skae {release}.*update"):
        model.__setstate__(_written_by(release))
    assert not any("version" in name for name in vars(model))


def test_an_older_release_is_warned_of_and_read():
    """As scikit-learn does, whose filters for it work."""
    model = AutoEncoderTransformer(5)
    state = model.__getstate__() | {"_skae_version": "0.0.9"}
    again = AutoEncoderTransformer()
    message = "AutoEncoderTransformer was written by skae 0.0.9, which is older"
    with pytest.warns(InconsistentVersionWarning, match=message) as caught:
        again.__setstate__(state)
    assert vars(again) == vars(model)
    assert caught[0].filename == __file__
    assert caught[0].message.original_sklearn_version == "0.0.9"


def test_this_release_is_read_in_silence():
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        AutoEncoderTransformer().__setstate__(_written_by(__version__))
    assert not caught


def test_what_was_written_before_releases_had_numbers_is_warned_of():
    with lzma.open(GOLDEN[0]) as file:
        state, *_ = pickle.load(file)["default"]
    with pytest.warns(InconsistentVersionWarning, match="older"):
        assert pickle.loads(state).n_components_ == 2


def test_a_detector_has_a_version_too():
    model = ReconstructionOutlierDetector(n_estimators=2)
    assert "_state_version" not in vars(pickle.loads(pickle.dumps(model)))
    state = model.__getstate__()
    with pytest.raises(
        ValueError, match="This ReconstructionOutlierDetector was.*newer"
    ):
        model.__setstate__(state | {"_state_version": STATE_VERSION + 1})
    with pytest.warns(InconsistentVersionWarning, match="Detector was written by"):
        model.__setstate__(state | {"_skae_version": "0.0.9"})
    assert model.n_estimators == 2


def test_a_detector_gets_parameters_that_were_not_there_when_it_was_written():
    state = ReconstructionOutlierDetector(n_estimators=3).__getstate__()
    del state["n_jobs"]
    again = ReconstructionOutlierDetector.__new__(ReconstructionOutlierDetector)
    again.__setstate__(state)
    assert again.get_params()["n_jobs"] is None
    assert again.n_estimators == 3


def test_what_older_versions_of_a_detector_fitted_gives_the_same():
    """Written with state 2, the first that detectors have; members have their own."""
    with lzma.open(GOLDEN[0].with_name("detector_2.pkl.xz")) as file:
        state, X, scores = pickle.load(file)
    assert_allclose(read(state).score_samples(X), scores, rtol=1e-4)


def test_what_older_versions_of_an_imputer_fitted_gives_the_same():
    with lzma.open(GOLDEN[0].with_name("imputer_2.pkl.xz")) as file:
        state, X, filled = pickle.load(file)
    assert_allclose(read(state).transform(X), filled, rtol=1e-4, atol=1e-4)


def test_rows_with_gaps_and_mixed_tables_are_in_the_newest_file():
    """With what only they have: how gaps are filled, and several losses."""
    golden = _read(FILES[-1])
    for name in ("gaps", "gaps by a number"):
        model = read(golden[name][0])
        assert model.result_ == "network"
        assert model._imputation["network_share"] > 0
        assert np.isfinite(model.impute(golden[name][1])).all()
    for name in ("mixed, found", "mixed, given"):
        model = read(golden[name][0])
        assert {loss for loss, _ in model.losses_} >= {"poisson", "cross_entropy"}
        again = pickle.loads(pickle.dumps(model)).partial_fit(golden[name][1])
        assert np.isfinite(again.transform(golden[name][1])).all()


def test_the_version_is_in_the_pickle_and_not_in_the_estimator():
    model = autoencoder("default", max_iter=1).fit(rows())
    assert model.__getstate__()["_state_version"] == STATE_VERSION
    again = pickle.loads(pickle.dumps(copy.deepcopy(model)))
    assert "_state_version" not in vars(again)
    assert vars(again).keys() == vars(model).keys()


def test_migrations_leave_the_given_state_alone():
    state = {"n_components": 2, "_skae_version": __version__}
    from_pickle(state, "It")["other"] = 1
    assert state == {"n_components": 2, "_skae_version": __version__}
