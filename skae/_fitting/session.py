"""Preparing: from parameters and rows to a network at its start, ready to train."""

import copy
import math
from functools import cached_property, partial

import numpy as np
import torch
from sklearn.utils.extmath import row_norms

from .._data.batches import Batches
from .._data.scaling import Scaling
from .._inference.codec import to_numpy
from .._linear.pca import (
    code_variance,
    linear_start,
    principal_components,
    sample,
    unexplained,
)
from .._linear.pcovr import linear_head, principal_covariates
from .._nn.autoencoder import anchor, initialise, step_flops
from .._nn.head import Head
from .._nn.layers import Dropout
from .._nn.seeded_modules import Own
from .._parts.losses import LINKS, LOSSES
from .._parts.networks import Dense, make_autoencoder
from .._parts.penalties import Sparsity
from .._runtime.device import check_device
from .._training.loop import epochs
from .._training.objective import Objective
from .._training.optimizers import Solver
from .._training.outliers import likely_breaks, moved_weight
from .config import Plan
from .continuation import previous_network
from .features import idle_features, learnt_features, narrow, widen
from .row_space import can_hold, expand, row_space

__all__ = ["Training"]

# Training rows are moved outward up to so many times the length of the longest. Beyond,
# the network gives way to its linear map.
_REACH = 100.0
# The same for links and latents that end where data do, for layers with statistics of
# batches, which would take such rows for data, and for plain networks.
_SHORT_REACH = 10.0
# Fine-tuning starts at this part of a one-cycle schedule, with a fifth of the largest
# step.
_LAST_PART = 0.765
# Weight decay of networks that overfit.
_DECAY = 1.0
# Plain networks learn what is far from the data after this part of the training, and
# with this part of the weight. Otherwise it distracts them from the data: a circle in
# one code is far from any linear map.
_REACHES_FROM = 0.5
_PLAIN_WEIGHT = 0.05
# Floating point operations of a step below which it is over before a second thread has
# woken up.
_SHARED_STEP_FLOPS = 5e6
# Threads with which Muon's products had the bits of one, whatever their shape.
_MUON_THREADS = 2


