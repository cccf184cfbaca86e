"""Parameters: the values that users have set on an estimator, as one object."""

from dataclasses import dataclass, fields
from typing import Any, Self

__all__ = ["Parameters"]


@dataclass(frozen=True)
class Parameters:
    """The parameters of `AutoEncoderTransformer`, which documents each of them.

    `CONSTRAINTS` has their allowed values. A fit replaces some: `check_slots` puts a
    part into each slot, `choose_loss` sets the loss for the given columns, and
    `count_components` sets the number of codes. `Config` has the values for which
    "auto" stands in a network and its training.
    """

    n_components: Any
    hidden_layer_sizes: Any
    activation: Any
    loss: Any
    output_activation: str
    init: str
    linearity: float | str
    ordered: bool
    network: Any
    corruption: Any
    latent: Any
    penalty: Any
    supervision: float
    teacher: Any
    missing_label: float | str | None
    missing_values: float | None
    target_type: str
    standardize: bool
    whiten: bool
    solver: str
    learning_rate_init: float | str
    learning_rate: str
    alpha: float | str
    batch_size: int | str
    max_iter: int | str
    max_time: float | None
    early_stopping: bool
    validation: Any
    validation_fraction: float
    n_iter_no_change: int | str
    tol: float
    warm_start: bool
    device: Any
    random_state: Any
    verbose: int
    on_interrupt: str

    @classmethod
    def of(cls, estimator: object) -> Self:
        """Return an estimator's parameters, even those that a subclass lacks."""
        names = [field.name for field in fields(cls)]
        return cls(**{name: getattr(estimator, name) for name in names})

    def are_auto(self, *names: str) -> bool:
        """Whether all of some parameters are "auto"."""
        values = [getattr(self, name) for name in names]
        return all(isinstance(value, str) and value == "auto" for value in values)
