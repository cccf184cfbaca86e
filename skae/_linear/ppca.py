"""Probabilistic PCA of rows with gaps: missing entries predicted from observed ones.

The model is a normal distribution of rows. Its covariance has a few directions with a
variance each, and one variance in all other directions (Tipping and Bishop 1999). Given
a row's observed entries, the mean and the covariance of its missing entries have a
closed form. The EM algorithm fits mean and covariance of the model to rows with gaps.
In each step it fills gaps by the conditional means. The new covariance is that of the
filled rows plus the conditional covariances of the filled entries.

If there are few features, all directions but one have separate variances. So any
covariance is possible, and a filled entry is its best linear prediction.
"""

from dataclasses import dataclass

import numpy as np

from .._data.scaling import refuse_overflow, row_slices
from .._typing import Bools, Floats, Ints

__all__ = ["PPCA"]

# Up to this number of features, the covariance is not restricted. For more features,
# the second number is its number of directions.
_NARROW = 256
_DIRECTIONS = 64
# Largest number of rows that the model is fitted to. The first number is for more than
# ``_NARROW`` features. For fewer, the limit is the larger of the second number and of
# the third times the number of features.
_MOST_WIDE_ROWS = 1_000
_MOST_ROWS = 2_000
_ROWS_PER_FEATURE = 10
# The covariance is estimated as if there were this number of additional rows with
# independent features. This prevents overfitting of small data.
_PRIOR_ROWS = 5.0
# EM ends when filled values change by less than this share of their norm, or after this
# number of steps.
_TOLERANCE = 1e-3
_MOST_STEPS = 50
_MOST_WIDE_STEPS = 15
# Smallest variance in a direction, as a share of the mean variance, so that products
# stay finite.
_LEAST_NOISE = 1e-9
# Number of values in small matrices that are inverted at once.
_CHUNK_VALUES = 2**20
# Relative residual at which conjugate gradients for wide rows stop.
_PRECISION = 1e-9
# Additional directions, and number of iterations, in the subspace iteration for wide
# rows.
_EXTRA_DIRECTIONS = 8
_TURNS = 2


