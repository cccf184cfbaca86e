"""Deprecation: an old name works, and warns of the new one at the user's line."""

import warnings

import pytest
from sklearn.base import BaseEstimator, clone

from skae._runtime.deprecation import DEPRECATED, renamed_parameter


class Renamed(BaseEstimator):
    """A parameter that was called ``width``."""

    def __init__(self, size=3, width=DEPRECATED):
        self.size = size
        self.width = width

    def fit(self):
        self.size_ = renamed_parameter(self, "width", "size", removed_in="0.4")
        return self


def test_the_new_name_says_nothing():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert Renamed(size=5).fit().size_ == 5
        assert clone(Renamed()).fit().size_ == 3


@pytest.mark.parametrize("value", [7, None, 0])
def test_the_old_name_works_and_warns_here(value):
    message = f"width of Renamed is now called size. .* 0.4 .*: set size={value!r}"
    with pytest.warns(FutureWarning, match=message) as caught:
        assert clone(Renamed(width=value)).fit().size_ == value
    assert caught[0].filename == __file__
