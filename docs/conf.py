"""The documentation site: ``python -m sphinx -W -b html docs docs/_build``."""

import skae

project = "skae"
author = copyright = "the skae developers"
release = version = skae.__version__

extensions = [
    "myst_parser",
    "numpydoc",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
]
exclude_patterns = ["_build"]
templates_path = ["_templates"]
default_role = "literal"  # as scikit-learn's docstrings have it

myst_heading_anchors = 3
autosummary_generate = True
# Where scikit-learn's HTML of an estimator looks for its page.
autosummary_filename_map = {f"skae.{name}": name for name in skae.__all__}
toc_object_entries_show_parents = "hide"
autodoc_typehints = "none"  # the docstrings say it in fewer words
numpydoc_show_class_members = False
# All but what not every docstring needs: examples, "See Also", an extended summary; and
# what is returned has a name, as in scikit-learn.
numpydoc_validation_checks = {"all", "ES01", "EX01", "RT02", "SA01", "SS05"}

html_theme = "pydata_sphinx_theme"
html_title = "skae"
html_sidebars = {"guide/benchmarks": []}
html_static_path = ["_static"]
html_css_files = ["headings.css"]
html_theme_options = {
    "show_prev_next": False,
    "navbar_end": ["theme-switcher"],
    "secondary_sidebar_items": ["page-toc"],
    "show_toc_level": 2,
}
