"""Plain words: what readers stumbled over does not come back into the pages."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PAGES = [*(ROOT / "docs").rglob("*.md"), ROOT / "README.md", ROOT / "CONTRIBUTING.md"]
PAGES = sorted(page for page in PAGES if not {"_build", "api"} & {*page.parts})
STUMBLED_OVER = r"(?:^|[.:;] +|\n- )Of |\blest\b|shares out|has to be beaten|as it were"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_no_sentence_that_readers_stumbled_over(page):
    text = re.sub(r"```.*?```", "", page.read_text(), flags=re.DOTALL)
    assert not re.findall(STUMBLED_OVER, text, flags=re.MULTILINE)


@pytest.mark.parametrize("text", ["Long. Of these none.", "a\n- Of these", "x, lest y"])
def test_such_sentences_are_found(text):
    assert re.findall(STUMBLED_OVER, text, flags=re.MULTILINE)
