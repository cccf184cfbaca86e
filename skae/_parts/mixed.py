"""Mixed tables: a loss for each group of columns, given or found in the rows."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from scipy.special import entr, xlogy
from sklearn.base import BaseEstimator
from sklearn.preprocessing import StandardScaler

from .._compat import Documented
from .._data.column_kinds import (
    BINARY,
    COUNT,
    NUMBER,
    ONE_HOT,
    column_kinds,
    one_hot_blocks,
)
from .._data.columns import column_names, find_columns, spell
from .._data.scaling import dense_rows, row_slices, weighted
from .._typing import Floats, Rows
from .column_links import PlainLink
from .column_losses import LINKS_OF, ColumnLosses, LossParts
from .losses import LOSSES, Loss, check_loss
from .parameters import Parameters

__all__ = ["Grouping", "MixedLoss", "choose_loss", "with_columns"]

#: Kind of a column -> the loss that "auto" chooses.
_LOSS_OF_KIND = {
    NUMBER: "squared_error",
    BINARY: "log_loss",
    ONE_HOT: "cross_entropy",
    COUNT: "poisson",
}


class MixedLoss(Documented, BaseEstimator):
    """A loss for each group of columns: numbers, counts, binary columns, categories.

    It is for tables with several kinds of columns, with categories as one-hot columns.
    The loss of a row is the mean over variables; a block of one-hot columns is one
    variable. The loss of a group is divided by the loss of predicting the mean of its
    columns. So no group dominates the others, whatever its units are. Within a group,
    squared errors depend on the units of the columns, as in PCA. To weigh the columns
    equally, put a `StandardScaler` before, make a group of each column, or set
    ``standardize=True``.

    Parameters
    ----------
    groups : list of (loss, columns) tuples, default=()
        Like ``transformers`` of `sklearn.compose.ColumnTransformer`, without names.

        loss : {"squared_error", "log_loss", "cross_entropy", "poisson"}
            - "squared_error": for numbers.
            - "log_loss": for binary columns, or shares in [0, 1].
            - "cross_entropy": for one-hot columns, with a softmax over each block. A
              group may have several blocks, which must follow one another, each with a
              single 1 in every row. A block of shares that sum to 1 must be a group of
              its own. Rows of zeros, which an encoder makes from unknown categories,
              have no loss.
            - "poisson": half the Poisson deviance, for counts. The rate is a softplus
              of the output, so that it grows only linearly beyond the data.

        columns : str, int, array-like of str or int, slice, array-like of bool or \
                callable
            Names of columns of a data frame, or positions. A callable gets the frame
            and returns one of the other forms, as
            `sklearn.compose.make_column_selector` does.

    remainder : {"auto", "squared_error", "log_loss", "cross_entropy", "poisson"}, \
            default="auto"
        Loss of the columns that are in no group. "auto" depends on the training rows:

        - successive columns with a single 1 in every row are a block:
          "cross_entropy";
        - other columns of zeros and ones: "log_loss", all in one group;
        - whole numbers from 0 up to at most 1,000, which a negative binomial
          distribution fits better than a normal one: "poisson", a group for each;
        - all other columns: "squared_error", a group for each.

        ``loss="auto"`` of `AutoEncoderTransformer` is ``MixedLoss()``.

    See Also
    --------
    AutoEncoderTransformer : Its attribute ``losses_`` says which columns have which
        loss.

    Notes
    -----
    **Related methods.** PCA with losses of the exponential family, each with its own
    link, is a generalised low-rank model [1]_. ``hidden_layer_sizes=()`` trains this
    model; hidden layers make its nonlinear extension. Factor analysis of mixed data
    (FAMD) is PCA of one-hot columns, each divided by the square root of its mean.

    **Comparison with PCA.** Training starts from PCA of the columns, scaled so that
    each group's variables have a mean variance of one (each column, with
    ``standardize=True``). PCA's reconstruction is clipped to the range of each column:
    probabilities between 0.001 and 0.999, blocks with a sum of 1, rates above zero. Its
    loss is ``baseline_loss_``. If no network is better on the held-out rows, this PCA
    is the result, and `inverse_transform` returns clipped values.

    **Encoding.** Convert text and categories to numbers first, with `OneHotEncoder` in
    a `ColumnTransformer`, or with skrub's `TableVectorizer`. ``drop="if_binary"`` makes
    one binary column of two categories. ``drop="first"`` leaves no blocks, but binary
    columns that exclude one another.

    References
    ----------
    .. [1] Udell, Horn, Zadeh, Boyd (2016). Generalized low rank models. Foundations and
       Trends in Machine Learning 9.

    Examples
    --------
    >>> import numpy as np
    >>> from skae import AutoEncoderTransformer, MixedLoss
    >>> rng = np.random.RandomState(0)
    >>> z = rng.normal(size=300)
    >>> color = np.eye(3)[np.digitize(z, [-0.5, 0.5])]
    >>> X = np.column_stack([z, z**2, color, rng.poisson(np.exp(z))])
    >>> loss = MixedLoss([("poisson", -1)])
    >>> ae = AutoEncoderTransformer(1, loss=loss, max_iter=20, random_state=0).fit(X)
    >>> [(name, columns.tolist()) for name, columns in ae.losses_]
    [('squared_error', [0]), ('squared_error', [1]), ('cross_entropy', [2, 3, 4]), \
('poisson', [5])]
    >>> R = ae.inverse_transform(ae.transform(X))
    >>> np.allclose(R[:, 2:5].sum(axis=1), 1)
    True
    """

    def __init__(
        self, groups: Sequence[tuple[str, Any]] = (), *, remainder: str = "auto"
    ) -> None:
        self.groups = groups
        self.remainder = remainder


class Grouping:
    """A `MixedLoss` with positions of columns.

    Parameters
    ----------
    loss : MixedLoss
    frame : object
        The original ``X``, in which names and selectors are looked up.
    n_features : int

    Attributes
    ----------
    groups : list of (str, ndarray of int)
        Losses and their columns; each column is in at most one group.
    others : ndarray of int
        Columns in no group.
    remainder : str
        Loss of the others.
    is_open : bool
        Whether all losses depend on the rows.
    names : tuple of str or None
        Names of the columns.
    """

    def __init__(self, loss: MixedLoss, frame: object, n_features: int) -> None:
        self.names = column_names(frame)
        self.remainder = loss.remainder
        self.is_open = not loss.groups and loss.remainder == "auto"
        if loss.remainder != "auto":
            _check_name(loss.remainder)
        self.groups, taken = [], np.zeros(n_features, int)
        for entry in loss.groups:
            name, columns = _check_entry(entry)
            columns = find_columns(columns, frame, n_features)
            if len(columns):  # a selector may find none
                np.add.at(taken, columns, 1)
                self.groups.append((name, columns))
        if (taken > 1).any():
            column = spell(int(np.argmax(taken > 1)), self.names)
            raise ValueError(
                f"Column {column} is twice in the groups of a MixedLoss: name it once."
            )
        self.others = np.flatnonzero(taken == 0)


def with_columns(
    loss: str | MixedLoss | Callable[..., Any], frame: object, n_features: int
) -> "str | Grouping | Callable[..., Any]":
    """Return a `Grouping` for a `MixedLoss`; return other losses unchanged.

    Parameters
    ----------
    loss : str, callable or MixedLoss
        The estimator's parameter.
    frame : object
        Rows as the user gave them.
    n_features : int
    """
    if isinstance(loss, str) and loss == "auto":
        loss = MixedLoss()
    if not isinstance(loss, MixedLoss):
        return loss
    return Grouping(loss, frame, n_features)


def choose_loss(
    params: Parameters,
    X: Rows,
    weights: Floats | None = None,
    parts: LossParts | None = None,
    goes_on: bool = False,
) -> tuple[Parameters, Loss | ColumnLosses, PlainLink]:
    """Resolve ``loss`` and ``output_activation`` for some training rows.

    Parameters
    ----------
    params : Parameters
        Parameters with the ``loss`` that `with_columns` returned.
    X : ndarray or CSR matrix of shape (n_rows, n_features)
    weights : ndarray of shape (n_rows,) or None
        Weights of the rows.
    parts : tuple or None
        The result of `loss_parts` for the fit to continue.
    goes_on : bool
        Whether these are more rows of the same stream, so that the loss stays the same.

    Returns
    -------
    params : Parameters
        Parameters with the name of a loss, a function or `ColumnLosses`.
    loss : Loss or ColumnLosses
    link : str or tuple
        Argument of `link_of`.
    """
    asked = params.loss
    if isinstance(asked, Grouping):
        if params.output_activation != "auto":
            raise ValueError(
                "Each group of a mixed loss has the output activation of its loss: "
                f"leave output_activation='auto', got {params.output_activation!r}."
            )
        asked = _chosen(asked, X, weights, parts, goes_on)
        params = replace(params, loss=asked)
    loss: Loss | ColumnLosses
    link: PlainLink
    if isinstance(asked, ColumnLosses):
        loss, link = asked, asked.link
    else:
        loss, link = check_loss(asked, params.output_activation)
    loss.check_data(X)
    return params, loss, link


def _chosen(grouping, X, weights, parts, goes_on):
    """Return the `ColumnLosses` for rows, or the name of the loss of all columns."""
    names = grouping.names
    if parts and (grouping.is_open or goes_on):
        ((name, columns, *_), *_) = parts
        return name if columns is None else ColumnLosses(parts, names)
    groups = [
        (name, _variables(name, columns, X, names)) for name, columns in grouping.groups
    ]
    if grouping.remainder == "auto":
        groups += _found(X, grouping.others, weights)
    elif len(grouping.others):
        name = grouping.remainder
        groups.append((name, _variables(name, grouping.others, X, names)))
    kinds = {name for name, _ in groups}
    if grouping.is_open and len(kinds) == 1 and kinds < LOSSES.keys():
        return kinds.pop()
    n_variables = sum(len(variables) for _, variables in groups)
    parts = []
    for name, variables in groups:
        ColumnLosses(_parts(name, variables), names).check_data(X)
        cost = sum(_constant_cost(name, X, weights, part) for part in variables)
        weight = len(variables) / n_variables / cost if cost > 0 else 0.0
        unit = _unit(X, weights, variables) if name == "poisson" else 1.0
        parts += _parts(name, variables, weight, unit)
    return ColumnLosses(tuple(sorted(parts, key=lambda part: part[1][0])), names)


def _parts(name, blocks, weight=1.0, unit=1.0):
    """Return a group's parts of `ColumnLosses`: one for each block, or one in all.

    ``blocks`` are the columns of each variable.
    """
    if name != "cross_entropy":
        blocks = [np.concatenate(blocks)]
    return tuple(
        (name, tuple(map(int, block)), float(weight), float(unit)) for block in blocks
    )


def _found(X, columns, weights):
    """Return the groups that "auto" finds among columns."""
    found = column_kinds(X, columns, weights)
    blocks = [block for kind, block in found if kind == ONE_HOT]
    groups = [("cross_entropy", blocks)] if blocks else []
    for kind, block in found:
        if kind != ONE_HOT:
            groups.append((_LOSS_OF_KIND[kind], list(block[:, None])))
    return groups


def _check_entry(entry):
    """Return the name of a loss and its columns, or raise an error."""
    if not isinstance(entry, tuple | list) or len(entry) != 2:
        raise ValueError(
            "groups of a MixedLoss must be tuples (loss, columns), such as "
            f"('poisson', ['visits']), got {entry!r}."
        )
    name, columns = entry
    return _check_name(name), columns


def _check_name(name):
    if not isinstance(name, str) or name not in LINKS_OF:
        names = ", ".join(map(repr, LINKS_OF))
        raise ValueError(
            f"The loss of a group of a MixedLoss must be one of {names}, got {name!r}."
        )
    return name


def _variables(name, columns, X, names):
    """Return the columns of each variable of a group."""
    if name != "cross_entropy":
        return list(columns[:, None])
    if _are_shares(X, columns):
        return [columns]
    blocks = one_hot_blocks(X, np.sort(columns))
    if len(np.concatenate([*blocks, ()])) != len(columns):
        raise ValueError(
            f"Columns {spell(columns[0], names)} to {spell(columns[-1], names)} "
            "of a group with 'cross_entropy' are no blocks of one-hot columns. The "
            "columns of a block must follow one another, and have a single 1 in every "
            "row. Make them with OneHotEncoder without drop, name the columns of each "
            "block as a group, or use 'log_loss', for which columns need not exclude "
            "one another."
        )
    return blocks


def _are_shares(X, columns):
    """Whether the columns sum to one, or to zero, in every row."""
    for rows in row_slices(*X.shape):
        values = dense_rows(X, rows)[:, columns]
        sums = values.sum(axis=1, dtype=np.float64)
        if values.min() < 0 or not ((abs(sums - 1) < 1e-3) | (sums == 0)).all():
            return False
    return True


def _unit(X, weights, variables):
    """Return the root mean variance of counts, or 1 if they are all equal."""
    columns = np.concatenate(variables)
    scaler = StandardScaler()
    for rows in row_slices(*X.shape):
        values = dense_rows(X, rows)[:, columns].astype(np.float64)
        part = None if weights is None else weights[rows]
        scaler.partial_fit(values, sample_weight=part)
    return np.sqrt(scaler.var_.mean()) or 1.0


def _constant_cost(name, X, weights, columns):
    """Return the mean loss of the best constant prediction of one variable."""
    if name == "squared_error":
        return 1.0  # in units of the scaled data
    total = own = 0.0
    for rows in row_slices(*X.shape):
        values = dense_rows(X, rows)[:, columns].astype(np.float64)
        costs = xlogy(values, values)
        if name == "log_loss":
            costs += xlogy(1 - values, 1 - values)
        total = total + weighted(values, weights, rows).sum(axis=0)
        own = own + weighted(costs, weights, rows).sum()
    n_rows = X.shape[0] if weights is None else weights.sum()
    mean, own = total / n_rows, own / n_rows
    if name == "log_loss":
        return float(entr(mean).sum() + entr(1 - mean).sum())
    if name == "cross_entropy":
        known = mean.sum() or 1.0  # rows of an unknown category are zeros
        return float(own + known * entr(mean / known).sum())
    return float(own - xlogy(mean, mean).sum())


# The public place.
MixedLoss.__module__ = "skae"
