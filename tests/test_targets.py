"""Targets: how y is read, whatever it is made of."""

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.sparse import csr_array
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from skae import AutoEncoderTransformer
from skae._data.targets import Target

NAN = np.nan


@pytest.mark.parametrize(
    "y",
    [
        ["a", "b", "a", "c"],
        np.array(["a", "b", "a", "c"], dtype=object),
        [0, 1, 0, 2],
        [0.0, 1.0, 0.0, 2.0],
        pd.Series(["a", "b", "a", "c"], dtype="category"),
        pd.Series([5, 7, 5, 9], dtype="Int64"),
        [[3], [4], [3], [8]],
    ],
)
@pytest.mark.filterwarnings("ignore:y holds 3 different whole numbers as floats")
def test_classes_are_one_hot(y):
    target = Target.fit(y, "auto")
    expected = OneHotEncoder(sparse_output=False).fit_transform(
        np.array([0, 1, 0, 2])[:, None]
    )
    assert target.kind == "multiclass"
    assert_array_equal(target.encode(y), expected)
    assert target.uncertainty == pytest.approx(1.5 * np.log(2))


def test_booleans_are_two_classes():
    values = Target.fit([True, False, True], "auto").encode([True, False, True])
    assert_array_equal(values, [[0, 1], [1, 0], [0, 1]])


@pytest.mark.parametrize(
    "y",
    [
        [0.0, 1.0, NAN, 2.0],
        np.array(["a", "b", None, "c"], dtype=object),
        np.array(["a", "b", NAN, "c"], dtype=object),
        ["a", "b", NAN, "c"],
        np.ma.masked_array([3, 4, 9, 5], [False, False, True, False]),
        pd.Series(["a", "b", None, "c"], dtype="category"),
        pd.Series([0, 1, None, 2], dtype="Int64"),
    ],
)
def test_rows_without_a_class_are_unknown(y):
    values = Target.fit(y, "auto").encode(y)
    expected = np.insert(np.eye(3), 2, NAN, axis=0)
    assert_array_equal(values, expected)


@pytest.mark.parametrize(
    ("y", "missing_label"),
    [
        ([0, 1, -1, 2], -1),
        ([0.0, 1.0, -1.0, 2.0], -1),
        (np.array(["a", "b", -1, "c"], dtype=object), -1),
        (["a", "b", -1, "c"], -1),
        (["a", "b", "?", "c"], "?"),
        (np.array(["a", "b", "-1", "c"]), "-1"),
        ([0, 1, 99, -1], 99),
    ],
)
@pytest.mark.filterwarnings("ignore:y holds 3 different whole numbers as floats")
def test_the_user_says_what_an_unknown_class_is(y, missing_label):
    target = Target.fit(y, "auto", missing_label=missing_label)
    expected = np.insert(np.eye(3), 2, NAN, axis=0)
    if missing_label == 99:  # -1 is the first class
        expected = np.array([[0, 1, 0], [0, 0, 1], [NAN] * 3, [1, 0, 0]])
    assert_array_equal(target.encode(y), expected)


@pytest.mark.parametrize("missing_label", ["auto", None])
def test_minus_one_is_a_class_unless_it_is_said_not_to_be(missing_label):
    two = Target.fit([-1, 1, -1], "auto", missing_label=missing_label)
    assert_array_equal(two.encode([-1, 1, -1]), [[1, 0], [0, 1], [1, 0]])
    y = [-1, 0, 1, 1]
    if missing_label == "auto":
        with pytest.warns(UserWarning, match="-1, which is taken for a class. Pass mi"):
            three = Target.fit(y, "auto")
    else:
        three = Target.fit(y, "auto", missing_label=None)
    assert three.encode(y).shape == (4, 3)
    assert not np.isnan(three.encode(y)).any()


def test_an_unknown_number_may_be_named_too():
    y = [0.5, -999.0, 1.5]
    target = Target.fit(y, "auto", missing_label=-999)
    assert_allclose(target.mean, [1.0])
    assert_array_equal(np.isnan(target.encode(y)[:, 0]), [False, True, False])


def test_floats_are_numbers_where_they_are_too_many_for_classes():
    y = np.arange(100.0) % 30
    assert Target.fit(y, "auto").kind == "continuous"
    assert Target.fit(y.astype(object), "auto").kind == "continuous"
    for few in (np.arange(100.0) % 20, np.arange(2000.0) % 30):
        with pytest.warns(UserWarning, match="whole numbers as floats, taken for cl"):
            assert Target.fit(few, "auto").kind == "multiclass"
    assert Target.fit(y, "multiclass").kind == "multiclass"
    beside = np.column_stack([y, y % 2])
    assert Target.fit(beside, "auto").kind == "continuous"


