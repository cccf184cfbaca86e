"""What people see in a browser: the report, and a fitted estimator in a notebook."""

import pytest
import sklearn
from sklearn.datasets import load_wine
from sklearn.decomposition import PCA
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.fixes import parse_version

from skae import AutoEncoderTransformer, report

from .browser import Chromium, find_chromium

PROGRAM = find_chromium()
pytestmark = pytest.mark.skipif(
    PROGRAM is None, reason="there is no Chromium or Chrome"
)
WINE = load_wine(as_frame=True)
SCHEMES = ("light", "dark")

#: Texts of some elements with less contrast to what is behind them than WCAG's level AA
#: asks for, 4.5. A canvas mixes the colours, whatever notation they are in.
FAINT_TEXTS = """
(selector => {
  const context = document.createElement("canvas").getContext("2d");
  const paint = (colour, alpha) => {
    context.globalAlpha = alpha;
    context.fillStyle = colour;
    context.fillRect(0, 0, 1, 1);
    return [...context.getImageData(0, 0, 1, 1).data].slice(0, 3);
  };
  const luminance = rgb => rgb
    .map(v => v / 255)
    .map(v => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4)
    .reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0);
  const ground = document.createElement("div");
  ground.style.color = "Canvas";
  document.documentElement.append(ground);
  const contrast = element => {
    const chain = [];
    for (let e = element; e; e = e.parentElement) chain.unshift(getComputedStyle(e));
    let behind = paint(getComputedStyle(ground).color, 1), opacity = 1;
    for (const style of chain) {
      behind = paint(style.backgroundColor, 1);
      opacity *= style.opacity;
    }
    const text = luminance(paint(getComputedStyle(element).color, opacity));
    const [low, high] = [text, luminance(behind)].sort((a, b) => a - b);
    return (high + 0.05) / (low + 0.05);
  };
  const texts = [...document.querySelectorAll(selector)].filter(
    e => [...e.childNodes].some(c => c.nodeType === 3 && /[\\p{L}\\p{N}]/u.test(c.data))
  );
  const faint = texts.filter(e => contrast(e) < 4.5);
  ground.remove();
  return {n_texts: texts.length, faint: faint.map(e => e.textContent)};
})
"""
#: Whether nothing reaches beyond the window at its side.
FITS = "document.documentElement.scrollWidth <= document.documentElement.clientWidth"
PICTURES = "[...document.images].map(i => i.complete && i.naturalWidth > 100)"


@pytest.fixture(scope="module")
def browser():
    try:
        with Chromium(PROGRAM) as browser:
            yield browser
    except OSError as error:
        pytest.skip(f"{PROGRAM} does not start: {error}")


@pytest.fixture(scope="module")
def model():
    ae = AutoEncoderTransformer(
        3, init="pca", linearity=0.0, max_iter=4, random_state=0
    )
    return make_pipeline(StandardScaler(), ae).fit(WINE.data)


@pytest.fixture(scope="module")
def address(model, tmp_path_factory):
    """Return the address of a report."""
    pytest.importorskip("jinja2")
    pytest.importorskip("matplotlib")
    path = tmp_path_factory.mktemp("report") / "wine.html"
    return report(model, WINE.data, WINE.target, path=path).as_uri()


def notebook_page(path, estimator):
    """Write a page that shows an estimator, as a cell of a notebook does."""
    head = "<meta charset='utf-8'><style>:root {color-scheme: light dark}</style>"
    body = estimator._repr_html_()
    page = f"<!DOCTYPE html><html><head>{head}</head><body>{body}</body></html>"
    path.write_text(page, encoding="utf-8")
    return path.as_uri()


def assert_is_readable(browser, selector, at_least):
    """Fail if there are fewer texts than that, or some that cannot be read."""
    texts = browser.evaluate(f"{FAINT_TEXTS}({selector!r})")
    assert texts["n_texts"] >= at_least
    assert texts["faint"] == []


@pytest.mark.parametrize("scheme", SCHEMES)
def test_the_report_opens_alone_and_can_be_read(browser, address, scheme):
    browser.open(address, scheme=scheme)
    assert browser.complaints == []
    others = {url for url in browser.requests if not url.startswith("data:image/png")}
    assert others == {address}
    pictures = browser.evaluate(PICTURES)
    assert len(pictures) == 6 and all(pictures)
    is_dark = browser.evaluate("matchMedia('(prefers-color-scheme: dark)').matches")
    assert is_dark == (scheme == "dark")
    assert_is_readable(browser, "body *", at_least=100)


def test_a_report_on_a_telephone_does_not_reach_beyond_its_window(browser, address):
    browser.open(address, width=390)
    assert browser.evaluate(FITS)


@pytest.mark.skipif(
    parse_version(sklearn.__version__) < parse_version("1.9"),
    reason="scikit-learn shows no summary before 1.9",
)
@pytest.mark.parametrize("scheme", SCHEMES)
def test_a_fitted_estimator_opens_alone_and_can_be_read(
    browser, model, scheme, tmp_path
):
    browser.open(notebook_page(tmp_path / "pca.html", PCA().fit(WINE.data)))
    usual = set(browser.complaints)  # findings/sklearn_copy_icon_warning.sh
    address = notebook_page(tmp_path / "model.html", model)
    browser.open(address, scheme=scheme)
    assert set(browser.complaints) <= usual
    others = {url for url in browser.requests if not url.startswith("data:")}
    assert others == {address}
    browser.evaluate(
        "document.querySelectorAll('input[type=checkbox]').forEach(e => e.click())"
    )
    box = "document.querySelector('.skae-summary svg').getBoundingClientRect().toJSON()"
    box = browser.evaluate(box)
    assert box["width"] == 360 and box["height"] == 96
    assert_is_readable(browser, ".skae-summary *", at_least=10)
