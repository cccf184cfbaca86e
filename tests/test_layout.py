"""The layout: packages in layers, what is public, and how long a module may be."""

import ast
import re
import sys
import traceback
from functools import cache
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

import skae

ROOT = Path(skae.__file__).parent
MODULES = {
    ".".join(path.relative_to(ROOT).with_suffix("").parts): path
    for path in ROOT.rglob("*.py")
}

# From the bottom up: a module imports from its own package and from those before it.
LAYERS = [
    "_version",
    "_typing",
    "_compat",
    "_runtime",
    "_data",
    "_linear",
    "_nn",
    "_parts",
    "_training",
    "_inference",
    "_fitting",
    "_constraints",
    "_reconstruction",
    "_notebook",
    "_estimator",
    "_imputer",
    "_displays",
    "_anomaly",
    "_saving",
    "__init__",
    "onnx",
]
# Extras, which are imported where they are used.
OPTIONAL = {"skl2onnx", "tqdm"}
# Packages that know nothing of estimators. The rest may.
WITHOUT_SKLEARN = {"_nn", "_training"}
# Extras that displays alone import, inside of functions: who draws nothing needs none.
DRAWING = {"jinja2", "matplotlib"}


@cache
def _tree(path):
    """Return the syntax tree of a file, which several tests look at."""
    return ast.parse(path.read_text())


@cache
def _nodes(path):
    return list(ast.walk(_tree(path)))


def _layer(module):
    return LAYERS.index(module.split(".")[0])


def _imports(path):
    """Yield (module, level, node) of every import in a file."""
    for node in _nodes(path):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield alias.name, 0, node
        elif isinstance(node, ast.ImportFrom):
            yield node.module, node.level, node


def _package(node):
    """Return the package that an import is from, which is one of others."""
    name = node.module if isinstance(node, ast.ImportFrom) else node.names[0].name
    return name.split(".")[0]


def _outside(path):
    """Return the packages from elsewhere that a file imports."""
    return {name.split(".")[0] for name, level, _ in _imports(path) if not level}


def _drawing(module):
    """Return the extras that a module may import to draw."""
    return DRAWING if module.startswith("_displays.") else set()


@pytest.mark.parametrize("module", sorted(MODULES))
def test_imports_go_down(module):
    package = module.split(".")[:-1]
    for name, level, _ in _imports(MODULES[module]):
        if level:
            imported = [*package[: len(package) + 1 - level], *name.split(".")]
            same = package and imported[0] == package[0]
            assert same or _layer(imported[0]) < _layer(module), ".".join(imported)


@pytest.mark.parametrize("module", sorted(MODULES))
def test_no_import_inside_a_function(module):
    """What users may lack excepted; and what older versions lack may be tried."""
    tree = _tree(MODULES[module])
    at_the_top = {*tree.body}
    if module == "_compat":
        tries = [node for node in tree.body if isinstance(node, ast.Try)]
        at_the_top |= {node for part in tries for node in part.body}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import | ast.ImportFrom):
            is_optional = _package(node) in OPTIONAL | _drawing(module)
            assert node in at_the_top or is_optional
            assert not (node in at_the_top and _package(node) in DRAWING)


@pytest.mark.parametrize(
    "module", sorted(m for m in MODULES if m.split(".")[0] in WITHOUT_SKLEARN)
)
def test_networks_and_training_know_no_estimator(module):
    assert "sklearn" not in _outside(MODULES[module])


@pytest.mark.parametrize("module", sorted(set(MODULES) - {"_compat"}))
def test_private_names_of_others_are_used_in_one_place(module):
    """Neither imported nor looked up: `_compat.py` has them all."""
    tree = _tree(MODULES[module])
    for name, level, node in _imports(MODULES[module]):
        if not level:
            names = [alias.name for alias in getattr(node, "names", [])]
            assert not any(part.startswith("_") for part in name.split(".")), name
            assert level or not any(n.startswith("_") for n in names), names
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            of_others = node.value.id in {"torch", "np", "nn", "F", "sklearn"}
            is_private = node.attr.startswith("_") and not node.attr.startswith("__")
            assert not (of_others and is_private), node.attr


def _public(tree):
    """Return a module's functions that others use, also methods, by name."""
    names = [name for node in tree.body for name in _all(node)]
    functions = {}
    for node in tree.body:
        if isinstance(node, ast.FunctionDef) and node.name in names:
            functions[node.name] = node
        elif isinstance(node, ast.ClassDef) and node.name in names:
            methods = [n for n in node.body if isinstance(n, ast.FunctionDef)]
            # Two underscores at both ends are for Python and scikit-learn.
            is_private = re.compile("_(?!_)|__.*(?<!__)$")
            functions |= {
                f"{node.name}.{method.name}": method
                for method in methods
                if not is_private.match(method.name)
            }
    return functions


def _all(node):
    """Return the names in ``__all__``, if it is assigned in a statement."""
    is_it = isinstance(node, ast.Assign) and ast.unparse(node.targets) == "__all__"
    return ast.literal_eval(node.value) if is_it else []


@pytest.mark.parametrize("module", sorted(MODULES))
def test_what_others_use_is_annotated(module):
    """All arguments and the result, for mypy to check across packages."""
    for name, function in _public(_tree(MODULES[module])).items():
        bare = [
            node.arg
            for node in ast.walk(function.args)
            if isinstance(node, ast.arg)
            and node.annotation is None
            and node.arg not in ("self", "cls")
        ]
        assert not bare and function.returns is not None, (name, bare)


@pytest.mark.parametrize("module", sorted(MODULES))
def test_module_is_short_enough_to_read(module):
    text = MODULES[module].read_text()
    documents = [
        node.body[0]
        for node in _nodes(MODULES[module])
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef)
        and ast.get_docstring(node)
    ]
    n_documented = sum(d.end_lineno - d.lineno + 1 for d in documents)
    assert len(text.splitlines()) - n_documented <= 400


def test_public_names_are_sorted_complete_and_say_where_they_live():
    public = {
        name
        for name, value in vars(skae).items()
        if not name.startswith("_") and not isinstance(value, ModuleType)
    }
    assert skae.__all__ == sorted(skae.__all__)
    assert set(skae.__all__) == public | {"__version__"}
    assert all(getattr(skae, name).__module__ == "skae" for name in public)


@pytest.mark.parametrize("module", sorted(MODULES))
def test_module_needs_only_the_run_time_dependencies(module):
    # joblib, scipy and threadpoolctl come along with scikit-learn.
    needed = {"joblib", "numpy", "scipy", "sklearn", "threadpoolctl", "torch"}
    found = _outside(MODULES[module]) - OPTIONAL - _drawing(module)
    assert found <= needed | sys.stdlib_module_names


def test_six_functions_lie_between_fit_and_the_loss():
    """As CONTRIBUTING.md says: fewer to read than most."""
    seen = []

    def loss(output, target):
        frames = traceback.extract_stack()
        names = [f.name for f in frames if Path(f.filename).is_relative_to(ROOT)]
        seen.append(names)
        return (output - target).square().mean(dim=1)

    X = np.random.default_rng(0).normal(size=(20, 3))
    with pytest.warns(UserWarning):
        skae.AutoEncoderTransformer(2, loss=loss, max_iter=1, random_state=0).fit(X)
    (names,) = {tuple(n[:6]) for n in seen if "backward" in n}
    expected = "fit", "fit_autoencoder", "contest", "advance", "epochs", "backward"
    assert names == expected
