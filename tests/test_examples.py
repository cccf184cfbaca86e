"""Examples: the page lists them all; without a package, they say what to do."""

import re
import runpy
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
EXAMPLES = sorted((ROOT / "examples").rglob("*.py"))
PAGE = (ROOT / "docs" / "guide" / "examples.md").read_text()
WITH_PICTURES = [path for path in EXAMPLES if "matplotlib" in path.read_text()]


def name(path):
    return str(path.relative_to(ROOT / "examples").with_suffix(""))


def test_there_are_examples():
    assert len(EXAMPLES) > len(WITH_PICTURES) > 10


@pytest.mark.parametrize("path", EXAMPLES, ids=name)
def test_the_page_lists_it(path):
    assert f"[{name(path)}](../../examples/{name(path)}.py)" in PAGE
    assert f"    python examples/{name(path)}.py" in path.read_text()


@pytest.mark.parametrize("path", WITH_PICTURES, ids=name)
def test_its_picture_is_on_the_page(path):
    (picture,) = set(re.findall(r"out/(\w+\.png)", path.read_text()))
    assert picture == f"{path.stem}.png"
    assert f"(../images/examples/{picture})" in PAGE


@pytest.mark.parametrize("path", WITH_PICTURES, ids=name)
def test_without_its_packages_it_says_what_to_install(path, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    extra = "tools" if path.parent.name == "tools" else "examples"
    with pytest.raises(SystemExit, match=rf'pip install -e "\.\[{extra}\]"'):
        runpy.run_path(str(path))
