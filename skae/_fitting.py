"""Fitting: from parameters and rows to everything an estimator learns.

A function of its arguments that changes none of them: what it returns becomes the
estimator's attributes in one step.
"""

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from sklearn.utils import check_random_state

from ._canonical import canonicalise, canonicalise_signs, centre, radius_of
from ._contest import Regime, contest, decay, regimes
from ._deployment import deploy
from ._frame import Frame
from ._isolation import isolated_fit
from ._learnt import baseline_score, describe
from ._linear import pca_errors
from ._losses import check_loss
from ._outskirts import fade_again, fade_where_astray, give_way
from ._penalties import keeps_axes
from ._preparing import Training, count_components
from ._slots import check_slots
from ._tables import check_tables, split
from ._training import evaluate
from ._trial import Trial

__all__ = ["fit_autoencoder"]

# Up to so many rows, what validation found good is trained once more on all of them.
_REFIT_ROWS = 2_000
# Which may take longer than before, when there were less: a part of the time for it.
_TIME_BEFORE_REFIT = 0.45
# Training rows that stand for all of them where nothing is held out, at most.
_WATCHED_ROWS = 10_000
# Part by which rounding alone may raise an error, and errors that are nothing else.
_ROUNDING = 1e-6
_NOTHING = 1e-14


@isolated_fit
def fit_autoencoder(params, data, validation_data, previous, threads, groups=None):
    """Train an autoencoder.

    Parameters
    ----------
    params : dict
        Valid parameters of `AutoEncoderTransformer`.
    data, validation_data : pair
        ``X``, an ndarray or CSR matrix (n_samples, n_features), and its ``y`` or None.
        None for both where rows of ``X`` are to be held out for validation.
    previous : dict or None
        The attributes of the fit to go on from.
    threads : ThreadTuner
        Chooses how many work.
    groups : array-like of shape (n_samples,) or None
        Of rows that are held out together.

    Returns
    -------
    learnt : dict
        The estimator's attributes by name.
    """
    params = _without_validation(check_slots(params, data[0].shape[1]), validation_data)
    loss, link = _check_loss(params, data[0], validation_data[0])
    seed = check_random_state(params["random_state"]).randint(2**31 - 1)
    target, table, table_val = check_tables(params, data, validation_data, seed)
    n_components = count_components(params, table, seed, previous)
    params = {**params, "n_components": n_components}
    split_by = seed, groups, data[1]
    rows, held_out = split(params, table, table_val, target, *split_by)
    source = _Source(params, table, held_out, target, loss, threads, seed, previous)
    trial = _train(source, rows, link)
    for final in _finalists(source, trial):
        if final.keeps_promise:
            break
    monitor, validation = trial.monitor, trial.validation
    best = monitor.best_loss, monitor.best_iter
    if final.is_linear:
        best = monitor.start_loss, 0
        if not trial.training.starts_linear:
            objective = trial.training.objective
            best = final.deployed.row_losses(objective, trial.watched).mean().item(), 0
        monitor.reason = "pca" if target is None else "linear"
    return {
        "n_samples_": table.n_rows,
        "loss_curve_": trial.loss_curve,
        "validation_loss_curve_": trial.validation_curve if validation else None,
        "best_loss_": best[0],
        "best_iter_": best[1],
        "n_iter_": len(trial.loss_curve),
        "stop_reason_": monitor.reason,
        "baseline_score_": _baseline(final, trial),
        **describe(
            final.training,
            final.deployed,
            table.X,
            table.n_rows,
            seed,
            params["whiten"],
        ),
        "_ordered": params["ordered"],
        "target_type_": None if target is None else target.kind,
        "_target": None if target is None else vars(target),
    }


def _without_validation(params, validation_data):
    """Return the parameters, which say so only once if nothing is validated on."""
    if params["validation"] is None and validation_data[0] is None:
        return {**params, "early_stopping": False}
    return params


