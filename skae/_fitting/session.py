"""Session: from parameters and rows to an initialised network, ready to train."""

import copy
import math
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from typing import Self

import numpy as np
import torch
from sklearn.decomposition import PCA
from sklearn.utils.extmath import row_norms

from .._data.batches import Batches, Sample
from .._data.scaling import Scaling
from .._data.targets import Target
from .._inference.codec import to_numpy
from .._inference.fitted_state import FittedState
from .._linear.pca import (
    code_variance,
    linear_start,
    principal_components,
    sample,
    unexplained,
)
from .._linear.pcovr import principal_covariates
from .._linear.ppca import PPCA
from .._nn.autoencoder import AutoEncoder, anchor, initialise, step_flops
from .._nn.head import Head
from .._nn.layers import Dropout
from .._nn.seeded_modules import UserModule
from .._parts.column_links import PlainLink, Projections, link_of
from .._parts.column_losses import ColumnLosses
from .._parts.losses import Loss
from .._parts.networks import Architecture
from .._parts.parameters import Parameters
from .._runtime.caching import cached_property
from .._runtime.device import check_device
from .._runtime.threads import ThreadTuner
from .._training.batch import Batch
from .._training.checkpoint import Checkpoint
from .._training.loop import epochs
from .._training.objective import Objective
from .._training.optimizers import Optimizer
from .._training.outliers import Outliers, outlier_weight, spike_distribution
from .._training.random_gaps import RandomGaps
from .._training.terms import PullToPCA, Reconstruction
from .._typing import Floats, Ints
from .config import Config
from .continuation import previous_network
from .dataset import Dataset
from .features import idle_features, learnt_features, narrow, widen
from .row_space import expand, has_row_space, row_space
from .start import head_of, linear_network

__all__ = ["TrainingSession"]

# Outliers have at most this multiple of the longest training row's length. Farther away
# the network's linear map is used. Measured in docs/choices.md, "Far rows".
_OUTLIER_FACTOR = 100.0
# The same for bounded links and latents, for batch normalisation, whose statistics
# outliers would change, and for plain networks.
_SHORT_OUTLIER_FACTOR = 10.0
# Fine-tuning starts at this point of a one-cycle schedule, with two fifths of the
# largest step. Measured in docs/choices.md, "Answering with PCA".
_LAST_PART = 0.65
# Weight decay of networks that overfit.
_DECAY = 1.0
# Plain networks get outliers only after this share of the training, with this share of
# the weight. Earlier, outliers would distract them from the data: a circle in one code
# is far from any linear map. Measured in docs/choices.md, under "Plain networks".
_OUTLIERS_FROM = 0.5
_PLAIN_WEIGHT = 0.05
# With fewer floating point operations, a step is over before a second thread wakes up.
_SHARED_STEP_FLOPS = 5e6
# With this number of threads, Muon's products of any shape had the same bits as with
# one thread.
_MUON_THREADS = 2


