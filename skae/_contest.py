"""Contest: which of several regimes suits the data, as the rows held out say.

A regime is what a training can be told besides the data: where it starts, how free its
codes are, how strongly its weights decay, and what its output is. Of those that nobody
has chosen the promising ones begin, each with the same rows in the same order. After a
part of the passes the best goes on alone (successive halving). If it begins to overfit
long before its end, it has to stand against itself with decaying weights.
"""

from dataclasses import dataclass, replace

from ._losses import LOSSES, in_unit_interval, looks_like_pictures
from ._networks import Dense
from ._trial import Trial

__all__ = ["Regime", "contest", "decay", "regimes"]

# Part of the passes after which the best goes on alone; of fewer passes than these it
# cannot be told.
_CUT = 0.2
_LEAST_PASSES = 5
# Part by which another must be better than the first: of several, one is by chance, and
# the first has the most to offer besides.
_MARGIN = 0.05
# The best pass came before this part of them all: the others learnt by heart.
_EARLY = 0.75
# The weight decay that then is tried, and with what part of the passes.
_DECAY = 1.0
_PART_OF_PASSES = 0.5


@dataclass(frozen=True)
class Regime:
    """What parameters that are left to chance stand for.

    Attributes
    ----------
    link : str
        Key of ``LINKS``.
    init : str
        "pca", "random", or "auto" for what belongs to the link.
    linearity : str or float
    alpha : float
    passes : float
        Part of the passes that the plan has.
    """

    link: str
    init: str = "auto"
    linearity: str | float = "auto"
    alpha: float = 0.0
    passes: float = 1.0


def regimes(params, link, X, previous, validates, has_target):
    """Return the regimes to try: one where all is said, or nothing can be told.

    Parameters
    ----------
    params : dict
        Parameters of `AutoEncoderTransformer`, with parts for their slots.
    link : str
        What belongs to the loss.
    X : ndarray or CSR matrix
    previous : dict or None
        The attributes of the fit to go on from.
    validates : bool
        Whether there are rows to validate on.
    has_target : bool
    """
    alpha = 0.0 if params["alpha"] == "auto" else params["alpha"]
    first = Regime(link, params["init"], params["linearity"], alpha)
    linear = params["loss"] == "squared_error" and params["output_activation"] == "auto"
    codes_are_free = not params["ordered"] and not params["latent"].has_cost
    logistic = Regime("logistic", params["init"], params["linearity"], alpha)
    if linear and codes_are_free and params["init"] == "auto":
        if previous:
            return [logistic if previous["_link"] == "logistic" else first]
        if validates and looks_like_pictures(X):
            return [logistic, first]
    is_open = (
        validates
        and not previous
        and not has_target
        and codes_are_free
        and link == "identity"
        and params["loss"] in LOSSES
        and params["penalty"] is None
        and type(params["network"]) is Dense
        and not params["network"].tied
        and params["max_time"] is None
        and params["init"] == "auto"
    )
    if not is_open:
        return [first]
    others = [Regime(link, "random", params["linearity"], alpha)]
    if linear and in_unit_interval(X):
        others.append(logistic)
    return [first, *others]


def contest(entrants, decaying):
    """Let trials compete, and return the best at its end.

    Parameters
    ----------
    entrants : list of Trial
        At their start; the first is to be beaten by a margin.
    decaying : function of a Trial
        Returns another of the same regime with decaying weights, or None.
    """
    best = _ahead(entrants).run(len(entrants))
    if best.monitor.best_iter < _EARLY * best.training.plan.max_iter:
        other = decaying(best)
        if other is not None:
            return min(best, other.run(len(entrants) + 1), key=Trial.rank)
    return best


def decay(regime):
    """Return the regime with decaying weights."""
    return replace(regime, alpha=_DECAY, passes=_PART_OF_PASSES)


def _ahead(entrants):
    """Return the trial that is ahead after its part of the passes."""
    first, *others = entrants
    n_passes = first.training.plan.max_iter
    if not others or n_passes < _LEAST_PASSES:
        return first
    for trial in entrants:
        trial.advance(max(1, round(_CUT * n_passes)))
    best = min(others, key=lambda trial: trial.monitor.best_loss)
    ahead = best.monitor.best_loss < (1 - _MARGIN) * first.monitor.best_loss
    return best if ahead else first