class Training:
    """A network, the rows it learns from, and what moves it.

    Parameters
    ----------
    params : dict
        Parameters of `AutoEncoderTransformer`, with parts for their slots.
    table : Table
    rows : ndarray of int
        Its rows to learn from.
    target : Target or None
        What the table's targets are.
    loss : Loss
    link : str
        Key of ``LINKS``.
    threads : ThreadTuner
        Chooses how many work on its steps.
    seed : int
        Of all that is random.
    previous : dict or None
        The attributes of the fit to go on from.
    plan : Plan, optional
        Instead of the one that belongs to so many rows.
    like : Training, optional
        Of the same rows, whose scaled copies and PCA will do.
    in_row_space : bool
        Whether wide rows may be learnt in the space that they span.
    moves_rows : bool
        Whether a plain network learns from rows moved outward too, as anchored ones do.
    """

    def __init__(
        self,
        params,
        table,
        rows,
        target,
        loss,
        link,
        threads,
        seed,
        previous,
        plan=None,
        like=None,
        in_row_space=True,
        moves_rows=False,
    ):
        has_targets = target is not None and not np.isnan(table.targets[rows]).any()
        self.plan = plan or Plan.of(
            params, len(rows), table.X.shape[1], link, previous, has_targets
        )
        self.target = target
        self.threads = threads
        self.seed = seed
        self.link = link
        self.rows = rows
        self._moves_rows = moves_rows
        self.rng = np.random.default_rng(seed)
        self.latent = params["latent"]
        self.scaling = self._scale(params, table, previous, like)
        measured = np.arange(table.n_rows) if previous else rows
        idle = idle_features(params, table, measured, loss, link, self.scaling)
        self.features = learnt_features(idle, self.plan.n_components)
        is_wide = in_row_space and not previous and self._has_row_space(params, loss)
        shares = self._sees_rows_like(like, is_wide)
        self._choose_axes(table, is_wide, like if shares else None)
        self.network = self._network(previous)
        for layer in self.network.modules():
            if isinstance(layer, Dropout | Own):
                layer.rng = self.rng
        self._step_flops = partial(step_flops, self.network, self.plan.batch_size)
        if plan is None:
            row_flops = partial(step_flops, self.network, 1)
            self.plan = self.plan.affordable(params, row_flops, has_targets)
        self.device = check_device(params["device"], self._step_flops)
        if shares:
            self.batches, self._sample, self.pca = like.batches, like._sample, like.pca
        else:
            self.batches = self.batches_of(table, rows)
            self._sample = sample(self.batches, seed)
        if not previous:
            self._start(*self._sample)
        self.starts_anchored = self.network.anchored and previous is None
        # Through another link, the anchor is only near PCA.
        self.starts_linear = self.starts_anchored and link == "identity"
        self._begin(params, loss)

    def _scale(self, params, table, previous, like):
        """Return the scaling of the rows, that of the fit before if any."""
        if like is not None:
            return like.scaling
        if not previous:
            return Scaling.fit(table.X, self.rows, params["standardize"])
        before = Scaling(**previous["_scaling"])
        n_before = previous["n_samples_"]
        return before.with_moved(table.X, self.rows, params["standardize"], n_before)

    def _sees_rows_like(self, like, is_wide):
        """Whether another training has the same rows in the same coordinates."""
        return (
            like is not None
            and np.array_equal(self.features, like.features)
            and is_wide == (like.basis is not None)
        )

    def _choose_axes(self, table, is_wide, like):
        """Find the directions in which rows lie, if they are fewer than features.

        The probabilities of `likely_breaks` are then found here, since they need the
        features.
        """
        self.basis = self._breaks = None
        if like is not None:
            self.basis, self._breaks = like.basis, like._breaks
        elif is_wide:
            x = self._wide_rows(table)
            self.basis = row_space(x, self.plan.n_components)
            self._breaks = likely_breaks(x)

    def _begin(self, params, loss):
        """Make the objective and the solver of a network at its start."""
        guidance = self._guidance(params, *self._sample)
        self.head = guidance.get("head")
        self.network.to(self.device)
        self.objective = Objective(
            self.network,
            loss,
            self.link,
            self.batches.scaling,
            self.device,
            share=self.batches.share,
            **guidance,
        )
        n_steps = self.plan.max_iter * self.batches.n_batches
        self.solver = Solver(self.objective.parameters, self.plan, n_steps)

    @cached_property
    def pca(self):
        """PCA of the rows that are learnt from."""
        x, _ = self._sample
        return principal_components(self.batches, x, self.plan.n_components, self.seed)

    def linear_network(self):
        """Return the linear start as a network of its own, float64.

        Its corrections are none, so that its radii tell how far the rows are.
        """
        x, t = self._sample
        plan = self.plan
        start = linear_start(
            self._linear_maps(x, t),
            x,
            plan.n_components,
            np.ones(x.shape[1]),
            self.latent,
            1.0,
            np.random.default_rng(self.seed),
        )
        architecture = {**plan.architecture, "n_features": x.shape[1]}
        network = make_autoencoder(**{**architecture, "init": "linear"}).double().eval()
        anchor(network, start)
        return network.to(self.device)

    def batches_of(self, table, rows):
        """Return rows of any table, scaled like those that are learnt from."""
        size, device = self.plan.batch_size, self.device
        columns = self.features, self.basis
        return Batches(table, rows, self.scaling, size, device, *columns)

    def begin_work(self):
        """Tell the threads that steps of this training come now."""
        most = math.inf if self._worth_sharing else 1
        if self.plan.solver == "muon":
            most = min(most, _MUON_THREADS)
        self.threads.begin_work(most, self.objective.gradient_alone)

    @property
    def pass_flops(self):
        """Floating point operations of a pass."""
        return self.batches.n_batches * self._step_flops()

    def passes(self):
        """Train, yielding the loss of one pass after another."""
        return epochs(self.objective, self.batches, self.solver, self.rng, self.threads)

    @property
    def _worth_sharing(self):
        """Whether several threads may work on a step: it must not change the result."""
        repeats = self.device.type == "cpu" and self.objective.repeats_with_threads
        return repeats and self._step_flops() >= _SHARED_STEP_FLOPS

    def of_all_features(self, network, architecture):
        """Return a network of what is trained on as one of all features of the data."""
        if self.basis is not None:
            of_learnt = {**architecture, "n_features": len(self.features)}
            off_basis = self.batches.off_basis.max() * architecture["n_features"]
            network = expand(network, of_learnt, self.basis, off_basis)
        return widen(network, architecture, self.features)

    def decaying_passes(self, n_passes=math.inf):
        """Go on with weights that decay, as planned or to the end in so many passes."""
        if n_passes == math.inf:
            self.solver.alpha = _DECAY
        else:
            self.solver.decay_from_here(_DECAY, n_passes * self.batches.n_batches)
        return self.passes()

    def with_rows(self, table, rows):
        """Return the same network as one that learns from other rows, scaled alike."""
        other = copy.copy(self)
        other.rows, other.batches = rows, self.batches_of(table, rows)
        other._sample = sample(other.batches, self.seed)
        vars(other).pop("pca", None)
        return other

    def fine_tuning_passes(self, n_passes):
        """Go through the end of the schedule once more, in so many passes."""
        self.solver.go_back_to(_LAST_PART, n_passes * self.batches.n_batches)
        return self.passes()

    def memory(self):
        """Return what the next training needs to go on from this one, as numpy."""
        return {
            "rng": self.rng.bit_generator.state,
            "solver": self.solver.memory(),
            "n_steps_made": self.solver.n_steps_made,
            "head": None if self.head is None else to_numpy(self.head),
        }

    def resume(self, memory):
        """Go on from what `memory` returned; a target that is new begins anew."""
        if not memory:
            return
        self.rng.bit_generator.state = memory["rng"]
        self.solver.skip_to(memory["n_steps_made"])
        if (memory["head"] is None) != (self.head is None):
            return
        if self.head is not None:
            head = {name: torch.tensor(w) for name, w in memory["head"].items()}
            weights = self.head.weights.clone()  # those of the rows at hand
            self.head.load_state_dict(head)
            self.head.weights.copy_(weights)
        self.solver.resume(memory["solver"])

    def _has_row_space(self, params, loss):
        """Whether all that a training sees is in the space that its rows span."""
        n_rows, n_features = len(self.rows), len(self.features)
        return (
            can_hold(n_rows, n_features)
            and self.scaling.variance > 0  # rows that are all alike span nothing
            and type(params["network"]) is Dense
            and self.link == "identity"
            and loss is LOSSES["squared_error"]
            and params["corruption"] is None
            and (params["penalty"] is None or type(params["penalty"]) is Sparsity)
        )

    def _wide_rows(self, table):
        """Scaled rows as an array of their features."""
        size, cpu = self.plan.batch_size, torch.device("cpu")
        rows = Batches(table, self.rows, self.scaling, size, cpu, self.features)
        return np.concatenate([x.numpy() for x, _ in rows.in_order()])

    def _network(self, previous):
        """Return a network of the features to learn, that of the fit before if any."""
        architecture = self.plan.architecture
        if previous:
            start = self.link, self.scaling, self.seed, self.rng
            wide = previous_network(previous, architecture, *start)
            return narrow(wide, architecture, self.features)
        n_features = len(self.features)
        if self.basis is not None:
            n_features = self.basis.shape[1]
        architecture = {**architecture, "n_features": n_features}
        return make_autoencoder(**architecture, seed=self.seed)

    @property
    def _learns_outskirts(self):
        # Other links end where data do, and other latents where their prior does.
        return self.link == "identity" and not self.latent.has_kl

    @property
    def reach(self):
        """How many times farther than the outermost row rows are moved, if they are."""
        has_statistics = any(True for _ in self.network.own_buffers())
        far = self._learns_outskirts and not has_statistics
        return _REACH if far and self.network.init == "pca" else _SHORT_REACH

    def _guidance(self, params, x, t):
        """Return what steers the training, as arguments of `Objective`."""
        slots = ("ordered", "corruption", "latent", "penalty")
        guidance = {slot: params[slot] for slot in slots}
        network, linear, farthest = self.network, None, 0.0
        if network.anchored:
            linear = network.encoder.linear[: self.plan.n_components].numpy()
        elif self._moves_rows:
            linear = self.pca.components_
        if network.init == "pca":
            farthest = network.encoder.radius.item()
        elif linear is not None:
            farthest = self.reach * float(row_norms(x).max())
        if network.init == "pca" and (linearity := self.plan.linearity):
            guidance["linearity"] = linearity * unexplained(x, linear) ** 2
            guidance["code_variance"] = code_variance(x, linear)
        if self._learns_outskirts and farthest:
            breaks = likely_breaks(x) if self._breaks is None else self._breaks
            guidance |= {"reach": farthest, "breaks": breaks, "basis": self.basis}
            guidance["moved_weight"] = moved_weight(unexplained(x, linear))
            if network.init == "random":
                guidance["moved_weight"] *= _PLAIN_WEIGHT
                guidance["reaches_from"] = _REACHES_FROM
        if self.target is not None:
            guidance["head"] = self._head(x, t).to(self.device)
        return guidance

    def _start(self, x, t):
        network = self.network
        link = LINKS[self.link]
        scaling = self.batches.scaling
        initialise(network, link.start(scaling.mean), self.rng)
        if network.anchored:
            slope = np.ones(x.shape[1])
            if self.link != "identity":
                slope = link.slope(scaling.mean) / scaling.scale
            start = linear_start(
                self._linear_maps(x, t),
                x,
                self.plan.n_components,
                slope,
                self.latent,
                self.reach,
                self.rng,
            )
            anchor(network, start)

    def _linear_maps(self, x, t):
        if self.target is None:
            return self.pca.components_, self.pca.components_.T
        plan, sizes = self.plan, self.target.sizes
        # It is weighed against the variance of all features.
        supervision = plan.supervision / self.batches.share
        return principal_covariates(
            x, t, sizes, plan.n_components, supervision, self.seed
        )

    @torch.no_grad()
    def _head(self, x, t):
        """Return the head that goes with the codes of the start."""
        kind, sizes = self.target.kind, self.target.sizes
        weights = self.target.weights(self.batches.targets.cpu().numpy())
        weights *= self.plan.supervision
        head = Head(self.plan.n_components, kind, sizes, weights)
        codes = self.network.eval().encode(torch.from_numpy(x)).numpy()
        head.start(*linear_head(codes.astype(np.float64), t, kind, sizes))
        return head
