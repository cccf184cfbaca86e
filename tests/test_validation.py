"""Checking: sound rows pass at once, whatever else is scikit-learn's to judge."""

import warnings

import numpy as np
import pandas as pd
import pytest

from skae import AutoEncoderTransformer
from skae._data import validation


@pytest.fixture(scope="module")
def fitted():
    X = np.random.default_rng(0).normal(size=(40, 3))
    return AutoEncoderTransformer(2, max_iter=2, random_state=0).fit(X)


ROWS = np.array([[1.0, 2.0, 3.0], [0.0, -1.0, 2.0]])
MANY = np.tile(ROWS, (5_000, 1))
MASKED = np.ma.masked_array(ROWS, mask=ROWS > 2)


def read_only(X):
    X = X.copy()
    X.flags.writeable = False
    return X


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("X", [ROWS, MANY, np.asfortranarray(MANY)])
def test_sound_rows_pass_without_a_copy(fitted, X, dtype, monkeypatch):
    X = X.astype(dtype)
    expected = fitted.transform(X)
    monkeypatch.setattr(validation, "validate_data", None)
    assert validation.check_rows(fitted, X) is X
    np.testing.assert_array_equal(fitted.transform(X), expected)
    with pytest.raises(TypeError):
        fitted.transform(X.tolist())  # whatever else is asked for as ever


@pytest.mark.parametrize(
    "X",
    [
        ROWS * [1, np.nan, 1],
        ROWS + [np.inf, 0, 0],
        MANY * [1, np.nan, 1],
        MANY + [-np.inf, np.inf, 0],
        np.full((5_000, 3), 1e308),  # their sum is not finite, but they are
        read_only(MANY),
        MANY[::-1],
        MANY[::2],
        ROWS[:, :2],
        ROWS[0],
        ROWS[:0],
        ROWS[None],
        ROWS.astype(str),
        ROWS + 1j,
        ROWS.astype(object),
        ROWS.astype(int),
        ROWS.astype("float16"),
        ROWS.astype(">f8"),
        ROWS.tolist(),
        MASKED,
        pd.DataFrame(ROWS, columns=["a", "b", "c"]),
    ],
)
def test_others_get_what_scikit_learn_says(fitted, X, monkeypatch):
    def outcome():
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            try:
                result = validation.check_rows(fitted, X)
            except ValueError as error:
                result = str(error)
        return result, [str(w.message) for w in caught]

    result, messages = outcome()
    monkeypatch.setattr(validation, "_is_sound", lambda *_: False)
    expected, expected_messages = outcome()
    assert type(result) is type(expected)
    np.testing.assert_array_equal(result, expected)
    assert messages == expected_messages


def test_names_are_missed(fitted):
    named = AutoEncoderTransformer(2, max_iter=2, random_state=0)
    named.fit(
        pd.DataFrame(np.random.default_rng(0).normal(size=(40, 3)), columns=list("abc"))
    )
    with pytest.warns(UserWarning, match="does not have valid feature names"):
        named.transform(ROWS)
