"""Report: a page that stands for itself."""

import builtins
import os
import re
from html.parser import HTMLParser

import numpy as np
import pytest
from scipy import sparse
from sklearn.datasets import load_wine
from sklearn.decomposition import PCA
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skae import AutoEncoderTransformer, ErrorDisplay, report
from skae._notebook import result_in_words
from skae._runtime.files import write_whole

pytest.importorskip("jinja2")
pytest.importorskip("matplotlib")

WINE = load_wine(as_frame=True)


class Page(HTMLParser):
    """Cells of the tables, sources of pictures, and tags that were left open."""

    VOID = {"meta", "img", "br"}

    def __init__(self, text):
        super().__init__()
        self.tables, self.images, self.links, self.open = [], [], [], []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        attrs = dict(attrs)
        if tag not in self.VOID:
            self.open.append(tag)
        if tag == "table":
            self.tables.append([])
        elif tag == "tr":
            self.tables[-1].append([])
        elif tag in ("td", "th"):
            self.tables[-1][-1].append("")
        elif tag == "img":
            self.images.append(attrs["src"])
        self.links += [attrs[name] for name in ("href", "src") if name in attrs]

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if {"td", "th"} & set(self.open):
            self.tables[-1][-1][-1] += data


@pytest.fixture
def without_pictures(monkeypatch):
    """Leave the pictures out of reports: for what is in words and tables."""
    monkeypatch.setitem(report.__globals__, "_pictures", lambda *args: [])


@pytest.fixture(scope="module")
def model():
    ae = AutoEncoderTransformer(3, max_iter=4, early_stopping=False, random_state=0)
    return make_pipeline(StandardScaler(), ae).fit(WINE.data)


@pytest.fixture(scope="module")
def drawn():
    """Return the pictures of errors on the page, once there is one."""
    return []


@pytest.fixture(scope="module")
def page(model, drawn, tmp_path_factory):
    path = tmp_path_factory.mktemp("report") / "wine.html"
    show = ErrorDisplay.plot
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            ErrorDisplay,
            "plot",
            lambda self, **kw: drawn.append(self) or show(self, **kw),
        )
        assert report(model, WINE.data, WINE.target, path=path, title="<Wine>") == path
    return path.read_text(encoding="utf-8")


def test_the_page_is_whole_and_asks_the_network_for_nothing(page):
    parsed = Page(page)
    assert parsed.open == []
    assert parsed.links == parsed.images
    assert len(parsed.images) == 6
    assert all(src.startswith("data:image/png;base64,iVBOR") for src in parsed.images)
    assert "&lt;Wine&gt;" in page and "<Wine>" not in page
    assert not re.search("https?://", page)


def test_features_have_their_names(page, drawn):
    """Also in the pictures, of what a pipeline hands to its last step."""
    assert drawn[0].feature_names == list(WINE.data.columns)


def test_the_table_compares_features_pca_and_codes(page, model):
    header, raw, pca, ours = Page(page).tables[1]
    assert header[-1] == "accuracy of a linear model"
    assert [line[1] for line in (raw, pca, ours)] == ["13", "3", "3"]
    X = StandardScaler().fit_transform(WINE.data)
    assert raw[2] == "1.000"
    share = PCA(3).fit(X).explained_variance_ratio_.sum()
    assert pca[2] == f"{share:.3f}"
    assert ours[2] == f"{model[-1].score(X):.3f}"
    assert all(float(line[3].split()[0]) > 0.8 for line in (raw, pca, ours))


def test_the_hardest_rows_and_features(page, model):
    X = StandardScaler().fit_transform(WINE.data)
    *_, rows, features, _, changed, others = Page(page).tables
    errors = model[-1].reconstruction_error(X)
    assert [int(line[0]) for line in rows[1:]] == list(np.argsort(-errors)[:10])
    again = model[-1].inverse_transform(model[-1].transform(X))
    lost = np.square(X - again).mean(axis=0)
    expected = WINE.data.columns[np.argsort(-lost)[:10]]
    assert [line[0] for line in features[1:]] == list(expected)
    assert dict(changed)["max_iter"] == "4"
    assert dict(others)["loss"] == "'squared_error'"
    assert len(changed) + len(others) == len(AutoEncoderTransformer().get_params())


