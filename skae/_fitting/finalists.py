"""Finalists: candidates for the result, best first, measured as they will be used."""

import copy
from collections.abc import Callable, Iterator
from dataclasses import replace

import numpy as np

from .._data.batches import Batches
from .._inference.code_transform import CodeTransform
from .._linear.pca import pca_errors
from .._nn.autoencoder import AutoEncoder
from .._parts.penalties import keeps_axes
from .._parts.slots import user_parts
from .._runtime.caching import cached_property
from .._runtime.clock import TimeLimit
from .._training.loop import evaluate
from .._training.trust_radius import (
    blend_into_pca,
    choose_trust_radius,
    shrink_trust_radius,
)
from .._typing import Ints
from .canonical import canonicalise, canonicalise_signs, centre, radius_of
from .config import Regime
from .deployment import Deployed, deploy
from .session import TrainingSession
from .source import Source
from .trial import Trial

__all__ = ["Finalist", "finalists", "with_trust_radii"]

# Relative increase of an error that rounding alone may cause, and size of errors that
# are only rounding.
_ROUNDING = 1e-6
_NOTHING = 1e-14
# Smallest number of rows for fine-tuning, and largest number for training again from
# the start, which is done where fine-tuning is not. Measured in docs/choices.md,
# "Answering with PCA".
_LEAST_TUNED = 200
_MOST_REPEATED = 2_000
# If the step size of the best epoch was more than this share of the largest one, the
# best weights have not settled.
_LONG_STEP = 0.25
# Held-out rows may be longer than the longest training row by this factor.
_AS_FAR = 1.1
# A second training may take this multiple of the time of the first, because it has more
# rows.
_LONGER = 1.3


class Finalist:
    """A candidate for the result: a network, and the rows that it is measured on.

    Parameters
    ----------
    source : Source
    training : TrainingSession
    network : AutoEncoder
        The training's own network, or its linear start.
    """

    def __init__(
        self, source: Source, training: TrainingSession, network: AutoEncoder
    ) -> None:
        self.source = source
        self.training = training
        self.network = network.eval()
        self.is_linear = network.linear

    @cached_property
    def deployed(self) -> Deployed:
        """The network in the form of `transform`, with codes in canonical form."""
        training = self.training
        link = training.linear_link if self.is_linear else training.link
        return deploy(self.training, self.network, link, self._code_transform())

    @property
    def is_acceptable(self) -> bool:
        """Whether it may be the result: not worse than PCA, if PCA is the fallback."""
        if self.is_linear or not self.source.falls_back_to_pca:
            return True
        objective = self.training.objective
        both = self.deployed, self._deployed_start()
        for batches in self._measured:
            losses, others = (
                batches.mean(deployed.row_losses(objective, batches))
                for deployed in both
            )
            if not losses <= others * (1 + _ROUNDING) + _NOTHING:
                return False
        return True

    def _deployed_start(self) -> Deployed:
        """Return the linear start in the form of `transform`, with unchanged codes."""
        network = self.training.linear_network()
        code_transform = CodeTransform.of(network.n_components)
        return deploy(self.training, network, self.training.linear_link, code_transform)

    @property
    def _measured(self) -> list[Batches]:
        """Training rows, and validation rows if there are any."""
        validation = self.source.validation(self.training)
        return [self.source.training_sample(self.training), *filter(None, [validation])]

    def _code_transform(self) -> CodeTransform:
        """Bring the codes into canonical form, and return the code transform."""
        network, params, training = self.network, self.source.params, self.training
        if params.latent.keeps_axes or keeps_axes(params.penalty):
            return CodeTransform.of(network.n_components)
        rows = self._rows_for_codes()
        if params.ordered:
            return canonicalise_signs(network, rows)
        radius = np.inf
        if self.is_linear:  # codes of training rows are PCA's
            radius = network.anchors[1].trust_radius.item() or np.inf
        elif network.anchored:
            radius = radius_of(network, self.source.training_sample(training))
        return canonicalise(network, rows, radius)

    def _rows_for_codes(self) -> list[Batches]:
        """Return the rows of the table, including held-out rows, or a sample."""
        source, training = self.source, self.training
        some = source.rows_to_encode(source.dataset.rows)
        if some is not None:
            return [training.batches_of(source.dataset, some)]
        if len(training.rows) < source.dataset.n_samples:
            return [training.batches, *filter(None, [source.validation(training)])]
        return [training.batches]


def finalists(source: Source, trial: Trial) -> Iterator[Finalist]:
    """Yield the candidates for the result: the best first, the linear start last."""
    n_samples, training = source.dataset.n_samples, trial.training
    everything = source.dataset.rows
    refits = training.starts_anchored or trial.must_beat_pca
    refits &= not source.progress.stopped_by
    if trial.kept or not (training.starts_linear or source.falls_back_to_pca):
        if trial.kept and refits and source.refits(training.rows):
            for again in _on_all_rows(source, trial, everything):
                yield Finalist(source, again, with_trust_radii(source, trial, again))
                break
        yield Finalist(source, training, with_trust_radii(source, trial, training))
        if not source.falls_back_to_pca:
            return
    # PCA is fitted to all rows again, including the held-out ones, if there is time.
    if len(training.rows) < n_samples and source.has_time_to_prepare:
        training = source.training(everything, Regime("identity", init="pca"))
    yield Finalist(source, training, training.linear_network())


