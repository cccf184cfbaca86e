#!/usr/bin/env bash
# scikit-learn 1.9.1 (with numpy 2.4.6, Python 3.11): the HTML of a fitted transformer logs
# a warning in the console of every browser that shows it.
#
# The script that comes with the HTML (estimator.js) takes all buttons of the class
# "copy-paste-icon" for those beside parameters, whose cell is followed by the cell of the
# name. The button that copies the names of the output features (features.py) has the same
# class, and nothing follows its parent, so that the script warns: "Expected copy-paste icon
# is missing from the DOM structure". Chromium 156 shows that warning once for each block of
# features, in `PCA(2).fit(X)._repr_html_()` too. Nothing else is amiss: the button copies.
#
# What it prints: for each kind of button, how many there are and how many have a sibling
# after their parent.
#   in a table of parameters: 9 buttons, 9 with a sibling
#   in the block of features: 1 buttons, 0 with a sibling
#   the script warns: True
#
# Exits 0 while it is so, 1 if that changes.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q scikit-learn==1.9.1 numpy==2.4.6 lxml==6.0.2
cat > "$folder/try.py" <<'PY'
import sys

from lxml import html
from sklearn.datasets import load_iris
from sklearn.decomposition import PCA

text = PCA(2).fit(load_iris().data)._repr_html_()
buttons = html.fromstring(text).xpath("//*[contains(@class, 'copy-paste-icon')]")
found = {}
for kind, is_kind in [
    ("in a table of parameters", lambda b: b.getparent().tag == "td"),
    ("in the block of features", lambda b: b.getparent().tag != "td"),
]:
    some = [button for button in buttons if is_kind(button)]
    followed = [b for b in some if b.getparent().getnext() is not None]
    found[kind] = len(some), len(followed)
    print(f"{kind}: {len(some)} buttons, {len(followed)} with a sibling")
warns = "Expected copy-paste icon is missing" in text
print(f"the script warns: {warns}")
n_features, n_followed = found["in the block of features"]
sys.exit(0 if warns and n_features and not n_followed else 1)
PY
"$folder/venv/bin/python" "$folder/try.py"