def test_numbers_and_no_target_and_new_rows(tmp_path, monkeypatch):
    X = np.asarray(WINE.data)[:, :5]
    ae = AutoEncoderTransformer(
        2, ordered=True, standardize=True, max_iter=2, random_state=0
    )
    ae.fit(X[:120])
    path = tmp_path / "page.html"
    y = X[120:, 0] + 0.5
    text = report(ae, X[120:], y, X_train=X[:120], path=path).read_text("utf-8")
    assert Page(text).tables[1][0][-1] == "R² of a linear model"
    assert "How many codes" in text and "X_train is not given" not in text
    assert "with cv=5 it holds for new rows" in text
    seen, draw = [], ErrorDisplay.from_estimator

    def noted(*args, **options):
        seen.append(options.get("cv"))
        return draw(*args, **options)

    monkeypatch.setattr(ErrorDisplay, "from_estimator", noted)
    text = report(ae, X[120:], X_train=X[:120], cv=2, path=path).read_text("utf-8")
    assert seen == [None, 2] and "with cv=5" not in text
    text = report(ae, X[120:], path=path).read_text("utf-8")
    assert Page(text).tables[1][0][-1] == "R²" and "X_train is not given" in text
    assert os.listdir(tmp_path) == ["page.html"]


def test_a_file_is_replaced_whole_or_not_at_all(tmp_path, monkeypatch):
    path = tmp_path / "page.html"
    assert write_whole(path, "old ✓").read_text("utf-8") == "old ✓"

    def fail(_):
        raise OSError("no space left")

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(OSError, match="no space"):
        write_whole(path, "new")
    assert path.read_text("utf-8") == "old ✓"
    assert os.listdir(tmp_path) == ["page.html"]