def test_numbers_beside_texts_are_named():
    y = pd.DataFrame({"size": [0.5, 1.5, 2.5], "kind": ["a", "b", "a"]})
    with pytest.raises(ValueError, match="numbers beside texts, as in output 1"):
        Target.fit(y, "auto")


def test_numbers_are_standardized_and_may_be_unknown():
    y = np.array([1.5, 2.0, NAN, 4e6])
    target = Target.fit(y, "auto")
    expected = StandardScaler().fit_transform(y[:, None])
    assert target.kind == "continuous"
    assert_allclose(target.encode(y), expected, rtol=1e-6)
    # -1 is a number here.
    assert np.isfinite(target.encode([-1.0])).all()


def test_the_name_of_a_type_decides():
    y = [3, 4, 5, 6]
    assert Target.fit(y, "continuous").encode(y).shape == (4, 1)
    assert np.isfinite(Target.fit(y, "continuous").encode(y)).all()
    assert Target.fit(y, "multiclass").encode(y).shape == (4, 4)
    labels = [[0, 1], [1, -1], [0, 0]]
    target = Target.fit(labels, "multilabel", missing_label=-1)
    assert_array_equal(target.encode(labels), [[0, 1], [1, NAN], [0, 0]])
    with pytest.raises(ValueError, match="class -1, .* pass missing_label=-1"):
        Target.fit(labels, "multilabel", missing_label=None).encode(labels)


@pytest.mark.parametrize("wrap", [np.array, csr_array, pd.DataFrame])
def test_labels_stay_zeros_and_ones(wrap):
    y = wrap([[0, 1, 0], [1, 1, 0], [0, 0, 0]])
    target = Target.fit(y, "auto")
    assert target.kind == "multilabel"
    assert_array_equal(target.encode(y), [[0, 1, 0], [1, 1, 0], [0, 0, 0]])
    # There is nothing to learn about the last one.
    assert_array_equal(target.weights(target.encode(y)) > 0, [True, True, False])


def test_several_outputs():
    y = pd.DataFrame({"kind": ["a", "b", "b"], "size": [0, 1, 2]})
    target = Target.fit(y, "auto")
    assert target.sizes == [2, 3]
    assert_array_equal(target.encode(y)[1], [0, 1, 0, 1, 0])
    numbers = Target.fit([[0.5, 1], [1.5, NAN], [2.5, 3]], "auto")
    assert numbers.kind == "continuous"
    assert_array_equal(np.isnan(numbers.encode([[1, NAN]])), [[False, True]])


@pytest.mark.parametrize("y", [[0, 0, 1, 2], [0.5, 1.5, 2.5, 9], [[0, 1], [1, 0]]])
def test_the_best_constant_answer_costs_one(y):
    """Whatever the units, also where two of three rows are not labelled."""
    target = Target.fit(y, "auto")
    values = np.vstack([target.encode(y), target.unknown(2 * len(y))])
    weights = target.weights(values)
    known = values[: len(y)]
    if target.kind == "continuous":
        losses = (known - known.mean(axis=0)) ** 2 / 2
    else:
        share = known.mean(axis=0)
        losses = -known * np.log(share)
        if target.kind == "multilabel":
            losses -= (1 - known) * np.log(1 - share)
    assert (losses * weights).sum() / len(values) == pytest.approx(1, rel=1e-5)


@pytest.mark.parametrize("y", [[7.5, 7.5, 7.5], [1e12 + 0.1] * 3])
def test_a_constant_number_teaches_nothing(y):
    target = Target.fit(y, "auto")
    assert target.weights(target.encode(y)) == 0


@pytest.mark.parametrize("y", [[-1, -1], [NAN, NAN], [None, None]])
def test_no_label_at_all_is_no_target(y):
    assert Target.fit(y, "auto", missing_label=-1) is None


@pytest.mark.parametrize(
    ("y", "target_type", "message"),
    [
        ([1, 1, 1], "auto", "at least two classes .* only \\[1\\]"),
        (["a", "b"], "continuous", "must be numbers .* could not convert"),
        ([1.5, np.inf], "continuous", "y contains infinity"),
        (5, "auto", "must be of shape"),
        (np.ones((2, 2, 2)), "auto", "shape \\(2, 2, 2\\)"),
        ([1.0, 2.0, np.inf], "auto", "y contains infinity"),
        ([1e300, -1e300], "continuous", "variance of y overflows"),
        ([[0, NAN], [1, NAN]], "auto", "Output 1 of y has no known value"),
        ([[0.5, NAN], [1.5, NAN]], "auto", "Output 1 of y has no known value"),
        ([0.5, 1.5], "multiclass", None),
    ],
)
def test_what_cannot_be_learnt_is_refused(y, target_type, message):
    if message is None:
        assert Target.fit(y, target_type).sizes == [2]
        return
    with pytest.raises(ValueError, match=message):
        Target.fit(y, target_type).check_learnable()


