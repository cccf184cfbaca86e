"""Contest: chooses among several regimes by the loss on held-out rows.

A regime says how a network is initialised and which output it has. If the user has not
chosen a regime, the promising ones compete: each is trained with the same rows in the
same order. After a share of the epochs only the best goes on (successive halving). If
it overfits, its weights decay. Measured in docs/choices.md, "Several starts compete".
"""

import math

from .._data.column_kinds import in_unit_interval, looks_like_pictures
from .._inference.fitted_state import FittedState
from .._parts.column_links import PlainLink
from .._parts.losses import LOSSES
from .._parts.networks import Dense
from .._parts.parameters import Parameters
from .._typing import Ints, Rows
from .config import Regime
from .source import Source
from .trial import Trial
from .weight_decay import decay_if_overfitted, try_decay

__all__ = ["Regime", "contest", "make_trials", "regimes"]

# Trials are compared after these shares of the epochs. The first trial always goes on.
# Another goes on if its loss is at most this multiple of the best loss. If others
# remain after the last round, the best of them has to beat the first by the margin
# below, unless the first has not improved on PCA. Measured in docs/choices.md, "Several
# starts compete".
_ROUNDS = ((0.05, 1.3), (0.1, 1.0), (0.2, 1.0))
# The multiple of the best loss if the first trial has learnt nothing yet.
_PLATEAU_RATIO = 2.0
# With fewer epochs there is no contest, because their losses say too little.
_LEAST_EPOCHS = 5
# Share by which the loss of another trial must be lower than that of the first. Of
# several trials, one may be better by chance, and the first has other advantages.
_MARGIN = 0.05
# The same share for a plain network if ``linearity`` is above 0. Its codes are not kept
# close to PCA's. Linear models on these codes would lose more than a small gain is
# worth. See docs/choices.md, "Plain networks: how clearly they have to win, and what
# they learn far out".
_MARGIN_OF_PLAIN = 0.25


def regimes(
    params: Parameters,
    link: PlainLink,
    X: Rows,
    previous: FittedState | None,
    validates: bool,
    has_target: bool,
) -> list[Regime]:
    """Return the competing regimes: one if the user chose it or none can be compared.

    Parameters
    ----------
    params : Parameters
        Parameters from `check_slots`, with a part in each slot.
    link : str or tuple
        The link of the loss.
    X : ndarray or CSR matrix
    previous : FittedState or None
        State of the fit to continue.
    validates : bool
        Whether there are validation rows.
    has_target : bool
        Whether there is a target.
    """
    first = Regime(link, params.init, params.linearity)
    linear = params.loss == "squared_error" and params.output_activation == "auto"
    codes_are_free = not params.ordered and not params.latent.has_kl
    logistic = Regime("logistic", params.init, params.linearity)
    if linear and codes_are_free and params.init == "auto":
        if previous is not None:
            return [logistic if previous.link == "logistic" else first]
        if validates and looks_like_pictures(X):
            return [logistic, first]
    is_open = (
        validates
        and previous is None
        and not has_target
        and codes_are_free
        and link == "identity"
        and params.loss in LOSSES
        and params.penalty is None
        and type(params.network) is Dense
        and not params.network.tied
        and params.max_time is None
        and params.init == "auto"
        and params.linearity in ("auto", 0)  # codes may be nonlinear
    )
    if not is_open:
        return [first]
    others = [Regime(link, "random", params.linearity)]
    if linear and in_unit_interval(X):
        others.append(logistic)
    return [first, *others]


def make_trials(source: Source, rows: Ints, link: PlainLink) -> list[Trial]:
    """Return the competing trials, before their first epoch."""
    params = source.params
    validates = params.early_stopping and source.held_out is not None
    has_target = source.target is not None
    options = regimes(
        params, link, source.dataset.X, source.previous, validates, has_target
    )
    entrants: list[Trial] = []
    for regime in options:
        entrants.append(source.trial(rows, regime, entrants))
    time_to_train = source.time_to_train(entrants[0].training)
    for trial in entrants:
        trial.training.optimizer.begin_within(time_to_train)
    return entrants


def contest(entrants: list[Trial]) -> Trial:
    """Let trials compete, and return the best one after its last epoch.

    Parameters
    ----------
    entrants : list of Trial
        Trials before their first epoch. Others have to beat the first by a margin.
    """
    best = _successive_halving(entrants, _pca_loss(entrants))
    best.progress.keep_only(best)
    try_decay(best)
    best.advance()
    decay_if_overfitted(best)
    return best.finish(len(entrants))


def _pca_loss(entrants: list[Trial]) -> float | None:
    """Return PCA's loss on held-out rows, if a trial starts as PCA, else None."""
    for trial in entrants:
        if trial.training.starts_linear and trial.held_out is not None:
            return trial.early_stopping.start_loss
    return None


def _successive_halving(entrants: list[Trial], pca_loss: float | None) -> Trial:
    """Return the winner of successive halving.

    A network that starts as PCA and can improve on PCA does so soon. If it does not,
    its training is stopped.
    """
    first, *_ = entrants
    n_epochs = first.training.config.max_iter
    if pca_loss is None or not _LEAST_EPOCHS <= n_epochs < math.inf:
        return first
    running = entrants
    for part, ratio in _ROUNDS:
        for trial in running:
            trial.advance(max(1, round(part * n_epochs)))
            if _learns_soon(trial) and trial.has_not_improved_on(pca_loss):
                if not trial.has_long_steps:
                    trial.stop()
        if first.has_not_improved_on(pca_loss):
            ratio = _PLATEAU_RATIO  # a plateau: other trials need time to pass it
        least = min(trial.early_stopping.best_loss for trial in running)
        running = [
            t
            for t in running
            if t is first or t.early_stopping.best_loss <= ratio * least
        ]
        if len(running) == 1:
            return first
    best = min(running, key=lambda trial: trial.early_stopping.best_loss)
    if best.has_not_improved_on(pca_loss) and _steps_are_auto(best.params):
        if not best.has_long_steps:
            best.stop()
        return first
    is_plain = best.regime.init == "random"
    serves_linear = is_plain and first.training.config.linearity > 0
    margin = _MARGIN_OF_PLAIN if serves_linear else _MARGIN
    ahead = (
        best.early_stopping.best_loss < (1 - margin) * first.early_stopping.best_loss
    )
    return best if ahead or first.has_not_improved_on(pca_loss) else first


def _learns_soon(trial: Trial) -> bool:
    """Whether improvements have to show soon: where a network starts as PCA."""
    return trial.training.starts_linear and _steps_are_auto(trial.params)


def _steps_are_auto(params: Parameters) -> bool:
    """Whether a dense network is trained with default steps.

    Other networks may take longer. If the user has set the number of epochs, training
    is not stopped earlier.
    """
    steps = "solver", "learning_rate", "learning_rate_init"
    epochs = "n_iter_no_change", "max_iter"
    return type(params.network) is Dense and params.are_auto(*steps, *epochs)
