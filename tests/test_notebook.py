"""Notebook: what is shown of an estimator, read from what the fit has left."""

import re
import tomllib
from email.message import Message
from importlib.metadata import PackageNotFoundError
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
import sklearn
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA
from sklearn.metrics import r2_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.fixes import parse_version

import skae
from skae import AutoEncoderTransformer, Conv, Dense, LossCurveDisplay
from skae._compat import documentation_url
from skae._notebook import (
    held_out_scores,
    network_shape,
    result_in_words,
    summary_html,
)

from .conftest import rows

ROOT = Path(__file__).parent.parent
X = load_digits().data[:250]
HAS_SUMMARIES = parse_version(sklearn.__version__) >= parse_version("1.9")


@pytest.fixture(scope="module")
def model():
    # Without training on all rows again, so that the rows held out are new.
    ae = AutoEncoderTransformer(4, init="pca", max_iter=30, random_state=0)
    return ae.fit(X[:200], X_val=X[200:])


def test_repr_is_one_line():
    model = AutoEncoderTransformer(2, random_state=0).fit(rows())
    assert repr(model) == "AutoEncoderTransformer(random_state=0)"


@pytest.fixture
def installed(monkeypatch):
    """Return a function that sets the project URLs of the installed package."""

    def set_urls(*urls):
        found = Message()
        for url in urls:
            found["Project-URL"] = url
        monkeypatch.setattr("skae._compat.metadata", lambda name: found)
        documentation_url.cache_clear()

    documentation_url.cache_clear()
    yield set_urls
    documentation_url.cache_clear()


def documented():
    """Return a part or an estimator of each class that has parameters."""
    classes = [getattr(skae, name) for name in sorted(skae.__all__)]
    return [cls.__new__(cls) for cls in classes if hasattr(cls, "get_params")]


def test_links_lead_to_the_address_in_the_metadata(installed):
    installed(
        "Source, https://a.example/code", "Documentation, https://a.example/docs/"
    )
    for part in documented():
        page = f"https://a.example/docs/api/{type(part).__name__}.html"
        assert part._get_doc_link() == page
    html = AutoEncoderTransformer()._repr_html_()
    assert "https://a.example/docs/api/AutoEncoderTransformer.html" in html


@pytest.mark.parametrize("urls", [(), ("Source, https://a.example/code",)])
def test_without_a_site_there_is_no_link(installed, urls):
    installed(*urls)
    assert {part._get_doc_link() for part in documented()} == {""}
    html = AutoEncoderTransformer()._repr_html_()
    assert 'href="http' not in html


def test_a_source_without_an_installation_has_no_link(installed, monkeypatch):
    def fail(name):
        raise PackageNotFoundError(name)

    monkeypatch.setattr("skae._compat.metadata", fail)
    assert AutoEncoderTransformer()._get_doc_link() == ""


