#!/usr/bin/env bash
# scikit-learn 1.9.1 (with rich 15.0.0, numpy 2.4.6, Python 3.11): the work of `ProgressBar`
# grows with the square of the number of tasks.
#
# Each time a task ends, the monitor's thread asks every task above it how far it is, and
# each of these adds up what all of its children have done so far, the finished ones too.
# n tasks ask n**2 / 2 times. For a search with 100 and 200 candidates and two folds, the
# count below goes from 40 to 162 thousand. With 4,000 fits of a dummy it took 2.4 of 8.5 CPU
# seconds; an estimator with as many iterations pays the same. It is a thread of
# the same process, so the fit waits for it.
#
# What it prints:
#   100 candidates: a progress is asked for 40802 times
#   200 candidates: a progress is asked for 161602 times
#   twice as many tasks, 4.0 times as many questions
#
# Exits 0 while it is so, 1 if that changes.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q scikit-learn==1.9.1 numpy==2.4.6 rich==15.0.0
cat > "$folder/try.py" <<'PY'
import contextlib
import io
import threading
import warnings

from sklearn.callback import ProgressBar
from sklearn.datasets import load_iris
from sklearn.dummy import DummyClassifier
from sklearn.model_selection import GridSearchCV

warnings.simplefilter("ignore")
X, y = load_iris(return_X_y=True)


def questions(n_candidates):
    """Count how often the monitor's thread asks a task for its progress."""
    count = 0

    def look(frame, event, argument):
        nonlocal count
        count += event == "call" and frame.f_code.co_name == "progress"

    grid = {"random_state": list(range(n_candidates))}
    search = GridSearchCV(DummyClassifier(), grid, cv=2, refit=False)
    search.set_callbacks(ProgressBar())
    threading.setprofile(look)
    with contextlib.redirect_stdout(io.StringIO()):
        search.fit(X, y)
    threading.setprofile(None)
    return count


few, many = questions(100), questions(200)
print(f"100 candidates: a progress is asked for {few} times")
print(f"200 candidates: a progress is asked for {many} times")
print(f"twice as many tasks, {many / few:.1f} times as many questions")
raise SystemExit(0 if many > 3.5 * few else 1)
PY
"$folder/venv/bin/python" "$folder/try.py"
