"""Mixed tables: a loss for each group of columns, and what belongs to it."""

from dataclasses import replace

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
from .column_losses import LINKS_OF, ColumnLosses
from .losses import LOSSES, check_loss

__all__ = ["Grouping", "MixedLoss", "choose_loss", "with_columns"]

#: Kind of a column -> the loss that "auto" stands for.
_OF_KIND = {
    NUMBER: "squared_error",
    BINARY: "log_loss",
    ONE_HOT: "cross_entropy",
    COUNT: "poisson",
}


class MixedLoss(Documented, BaseEstimator):
    """A loss for each group of columns: numbers, counts, binary ones, categories.

    For tables with columns of several kinds, categories as one-hot columns. A row's
    loss is the mean over variables, where a block of one-hot columns is one variable.
    Each group is in units of its best constant: the loss of a group is divided by what
    predicting the mean of its columns costs, so that no group drowns the others
    whatever its units are. Within a group, squared errors have the weights that the
    columns' units give them, as in PCA; put a `StandardScaler` before, make a group of
    each, or set ``standardize=True`` to weigh them alike.

    Parameters
    ----------
    groups : list of (loss, columns) tuples, default=()
        As the ``transformers`` of `sklearn.compose.ColumnTransformer`, without a name.

        loss : {"squared_error", "log_loss", "cross_entropy", "poisson"}
            - "squared_error": for numbers.
            - "log_loss": for binary columns, or shares in [0, 1].
            - "cross_entropy": of a softmax over each block of one-hot columns. Where
              the columns are several blocks, these must follow one another, each with
              a single one in every row. A block of shares that sum to 1 is a group of
              its own. Rows of zeros, which an encoder makes of unknown categories, cost
              nothing.
            - "poisson": half the Poisson deviance, for counts, of a rate that is a
              softplus of the output: beyond the data it grows no faster than they do.

        columns : str, int, array-like of str or int, slice, array-like of bool or \
                callable
            Names of a data frame, or positions. A callable is given the frame and
            returns one of the others, as `sklearn.compose.make_column_selector` does.

    remainder : {"auto", "squared_error", "log_loss", "cross_entropy", "poisson"}, \
            default="auto"
        Loss of the columns in no group. "auto" decides by the training rows:

        - successive columns with a single one in every row are a block:
          "cross_entropy";
        - other columns of zeros and ones: "log_loss", all in one group;
        - whole numbers from 0 up to at most 1,000, which a negative binomial
          distribution fits better than a normal one: "poisson", a group for each;
        - the others: "squared_error", a group for each.

        ``loss="auto"`` of `AutoEncoderTransformer` is ``MixedLoss()``.

    See Also
    --------
    AutoEncoderTransformer : Its attribute ``losses_`` tells which columns got which
        loss.

    Notes
    -----
    **Where this stands.** Losses of the exponential family with links of their own make
    PCA a generalised low-rank model [1]_; with ``hidden_layer_sizes=()`` that is
    what is trained, and otherwise its nonlinear extension. Factor analysis of mixed
    data (FAMD) is PCA of one-hot columns, each divided by the root of its mean.

    **Beside PCA.** Training starts from PCA of the columns, scaled so that each group's
    variables have a mean variance of one (each column, with ``standardize=True``). Its
    reconstruction, brought into the range of each column (probabilities within 0.001
    of 0 and 1, of blocks to a sum of 1, rates above zero), has a loss too:
    ``baseline_loss_``. If no network is better on the rows held out, this PCA is the
    result, and `inverse_transform` gives what is within the range.

    **Encoding.** Text and categories become numbers before: by `OneHotEncoder` in a
    `ColumnTransformer`, or skrub's `TableVectorizer`. ``drop="if_binary"`` makes one
    binary column of two categories. ``drop="first"`` leaves no blocks, but binary
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

    def __init__(self, groups=(), *, remainder="auto"):
        self.groups = groups
        self.remainder = remainder


class Grouping:
    """What a `MixedLoss` asks for, in positions of columns.

    Parameters
    ----------
    loss : MixedLoss
    frame : object
        What ``X`` was made of: names and selectors ask for it.
    n_features : int

    Attributes
    ----------
    groups : list of (str, ndarray of int)
        Losses and their columns; each column is in at most one group.
    others : ndarray of int
        Columns in no group.
    remainder : str
        Their loss.
    is_open : bool
        Whether all is left to the rows.
    names : tuple of str or None
        Of the columns.
    """

    def __init__(self, loss, frame, n_features):
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
            column = spell(np.argmax(taken > 1), self.names)
            raise ValueError(
                f"Column {column} is twice in the groups of a MixedLoss: name it once."
            )
        self.others = np.flatnonzero(taken == 0)


def with_columns(loss, frame, n_features):
    """Return a `Grouping` of a loss for groups of columns; others as they are.

    Parameters
    ----------
    loss : str, callable or MixedLoss
        As the estimator has it.
    frame : object
        Rows as the user gave them.
    n_features : int
    """
    if isinstance(loss, str) and loss == "auto":
        loss = MixedLoss()
    if not isinstance(loss, MixedLoss):
        return loss
    return Grouping(loss, frame, n_features)


def choose_loss(params, X, weights=None, parts=None, goes_on=False):
    """Resolve ``loss`` and ``output_activation`` for some training rows.

    Parameters
    ----------
    params : Parameters
        With the ``loss`` that `with_columns` returns.
    X : ndarray or CSR matrix of shape (n_rows, n_features)
    weights : ndarray of shape (n_rows,) or None
        Of the rows.
    parts : tuple or None
        What `loss_parts` has returned of the fit to go on from.
    goes_on : bool
        Whether these are more rows of the same, so that it stays what it is.

    Returns
    -------
    params : Parameters
        With the name of a loss, a function or `ColumnLosses`.
    loss : Loss or ColumnLosses
    link : str or tuple
        What `link_of` takes.
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
    if isinstance(asked, ColumnLosses):
        loss, link = asked, asked.link
    else:
        loss, link = check_loss(asked, params.output_activation)
    loss.check_data(X)
    return params, loss, link