def _check_loss(params, *tables):
    """Return the loss and the name of its link, if it is made for such data."""
    loss, link = check_loss(params["loss"], params["output_activation"])
    for X in tables:
        if X is not None:
            loss.check_data(X)
    return loss, link


@dataclass
class _Source:
    """What trainings are made of: parameters, rows, and those to validate on."""

    params: dict
    table: object
    held_out: tuple | None
    target: object
    loss: object
    threads: object
    seed: int
    previous: dict | None

    def training(self, rows, regime, plan=None, like=None):
        """Return a network at its start, which is to learn from some rows.

        It is told a plan, or shares its rows with another, if there are some.
        """
        names = "init", "linearity", "alpha"
        chosen = {name: getattr(regime, name) for name in names}
        return Training(
            {**self.params, **chosen},
            self.table,
            rows,
            self.target,
            self.loss,
            regime.link,
            self.threads,
            self.seed,
            self.previous,
            plan,
            like,
        )

    def trial(self, rows, regime, entrants=(), plan=None):
        """Return a trial of a regime, beside others that there are already."""
        like = entrants[0] if entrants else None
        training = self.training(rows, regime, plan, like and like.training)
        if like is None or training.batches is not like.training.batches:
            watched = self.validation(training), self.some(training)
        else:
            watched = like.validation, like.some
        return Trial(
            training,
            self.params,
            *watched,
            distinct=self.distinct,
            regime=regime,
            is_chosen=self.asks_for_less_error and self.params["init"] != "random",
        )

    def validation(self, training):
        """Return the rows to validate on, as a training sees them, or None."""
        return self.held_out and training.batches_of(*self.held_out)

    @property
    def distinct(self):
        """Which of the rows to validate on count as evidence: equal ones once."""
        if self.held_out is None:
            return slice(None)
        table, rows = self.held_out
        return table.first_of_each(rows)

    def some(self, training):
        """Return training rows to measure losses on: all, or some."""
        rows = training.rows
        if len(rows) <= _WATCHED_ROWS:
            return training.batches
        rng = np.random.default_rng(self.seed)
        chosen = rng.choice(rows, _WATCHED_ROWS, replace=False)
        return training.batches_of(self.table, np.sort(chosen))

    @property
    def holds_rows_out(self):
        """Whether rows of the table itself are validated on."""
        return self.held_out is not None and self.held_out[0] is self.table

    @property
    def asks_for_less_error(self):
        """Whether the reconstruction is all that is asked for, in units of the data.

        PCA's error can then be compared with. A target, a penalty and codes that are
        drawn have their price.
        """
        params = self.params
        return (
            self.target is None
            and params["penalty"] is None
            and not params["latent"].has_cost
            and not self.loss.canonical
            and params["output_activation"] in ("auto", "identity")
        )


def _train(source, rows, link):
    """Train in the regime that suits the rows to validate on best."""
    params, table = source.params, source.table
    validates = params["early_stopping"] and source.held_out is not None
    options = regimes(
        params, link, table.X, source.previous, validates, source.target is not None
    )
    entrants = []
    for regime in options:
        entrants.append(source.trial(rows, regime, entrants))
    if entrants[0].training.starts_anchored and _refits(source, rows):
        entrants[0].training.solver.max_time *= _TIME_BEFORE_REFIT

    def decaying(trial):
        if params["alpha"] != "auto" or not validates or len(options) == 1:
            return None
        regime = decay(options[entrants.index(trial)])
        plan = trial.training.plan
        max_iter = max(1, round(regime.passes * plan.max_iter))
        plan = replace(plan, alpha=regime.alpha, max_iter=max_iter)
        return source.trial(rows, regime, [trial], plan)

    trial = contest(entrants, decaying)
    trial.judge()
    return trial


def _refits(source, rows):
    """Whether what is validated will be trained again on all rows."""
    return source.holds_rows_out and len(rows) < source.table.n_rows <= _REFIT_ROWS