class TrainingSession:
    """A network with its training rows, its objective and its optimizer.

    Parameters
    ----------
    params : Parameters
        Parameters from `check_slots`, with a part in each slot.
    dataset : Dataset
    rows : ndarray of int
        Indices of the training rows.
    target : Target or None
        How targets are encoded.
    loss : Loss or ColumnLosses
    link : str or tuple
        The link, as `link_of` takes it.
    threads : ThreadTuner
        Chooses the number of threads for a step.
    seed : int
        Random seed.
    previous : FittedState or None
        State of the fit to continue.
    config : Config, optional
        Config to use instead of the default for this number of rows.
    shared_with : TrainingSession, optional
        Training with the same rows, whose scaled rows and PCA are reused if possible.
    in_row_space : bool
        Whether wide rows may be learnt in the space that they span.
    learns_outliers : bool
        Whether a plain network learns from outliers, as anchored networks do.
    ppca : PPCA or None
        Method that has filled the gaps of rows, if there may be gaps.
    """

    def __init__(
        self,
        params: Parameters,
        dataset: Dataset,
        rows: Ints,
        target: Target | None,
        loss: Loss | ColumnLosses,
        link: PlainLink,
        threads: ThreadTuner,
        seed: int,
        previous: FittedState | None,
        config: Config | None = None,
        shared_with: "TrainingSession | None" = None,
        in_row_space: bool = True,
        learns_outliers: bool = False,
        ppca: PPCA | None = None,
    ) -> None:
        has_targets = target is not None and not np.isnan(dataset.targets[rows]).any()
        of_rows = params, len(rows), dataset.X.shape[1], link, previous, has_targets
        self.config = config or Config.of(*of_rows)
        self.target = target
        self.threads = threads
        self.seed = seed
        self.link = link
        self.rows = rows
        self._learns_from_outliers = learns_outliers
        self.rng = np.random.default_rng(seed)
        self.latent = params.latent
        self.ppca = ppca
        self.scaling: Scaling = (
            dataset.scaling_of(rows, params, previous)
            if shared_with is None
            else shared_with.scaling
        )
        measured = rows if previous is None else dataset.rows
        idle = idle_features(params, dataset, measured, loss, link, self.scaling)
        self.features = learnt_features(idle, self.config.n_components)
        self._has_gaps = dataset.missing is not None
        is_wide = (
            in_row_space
            and previous is None
            and not self._has_gaps
            and self.scaling.variance > 0  # equal rows have no row space
            and has_row_space(params, loss, link, len(rows), len(self.features))
        )
        shares = self._sees_rows_like(shared_with, is_wide)
        self._choose_axes(dataset, is_wide, shared_with if shares else None)
        self.network = self._network(previous)
        for layer in self.network.modules():
            if isinstance(layer, Dropout | UserModule):
                layer.rng = self.rng
        self._step_flops = partial(step_flops, self.network, self.config.batch_size)
        self.device = check_device(params.device, self._step_flops)
        if config is None:
            if self.device.type == "cuda":  # SOAP was not measured there
                self.config = Config.of(*of_rows, auto_solver="adamw")
            row_flops = partial(step_flops, self.network, 1)
            self.config = self.config.with_capped_epochs(params, row_flops, has_targets)
        self.batches: Batches
        self._sample: Sample
        if shares and shared_with is not None:
            self.batches, self._sample, self.pca = (
                shared_with.batches,
                shared_with._sample,
                shared_with.pca,
            )
        else:
            self.batches = self.batches_of(dataset, rows)
            self._sample = sample(self.batches, seed)
        if previous is None:
            self._start(self._sample)
        self.starts_anchored = self.network.anchored and previous is None
        # With another link, the anchored network starts only approximately as PCA.
        self.starts_linear = self.starts_anchored and link == "identity"
        self._begin(params, loss)

    def _sees_rows_like(
        self, shared_with: "TrainingSession | None", is_wide: bool
    ) -> bool:
        """Whether another training has the same rows in the same coordinates."""
        return (
            shared_with is not None
            and np.array_equal(self.features, shared_with.features)
            and is_wide == (shared_with.basis is not None)
        )

    def _choose_axes(
        self, dataset: Dataset, is_wide: bool, shared_with: "TrainingSession | None"
    ) -> None:
        """Compute a basis of the row space, if rows are wide.

        The spike distribution is then computed here too, because it needs the features.
        """
        self.basis = self._spikes = None
        if shared_with is not None:
            self.basis, self._spikes = shared_with.basis, shared_with._spikes
        elif is_wide:
            x = self._wide_rows(dataset)
            self.basis = row_space(x, self.config.n_components)
            self._spikes = spike_distribution(x)

    def _begin(self, params: Parameters, loss: Loss | ColumnLosses) -> None:
        """Create the objective and the optimizer of the initial network."""
        self.head: Head | None = None
        self.objective = self._objective(params, loss, self._sample)
        n_steps = self.config.max_iter * self.batches.n_batches
        self.optimizer = Optimizer(self.objective.parameters, self.config, n_steps)

    @cached_property
    def pca(self) -> PCA:
        """PCA of the training rows."""
        n_components = self.config.n_components
        return principal_components(self.batches, self._sample, n_components, self.seed)

    @property
    def linear_link(self) -> PlainLink:
        """The link of the linear network."""
        loss = self.objective.reconstruction.loss
        return getattr(loss, "linear_link", "identity")

    def linear_network(self) -> AutoEncoder:
        """Return the linear start as a separate network, in float64.

        It has no corrections, and its radii are the largest norms of rows and codes.
        """
        given = self._sample.x, self.config, self.latent, self.seed
        return linear_network(self._linear_maps(), *given).to(self.device)

    def batches_of(self, dataset: Dataset, rows: Ints) -> Batches:
        """Return rows of any dataset, scaled like the training rows."""
        size, device = self.config.batch_size, self.device
        columns = self.features, self.basis
        return Batches(dataset, rows, self.scaling, size, device, *columns)

    def begin_work(self) -> None:
        """Prepare the threads for steps of this training."""
        most = math.inf if self._worth_sharing else 1
        if self.config.solver == "muon":
            most = min(most, _MUON_THREADS)
        self.threads.begin_work(most, self._products)

    def _products(self, batch: Batch) -> torch.Tensor:
        """Return all results of a batch that depend on matrix products."""
        return self.optimizer.with_products(self.objective.gradient_alone(batch))

    def epochs(self) -> Iterator[float]:
        """Train, and yield the loss of one epoch after another."""
        return epochs(
            self.objective, self.batches, self.optimizer, self.rng, self.threads
        )

    @property
    def _worth_sharing(self) -> bool:
        """Whether several threads may work on a step: it must not change the result."""
        repeats = self.device.type == "cpu" and self.objective.repeats_with_threads
        return repeats and self._step_flops() >= _SHARED_STEP_FLOPS

    def of_all_features(
        self, network: AutoEncoder, architecture: Architecture
    ) -> AutoEncoder:
        """Return a trained network as a network of all features of the data."""
        if self.basis is not None:
            of_learnt = replace(architecture, n_features=len(self.features))
            off_basis = self.batches.off_basis.max() * architecture.n_features
            network = expand(network, of_learnt, self.basis, off_basis)
        return widen(network, architecture, self.features)

    def decaying_epochs(self, n_epochs: float = math.inf) -> Iterator[float]:
        """Continue with weight decay, as planned or to the end in ``n_epochs``."""
        if n_epochs == math.inf:
            self.optimizer.alpha = _DECAY
        else:
            self.optimizer.decay_from_here(_DECAY, n_epochs * self.batches.n_batches)
        return self.epochs()

    def with_rows(self, dataset: Dataset, rows: Ints) -> Self:
        """Return a session of the same network with other rows, scaled alike."""
        other = copy.copy(self)
        other.rows, other.batches = rows, self.batches_of(dataset, rows)
        other._sample = sample(other.batches, self.seed)
        vars(other).pop("pca", None)
        return other

    def fine_tuning_epochs(self, n_epochs: int) -> Iterator[float]:
        """Train through the end of the schedule once more, in ``n_epochs`` epochs."""
        self.optimizer.go_back_to(_LAST_PART, n_epochs * self.batches.n_batches)
        return self.epochs()

    def checkpoint(self) -> Checkpoint:
        """Return the state that a later training needs to continue this one."""
        return Checkpoint(
            rng=self.rng.bit_generator.state,
            solver=self.optimizer.state_dict(),
            n_steps_made=self.optimizer.n_steps_made,
            head=None if self.head is None else to_numpy(self.head),
        )

    def restore(self, checkpoint: Checkpoint) -> None:
        """Restore what `checkpoint` returned. A new target starts anew."""
        self.rng.bit_generator.state = checkpoint.rng
        self.optimizer.skip_to(checkpoint.n_steps_made)
        if (checkpoint.head is None) != (self.head is None):
            return
        if self.head is not None and checkpoint.head is not None:
            head = {name: torch.tensor(w) for name, w in checkpoint.head.items()}
            weights = self.head.weights.clone()  # weights of the present rows
            self.head.load_state_dict(head)
            self.head.weights.copy_(weights)
        self.optimizer.load_state_dict(checkpoint.solver)

    def _wide_rows(self, dataset: Dataset) -> Floats:
        """Return the scaled training rows as an array of their features."""
        size, cpu = self.config.batch_size, torch.device("cpu")
        rows = Batches(dataset, self.rows, self.scaling, size, cpu, self.features)
        return np.concatenate([x.numpy() for x, _ in rows.in_order()])

    def _network(self, previous: FittedState | None) -> AutoEncoder:
        """Return a network of the features to learn, or that of the previous fit."""
        architecture = self.config.architecture
        if previous is not None:
            start = self.link, self.scaling, self.seed, self.rng
            wide = previous_network(previous, architecture, *start)
            return narrow(wide, architecture, self.features)
        n_features = len(self.features)
        if self.basis is not None:
            n_features = self.basis.shape[1]
        return replace(architecture, n_features=n_features).build(self.seed)

    @property
    def _may_have_outliers(self) -> bool:
        # Other links are bounded by the data's range, other latents by their prior.
        return self.link == "identity" and not self.latent.has_kl

    @property
    def outlier_factor(self) -> float:
        """Largest norm of outliers, as a multiple of the largest norm of rows."""
        has_statistics = any(True for _ in self.network.user_buffers())
        far = self._may_have_outliers and not has_statistics
        return (
            _OUTLIER_FACTOR
            if far and self.network.init == "pca"
            else _SHORT_OUTLIER_FACTOR
        )

    def _objective(
        self, params: Parameters, loss: Loss | ColumnLosses, some: Sample
    ) -> Objective:
        """Return the objective. Its weights come from a sample of training rows."""
        x, network = some.x, self.network
        linear: Floats | None = None
        outliers = pull = None
        if network.anchored:
            encoder, _ = network.anchors
            linear = encoder.linear[: self.config.n_components].numpy()
        elif self._learns_from_outliers:
            linear = self.pca.components_
        weight = 1.0
        if self._may_have_outliers and linear is not None:
            outliers, weight = self._outliers(x, linear)
        if network.init == "pca" and (linearity := self.config.linearity):
            assert linear is not None
            linearity *= unexplained(x, linear) ** 2
            pull = PullToPCA(linearity, code_variance(x, linear), self.device)
        if self.target is not None:
            targets = self.batches.targets.cpu().numpy()
            head = head_of(network, self.target, targets, some, self.config)
            self.head = head.to(self.device)
        network.to(self.device)
        scaling, fraction = self.batches.scaling, self.batches.feature_fraction
        return Objective(
            network,
            Reconstruction(loss, self.link, scaling, self.device, fraction, weight),
            pull,
            outliers,
            head=self.head,
            gaps=self._gaps(),
            ordered=params.ordered,
            corruption=params.corruption,
            latent=params.latent,
            penalty=params.penalty,
        )

    def _gaps(self) -> RandomGaps | None:
        """Return a `RandomGaps`, which hides more entries, or None without gaps."""
        if not self._has_gaps:
            return None
        assert self.ppca is not None
        scaling = self.batches.scaling
        return RandomGaps(self.ppca.of(self.features, scaling.mean, scaling.scale))

    def _outliers(self, x: Floats, linear: Floats) -> tuple[Outliers | None, float]:
        """Return how outliers are made, if they are, and their weight."""
        network, weight = self.network, outlier_weight(unexplained(x, linear))
        begin = 0.0
        if network.init == "pca":
            radius = network.anchors[0].trust_radius.item()
        else:
            radius = self.outlier_factor * float(row_norms(x).max())
        if network.init == "random":
            weight, begin = weight * _PLAIN_WEIGHT, _OUTLIERS_FROM
        if not radius:
            return None, 1.0
        spikes = spike_distribution(x) if self._spikes is None else self._spikes
        basis = None
        if self.basis is not None:
            basis = torch.from_numpy(self.basis).to(self.device)
        return Outliers(radius, spikes, basis, begin), weight

    def _start(self, some: Sample) -> None:
        x, network = some.x, self.network
        link = link_of(self.link)
        assert not isinstance(link, Projections)
        scaling = self.batches.scaling
        initialise(network, link.start(scaling.mean), self.rng)
        if network.anchored:
            start = linear_start(
                self._linear_maps(),
                x,
                self.config.n_components,
                link.slope(scaling),
                self.latent,
                self.outlier_factor,
                self.rng,
            )
            anchor(network, start)

    def _linear_maps(self) -> tuple[Floats, Floats]:
        if self.target is None:
            return self.pca.components_, self.pca.components_.T
        config, sizes = self.config, self.target.sizes
        # The weight of supervision is relative to the variance of all features.
        supervision = config.supervision / self.batches.feature_fraction
        return principal_covariates(
            self._sample, sizes, config.n_components, supervision, self.seed
        )