def _chosen(grouping, X, weights, parts, goes_on):
    """Return the `ColumnLosses` for rows, or the name of the loss that all have."""
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
    """Return parts of `ColumnLosses` of a group: a block each, or one of all columns.

    ``blocks`` are the columns of each variable.
    """
    if name != "cross_entropy":
        blocks = [np.concatenate(blocks)]
    return tuple(
        (name, tuple(map(int, block)), float(weight), float(unit)) for block in blocks
    )


def _found(X, columns, weights):
    """Return the groups that "auto" makes of columns."""
    found = column_kinds(X, columns, weights)
    blocks = [block for kind, block in found if kind == ONE_HOT]
    groups = [("cross_entropy", blocks)] if blocks else []
    for kind, block in found:
        if kind != ONE_HOT:
            groups.append((_OF_KIND[kind], list(block[:, None])))
    return groups


def _check_entry(entry):
    """Return the name of a loss and columns, if they are one."""
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
            "of a group with 'cross_entropy' are no blocks of one-hot columns: in each "
            "block, of columns that follow one another, every row needs a single 1. "
            "Make them by OneHotEncoder without drop, name the columns of each block "
            "as a group, or use 'log_loss', where columns need not exclude one another."
        )
    return blocks


def _are_shares(X, columns):
    """Whether columns together sum to one in every row, or to zero."""
    for rows in row_slices(*X.shape):
        values = dense_rows(X, rows)[:, columns]
        sums = values.sum(axis=1, dtype=np.float64)
        if values.min() < 0 or not ((abs(sums - 1) < 1e-3) | (sums == 0)).all():
            return False
    return True


def _unit(X, weights, variables):
    """Return the mean standard deviation of counts, or 1 if they are all alike."""
    columns = np.concatenate(variables)
    scaler = StandardScaler()
    for rows in row_slices(*X.shape):
        values = dense_rows(X, rows)[:, columns].astype(np.float64)
        part = None if weights is None else weights[rows]
        scaler.partial_fit(values, sample_weight=part)
    return np.sqrt(scaler.var_.mean()) or 1.0


def _constant_cost(name, X, weights, columns):
    """Return the mean loss of rows that the best constant has, of one variable."""
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
