"""One thread in each process of the tests: these run side by side, on all cores."""

import os
import sys
from importlib.util import find_spec

import pytest

# Its examples need an extra, which not every set of dependencies has.
has_onnx = find_spec("skl2onnx") and find_spec("onnxruntime")
collect_ignore = [] if has_onnx else ["skae/onnx.py"]

# Read where the pools of threads are loaded, so before numpy and torch; processes that
# a test starts inherit it. Tests of threads ask for more (``two_threads``).
for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[variable] = "1"


os.environ["MPLBACKEND"] = "Agg"  # pictures are drawn, and shown to nobody


def pytest_configure():
    """Limit the pools that are loaded already: a filter of warnings imports skae."""
    from threadpoolctl import threadpool_limits

    threadpool_limits(1)


@pytest.fixture(autouse=True)
def close_figures():
    """Close what a test or an example has drawn, if it has."""
    yield
    if "matplotlib.pyplot" in sys.modules:
        sys.modules["matplotlib.pyplot"].close("all")


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers():
    """Return how many processes may run at once: quotas of containers count."""
    from joblib import cpu_count

    return cpu_count()


def pytest_collection_modifyitems(items):
    """Put the long tests first: at the end, small ones fill every process."""
    items.sort(key=lambda item: item.get_closest_marker("slow") is None)