class _Finalist:
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
        if self.is_linear or not _gives_way(self.source):
            return True
        linear = _Finalist(self.source, self.training, self.training.linear_network())
        objective = self.training.objective
        for batches in self._measured:
            losses, others = (
                finalist.deployed.row_losses(objective, batches).mean()
                for finalist in (self, linear)
            )
            if not losses <= others * (1 + _ROUNDING) + _NOTHING:
                return False
        return True

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
        # Rows of the table that were held out belong to it again.
        seen = [training.batches]
        if len(training.rows) < self.source.table.n_rows:
            seen.append(self.source.validation(training))
        if params["ordered"]:
            return canonicalise_signs(network, seen)
        radius = np.inf
        if self.is_linear:  # on the training rows the codes are PCA's
            radius = network.decoder.radius.item() or np.inf
        elif network.anchored:
            radius = radius_of(network, self.source.some(training))
        return canonicalise(network, seen, radius)


def _gives_way(source):
    """Whether a result that is worse than PCA gives way to PCA.

    Not where it goes on from another, and not the plain network that someone asks for
    without validation.
    """
    if source.previous or not source.asks_for_less_error:
        return False
    return source.params["early_stopping"] or source.params["init"] != "random"


def _finalists(source, trial):
    """Yield what may be returned, the best first, and the linear start in the end."""
    n_rows, training = source.table.n_rows, trial.training
    everything = np.arange(n_rows)
    refits = training.starts_anchored or trial.is_chosen
    if trial.kept or not (training.starts_linear or _gives_way(source)):
        if trial.kept and refits and _refits(source, training.rows):
            again = _on_all_rows(source, trial, everything)
            if again is not None:
                yield _Finalist(source, again, _with_radii(source, trial, again))
        yield _Finalist(source, training, _with_radii(source, trial, training))
        if not _gives_way(source):
            return
    if len(training.rows) < n_rows:  # holding some out costs nothing
        training = source.training(everything, Regime("identity", init="pca"))
    yield _Finalist(source, training, training.linear_network())


def _on_all_rows(source, trial, rows):
    """Make the passes that were good again on all rows; None if that fails.

    Those that were held out have told what to keep. In a large table they would hardly
    add anything.
    """
    training = trial.training
    plan = training.plan
    if plan.max_time < np.inf:  # as many steps as the clock had allowed
        passes = training.solver.steps_of_schedule / training.batches.n_batches
        plan = replace(plan, max_iter=passes, max_time=np.inf)
    again = source.training(rows, trial.regime, plan)
    start_loss = evaluate(again.objective, again.batches)
    again.begin_work()
    for _ in zip(range(trial.monitor.best_iter), again.passes(), strict=False):
        pass
    # Rows that were held out are now learnt from: they can only have come nearer.
    validated = evaluate(again.objective, source.validation(again))
    improved = evaluate(again.objective, again.batches) <= start_loss
    return again if improved and validated <= trial.monitor.best_loss else None


def _with_radii(source, trial, training):
    """Return its network, which far away is as good as PCA, or gives way to it."""
    network = training.network.eval()
    learnt = source.some(training)
    watched = learnt if source.held_out is None else source.validation(training)
    if training.starts_linear:
        # PCA of the rows that the watched ones were held out from.
        batches = trial.validation or trial.some
        errors = pca_errors(trial.training.pca, ((x, x) for x, _ in batches.in_order()))
        fade_where_astray(network, watched, learnt, errors.mean(), training.reach)
    elif network.init == "faded":  # in the fit before
        fade_again(network, watched, learnt)
    elif trial.regime.init == "random" != source.params["init"]:
        centre(network, [learnt])
        give_way(network, training.linear_network(), watched, learnt)
    return network


def _baseline(final, trial):
    """Return PCA's score on the rows that were validated on, or else on all."""
    if final.is_linear and final.source.holds_rows_out or trial.validation is None:
        return baseline_score(final.training, final.source.some(final.training))
    return baseline_score(trial.training, trial.validation)
