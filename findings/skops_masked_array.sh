#!/usr/bin/env bash
# skops 0.16.0 (with scikit-learn 1.9.1, numpy 2.4.6, Python 3.11): masked arrays come back
# without their fill value and without their hard mask, and nothing says so.
#
# `numpy.ma` arrays are a type that skops knows and trusts. Data and mask come back; the
# `fill_value`, which `filled()` puts where values are missing, is numpy's default again, so
# that the same call gives other numbers after a round trip; a hard mask has become a soft
# one, so that masked values can be overwritten. pickle keeps the fill value.
#
# What it prints:
#   filled: [1.0, -9.0] -> [1.0, 1e+20]
#   hard mask: True -> False
#   filled, by pickle: [1.0, -9.0]
#
# Exits 0 while it is so, 1 if that changes.
set -euo pipefail
room=$(mktemp -d)
trap 'rm -rf "$room"' EXIT
python3 -m venv "$room/venv"
"$room/venv/bin/pip" install -q skops==0.16.0 scikit-learn==1.9.1 numpy==2.4.6
cat > "$room/try.py" <<'PY'
import pickle
import warnings

import numpy as np
import skops.io

warnings.simplefilter("error")
a = np.ma.array([1.0, 2.0], mask=[False, True], fill_value=-9.0, hard_mask=True)
b = skops.io.loads(skops.io.dumps(a))
print(f"filled: {a.filled().tolist()} -> {b.filled().tolist()}")
print(f"hard mask: {a.hardmask} -> {b.hardmask}")
by_pickle = pickle.loads(pickle.dumps(a)).filled().tolist()
print("filled, by pickle:", by_pickle)
same = by_pickle == a.filled().tolist()
lost = b.filled().tolist() == [1.0, 1e20] and not b.hardmask
raise SystemExit(0 if same and lost else 1)
PY
"$room/venv/bin/python" "$room/try.py"
