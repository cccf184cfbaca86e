#!/usr/bin/env bash
# scikit-learn 1.9.1 (with numpy 2.4.6, Python 3.11): hooks of a callback get `X`, `y` and
# `fitted_estimator` only as keyword-only parameters. The same names before the `*` stay
# empty without a word.
#
# A keyword-only parameter with a name that scikit-learn does not know is refused: it raises
# a TypeError that lists the valid names. A parameter with a valid name that may also be
# given by position is not looked at. With a default it keeps the default in every call, so a
# callback that was to score the estimator of each iteration scores nothing. Without a
# default, Python raises the TypeError for the missing argument. The way around is a `*`
# after `context`.
#
# What it prints (types that the hook `on_fit_task_end` has seen in a fit; some tasks have no
# estimator):
#   (estimator, context, *, fitted_estimator): LogisticRegression, NoneType
#   (estimator, context, fitted_estimator=None): NoneType
#   (estimator, context, X=None, y=None): NoneType
#   (estimator, context, *, model): TypeError
#
# Exits 0 while it is so, 1 if that changes.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q scikit-learn==1.9.1 numpy==2.4.6
cat > "$folder/try.py" <<'PY'
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression

X, y = load_iris(return_X_y=True)
seen = []


class Callback:
    def setup(self, estimator, context):
        pass

    def on_fit_task_begin(self, estimator, context):
        pass

    def teardown(self, estimator, context):
        pass


class KeywordOnly(Callback):
    def on_fit_task_end(self, estimator, context, *, fitted_estimator):
        seen.append(type(fitted_estimator).__name__)


class WithDefault(Callback):
    def on_fit_task_end(self, estimator, context, fitted_estimator=None):
        seen.append(type(fitted_estimator).__name__)


class Rows(Callback):
    def on_fit_task_end(self, estimator, context, X=None, y=None):
        seen.append(type(X).__name__)


class Unknown(Callback):
    def on_fit_task_end(self, estimator, context, *, model):
        seen.append(type(model).__name__)


def result(callback):
    seen.clear()
    try:
        LogisticRegression(max_iter=50).set_callbacks(callback).fit(X, y)
    except TypeError:
        return "TypeError"
    return ", ".join(sorted(set(seen)))


found = {
    "(estimator, context, *, fitted_estimator)": result(KeywordOnly()),
    "(estimator, context, fitted_estimator=None)": result(WithDefault()),
    "(estimator, context, X=None, y=None)": result(Rows()),
    "(estimator, context, *, model)": result(Unknown()),
}
for signature, what in found.items():
    print(f"{signature}: {what}")
expected = ["LogisticRegression, NoneType", "NoneType", "NoneType", "TypeError"]
raise SystemExit(0 if list(found.values()) == expected else 1)
PY
"$folder/venv/bin/python" -W ignore "$folder/try.py"
