"""Source: what all trainings of a fit have in common, and the messages to the user."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from weakref import WeakKeyDictionary

import numpy as np

from .._data.batches import Batches
from .._data.targets import Target
from .._inference.fitted_state import FittedState
from .._linear.ppca import PPCA
from .._parts.column_losses import ColumnLosses
from .._parts.losses import Loss
from .._parts.parameters import Parameters
from .._parts.slots import user_parts
from .._runtime.clock import TimeLimit
from .._runtime.threads import ThreadTuner
from .._typing import Ints
from .config import Config, Regime
from .dataset import Dataset, HeldOut
from .progress import Progress
from .session import TrainingSession
from .timing import Shares, measure
from .trial import Trial

__all__ = ["Source"]

# Up to this number of rows, a validated network also learns from the held-out rows.
# Measured in docs/choices.md, "Answering with PCA".
_REFIT_ROWS = 10_000
# Share of the time for the first training. The second training, on all rows, has the
# rest.
_TIME_BEFORE_REFIT = 0.8
# Largest number of training rows on which losses are measured.
_MONITORED_SAMPLES = 10_000


@dataclass
class Source:
    """What all trainings of a fit share: parameters, rows, and held-out rows.

    If time is limited, ``shares`` limits the work besides training.
    """

    params: Parameters
    dataset: Dataset
    held_out: HeldOut | None
    target: Target | None
    loss: Loss | ColumnLosses
    threads: ThreadTuner
    seed: int
    previous: FittedState | None
    progress: Progress = field(default_factory=Progress)
    limit: TimeLimit = TimeLimit()
    shares: Shares = Shares()
    ppca: PPCA | None = None
    _batches: WeakKeyDictionary[TrainingSession, list[Batches]] = field(
        default_factory=WeakKeyDictionary
    )

    def training(
        self,
        rows: Ints,
        regime: Regime,
        config: Config | None = None,
        shared_with: TrainingSession | None = None,
    ) -> TrainingSession:
        """Return a new training session for some rows.

        It uses ``config`` if given. If possible, it shares the scaled rows of another
        training, ``shared_with``.
        """
        return TrainingSession(
            replace(self.params, init=regime.init, linearity=regime.linearity),
            self.dataset,
            rows,
            self.target,
            self.loss,
            regime.link,
            self.threads,
            self.seed,
            self.previous,
            config,
            shared_with,
            learns_outliers=self.needs_pca_far_out(regime),
            ppca=self.ppca,
        )

    def needs_pca_far_out(self, regime: Regime) -> bool:
        """Whether a plain network has to be as good as PCA far from the data.

        This is not required of a plain network that the user has asked for.
        """
        return regime.init == "random" != self.params.init

    def trial(
        self,
        rows: Ints,
        regime: Regime,
        entrants: Sequence[Trial] = (),
        config: Config | None = None,
    ) -> Trial:
        """Return a trial of a regime. It shares what it can with the first entrant."""
        first = entrants[0] if entrants else None
        left = self.limit.left
        training = self.training(
            rows, regime, config, None if first is None else first.training
        )
        if first is None and self.limit.is_set:
            self._time_to_prepare = left - self.limit.left
            self._share_time(training)
        if first is None or training.batches is not first.training.batches:
            monitored = self.validation(training), self.training_sample(training)
        else:
            monitored = first.validation, first.training_sample
        return Trial(
            training,
            self.params,
            *monitored,
            evidence_rows=self.evidence_rows,
            regime=regime,
            must_beat_pca=self.is_comparable_with_pca and self.params.init != "random",
            may_decay=self.may_decay,
            progress=self.progress,
        )

    def _share_time(self, training: TrainingSession) -> None:
        """Divide the remaining time, and limit the held-out rows to what fits in it."""
        n_held_out = 0 if self.held_out is None else len(self.held_out[1])
        n_learnt = min(len(training.rows), _MONITORED_SAMPLES)
        self.shares = Shares.of(
            self.limit.left,
            measure(training, self.dataset),
            n_held_out,
            n_learnt,
            self.dataset.n_samples,
        )
        if self.held_out is not None and n_held_out > self.shares.n_monitored:
            dataset, rows = self.held_out
            self.held_out = dataset, self._drawn(rows, self.shares.n_monitored)

    def _drawn(self, rows: Ints, n_most: float) -> Ints:
        """Return a random sample of ``n_most`` rows."""
        rng = np.random.default_rng(self.seed)
        return np.sort(rng.choice(rows, int(n_most), replace=False))

    def time_to_train(self, training: TrainingSession) -> TimeLimit:
        """Return the time from now on, without the time for work after training."""
        left = self.shares.to_train(self.limit)
        if training.starts_anchored and self.refits(training.rows):
            return TimeLimit(_TIME_BEFORE_REFIT * left)
        return TimeLimit(left)

    @property
    def has_time_to_prepare(self) -> bool:
        """Whether there is time to read the rows and to fit PCA once more."""
        return not self.limit.is_set or self.limit.left > self._time_to_prepare

    def rows_to_encode(self, rows: Ints) -> Ints | None:
        """Return a sample of rows whose codes represent those of all rows.

        Return None if there is time for all rows.
        """
        n_most = self.shares.n_coded
        return self._drawn(rows, n_most) if len(rows) > n_most else None

    def validation(self, training: TrainingSession) -> Batches | None:
        """Return the validation rows, scaled as for a training, or None."""
        if self.held_out is None:
            return None
        return self._read(training, *self.held_out)

    def _read(self, training: TrainingSession, dataset: Dataset, rows: Ints) -> Batches:
        """Return rows, scaled as for a training. They are read only once."""
        read = self._batches.setdefault(training, [])
        for batches in read:
            if batches.X is dataset.X and np.array_equal(batches.rows, rows):
                return batches
        read.append(training.batches_of(dataset, rows))
        return read[-1]

    @property
    def may_decay(self) -> bool:
        """Whether weights may decay if the network overfits."""
        params = self.params
        return (
            params.alpha == "auto"
            and params.early_stopping
            and params.solver in ("auto", "adamw", "muon", "soap")
            and params.n_iter_no_change == "auto"
            and params.max_time is None
            and self.previous is None
            and self.is_comparable_with_pca
            and not params.ordered
            and not user_parts(params)
        )

    def holds_out_at_random(self, groups: object) -> bool:
        """Whether the held-out rows are drawn at random."""
        validation = self.params.validation
        by_part = isinstance(validation, str | float)
        return self.holds_rows_out and by_part and groups is None

    @property
    def evidence_rows(self) -> Ints | slice:
        """Which validation rows count as evidence: the first of equal rows."""
        if self.held_out is None:
            return slice(None)
        dataset, rows = self.held_out
        return dataset.first_of_each(rows)

    def training_sample(self, training: TrainingSession) -> Batches:
        """Return training rows to measure losses on: all rows, or a sample."""
        n_most = min(_MONITORED_SAMPLES, self.shares.n_monitored)
        if len(training.rows) <= n_most:
            return training.batches
        chosen = self._drawn(training.rows, n_most)
        return self._read(training, self.dataset, chosen)

    @property
    def holds_rows_out(self) -> bool:
        """Whether the validation rows are held out from the table itself."""
        return self.held_out is not None and self.held_out[0] is self.dataset

    @property
    def is_comparable_with_pca(self) -> bool:
        """Whether the only goal is the reconstruction, in units of the data.

        PCA's error is comparable then. A target, a penalty or drawn codes increase the
        error of the reconstruction.
        """
        params = self.params
        return (
            self.target is None
            and params.penalty is None
            and not params.latent.has_kl
            and self.loss.compares_with_pca
            and params.output_activation in ("auto", "identity")
        )

    def refits(self, rows: Ints) -> bool:
        """Whether the validated network will also learn from the held-out rows."""
        return self.holds_rows_out and len(rows) < self.dataset.n_samples <= _REFIT_ROWS

    @property
    def falls_back_to_pca(self) -> bool:
        """Whether PCA replaces a result that is worse than PCA.

        It does not if the fit continues another one, nor if the user asks for a plain
        network without validation.
        """
        if self.previous is not None or not self.is_comparable_with_pca:
            return False
        return self.params.early_stopping or self.params.init != "random"
