"""The house: who imports whom, what is public, and how large a room may grow."""

import ast
import sys
from pathlib import Path

import pytest

import skae

ROOMS = {path.stem: path for path in Path(skae.__file__).parent.glob("*.py")}

# Each room and the rooms it may know: the data flow one way, from the estimator down.
MAY_IMPORT = {
    "__init__": {
        "_corruptions",
        "_latents",
        "_networks",
        "_penalties",
        "_transformer",
        "_warning",
    },
    "_transformer": {
        "_atomic",
        "_device",
        "_fitting",
        "_checking",
        "_inference",
        "_losses",
        "_parameters",
        "_reconstruction",
        "_scaling",
        "_slots",
        "_streaming",
        "_threads",
    },
    "_atomic": set(),
    "_bare": {"_layers", "_model"},
    "_canonical": {"_frame"},
    "_contest": {"_losses", "_networks"},
    "_checking": {"_threads"},
    "_corruptions": {"_parts"},
    "_covariates": {"_helpers"},
    "_data": {"_device", "_scaling"},
    "_dense": {"_layers", "_model"},
    "_deployment": {"_features", "_frame", "_inference", "_losses", "_scaling"},
    "_device": set(),
    "_explained": {"_inference", "_isolation", "_scaling"},
    "_features": {"_model", "_networks", "_scaling", "_slots"},
    "_finalists": {
        "_canonical",
        "_contest",
        "_deployment",
        "_frame",
        "_linear",
        "_outskirts",
        "_penalties",
        "_training",
    },
    "_fitting": {
        "_contest",
        "_finalists",
        "_holdout",
        "_isolation",
        "_learnt",
        "_losses",
        "_preparing",
        "_slots",
        "_source",
        "_tables",
        "_warning",
    },
    "_first_rows": {"_targets"},
    "_flat": set(),
    "_frame": set(),
    "_helpers": set(),
    "_holdout": {"_scaling"},
    "_inference": {
        "_bare",
        "_device",
        "_frame",
        "_isolation",
        "_losses",
        "_model",
        "_modules",
        "_scaling",
        "_threads",
    },
    "_isolation": set(),
    "_latents": {"_helpers", "_parts"},
    "_layers": {"_parts"},
    "_learnt": {"_explained", "_inference", "_linear", "_scaling"},
    "_linear": {"_helpers"},
    "_losses": {"_parts", "_scaling"},
    "_model": {"_layers", "_networks"},
    "_modules": {"_layers"},
    "_nested": set(),
    "_networks": {"_layers", "_modules", "_parts"},
    "_objective": {
        "_bare",
        "_corruptions",
        "_dense",
        "_flat",
        "_latents",
        "_layers",
        "_losses",
        "_modules",
        "_nested",
        "_outskirts",
        "_penalties",
    },
    "_outskirts": set(),
    "_parameters": {
        "_corruptions",
        "_latents",
        "_layers",
        "_losses",
        "_networks",
        "_penalties",
        "_solvers",
        "_targets",
    },
    "_parts": set(),
    "_penalties": {"_parts"},
    "_plan": {"_layers", "_networks", "_penalties", "_solvers"},
    "_preparing": {
        "_covariates",
        "_data",
        "_device",
        "_features",
        "_inference",
        "_layers",
        "_linear",
        "_losses",
        "_model",
        "_modules",
        "_networks",
        "_objective",
        "_outskirts",
        "_penalties",
        "_plan",
        "_row_space",
        "_scaling",
        "_solvers",
        "_supervision",
        "_training",
    },
    "_reconstruction": {"_checking", "_explained", "_inference", "_latents"},
    "_replay": set(),
    "_row_space": {"_model"},
    "_scaling": set(),
    "_slots": {"_corruptions", "_latents", "_networks", "_penalties"},
    "_solvers": set(),
    "_source": {"_preparing", "_slots", "_trial"},
    "_stopping": {"_solvers"},
    "_streaming": {
        "_deployment",
        "_first_rows",
        "_frame",
        "_isolation",
        "_learnt",
        "_losses",
        "_plan",
        "_preparing",
        "_slots",
        "_tables",
        "_targets",
        "_teacher",
    },
    "_supervision": set(),
    "_tables": {"_holdout", "_targets", "_teacher"},
    "_targets": set(),
    "_teacher": {"_covariates", "_helpers", "_scaling"},
    "_threads": set(),
    "_training": {"_replay"},
    "_trial": {"_linear", "_slots", "_stopping", "_training", "_verdict", "_warning"},
    "_verdict": set(),
    "_warning": set(),
}


def _imports(path):
    """Yield (module, level, node) of every import in a file."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield alias.name, 0, node
        elif isinstance(node, ast.ImportFrom):
            yield node.module, node.level, node


def test_every_room_is_on_the_map():
    assert set(ROOMS) == set(MAY_IMPORT)


@pytest.mark.parametrize("room", sorted(ROOMS))
def test_room_imports_only_what_it_may(room):
    used = {name for name, level, _ in _imports(ROOMS[room]) if level}
    assert used <= MAY_IMPORT[room]


@pytest.mark.parametrize("room", sorted(ROOMS))
def test_room_has_no_import_inside_a_function(room):
    tree = ast.parse(ROOMS[room].read_text())
    nodes = {node for _, _, node in _imports(ROOMS[room])}
    assert len(nodes) == sum(
        isinstance(node, ast.Import | ast.ImportFrom) for node in tree.body
    )


@pytest.mark.parametrize(
    "room",
    ["_training", "_objective", "_flat", "_solvers", "_data", "_model", "_layers"]
    + ["_dense", "_supervision"],
)
def test_mechanism_knows_no_estimator(room):
    names = {
        name.split(".")[0] for name, level, _ in _imports(ROOMS[room]) if not level
    }
    assert "sklearn" not in names


@pytest.mark.parametrize("room", sorted(ROOMS))
def test_room_is_small_enough_to_read(room):
    text = ROOMS[room].read_text()
    documents = [
        node.body[0]
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef)
        and ast.get_docstring(node)
    ]
    n_documented = sum(d.end_lineno - d.lineno + 1 for d in documents)
    assert len(text.splitlines()) - n_documented <= 400


def test_public_names_are_sorted_complete_and_say_where_they_live():
    public = {name for name in vars(skae) if not name.startswith("_")}
    assert skae.__all__ == sorted(skae.__all__)
    assert set(skae.__all__) == public | {"__version__"}
    assert all(getattr(skae, name).__module__ == "skae" for name in public)


@pytest.mark.parametrize("room", sorted(ROOMS))
def test_room_needs_only_the_run_time_dependencies(room):
    names = {
        name.split(".")[0] for name, level, _ in _imports(ROOMS[room]) if not level
    }
    # joblib, scipy and threadpoolctl come along with scikit-learn.
    needed = {"joblib", "numpy", "scipy", "sklearn", "threadpoolctl", "torch"}
    assert names <= needed | sys.stdlib_module_names
