"""Check the links between the pages of a built site, anchors too: none may be broken.

python .ci/links.py docs/_build
"""

import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit


class Page(HTMLParser):
    """Anchors and links of a page."""

    def __init__(self, text):
        super().__init__()
        self.anchors, self.links = set(), []
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        """Collect what the tag names and links to."""
        attributes = dict(attributes)
        self.anchors |= {attributes.get("id"), attributes.get("name")}
        for key in ("href", "src"):
            if attributes.get(key):
                self.links.append(attributes[key])


def broken(folder):
    """Return the number of links, and those that lead nowhere, with their page."""
    pages = {
        path: Page(path.read_text(encoding="utf-8"))
        for path in folder.rglob("*.html")
        if "_static" not in path.parts
    }
    count, found = 0, []
    for path, page in pages.items():
        for link in page.links:
            parts = urlsplit(link)
            if parts.scheme or parts.netloc:
                continue
            count += 1
            target = path
            if parts.path:
                target = (path.parent / unquote(parts.path)).resolve()
            if not target.exists() or (
                parts.fragment
                and target in pages
                and unquote(parts.fragment) not in pages[target].anchors
            ):
                found.append(f"{path.relative_to(folder)}: {link}")
    return count, sorted(set(found))


def main():
    """Print what is broken, and fail if anything is."""
    count, found = broken(Path(sys.argv[1]).resolve())
    print(f"{count} links within the site, {len(found)} broken")
    print("\n".join(found))
    sys.exit(bool(found) or not count)


if __name__ == "__main__":
    main()