def test_without_jinja_the_error_says_what_to_install(model, monkeypatch):
    real = builtins.__import__

    def refuse(name, *args, **kwargs):
        if name == "jinja2":
            raise ImportError(name)
        return real(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", refuse)
    with pytest.raises(ImportError, match=r"pip install skae\[report\]"):
        report(model, WINE.data)


def facts_of(text):
    return dict(line for line in Page(text).tables[0])


def test_the_result_is_among_the_facts(page, model, tmp_path, without_pictures):
    assert facts_of(page)["result"] == "network"
    assert facts_of(page)["ended"] == model[-1].stop_reason_ == "max_iter"
    X = np.random.default_rng(0).normal(size=(60, 4))
    params = {"max_iter": 2, "random_state": 0}
    pca = AutoEncoderTransformer(2, **params).fit(X)
    linear = AutoEncoderTransformer(2, supervision=1.0, **params).fit(X, X[:, 0])
    untrained = AutoEncoderTransformer(2, **params).fit(X[:6])
    for fitted in (pca, linear, untrained):
        facts = facts_of(report(fitted, X, path=tmp_path / "a.html").read_text("utf-8"))
        assert facts["result"] == result_in_words(fitted)
        assert "ended" not in facts and fitted.result_ != "network"
    assert "too few different rows" in facts["result"]


def test_the_steps_before_are_among_the_settings(page, tmp_path, without_pictures):
    (line,) = Page(page).tables[4]
    assert line == ["standardscaler", "StandardScaler()"]
    X = np.asarray(WINE.data)
    ae = AutoEncoderTransformer(2, max_iter=1, early_stopping=False, random_state=0)
    steps = [StandardScaler(with_mean=False), "passthrough", PCA(5)]
    pipeline = make_pipeline(*steps, ae).fit(X)
    text = report(pipeline, X, path=tmp_path / "a.html").read_text("utf-8")
    table = Page(text).tables[4]
    assert [line[1] for line in table] == [repr(step) for step in steps]
    text = report(ae, pipeline[:-1].transform(X), path=tmp_path / "a.html").read_text()
    assert "Steps of the pipeline" not in text


@pytest.mark.parametrize("n_rows, in_words", [(1, "1 row"), (3, "3 rows")])
def test_rows_without_variance_have_no_score(model, tmp_path, n_rows, in_words):
    rows = WINE.data.iloc[[0] * n_rows]
    text = report(model, rows, path=tmp_path / "a.html").read_text("utf-8")
    assert f": {in_words}</h1>" in text and "1 rows" not in text
    parsed = Page(text)
    assert [line[2] for line in parsed.tables[1][1:]] == ["–"] * 3
    assert "no variance, so R² is undefined" in text
    assert "nan" not in re.sub(r'src="[^"]*"', "", text).replace("nan)", "")


@pytest.mark.parametrize("kind", ["coo_matrix", "bsr_array", "dia_matrix", "csc_array"])
def test_sparse_rows_of_every_kind(tmp_path, request, kind):
    if kind != "coo_matrix":  # which displays are given as it is, too
        request.getfixturevalue("without_pictures")
    X = getattr(sparse, kind)(np.abs(StandardScaler().fit_transform(WINE.data)[:40]))
    ae = AutoEncoderTransformer(2, max_iter=1, early_stopping=False, random_state=0)
    ae.fit(X.toarray())
    texts = [
        report(ae, rows, X_train=rows, path=tmp_path / "a.html").read_text("utf-8")
        for rows in (X, X.toarray())
    ]
    tables = [Page(text).tables[:4] for text in texts]
    assert tables[0] == tables[1]


def test_features_are_named_by_their_positions(tmp_path):
    """Wavelengths, say: the largest errors are of these."""
    pytest.importorskip("matplotlib")
    rng = np.random.default_rng(0)
    X = rng.normal(size=(40, 2)) @ rng.normal(size=(2, 8)) + rng.normal(size=(40, 8))
    few = {"max_iter": 1, "early_stopping": False, "random_state": 0}
    ae = AutoEncoderTransformer(2, **few).fit(X)
    axis = np.arange(400, 480, 10)
    page = report(ae, X, feature_axis=axis, path=tmp_path / "page.html")
    names = {row[0] for table in Page(page.read_text()).tables for row in table}
    assert names & {str(position) for position in axis}
    assert not names & {f"x{i}" for i in range(8)}


def test_a_folder_that_is_not_there_is_named(tmp_path):
    message = "no folder .*missing.* to write 'a.html'"
    with pytest.raises(FileNotFoundError, match=message):
        write_whole(tmp_path / "missing" / "a.html", "text")


def test_a_path_that_is_a_folder_is_named_at_once(model, tmp_path, monkeypatch):
    monkeypatch.setattr("skae._displays.report.compare", None)  # nothing is computed
    message = "path='.*' is a folder. Pass the path of a file, such as '.*html'"
    with pytest.raises(IsADirectoryError, match=message):
        report(model, WINE.data, path=tmp_path)
    with pytest.raises(FileNotFoundError, match="no folder .*missing"):
        report(model, WINE.data, path=tmp_path / "missing" / "a.html")
    assert os.listdir(tmp_path) == []


def test_a_link_and_the_mode_of_a_file_stay(tmp_path):
    target, link = tmp_path / "page.html", tmp_path / "link.html"
    target.write_text("old")
    target.chmod(0o640)
    link.symlink_to(target)
    assert write_whole(link, "new") == link
    assert link.is_symlink() and target.read_text() == "new"
    assert target.stat().st_mode & 0o777 == 0o640


def test_rows_with_gaps(tmp_path):
    X = np.asarray(WINE.data)[:, :6].copy()
    X[np.random.RandomState(0).uniform(size=X.shape) < 0.1] = np.nan
    ae = AutoEncoderTransformer(
        2, standardize=True, missing_values=np.nan, max_iter=2, random_state=0
    ).fit(X)
    text = report(ae, X, WINE.target, path=tmp_path / "page.html").read_text("utf-8")
    _, raw, _, ours = Page(text).tables[1]
    assert raw[2] == "1.000"
    assert ours[2] == f"{ae.score(X):.3f}"
    assert "whose gaps the autoencoder has filled" in text
    assert "nan" not in "".join(cell for row in Page(text).tables[2] for cell in row)


def test_a_single_row(tmp_path):
    X = np.asarray(WINE.data)[:, :4]
    ae = AutoEncoderTransformer(2, ordered=True, max_iter=1, random_state=0).fit(X)
    text = report(ae, X[:1], X_train=X, path=tmp_path / "page.html").read_text("utf-8")
    assert "How many codes" not in text  # a row has no variance
    assert len(Page(text).images) == 6
