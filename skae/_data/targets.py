"""Targets: ``y`` as numbers that a linear head can learn.

Numbers are standardized. Each class becomes a column. Multilabel targets stay zeros and
ones. Unknown targets are NaN, and do not count in training.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, Self, TypeAlias

import numpy as np
from numpy.typing import ArrayLike
from sklearn.utils.multiclass import type_of_target

from .._runtime.warning import warn
from .._typing import Bools, Floats, Ints
from .outputs import (
    Label,
    columns,
    known_rows,
    missing,
    refuse_lookalikes,
    warn_of_unlabelled,
)

__all__ = ["TARGET_TYPES", "Target", "no_values"]

#: All classes. For several outputs, a list with the classes of each.
Classes: TypeAlias = np.ndarray | Sequence[Any]

TARGET_TYPES = ("continuous", "multiclass", "multilabel")
# Integers with more distinct values than this, and more than the square root of the
# number of rows, cause a warning. Whole floats with as many are taken for numbers
# instead of classes.
_MANY_CLASSES = 20
_INFINITE = "y contains infinity. NaN means a row without a target."


@dataclass(frozen=True)
class Target:
    """How ``y`` is encoded, learnt from the ``y`` of `fit`.

    Attributes
    ----------
    kind : str
        One of ``TARGET_TYPES``.
    classes : tuple of ndarray
        Sorted classes of each output. Empty for numbers.
    mean, scale : ndarray of shape (n_outputs,)
        Mean and standard deviation of numbers. Zeros and ones for classes and labels.
    uncertainty : ndarray of shape (n_outputs,)
        Loss of the best constant prediction: half the variance of standardized numbers,
        or the entropy of the classes. 0 if the output does not vary.
    missing_label : int, float, str or None
        Value that means "no target", besides NaN and None. "auto" means no such value.
    """

    kind: str
    classes: tuple[np.ndarray, ...]
    mean: Floats
    scale: Floats
    uncertainty: Floats
    missing_label: Label = "auto"

    @classmethod
    def fit(
        cls,
        y: ArrayLike,
        target_type: str,
        classes: Classes | None = None,
        missing_label: Label = "auto",
        weights: Floats | None = None,
    ) -> Self | None:
        """Find the kind, classes and units of ``y``. Return None if no row is labelled.

        Parameters
        ----------
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
        target_type : str
            "auto" or one of ``TARGET_TYPES``.
        classes : array-like, optional
            All classes, if ``y`` is only a part of the targets.
        missing_label : int, float, str or None
        weights : ndarray of shape (n_samples,) or None
            Sample weights.
        """
        outputs = columns(y)
        rows = [known_rows(column, missing_label) for column in outputs]
        known = [column[part] for column, part in zip(outputs, rows, strict=True)]
        known_weights = [None if weights is None else weights[part] for part in rows]
        if not _any_known(known):
            return None
        for column in known:
            refuse_lookalikes(column, missing_label)
            numbers = _as_classes(column)
            if numbers.dtype.kind == "f" and not np.isfinite(numbers).all():
                raise ValueError(_INFINITE)
        kind = _kind(known) if target_type == "auto" else target_type
        if kind == "continuous":
            numbers = [_as_numbers(column) for column in known]
            target = cls._of_numbers(numbers, known_weights)
            return replace(target, missing_label=missing_label)
        if missing_label == "auto":
            for column in known:
                warn_of_unlabelled(column)
        known = [_as_classes(column) for column in known]
        if target_type == "auto" and classes is None:
            for column, values in zip(outputs, known, strict=True):
                _warn_of_numbers(values, has_gaps=missing(column).any())
        target = cls._of_classes(kind, known, classes, known_weights)
        return replace(target, missing_label=missing_label)

    @classmethod
    def _of_numbers(cls, known, weights):
        with np.errstate(over="ignore", invalid="ignore"):  # checked below
            both = [_moments(*pair) for pair in zip(known, weights, strict=True)]
        mean, spread = np.transpose(both)
        if not np.isfinite(spread).all():
            raise ValueError("The variance of y overflows float64. Rescale y.")
        # Rounding errors of a constant are not variance.
        varies = spread > 1e-12 * np.abs(mean)
        scale = np.where(varies, spread, 1.0)
        return cls("continuous", (), mean, scale, np.where(varies, 0.5, 0.0))

    @classmethod
    def _of_classes(cls, kind, known, all_classes, weights):
        if all_classes is not None:
            given = all_classes if len(known) > 1 else [all_classes]
            classes = [np.unique(column) for column in given]
        else:
            classes = [np.unique(column) for column in known]
        if kind == "multilabel":
            classes = [np.array([0, 1])] * len(known)
        uncertainty = np.array(
            [_entropy(*output) for output in zip(known, classes, weights, strict=True)]
        )
        n_outputs = len(known)
        mean, scale = np.zeros(n_outputs), np.ones(n_outputs)
        return cls(kind, tuple(classes), mean, scale, uncertainty)

    def check_learnable(self) -> None:
        """Raise an error if there is a single class: nothing can be learnt from it."""
        if self.kind != "continuous" and max(map(len, self.classes)) < 2:
            raise ValueError(
                f"y must hold at least two classes where supervision > 0, got only "
                f"{self.classes[0].tolist()!r}. Set supervision=0, pass target_type="
                "'continuous' if y are numbers, or name all classes by the argument "
                "classes of partial_fit."
            )

    def check_classes(self, classes: Classes) -> None:
        """Raise an error if classes differ from those of the first call."""
        given = classes if len(self.classes) > 1 else [classes]
        same = len(given) == len(self.classes) and all(
            np.array_equal(np.unique(new), old)
            for new, old in zip(given, self.classes, strict=True)
        )
        if not same:
            raise ValueError(
                f"classes={classes!r} are not those learnt before, "
                f"{[c.tolist() for c in self.classes]!r}. Begin anew with a new "
                "estimator, or leave classes out."
            )

    @property
    def sizes(self) -> list[int]:
        """Number of columns of each output."""
        if self.kind == "multiclass":
            return [len(classes) for classes in self.classes]
        return [1] * len(self.mean)

    def encode(self, y: ArrayLike) -> Floats:
        """Return values (n_samples, sum of ``sizes``), float32, NaN where unknown."""
        outputs = columns(y)
        if len(outputs) != len(self.mean):
            raise ValueError(
                f"y has {len(outputs)} outputs, but {len(self.mean)} were expected."
            )
        return np.hstack([self.encode_output(i, c) for i, c in enumerate(outputs)])

    def answers(self, y: ArrayLike) -> Iterator[tuple[Bools, np.ndarray]]:
        """Yield for each output a mask of rows with a target, and these targets."""
        for column in columns(y):
            known = self._known(column)
            as_given = _as_numbers if self.kind == "continuous" else _as_classes
            yield known, as_given(column[known])

    def varies(self, y: ArrayLike | None) -> bool:
        """Whether an output that did not vary before varies in ``y``."""
        if y is None or self.uncertainty.all():
            return False
        idle = np.flatnonzero(self.uncertainty == 0)
        answers = [found for _, found in self.answers(y)]
        constants = self.mean if self.kind == "continuous" else None
        for output in idle:
            found = answers[output]
            if constants is not None and (found != constants[output]).any():
                return True
            if constants is None and len(np.unique(found)) > 0:
                return True
        return False

    def unknown(self, n_samples: int) -> Floats:
        """Return the encoded targets of rows without any target."""
        return np.full((n_samples, sum(self.sizes)), np.nan, np.float32)

    def _known(self, column):
        return known_rows(column, self.missing_label)

    def encode_output(self, output: int, column: np.ndarray) -> Floats:
        """Return the encoded targets (n_samples, size) of one output."""
        known = self._known(column)
        values = np.full((len(column), self.sizes[output]), np.nan, np.float32)
        if self.kind == "continuous":
            numbers = _as_numbers(column[known]) - self.mean[output]
            values[known, 0] = numbers / self.scale[output]
            return values
        classes, labels = self.classes[output], _as_classes(column[known])
        unseen = np.setdiff1d(labels, classes)
        if len(unseen):
            label = unseen.tolist()[0]
            raise ValueError(
                f"y has the class {label!r}, which is not among {classes.tolist()!r}. "
                f"If it means a row without a label, pass missing_label={label!r}."
            )
        index = np.searchsorted(classes, labels)
        one_hot = index[:, None] == np.arange(len(classes))
        values[known] = one_hot if self.kind == "multiclass" else index[:, None]
        return values

    def weights(self, values: Floats) -> Floats:
        """Return a weight for each column of ``values``, (sum of ``sizes``,).

        With these weights, the mean loss over all rows is 1 for the best constant
        prediction, for any units, classes and number of known rows. Rows without a
        target have loss 0.
        """
        starts = np.cumsum([0, *self.sizes[:-1]])
        n_known = np.count_nonzero(~np.isnan(values[:, starts]), axis=0)
        unit = self.uncertainty * n_known * max(1, np.count_nonzero(self.uncertainty))
        weights = np.divide(len(values), unit, out=np.zeros(len(unit)), where=unit > 0)
        return np.repeat(weights, self.sizes)

    def strata(self, values: Floats) -> Ints | None:
        """Return a stratum for each row, for a stratified split; None for numbers."""
        if self.kind == "continuous":
            return None
        blocks = np.split(np.nan_to_num(values, nan=-1.0), np.cumsum(self.sizes), 1)
        labels = [_label(block) for block in blocks[:-1]]
        return np.unique(labels, axis=1, return_inverse=True)[1].reshape(-1)


def _any_known(known):
    """Whether there is any target. Raise an error if only some outputs have none."""
    n_known = [len(column) for column in known]
    if any(n_known) and not all(n_known):
        raise ValueError(
            f"Output {n_known.index(0)} of y has no known value in any row. Leave it "
            "out."
        )
    return any(n_known)


def no_values(n_samples: int) -> Floats:
    """Return the encoded targets if there is no ``y``."""
    return np.empty((n_samples, 0), np.float32)


def _kind(known):
    """Find the kind as scikit-learn does, from the known values of each output.

    There is one difference: whole floats with too many distinct values to be classes
    are numbers.
    """
    known = [np.array(column.tolist()) for column in known if len(column)]
    with np.errstate(invalid="ignore"):  # of numbers that are too large for integers
        types = {type_of_target(column, input_name="y") for column in known}
    are_numbers = "continuous" in types or any(
        column.dtype.kind == "f" and _are_many_classes(column) for column in known
    )
    texts = [i for i, column in enumerate(known) if column.dtype.kind in "US"]
    if are_numbers and texts:
        raise ValueError(
            f"y has numbers beside texts, as in output {texts[0]}, but all outputs are "
            "learnt alike: as numbers or as classes. Leave out one kind, or encode it."
        )
    if are_numbers:
        return "continuous"
    if not types <= {"binary", "multiclass"}:
        raise ValueError(
            f"y of type {sorted(types)!r} is neither classes nor numbers. Set "
            "supervision=0 to ignore it."
        )
    two = {0, 1}
    if len(known) > 1 and all(set(np.unique(c).tolist()) <= two for c in known):
        return "multilabel"
    return "multiclass"


def _are_many_classes(column):
    return len(np.unique(column)) > max(_MANY_CLASSES, len(column) ** 0.5)


def _warn_of_numbers(labels, has_gaps):
    """Warn about classes that may be numbers: very many, or whole numbers as floats.

    Floats with gaps cause no warning, because numpy and pandas convert integers with
    gaps to floats.
    """
    n_classes = len(np.unique(labels))
    kind = labels.dtype.kind
    if kind in "iu" and _are_many_classes(labels):
        what = f"{n_classes} classes in {len(labels)} rows"
    elif kind == "f" and n_classes > 2 and not has_gaps:
        what = f"{n_classes} different whole numbers as floats, taken for classes"
    else:
        return
    warn(
        f"y holds {what}. Pass target_type='continuous' if they are numbers, or "
        "'multiclass' to leave out this warning.",
        UserWarning,
    )


def _as_numbers(column):
    try:
        numbers = column.astype(np.float64)
    except (TypeError, ValueError) as error:
        raise ValueError(
            f"y must be numbers where target_type='continuous': {error}. Pass "
            "target_type='multiclass' for classes."
        ) from error
    if not np.isfinite(numbers).all():
        raise ValueError(_INFINITE)
    return numbers


def _as_classes(column):
    # Objects are converted to their common type, because np.unique cannot sort objects.
    return np.array(column.tolist()) if column.dtype.kind == "O" else column


def _moments(numbers, weights):
    """Return mean and standard deviation."""
    if weights is None:
        return numbers.mean(), numbers.std()
    mean = np.average(numbers, weights=weights)
    return mean, np.sqrt(np.average(np.square(numbers - mean), weights=weights))


def _entropy(labels, classes, weights):
    """Return the entropy of the labels, in nats."""
    if not len(labels):
        return 0.0
    weights = np.ones(len(labels)) if weights is None else weights
    frequency = np.array([weights[labels == c].sum() for c in classes]) / weights.sum()
    frequency = frequency[frequency > 0]
    return max(0.0, float(-(frequency * np.log(frequency)).sum()))


def _label(block):
    """Return the class of each row, or -1 if it is unknown."""
    if block.shape[1] == 1:
        return block[:, 0].astype(int)
    return np.where(block[:, 0] < 0, -1, block.argmax(axis=1))
