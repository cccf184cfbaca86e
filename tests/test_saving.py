"""Saving: skops gives back what it was given, of every variant, and streams go on."""

import io
import pickle
from itertools import chain
from zipfile import BadZipFile

import joblib
import numpy as np
import pytest
from numpy.testing import assert_array_equal
from sklearn.base import BaseEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import skae
from skae import (
    AutoEncoderTransformer,
    PenaltySum,
    ReconstructionOutlierDetector,
    skops_types,
)
from skae._inference.codec_cache import cached_codec
from skae._parts.corruptions import CORRUPTIONS
from skae._parts.latents import LATENTS
from skae._parts.networks import NETWORKS
from skae._parts.penalties import PENALTIES

from .conftest import rows
from .fitted import fitted, near_and_far
from .variants import VARIANTS

OTHERS = ["answered by PCA", "stream", "wide", "whitened", "warm start"]
# What variants name that is the user's, not skae's.
OWN = {
    f"{__package__}.variants.{name}" for name in ("huber", "one_layer", "two_layers")
}


@pytest.fixture
def skops():
    return pytest.importorskip("skops.io")


def test_the_types_are_all_public_estimators_and_parts():
    parts = [NETWORKS, LATENTS, PENALTIES, CORRUPTIONS]
    kinds = {PenaltySum, *chain.from_iterable(dataset.values() for dataset in parts)}
    names = {f"{kind.__module__}.{kind.__name__}" for kind in kinds}
    assert {"skae.AutoEncoderTransformer", *names} <= set(skops_types())
    assert all(name.removeprefix("skae.") in skae.__all__ for name in skops_types())


def _same(a, b):
    """Whether two values are the same, in type and number, all the way down."""
    if type(a) is not type(b):
        return False
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(_same(a[k], b[k]) for k in a)
    if isinstance(a, list | tuple):
        return len(a) == len(b) and all(map(_same, a, b))
    if isinstance(a, np.ndarray):
        return a.dtype == b.dtype and np.array_equal(a, b)
    return _same(vars(a), vars(b)) if isinstance(a, BaseEstimator) else a == b


@pytest.mark.parametrize("name", [*VARIANTS, *OTHERS])
def test_skops_gives_back_the_whole_state(skops, name):
    model, X = fitted(name)
    X = near_and_far(model, X)
    before = model.transform(X)
    data = skops.dumps(model)
    unknown = skops.get_untrusted_types(data=data)
    assert set(unknown) <= {*skops_types(), *OWN}
    again = skops.loads(data, trusted=unknown)
    assert _same(vars(again), vars(model))
    assert_array_equal(again.transform(X), before)
    Z = before[:7]
    assert_array_equal(again.inverse_transform(Z), model.inverse_transform(Z))


def test_skops_refuses_without_the_list(skops):
    data = skops.dumps(fitted("default")[0])
    with pytest.raises(Exception, match="skae.AutoEncoderTransformer"):
        skops.loads(data)


def test_a_pipeline_needs_no_more_than_the_list(skops):
    X, y = rows(), np.arange(100) % 3
    model = make_pipeline(StandardScaler(), fitted("default")[0], LogisticRegression())
    model[:1].fit(X)
    model[2].fit(model[:2].transform(X), y)
    again = skops.loads(skops.dumps(model), trusted=skops_types())
    assert_array_equal(again.predict_proba(X), model.predict_proba(X))


def test_caches_are_neither_written_nor_missed(skops):
    model, X = fitted("default")
    size = len(skops.dumps(model))
    model.transform(X)
    assert abs(len(skops.dumps(model)) - size) < 100
    again = skops.loads(skops.dumps(model), trusted=skops_types())
    assert cached_codec(again, X.dtype, 1) is not cached_codec(model, X.dtype, 1)


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_streams_and_warm_starts_go_on_as_from_a_pickle(skops):
    for name in ("stream", "warm start"):
        model, _ = fitted(name)
        model.set_params(max_iter=2)
        again = skops.loads(skops.dumps(model), trusted=skops_types())
        learn = "partial_fit" if name == "stream" else "fit"
        codes = [getattr(m, learn)(rows()).transform(rows()) for m in (model, again)]
        assert_array_equal(*codes)


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_an_outlier_detector_comes_back(skops):
    model = ReconstructionOutlierDetector(n_estimators=2, random_state=0).fit(rows())
    again = skops.loads(skops.dumps(model), trusted=skops_types())
    assert _same(vars(again), vars(model))
    assert_array_equal(again.score_samples(rows()), model.score_samples(rows()))


def test_a_stream_that_keeps_its_first_rows_goes_on(skops):
    model = AutoEncoderTransformer(2, random_state=0).partial_fit(rows()[:20])
    again = skops.loads(skops.dumps(model), trusted=skops_types())
    codes = [m.partial_fit(rows()).transform(rows()) for m in (model, again)]
    assert_array_equal(*codes)


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_names_of_features_and_classes_come_back(skops):
    code_transform = pytest.importorskip("pandas").DataFrame(rows()).add_prefix("f")
    labels = np.array(["a", "b"] * 50, dtype=object)
    model = AutoEncoderTransformer(2, supervision=1.0, max_iter=2, random_state=0)
    model.set_params(early_stopping=False, teacher=LogisticRegression())
    model.fit(code_transform, labels)
    again = skops.loads(skops.dumps(model), trusted=skops_types())
    assert _same(vars(again), vars(model))
    assert_array_equal(again.transform(code_transform), model.transform(code_transform))


def test_skops_files_have_the_version_of_the_state(skops):
    model, _ = fitted("default")
    state = pickle.loads(pickle.dumps(model)).__getstate__()
    again = skops.loads(skops.dumps(model), trusted=skops_types())
    assert _same(again.__getstate__(), state)


def _by_joblib(model):
    file = io.BytesIO()
    joblib.dump(model, file, compress=3)
    return file.getvalue()


@pytest.mark.parametrize("kind", ["pickle", "joblib", "skops"])
def test_of_a_file_that_is_cut_short_comes_no_object(kind, skops):
    model, X = fitted("default")
    dump, load = {
        "pickle": (pickle.dumps, pickle.loads),
        "joblib": (_by_joblib, lambda data: joblib.load(io.BytesIO(data))),
        "skops": (skops.dumps, lambda d: skops.loads(d, trusted=skops_types())),
    }[kind]
    data = dump(model)
    assert_array_equal(load(data).transform(X), model.transform(X))
    for part in (0, 1, len(data) // 3, len(data) // 2, len(data) * 9 // 10):
        with pytest.raises(Exception) as caught:
            load(data[:part])
        errors = EOFError | pickle.UnpicklingError | ValueError | BadZipFile
        assert isinstance(caught.value, errors | IndexError)  # an old joblib's
