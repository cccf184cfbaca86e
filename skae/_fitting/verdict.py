"""Verdict: whether losses of rows are significantly lower than other losses."""

import numpy as np
from scipy.stats import wilcoxon

from .._typing import Bools, Floats, Ints

__all__ = ["SIGNIFICANCE", "is_lower"]

# Significance level of the test for a gain. Measured in docs/choices.md, "Answering
# with PCA".
SIGNIFICANCE = 0.01


def is_lower(
    losses: Floats,
    others: Floats,
    significance: float = SIGNIFICANCE,
    min_gain: float = 0.0,
    weights: Floats | None = None,
    rows: Ints | Bools | slice = slice(None),
    of_many_variables: bool = False,
) -> bool:
    """Whether losses of rows are significantly lower than other losses of these rows.

    The mean must be lower, by a given share and by more than the noise of so few rows.
    Most losses must be lower too, by the signed-rank test (Wilcoxon 1945), because a
    single far row can move the mean.

    Parameters
    ----------
    losses, others : ndarray of shape (n_samples,)
    significance : float
        Significance level of the signed-rank test.
    min_gain : float
        Share by which the mean must be lower.
    weights : ndarray of shape (n_samples,) or None
        Weights of the rows in the mean. They reduce the effective number of rows.
    rows : slice or ndarray of int or bool
        Rows that count as evidence.
    of_many_variables : bool
        Whether losses are means over many variables in their own units. Their noise is
        smaller than that of squared errors, and is estimated from the losses.
    """
    losses, others = losses[rows], others[rows]
    n_samples, gain = len(losses), others - losses
    n_effective = n_samples
    if weights is not None:
        weights = weights[rows]
        n_effective = weights.sum() ** 2 / np.square(weights).sum()
    mean, other_mean = (np.average(v, weights=weights) for v in (losses, others))
    noise = n_effective**-0.5
    if of_many_variables:
        noise *= gain.std() / other_mean
    if not mean < other_mean * (1 - max(min_gain, noise)):
        return False
    # With fewer than seven rows (at the default level), all losses have to be lower.
    significance = max(significance, 0.5**n_samples)
    # Rows without a difference count half for each side.
    test = wilcoxon(gain, zero_method="zsplit", alternative="greater")
    return bool(test.pvalue <= significance)