def test_no_link_leads_to_a_placeholder():
    """A site goes into the metadata only when it exists."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert "example." not in project["urls"].get("Documentation", "")


def test_subclasses_of_others_have_no_link(installed):
    installed("Documentation, https://a.example/docs")

    class Mine(AutoEncoderTransformer):
        pass

    assert Mine()._get_doc_link() == ""


def test_before_fit_there_is_no_summary():
    html = AutoEncoderTransformer(network=Dense())._repr_html_()
    assert "skae-summary" not in html
    assert "AutoEncoderTransformer" in html


@pytest.mark.skipif(not HAS_SUMMARIES, reason="scikit-learn shows none before 1.9")
def test_the_summary_is_in_the_frame_also_of_pipelines(model):
    assert model._repr_html_().count("skae-summary") == 1
    few = AutoEncoderTransformer(2, max_iter=2, early_stopping=False)
    pipeline = make_pipeline(StandardScaler(), few).fit(X[:200])
    assert pipeline._repr_html_().count("skae-summary") == 1


def test_scores_of_the_rows_held_out_are_those_of_score(model):
    ours, of_pca = held_out_scores(model)
    again = model.inverse_transform(model.transform(X[200:]))
    expected = r2_score(X[200:], again, multioutput="variance_weighted")
    assert ours == pytest.approx(expected, abs=2e-3)
    assert of_pca == model.baseline_score_
    assert ours > of_pca


def test_where_losses_do_not_tell_scores_those_of_training_rows_are_compared():
    ae = AutoEncoderTransformer(3, ordered=True, max_iter=10, random_state=0)
    ae.set_params(init="pca", early_stopping=False).fit(X)
    assert held_out_scores(ae) is None
    scores = re.search(r"([\d.]+) on training rows, PCA ([\d.]+)<", summary_html(ae))
    ours, of_pca = map(float, scores.groups())
    assert ours == pytest.approx(ae.score(X), abs=5e-3)
    expected = PCA(3).fit(X).explained_variance_ratio_.sum()
    assert of_pca == pytest.approx(expected, abs=1e-3)


def test_what_is_written(model):
    html = summary_html(model)
    ours, of_pca = held_out_scores(model)
    assert f"{ours:.3f} on rows held out, PCA {of_pca:.3f}" in html
    n_weights = sum(w.size for w in model._weights.values())
    assert f">{n_weights:,}</td>" in html
    assert f"{model.n_iter_} ({model.stop_reason_})" in html


def test_the_curve_is_well_formed_and_lies_inside(model):
    svg = re.search("<svg.*</svg>", summary_html(model)).group()
    root = ElementTree.fromstring(svg)
    width, height = float(root.get("width")), float(root.get("height"))
    training, validation = root.findall("polyline")
    for line, losses in [
        (training, model.loss_curve_),
        (validation, model.validation_loss_curve_),
    ]:
        points = np.array([p.split(",") for p in line.get("points").split()], float)
        assert len(points) == len(losses)
        assert (0 <= points).all() and (points <= [width, height]).all()
        assert (np.diff(points[:, 0]) > 0).all()
        # Up is more: the order of heights is that of the losses.
        assert np.argmin(points[:, 1]) == np.argmax(losses)
    assert root.find("line") is not None


@pytest.mark.parametrize(
    "params, shape",
    [
        ({"hidden_layer_sizes": (9, 5)}, "12 – 9 – 5 – 2 – 5 – 9 – 12"),
        ({"network": Conv((3, 4), channels=(2,))}, "12 – Conv – 2 – Conv – 12"),
        ({"hidden_layer_sizes": ()}, "12 – 2 – 12"),
    ],
)
def test_shapes(params, shape):
    few = {"max_iter": 1, "early_stopping": False, "init": "random", "random_state": 0}
    assert (
        network_shape(AutoEncoderTransformer(2, **few, **params).fit(rows())) == shape
    )


def test_where_the_result_is_pca_or_nothing_was_held_out():
    noise = np.random.RandomState(0).normal(size=(40, 5))
    model = AutoEncoderTransformer(2, random_state=0).fit(noise)
    html = summary_html(model)
    assert "PCA: no network was significantly better" in html
    assert f"{model.baseline_score_:.3f} on the training rows" in html
    stream = AutoEncoderTransformer(2, random_state=0).partial_fit(rows())
    assert "the last rows" in summary_html(stream)
    assert held_out_scores(stream) is None


@pytest.fixture(scope="module")
def untrained():
    """Return fits of so few rows that no network was trained."""
    few = AutoEncoderTransformer(2, random_state=0).fit(X[:6])
    supervised = AutoEncoderTransformer(2, random_state=0, supervision=1.0)
    return few, supervised.fit(X[:6], X[:6, 20] + 0.5)


def test_where_no_network_was_trained_the_reason_is_given(untrained):
    for fitted, name in zip(untrained, ["PCA", "the best linear codes"], strict=True):
        assert (fitted.n_iter_, fitted.loss_curve_) == (0, [])
        html = summary_html(fitted)
        reason = "no network was trained (too few different rows to hold some out)"
        assert f">{name}: {reason}<" in html
        assert "significantly" not in html and "<svg" not in html
        assert ">0<" in html  # epochs, without a reason such as "pca"


def test_an_interrupt_in_the_first_epoch_is_no_lack_of_rows(monkeypatch):
    def interrupt(*_):
        raise KeyboardInterrupt
        yield

    monkeypatch.setattr("skae._fitting.session.epochs", interrupt)
    for params in ({}, {"early_stopping": False}, {"validation": None}):
        ae = AutoEncoderTransformer(2, random_state=0, on_interrupt="keep", **params)
        ae.set_params(init="pca").fit(X[:60])
        expected = "PCA: no network was trained (training ended before the first"
        assert result_in_words(ae).startswith(expected)


def test_the_picture_of_no_losses_gives_the_reason(untrained):
    pytest.importorskip("matplotlib")
    for fitted, name in zip(untrained, ["PCA", "the best linear codes"], strict=True):
        ax = LossCurveDisplay.from_estimator(fitted).ax_
        assert ax.get_title() == "There was no epoch"
        (text,) = [text.get_text().replace("\n", " ") for text in ax.texts]
        assert text == f"The result is {result_in_words(fitted)}"
        assert name in text and "too few different rows" in text
        assert not ax.lines and ax.get_legend() is None
        assert not len(ax.get_xticks())
    ax = LossCurveDisplay([], is_pca=True).plot().ax_
    assert ax.texts[0].get_text() == "The result is PCA: no network was trained"
    (text,) = LossCurveDisplay([]).plot().ax_.texts
    assert text.get_text() == "There are no losses to draw."


def test_the_picture_of_losses_says_that_the_result_is_linear():
    pytest.importorskip("matplotlib")
    noise = np.random.RandomState(0).normal(size=(60, 5))
    ae = AutoEncoderTransformer(2, supervision=1.0, max_iter=2, random_state=0)
    ae.fit(noise, noise[:, 0])
    assert ae.result_ == "linear"
    title = LossCurveDisplay.from_estimator(ae).ax_.get_title().replace("\n", " ")
    assert title == f"The result is {result_in_words(ae)}"


def test_losses_are_plain_numbers(model):
    """And are shown as such among the fitted attributes."""
    curves = model.loss_curve_, model.validation_loss_curve_
    assert {type(loss) for curve in curves for loss in curve} == {float}
    assert "np.float" not in model._repr_html_()


def test_looking_computes_nothing(model, monkeypatch):
    def refuse(*_):
        raise AssertionError("a network was built")

    monkeypatch.setattr("skae._inference.codec_cache._codec", refuse)
    monkeypatch.setattr(AutoEncoderTransformer, "transform", refuse)
    before = vars(model).copy()
    model._repr_html_()
    assert vars(model).keys() == before.keys()


def test_what_an_older_version_has_fitted_is_shown(model):
    state = model.__getstate__()
    del state["baseline_loss_"]
    older = AutoEncoderTransformer()
    older.__setstate__(state)
    assert held_out_scores(older) is None
    assert "training rows" in summary_html(older)
