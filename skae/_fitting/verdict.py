"""Verdict: whether losses of rows are lower than others beyond doubt."""

from scipy.stats import wilcoxon

__all__ = ["BY_CHANCE", "is_lower"]

# How probable a gain on the rows may be if there is none.
BY_CHANCE = 0.01


def is_lower(losses, others, by_chance=BY_CHANCE, by_part=0.0):
    """Whether the losses of rows are lower than others, the same rows', beyond doubt.

    Their mean must be, by some part and by more than the noise of so few rows, and so
    must most of them, by the signed-rank test (Wilcoxon 1945): one row far out can move
    the mean alone.

    Parameters
    ----------
    losses, others : ndarray of shape (n_samples,)
    by_chance : float
        How probable so many lower losses may be where there is no difference.
    by_part : float
        Part by which the mean must be lower.
    """
    n_samples, gain = len(losses), others - losses
    if not losses.mean() < others.mean() * (1 - max(by_part, n_samples**-0.5)):
        return False
    # If there are fewer than seven rows, all have to be lower.
    by_chance = max(by_chance, 0.5**n_samples)
    # Rows without a difference count half for either side.
    test = wilcoxon(gain, zero_method="zsplit", alternative="greater")
    return bool(test.pvalue <= by_chance)
