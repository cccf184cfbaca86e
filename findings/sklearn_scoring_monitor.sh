#!/usr/bin/env bash
# scikit-learn 1.9.1 (with numpy 2.4.6, Python 3.11): `ScoringMonitor` fails for two kinds of
# `scoring` that its documentation offers.
#
# `scoring=None` is to use the estimator's default criterion, and a callable may return a
# single value. Both end every fit with "TypeError: 'float' object is not iterable", since
# the monitor takes what a single scorer returns for a dict. A name, and a list of names,
# work. A dict, {"accuracy": function}, is the way around.
#
# What it prints:
#   'accuracy': log
#   None: TypeError 'float' object is not iterable
#   function: TypeError 'float' object is not iterable
#   dict of a function: log
#
# Exits 0 while it is so, 1 if that changes.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q scikit-learn==1.9.1 numpy==2.4.6 pandas==3.1.1
cat > "$folder/try.py" <<'PY'
from sklearn.callback import ScoringMonitor
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression

X, y = load_iris(return_X_y=True)


def accuracy(estimator, X, y):
    return float((estimator.predict(X) == y).mean())


def result(scoring):
    model = LogisticRegression(max_iter=200)
    try:
        model.set_callbacks(ScoringMonitor(scoring=scoring)).fit(X, y)
    except TypeError as error:
        return f"TypeError {error}"
    return "log"


found = {
    "'accuracy'": result("accuracy"),
    "None": result(None),
    "function": result(accuracy),
    "dict of a function": result({"accuracy": accuracy}),
}
for name, what in found.items():
    print(f"{name}: {what}")
broken = "TypeError 'float' object is not iterable"
raise SystemExit(0 if list(found.values()) == ["log", broken, broken, "log"] else 1)
PY
"$folder/venv/bin/python" "$folder/try.py"