@dataclass(frozen=True)
class PPCA:
    """A normal distribution of rows, with the covariance of PCA.

    Directions and noise are in units in which each feature has the variance 1.

    Attributes
    ----------
    mean, unit : ndarray of shape (n_features,)
        Mean and standard deviation of the features. For constant features the unit is
        1.
    low, high : ndarray of shape (n_features,)
        Range of the observed values. Filled values are clipped to it.
    directions : ndarray of shape (n_features, n_directions)
        Orthonormal directions; zero for constant features.
    shrinkage : ndarray of shape (n_directions,)
        Share of the variance along each direction that is signal, in (0, 1).
    noise : float
        Variance in all other directions.
    """

    mean: Floats
    unit: Floats
    low: Floats
    high: Floats
    directions: Floats
    shrinkage: Floats
    noise: float

    @classmethod
    def fit(
        cls,
        X: Floats,
        missing: Bools,
        weights: Floats | None = None,
        n_directions: int | None = None,
        tol: float = _TOLERANCE,
        seed: int = 0,
    ) -> "PPCA":
        """Fit to rows with gaps.

        Parameters
        ----------
        X : ndarray of shape (n_samples, n_features)
            Rows. The values of missing entries are ignored.
        missing : ndarray of bool of shape (n_samples, n_features)
            Which entries are missing. Each feature needs an observed entry.
        weights : ndarray of shape (n_samples,), optional
            Sample weights.
        n_directions : int, optional
            Number of directions. The default depends on the number of features.
        tol : float
            Relative change of the filled values at which EM ends.
        seed : int
            Seed of the random rows that the model is fitted to if there are very many.

        Returns
        -------
        ppca : PPCA
        """
        n_rows, n_features = X.shape
        weights = np.ones(n_rows) if weights is None else weights.astype(np.float64)
        moments, constant = _observed_moments(X, missing, weights)
        is_narrow = n_features <= _NARROW
        most, n_steps = _MOST_WIDE_ROWS, _MOST_WIDE_STEPS
        if is_narrow:
            most, n_steps = max(_MOST_ROWS, _ROWS_PER_FEATURE * n_features), _MOST_STEPS
        if n_rows > most:
            rows = np.random.default_rng(seed).choice(n_rows, most, replace=False)
            X, missing, weights = X[rows], missing[rows], weights[rows]
        if n_directions is None:
            n_directions = n_features if is_narrow else _DIRECTIONS
        # One direction is left for the noise.
        n_directions = max(0, min(n_directions, n_features - 1))
        kind = _Narrow if is_narrow else _Wide
        estimate = kind(n_directions, ~constant, seed)
        given = X, missing, weights, moments
        return _expectation_maximisation(*given, estimate, tol, n_steps)

    def fill(self, X: Floats, missing: Bools) -> Floats:
        """Return a copy of rows with their gaps filled.

        Parameters
        ----------
        X : ndarray of shape (n_samples, n_features)
        missing : ndarray of bool of shape (n_samples, n_features)

        Returns
        -------
        filled : ndarray of shape (n_samples, n_features), of the dtype of ``X``
        """
        gaps = np.flatnonzero(missing.any(axis=1))
        filled = X.copy()
        for part in row_slices(len(gaps), X.shape[1]):
            rows = gaps[part]
            where = missing[rows]
            x = np.where(where, 0.0, (X[rows] - self.mean) / self.unit)
            self._predict(x, where)
            values = np.clip(self.mean + self.unit * x, self.low, self.high)
            filled[rows] = np.where(where, values, X[rows])
        return filled

    def differentiate_fill(
        self, slopes: Floats, missing: Bools, filled: Floats
    ) -> Floats:
        """Return derivatives by the observed entries, through what they fill.

        Parameters
        ----------
        slopes : ndarray of shape (n_samples, n_values, n_features)
            Derivatives of some values by all entries of the filled rows.
        missing : ndarray of bool of shape (n_samples, n_features)
        filled : ndarray of shape (n_samples, n_features)
            The rows that `fill` returned.

        Returns
        -------
        slopes : ndarray of shape (n_samples, n_values, n_features)
            Zero for missing entries.
        """
        # Fillings at a bound stay there.
        moves = missing & (self.low < filled) & (filled < self.high)
        slopes = slopes * self.unit
        shrunk = self.directions * self.shrinkage
        for rows, pattern, where, through, precision in self._systems(missing):
            places = where[pattern]
            of_missing = slopes[rows] * moves[rows, None, :]
            of_missing = np.take_along_axis(of_missing, places[:, None, :], axis=2)
            if through is None:
                of_scores = _solve_right(of_missing, precision[pattern])
                of_scores = of_scores @ shrunk[places]
            else:
                of_scores = of_missing @ through[pattern]
                of_scores = _solve_right(of_scores, precision[pattern])
            slopes[rows] += of_scores @ self.directions.T
        return np.where(missing[:, None, :], 0.0, slopes) / self.unit

    def of(self, features: Ints, mean: Floats, unit: Floats) -> "PPCA":
        """Return the model of some features, for rows scaled as (X - mean) / unit.

        The other features must be constant, so that they have no information.
        """
        return PPCA(
            (self.mean[features] - mean) / unit,
            self.unit[features] / unit,
            (self.low[features] - mean) / unit,
            (self.high[features] - mean) / unit,
            self.directions[features],
            self.shrinkage,
            self.noise,
        )

    def draw_errors(self, missing: Bools, rng: np.random.Generator) -> Floats:
        """Draw errors of filled values, which are zero where nothing is missing.

        They are drawn from the normal distribution of a row's missing entries, given
        the others.

        Parameters
        ----------
        missing : ndarray of bool of shape (n_samples, n_features)
        rng : numpy.random.Generator

        Returns
        -------
        errors : ndarray of shape (n_samples, n_features)
        """
        errors = np.zeros(missing.shape)
        gaps = np.flatnonzero(missing.any(axis=1))
        for part in row_slices(len(gaps), missing.shape[1]):
            rows = gaps[part]
            errors[rows] = self.unit * self._draw(missing[rows], rng)
        return errors

    def _draw(self, missing, rng):
        errors = np.zeros(missing.shape)
        for rows, pattern, where, through, precision in self._systems(missing):
            factor = np.linalg.cholesky(precision).transpose(0, 2, 1)[pattern]
            normal = rng.normal(size=(len(rows), factor.shape[1], 1))
            drawn = np.linalg.solve(factor, normal)
            if through is not None:
                drawn = through[pattern] @ drawn
                drawn += rng.normal(size=drawn.shape)
            errors[rows[:, None], where[pattern]] = drawn[:, :, 0]
        return np.sqrt(self.noise) * errors

    def _predict(self, x, missing, weights=None, spread=None):
        """Fill the gaps, which are zero, of centred and scaled rows in place.

        Parameters
        ----------
        x : ndarray of shape (n_samples, n_features)
        missing : ndarray of bool of shape (n_samples, n_features)
        weights : ndarray of shape (n_samples,), optional
        spread : ndarray of shape (n_features, n_features) or (n_features,), optional
            If given, the covariances of the missing entries, or their variances, are
            added to this array.
        """
        if len(self.directions) > _NARROW:
            self._predict_wide(x, missing, weights, spread)
            return
        scores = x @ self.directions  # of the observed entries
        guesses = scores @ (self.directions * self.shrinkage).T
        for rows, pattern, where, through, precision in self._systems(missing):
            places = rows[:, None], where[pattern]
            known = guesses[places] if through is None else scores[rows]
            if spread is None and len(where) == len(rows):
                values = np.linalg.solve(precision, known[:, :, None])
            else:
                covariance = np.linalg.inv(precision)
                values = covariance[pattern] @ known[:, :, None]
            if through is not None:
                values = through[pattern] @ values
            x[places] = values[:, :, 0]
            if spread is not None:
                counts = self.noise * np.bincount(pattern, weights[rows], len(where))
                _add(spread, where, counts, covariance, through)

    def _predict_wide(self, x, missing, weights, spread):
        """Do the same as `_predict` for rows with many features, all at once.

        Conjugate gradients find the scores of all rows together. One step costs as much
        as a product of the rows with the directions. The variances are approximate:
        they are those of one row in which each entry is missing in proportion to the
        share of rows that lack it.
        """
        directions = self.directions

        def times_precision(scores):
            of_missing = np.where(missing, scores @ directions.T, 0.0)
            return scores / self.shrinkage - of_missing @ directions

        scores = _conjugate_gradients(times_precision, x @ directions)
        np.copyto(x, scores @ directions.T, where=missing)
        if spread is not None:
            counts = weights @ missing
            inside = (directions.T * (counts / weights.sum())) @ directions
            inverse = np.linalg.inv(np.diag(1 / self.shrinkage) - inside)
            variances = 1 + np.einsum("dk,dk->d", directions @ inverse, directions)
            spread += self.noise * counts * variances

    def _systems(self, missing):
        """Yield rows with gaps, their patterns, and the matrix of each pattern.

        For each pattern of gaps, the covariance of missing entries given the others, in
        units of the noise, is the inverse of a matrix. If more entries are missing than
        there are directions, the matrix of the scores is smaller and is used instead.

        Yields
        ------
        rows, pattern, where
            See `_patterns`.
        through : ndarray of shape (n_patterns, n_missing, n_directions) or None
            Maps from scores to missing entries, which have additional noise. None if
            the matrix is that of the entries.
        precision : ndarray of shape (n_patterns, size, size)
        """
        n_directions, shrunk = len(self.shrinkage), self.directions * self.shrinkage
        noise = None
        if len(shrunk) <= _NARROW:
            noise = np.eye(len(shrunk)) - shrunk @ self.directions.T
        for rows, pattern, where in _patterns(missing, n_directions):
            if where.shape[1] > n_directions:
                through = self.directions[where]
                inside = through.transpose(0, 2, 1) @ through
                precision = np.diag(1 / self.shrinkage) - inside
                yield rows, pattern, where, through, precision
            elif noise is not None:
                precision = noise[where[:, :, None], where[:, None, :]]
                yield rows, pattern, where, None, precision
            else:
                inside = shrunk[where] @ self.directions[where].transpose(0, 2, 1)
                precision = np.eye(where.shape[1]) - inside
                yield rows, pattern, where, None, precision


