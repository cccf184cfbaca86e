"""The user guide: its code runs, its links lead somewhere, its table is complete."""

import re
import sys
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType
from urllib.parse import unquote

import pytest
from joblib import parallel_config

from skae import AutoEncoderTransformer

ROOT = Path(__file__).parent.parent
GUIDE = sorted((ROOT / "docs" / "guide").glob("*.md"))
PAGES = [*GUIDE, *sorted((ROOT / "docs").glob("*.md")), ROOT / "README.md"]
PAGES += [ROOT / "CONTRIBUTING.md"]
# Extras that the code of a page needs, which not every set of dependencies has.
NEEDS = {
    "mixed": ["pandas"],
    "pictures": ["matplotlib", "jinja2"],
    "export": ["skops", "skl2onnx", "onnxruntime"],
    "reduce": ["pandas"],
}


def blocks(page):
    return re.findall(r"```python\n(.*?)```", page.read_text(), flags=re.DOTALL)


def run(page, monkeypatch):
    """Run a page's code as a module, so that its classes can be pickled."""
    module = ModuleType("page_of_the_guide")
    monkeypatch.setitem(sys.modules, module.__name__, module)
    for block in blocks(page):
        exec(block, vars(module))
    return vars(module)


WITH_CODE = [page for page in [*GUIDE, ROOT / "docs" / "index.md"] if blocks(page)]


@pytest.mark.slow
@pytest.mark.parametrize("page", WITH_CODE, ids=lambda page: page.stem)
def test_python_runs_from_the_first_line_to_the_last(
    page, tmp_path, monkeypatch, request
):
    if page.stem not in LEARNT:
        request.getfixturevalue("brief")
    if missing := [name for name in NEEDS.get(page.stem, []) if not find_spec(name)]:
        pytest.skip(f"needs {missing}")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MPLBACKEND", "Agg")
    with parallel_config("sequential"):  # processes of its own would import skae again
        names = run(page, monkeypatch)
    for claim in CLAIMS.get(page.stem, []):
        assert eval(claim, names), claim


# Pages with claims of what networks learn. Those of the others hold after a few steps.
LEARNT = {"explain", "anomalies"}
# What the text or a comment says of the code beside it.
CLAIMS = {
    "reduce": [
        "Z.shape == (450, 8) and X_again.shape == (450, 64)",
        "share > baseline",
        "search.best_params_ == {'reduce': 'passthrough'}",
        "ae.sensitivity(X_test).shape == ae.components_.shape == (8, 64)",
        "mixed.score(table, y_train[:300]) > 0.8",
    ],
    "missing": [
        "Z.shape == (178, 6) and not np.isnan(X_filled).any()",
        "(X_filled == X_gaps)[~missing].all()",
    ],
    "supervise": [
        "search.best_params_ == "
        "{'reduce__n_components': 4, 'reduce__supervision': 3.0}",
        "with_few_labels > 0.7",
    ],
    "explain": [
        "ae.result_ == 'network' and ae.score(X_new) > ae.baseline_score_",
        "ae.components_.shape == ae.sensitivity(X_new).shape == (2, 120)",
        "ae.sensitivity(X_new[:1], average=False)[0].shape == (2, 120)",
        "along.shape == (5, 120) and by_wavelength.shape == (120,)",
        "use.shape == (3, 2) and use.to_numpy().min() > 0",
        "(np.array(q_and_t2(X_new)) > np.c_[limits]).mean(axis=1).max() < 0.02",
    ],
    "watch": [
        "not hasattr(watched, 'set_callbacks') or len(each_epoch.scores) >= 5",
        "all(score < 1 for score in each_epoch.scores)",
    ],
    "compress": ["coarse.shape == X_test.shape"],
    "generate": ["new_rows.shape == (10, 64)"],
    "anomalies": [
        "0 < is_outlier.mean() < 0.02 and is_novel.mean() < 0.1",
        "abs(why.sum(axis=1) + detector.score_samples(X_test)).max() < 1e-6",
        "is_unusual[y_test == 0].mean() > 0.5",
        "is_unusual[y_test != 0].mean() < 0.15",
        "by_feature.shape == (450, 64)",
    ],
    "export": [
        "abs(codes.detach().numpy() - ae.transform(X)).max() < 1e-3",
        "graph.graph.output",
        "(labels == model.predict(X[:5])).all() and probabilities.shape == (5, 10)",
    ],
}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_to_files_of_the_repository(page):
    targets = re.findall(r"\]\(([^)\s]+)\)", page.read_text())
    for target in targets:
        if not target.startswith(("http:", "https:", "#")):
            path = unquote(target.partition("#")[0])
            assert (page.parent / path).exists(), target


def test_every_page_of_the_guide_is_in_the_index():
    index = ROOT / "docs" / "guide" / "index.md"
    listed = re.findall(r"\]\(([\w-]+)\.md\)", index.read_text())
    assert {*listed} == {page.stem for page in GUIDE if page != index}


def test_every_parameter_is_in_the_table_with_its_default():
    table = (ROOT / "docs" / "guide" / "parameters.md").read_text()
    rows = dict(re.findall(r"^\| `(\w+)` \| `(.+?)` \|", table, flags=re.MULTILINE))
    defaults = AutoEncoderTransformer().get_params()
    assert rows.keys() == defaults.keys()
    assert {name: eval(text) for name, text in rows.items()} == defaults
