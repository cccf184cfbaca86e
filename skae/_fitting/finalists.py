"""Finalists: what may be returned, best first, each measured as it will answer."""

from dataclasses import replace
from functools import cached_property

import numpy as np

from .._inference.code_transform import Frame
from .._linear.pca import pca_errors
from .._parts.penalties import keeps_axes
from .._runtime.clock import TimeLimit
from .._training.loop import evaluate
from .._training.outliers import fade_again, fade_where_astray, give_way
from .canonical import canonicalise, canonicalise_signs, centre, radius_of
from .contest import Regime
from .deployment import deploy

__all__ = ["Finalist", "finalists", "with_radii"]

# Part by which rounding alone may raise an error, and errors that are nothing else.
_ROUNDING = 1e-6
_NOTHING = 1e-14


class Finalist:
    """A network that may be returned, with what it is measured on.

    Parameters
    ----------
    source : _Source
    training : Training
    network : AutoEncoder
        Its own, or its linear start.
    """

    def __init__(self, source, training, network):
        self.source = source
        self.training = training
        self.network = network.eval()
        self.is_linear = network.linear

    @cached_property
    def deployed(self):
        """The network as it will answer, its codes in canonical form."""
        link = "identity" if self.is_linear else self.training.link
        return deploy(self.training, self.network, link, self._frame())

    @property
    def keeps_promise(self):
        """Whether it is not worse than PCA where it can be measured."""
        if self.is_linear or not self.source.gives_way:
            return True
        objective = self.training.objective
        both = self.deployed, self._deployed_start()
        for batches in self._measured:
            losses, others = (
                deployed.row_losses(objective, batches).mean() for deployed in both
            )
            if not losses <= others * (1 + _ROUNDING) + _NOTHING:
                return False
        return True

    def _deployed_start(self):
        """Return the linear start as it would answer, its codes as they are."""
        network = self.training.linear_network()
        frame = Frame.of(network.n_components)
        return deploy(self.training, network, "identity", frame)

    @property
    def _measured(self):
        """Rows that were learnt from, and those that were validated on."""
        validation = self.source.validation(self.training)
        return [self.source.some(self.training), *filter(None, [validation])]

    def _frame(self):
        """Bring the codes of rows into canonical form, and return their frame."""
        network, params, training = self.network, self.source.params, self.training
        if params["latent"].keeps_axes or keeps_axes(params["penalty"]):
            return Frame.of(network.n_components)
        seen = self._seen()
        if params["ordered"]:
            return canonicalise_signs(network, seen)
        radius = np.inf
        if self.is_linear:  # on the training rows the codes are PCA's
            radius = network.decoder.radius.item() or np.inf
        elif network.anchored:
            radius = radius_of(network, self.source.some(training))
        return canonicalise(network, seen, radius)

    def _seen(self):
        """Rows of the table, also those that were held out, or some of them."""
        source, training = self.source, self.training
        some = source.coded(np.arange(source.table.n_rows))
        if some is not None:
            return [training.batches_of(source.table, some)]
        if len(training.rows) < source.table.n_rows:
            return [training.batches, source.validation(training)]
        return [training.batches]


def finalists(source, trial):
    """Yield what may be returned, the best first, and the linear start in the end."""
    n_rows, training = source.table.n_rows, trial.training
    everything = np.arange(n_rows)
    refits = training.starts_anchored or trial.is_chosen
    refits &= not source.progress.stopped_by
    if trial.kept or not (training.starts_linear or source.gives_way):
        if trial.kept and refits and source.refits(training.rows):
            again = _on_all_rows(source, trial, everything)
            if again is not None:
                yield Finalist(source, again, with_radii(source, trial, again))
        yield Finalist(source, training, with_radii(source, trial, training))
        if not source.gives_way:
            return
    # Holding some out costs nothing, unless there is no time.
    if len(training.rows) < n_rows and source.has_time_to_prepare:
        training = source.training(everything, Regime("identity", init="pca"))
    yield Finalist(source, training, training.linear_network())


def _on_all_rows(source, trial, rows):
    """Make the passes that were good again on all rows; None if that fails.

    Those that were held out have told what to keep. In a large table they would hardly
    add anything.
    """
    training = trial.training
    plan = training.plan
    if source.limit.is_set:  # as many steps as the clock had allowed
        passes = training.solver.steps_of_schedule / training.batches.n_batches
        plan = replace(plan, max_iter=passes)
    again = source.training(rows, trial.regime, plan)
    again.solver.begin_within(TimeLimit(source.shares.to_train(source.limit)))
    start_loss = evaluate(again.objective, again.batches)
    trial.repeat(again)
    if source.progress.stopped_by:
        return None
    # Rows that were held out are now learnt from: they can only have come nearer.
    validated = evaluate(again.objective, source.validation(again))
    improved = evaluate(again.objective, again.batches) <= start_loss
    return again if improved and validated <= trial.monitor.best_loss else None


def with_radii(source, trial, training, network=None):
    """Return its network, or a copy that is given, made ready to leave the training.

    Far from the rows it is as good as PCA, or gives way to it.
    """
    network = (training.network if network is None else network).eval()
    learnt = source.some(training)
    watched = learnt if source.held_out is None else source.validation(training)
    gives_way = source.must_extrapolate(trial.regime)
    if not (training.starts_linear or gives_way or network.init == "faded"):
        return network
    # PCA of the rows that the watched ones were held out from.
    batches = trial.validation or trial.some
    errors = pca_errors(trial.training.pca, ((x, x) for x, _ in batches.in_order()))
    far = watched, learnt, errors.mean(), training.reach
    if gives_way:
        centre(network, [learnt])
        give_way(network, training.linear_network(), *far)
    elif network.init == "faded":  # in the fit before
        fade_again(network, *far)
    else:
        fade_where_astray(network, *far)
    return network