def _solve_right(rows, matrices):
    """Return rows (n, n_rows, size) times the inverses of symmetric matrices."""
    return np.linalg.solve(matrices, rows.transpose(0, 2, 1)).transpose(0, 2, 1)


def _observed_moments(X, missing, weights):
    """Return mean, unit and bounds of features, and a mask of the constant ones.

    Features without observed entries are zero.
    """
    n_features = X.shape[1]
    low, high = np.full(n_features, np.inf), np.full(n_features, -np.inf)
    total, sums, squares = (np.zeros(n_features) for _ in range(3))
    parts = row_slices(len(X), n_features)
    for part in parts:
        known = ~missing[part] & (weights[part] > 0)[:, None]
        low = np.minimum(low, X[part].min(axis=0, where=known, initial=np.inf))
        high = np.maximum(high, X[part].max(axis=0, where=known, initial=-np.inf))
        total += weights[part] @ known
        sums += weights[part] @ np.where(known, X[part], 0.0)
    mean = sums / np.where(total > 0, total, 1.0)
    with np.errstate(over="ignore", invalid="ignore"):  # checked below
        for part in parts:
            distance = np.where(missing[part], 0.0, X[part] - mean)
            squares += weights[part] @ np.square(distance)
    refuse_overflow(squares, low, high)
    unit = np.sqrt(squares / np.where(total > 0, total, 1.0))
    constant = (low >= high) | (unit == 0)
    mean = np.where(low == high, low, mean)
    low, high = (np.where(total > 0, bound, 0.0) for bound in (low, high))
    return (mean, np.where(constant, 1.0, unit), low, high), constant