def _on_all_rows(source: Source, trial: Trial, rows: Ints) -> Iterator[TrainingSession]:
    """Yield trainings that have learnt from all rows, and are better for it.

    The held-out rows have told what to keep. Now the network is fine-tuned on all rows.
    If there are very few rows, training again from the start is better, and takes
    little time; but not if the best weights have not settled. Small tables are also
    trained again if held-out rows are farther out than the others, because the network
    would need other outliers and another radius, or if the network has parts of a user,
    whose state is not known.
    """
    n_samples = source.dataset.n_samples
    can_tune = not user_parts(source.params) and not _reach_farther(source, trial)
    can_repeat = n_samples <= _MOST_REPEATED and _has_time_again(source, trial)
    unsettled = trial.training.starts_anchored and trial.best_step > _LONG_STEP
    if can_tune and (n_samples >= _LEAST_TUNED or unsettled or not can_repeat):
        yield from _fine_tuned(source, trial, rows)
    if can_repeat and not source.progress.stopped_by:
        yield from _from_the_start(source, trial, rows)


def _reach_farther(source: Source, trial: Trial) -> bool:
    """Whether held-out rows are farther out than those that were learnt from."""
    held_out = source.validation(trial.training)
    assert held_out is not None  # or there would be no rows to learn from besides
    return _longest(held_out) > _AS_FAR * _longest(trial.training.batches)


def _longest(batches: Batches) -> float:
    """Return the length of the longest row."""
    return max(float(x.norm(dim=1).max()) for x, _ in batches.in_order())


def _has_time_again(source: Source, trial: Trial) -> bool:
    """Whether there is time to train once more."""
    limit = trial.training.optimizer.limit
    if not limit.is_set:
        return True
    before = limit.seconds * limit.part_spent
    return _LONGER * before < source.shares.to_train(source.limit)


def _fine_tuned(source: Source, trial: Trial, rows: Ints) -> Iterator[TrainingSession]:
    """Yield a training that continues from the best weights, if this helps."""
    training = trial.training.with_rows(source.dataset, rows)
    # Training changes the weights in place, so the network is copied.
    trial.training.network = copy.deepcopy(training.network)
    is_better = _improvement(source, trial, training)
    training.optimizer.begin_within(_time_left(source))
    trial.fine_tune(training)
    if is_better():
        yield training


def _from_the_start(
    source: Source, trial: Trial, rows: Ints
) -> Iterator[TrainingSession]:
    """Yield a new training that repeats the good epochs, if this helps."""
    config = trial.training.config
    if source.limit.is_set:  # as many steps as there was time for
        training = trial.training
        epochs = training.optimizer.steps_of_schedule / training.batches.n_batches
        config = replace(config, max_iter=epochs)
    again = source.training(rows, trial.regime, config)
    is_better = _improvement(source, trial, again)
    again.optimizer.begin_within(_time_left(source))
    trial.retrain(again)
    if is_better():
        yield again


def _time_left(source: Source) -> TimeLimit:
    return TimeLimit(source.shares.to_train(source.limit))


def _improvement(
    source: Source, trial: Trial, training: TrainingSession
) -> Callable[[], bool]:
    """Return a function that tells whether a training has improved since this call.

    The training learns from the held-out rows too, so their loss must not increase.
    """
    held_out = source.validation(training)
    assert held_out is not None
    start_loss = evaluate(training.objective, training.batches)

    def is_better():
        if source.progress.stopped_by:
            return False
        improved = evaluate(training.objective, training.batches) <= start_loss
        validated = (
            evaluate(training.objective, held_out) <= trial.early_stopping.best_loss
        )
        return improved and validated

    return is_better


def with_trust_radii(
    source: Source,
    trial: Trial,
    training: TrainingSession,
    network: AutoEncoder | None = None,
) -> AutoEncoder:
    """Return the training's network, or the given copy, with its final trust radii.

    Far from the rows the network is as good as PCA, or PCA replaces it.
    """
    network = (training.network if network is None else network).eval()
    learnt = source.training_sample(training)
    monitored = source.validation(training) or learnt
    falls_back_to_pca = source.needs_pca_far_out(trial.regime)
    if not (training.starts_linear or falls_back_to_pca or network.init == "faded"):
        return network
    # PCA of the training rows, without the held-out rows.
    batches = trial.validation or trial.training_sample
    errors = pca_errors(trial.training.pca, ((x, x) for x, _ in batches.in_order()))
    error = batches.mean(errors)
    far = monitored, learnt, error, training.outlier_factor
    if falls_back_to_pca:
        centre(network, [learnt])
        blend_into_pca(network, training.linear_network(), *far)
    elif network.init == "faded":  # by an earlier fit
        choose_trust_radius(network, *far)
    else:
        shrink_trust_radius(network, *far)
    return network