def test_a_class_that_is_not_known_is_named():
    target = Target.fit(["a", "b"], "auto")
    with pytest.raises(ValueError, match="class 'z', which is not among"):
        target.encode(["a", "z"])
    with pytest.raises(ValueError, match="2 outputs, but 1 were expected"):
        target.encode([["a", "b"]])


def test_strata_are_the_classes_and_their_combinations():
    target = Target.fit(["b", "a", "b", None], "auto")
    strata = target.strata(target.encode(["b", "a", "b", None]))
    assert strata[0] == strata[2]
    assert len(set(strata)) == 3
    labels = Target.fit([[0, 1], [1, 0], [0, 1], [1, 1]], "auto")
    strata = labels.strata(labels.encode([[0, 1], [1, 0], [0, 1], [1, 1]]))
    assert strata[0] == strata[2]
    assert len(set(strata)) == 3
    assert Target.fit([0.5, 1.5], "auto").strata(np.ones((2, 1))) is None


def test_many_classes_are_warned_of():
    with pytest.warns(UserWarning, match="25 classes in 500 rows. Pass target_type"):
        Target.fit(np.arange(500) % 25, "auto")
    Target.fit(np.arange(500) % 25, "multiclass")
    Target.fit(np.arange(20), "auto")
    Target.fit(np.arange(1000) % 25, "auto")
    Target.fit((np.arange(500) % 25).astype(str), "auto")


@pytest.mark.parametrize("dtype", ["f4", "f8", object])
def test_whole_numbers_as_floats_are_classes_only_with_a_word(dtype):
    y = (np.arange(300) % 4.0).astype(dtype)
    message = "y holds 4 different whole numbers as floats, taken for classes. Pass tar"
    with pytest.warns(UserWarning, match=message) as caught:
        assert Target.fit(y, "auto").kind == "multiclass"
    assert [w.filename for w in caught] == [__file__]
    assert Target.fit(y, "multiclass").kind == "multiclass"
    assert Target.fit(y, "continuous").kind == "continuous"
    assert Target.fit(y, "auto", classes=range(5)).kind == "multiclass"


def test_floats_that_say_nothing_are_classes_without_a_word():
    y = np.arange(300) % 4.0
    assert Target.fit(y == 1.0, "auto").kind == "multiclass"
    assert Target.fit((y == 1.0).astype(float), "auto").kind == "multiclass"
    y[::3] = NAN  # integers with gaps are floats
    assert Target.fit(y, "auto").kind == "multiclass"


@pytest.mark.parametrize(
    ("y", "missing_label", "message"),
    [
        (["-1", "a", "b"], -1, r"a number, but y contains '-1', a text.*label='-1'"),
        (np.array(["-1.0", "0", "1"]), -1, "contains '-1.0', a text"),
        ([-1, 0, 1], "-1", "a text, but y contains -1, a number.*missing_label=-1 if"),
        ([-1.0, 0.5, 1.5], "-1", "a text, but y contains -1.0, a number"),
        (["nan", "a", "b"], NAN, "contains 'nan', a text"),
        (np.array([True, False, True]), 1, "contains True, a truth value.*by None in"),
        ([[0, -1], [1, "-1"], [0, 1]], -1, "contains '-1', a text"),
    ],
)
def test_labels_that_read_alike_are_refused(y, missing_label, message):
    with pytest.raises(ValueError, match=message):
        Target.fit(y, "auto", missing_label=missing_label)


@pytest.mark.parametrize("label", ["-1", "nan", "None", "<NA>"])
@pytest.mark.parametrize("kind", [list, np.array])
def test_texts_that_often_mean_nothing_are_warned_of(label, kind):
    y = kind(["a", "b", label])
    with pytest.warns(UserWarning, match=f"contains '{label}', .* class. Pass missing"):
        Target.fit(y, "auto")
    assert len(Target.fit(y, "auto", missing_label=label).classes[0]) == 2
    assert len(Target.fit(y, "auto", missing_label=None).classes[0]) == 3


@pytest.mark.parametrize("label", [True, False, np.True_])
def test_a_truth_value_is_no_label(label):
    model = AutoEncoderTransformer(missing_label=label)
    with pytest.raises(ValueError, match="'missing_label' parameter must be a number"):
        model.fit(np.eye(20), np.arange(20) % 2)