def _patterns(missing, n_directions):
    """Yield rows with gaps, grouped by their number of gaps.

    Yields
    ------
    rows : ndarray of int of shape (n_rows,)
    pattern : ndarray of int of shape (n_rows,)
        Number of the pattern of gaps that each row has.
    where : ndarray of int of shape (n_patterns, n_missing)
        Indices of the features that are missing in each pattern.
    """
    packed = np.ascontiguousarray(np.packbits(missing, axis=1))
    packed = packed.view(f"V{packed.shape[1]}")[:, 0]
    _, first, number = np.unique(packed, return_index=True, return_inverse=True)
    n_missing = missing[first].sum(axis=1)
    order = np.lexsort((number, n_missing[number]))
    sizes = n_missing[number[order]]
    for size in np.unique(sizes[sizes > 0]):
        step = max(1, _CHUNK_VALUES // (size * max(size, n_directions)))
        start, end = np.searchsorted(sizes, [size, size + 1])
        for i in range(start, end, step):
            rows = order[i : min(i + step, end)]
            patterns, pattern = np.unique(number[rows], return_inverse=True)
            gaps = missing[first[patterns]]
            yield rows, pattern, np.nonzero(gaps)[1].reshape(len(patterns), size)


def _conjugate_gradients(times_matrix, sides):
    """Solve a linear system for each row, each with another symmetric matrix.

    Parameters
    ----------
    times_matrix : callable
        Multiplies each row of an array (n_rows, size) by its matrix.
    sides : ndarray of shape (n_rows, size)
    """
    solution = np.zeros_like(sides)
    residual, step = sides.copy(), sides.copy()
    squares = np.einsum("ij,ij->i", residual, residual)
    enough = _PRECISION**2 * squares
    for _ in range(sides.shape[1]):
        active = squares > enough
        if not active.any():
            break
        product = times_matrix(step)
        length = np.einsum("ij,ij->i", step, product)
        size = np.where(active, squares / np.where(active, length, 1.0), 0.0)[:, None]
        solution += size * step
        residual -= size * product
        before, squares = squares, np.einsum("ij,ij->i", residual, residual)
        ratio = squares / np.where(before > 0, before, 1.0)
        step = residual + ratio[:, None] * step
    return solution


def _add(spread, where, counts, inverse, through):
    """Add the covariances of missing features in place, times the patterns' counts.

    Covariances are ``inverse``, (n_patterns, n_missing, n_missing). If ``through`` is
    given, they are the identity plus ``through @ inverse @ through.T``.
    """
    n_features = len(spread)
    if through is not None:
        inverse = through @ inverse @ through.transpose(0, 2, 1)
        inverse += np.eye(where.shape[1])
    covariances = counts[:, None, None] * inverse
    places = where[:, :, None] * n_features + where[:, None, :]
    sums = np.bincount(places.ravel(), covariances.ravel(), spread.size)
    spread += sums.reshape(spread.shape)


def _expectation_maximisation(
    X: Floats,
    missing: Bools,
    weights: Floats,
    moments: tuple[Floats, Floats, Floats, Floats],
    estimate: "_Narrow | _Wide",
    tol: float,
    n_steps: int,
) -> PPCA:
    """Fit `PPCA` by EM, from the moments of the observed entries."""
    start, unit, low, high = moments
    observed = np.where(missing, 0.0, (X - start) / unit)
    x, centre, spread = observed, np.zeros_like(start), None
    roots, before = np.sqrt(weights)[:, None], None
    for _ in range(n_steps):
        covariance = estimate(x, weights, spread)
        ppca = PPCA(start + unit * centre, unit, low, high, *covariance)
        if not missing.any():
            break
        x = np.where(missing, 0.0, observed - centre)
        spread = np.zeros_like(estimate.spread)
        ppca._predict(x, missing, weights, spread)
        filled = (roots * x)[missing]
        if before is not None:
            change = np.linalg.norm(filled - before)
            if change <= tol * np.linalg.norm(filled):
                break
        before = filled
        shift = weights @ x / weights.sum()
        centre = centre + shift
        x -= shift
    return ppca


class _Narrow:
    """The exact covariance of few features."""

    def __init__(self, n_directions, varies, seed):
        self.n_directions = n_directions
        self.varies = varies
        self.spread = np.zeros((len(varies), len(varies)))

    def __call__(self, x, weights, spread):
        """Return directions, shrinkage and noise of centred and filled rows."""
        covariance = (x.T * weights) @ x
        if spread is not None:
            covariance += spread * np.outer(self.varies, self.varies)
        covariance[np.diag_indices_from(covariance)] += _PRIOR_ROWS * self.varies
        covariance /= weights.sum() + _PRIOR_ROWS
        variance, axes = np.linalg.eigh(covariance)
        variance, axes = variance[::-1], axes[:, ::-1]
        return _split(variance, axes, variance.sum(), self.n_directions, self.varies)


class _Wide:
    """The covariance of many features, reduced to its largest directions.

    Subspace iteration finds the directions, starting from those of the last EM step.
    For filled entries only their variances are added, not their covariances.
    """

    def __init__(self, n_directions, varies, seed):
        self.n_directions = n_directions
        self.varies = varies
        self.spread = np.zeros(len(varies))
        width = min(n_directions + _EXTRA_DIRECTIONS, len(varies))
        axes = np.random.default_rng(seed).normal(size=(len(varies), width))
        self._axes = np.linalg.qr(axes * varies[:, None])[0]

    def __call__(self, x, weights, spread):
        """Return directions, shrinkage and noise of centred and filled rows."""
        extra = self.varies * (_PRIOR_ROWS + (0.0 if spread is None else spread))
        total = weights.sum() + _PRIOR_ROWS

        def times_covariance(axes):
            return ((x.T * weights) @ (x @ axes) + extra[:, None] * axes) / total

        for _ in range(_TURNS if spread is not None else 4 * _TURNS):
            self._axes = np.linalg.qr(times_covariance(self._axes))[0]
        inside = self._axes.T @ times_covariance(self._axes)
        variance, turn = np.linalg.eigh(inside)
        self._axes = self._axes @ turn[:, ::-1]
        whole = (weights @ np.square(x) + extra).sum() / total
        return _split(variance[::-1], self._axes, whole, self.n_directions, self.varies)


def _split(variance, axes, total, n_directions, varies):
    """Return directions, shrinkage and noise of a covariance with these axes."""
    n_varying = np.count_nonzero(varies)
    n_directions = min(n_directions, max(0, n_varying - 1))
    n_others = max(1, n_varying - n_directions)
    variance, axes = variance[:n_directions], axes[:, :n_directions]
    least = max(_LEAST_NOISE * total / max(1, n_varying), np.finfo(float).tiny)
    noise = float(max((total - variance.sum()) / n_others, least))
    kept = variance > noise * (1 + _LEAST_NOISE)
    directions = np.where(varies[:, None], axes[:, kept], 0.0)
    return directions, 1 - noise / variance[kept], noise
