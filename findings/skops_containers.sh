#!/usr/bin/env bash
# skops 0.16.0 (with scikit-learn 1.9.1, numpy 2.4.6, Python 3.11): objects whose content
# is not in `__dict__` are dumped and loaded without a word, and come back without it.
#
# An attribute of a fitted estimator that is a `collections.deque` comes back empty; an
# array of a subclass of `numpy.ndarray` comes back as an empty float64 array whose shape
# is the values that it had; a `numpy.random.SeedSequence` comes back without its entropy;
# and a subclass of `str` or `list` loses its class or its attributes. `dumps`,
# `get_untrusted_types` and `loads` raise no error and give no warning. pickle gives all
# of them back.
#
# What it prints:
#   deque: deque([1, 2], maxlen=3) -> deque([])
#   subclass of ndarray: Stamped([0, 1, 2]) -> Stamped([], shape=(0, 1, 2), dtype=float64)
#   SeedSequence: entropy 3 -> entropy None
#   subclass of list, its attribute: note -> None
#   subclass of str: Label -> str
#   pickle gives all back: True
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
from collections import deque

import numpy as np
import skops.io
from sklearn.base import BaseEstimator

warnings.simplefilter("error")


class Stamped(np.ndarray):
    pass


class Notes(list):
    pass


class Label(str):
    pass


class Keeper(BaseEstimator):
    def fit(self, X=None, y=None):
        self.recent_ = deque([1, 2], maxlen=3)
        self.stamped_ = np.arange(3).view(Stamped)
        self.seed_ = np.random.SeedSequence(3)
        self.notes_ = Notes([1])
        self.notes_.note = "note"
        self.label_ = Label("a")
        return self


def seen(model):
    return [
        ("deque", repr(model.recent_)),
        ("subclass of ndarray", repr(model.stamped_)),
        ("SeedSequence", f"entropy {model.seed_.entropy}"),
        ("subclass of list, its attribute", getattr(model.notes_, "note", None)),
        ("subclass of str", type(model.label_).__name__),
    ]


model = Keeper().fit()
data = skops.io.dumps(model)
again = skops.io.loads(data, trusted=skops.io.get_untrusted_types(data=data))
lost = []
for (name, before), (_, after) in zip(seen(model), seen(again)):
    print(f"{name}: {before} -> {after}")
    lost.append(before != after)
by_pickle = seen(pickle.loads(pickle.dumps(model))) == seen(model)
print("pickle gives all back:", by_pickle)
raise SystemExit(0 if all(lost) and by_pickle else 1)
PY
"$room/venv/bin/python" "$room/try.py"
