"""Fitted state: what an estimator has learnt, as objects to read.

The estimator keeps it as attributes that are numpy and plain values, which `state`
brings up to date when it is loaded. Here they are what the rest of the code works with.
Older states may lack some of them, which are then None.
"""

from dataclasses import dataclass
from typing import Any, Self, TypeVar

import numpy as np

from .._data.first_rows import StreamedRows
from .._data.scaling import Scaling
from .._data.targets import Target
from .._linear.ppca import PPCA
from .._parts.column_links import PlainLink
from .._parts.networks import Architecture
from .._training.checkpoint import Checkpoint
from .code_transform import CodeTransform
from .explained_variance import EXPLAINED, Moments
from .imputation import Imputation

__all__ = ["FittedState", "StreamMemory", "damaged", "stored"]

Made = TypeVar("Made")

# Attributes of every fitted estimator.
_OF_EACH = (
    "_architecture",
    "_weights",
    "_scaling",
    "_code_transform",
    "_link",
    "device_",
    "n_components_",
    "n_features_in_",
    "n_samples_",
)


def damaged(why: object) -> ValueError:
    """Return the error that says that what was fitted is not whole, and why."""
    return ValueError(
        "What was fitted is incomplete or damaged, as a corrupt file would be "
        f"({str(why)[:200]}). Load it from another copy, or fit it again."
    )


def stored(value: object | None) -> dict[str, Any] | None:
    """Return the fields of an object by name, as they are stored, or None."""
    return None if value is None else vars(value)


def _made(cls: type[Made], values: dict[str, Any] | None) -> Made | None:
    """Return the object that was stored as its fields by name, if one was."""
    return None if values is None else cls(**values)


@dataclass(frozen=True)
class StreamMemory:
    """What `partial_fit` needs besides to go on from the last call.

    Attributes
    ----------
    checkpoint : Checkpoint
    moments : Moments or None
        Of the rows so far.
    first : StreamedRows or None
        The first rows, as long as they are kept.
    """

    checkpoint: Checkpoint
    moments: Moments | None
    first: StreamedRows | None

    @classmethod
    def of(cls, memory: dict[str, Any]) -> Self:
        """Return that of what an estimator keeps, plain values by name."""
        rest = memory.copy()
        moments, first = rest.pop("moments", None), rest.pop("first", None)
        kept = _made(Moments, moments), _made(StreamedRows, first)
        return cls(Checkpoint(**rest), *kept)


@dataclass(frozen=True)
class FittedState:
    """What an estimator has learnt.

    Attributes
    ----------
    n_samples : int
        Rows seen so far.
    n_components : int
    architecture : Architecture
    weights : dict
        Those of the network, arrays by name.
    scaling : Scaling
    code_transform : CodeTransform
    link : str or tuple
        What `link_of` takes.
    ppca : PPCA or None
        What fills gaps, if there may be some.
    imputation : Imputation or None
        How much the network has to say to that.
    target : Target or None
        How ``y`` is read.
    loss_parts : tuple or None
        What `loss_parts` has returned.
    explained : dict
        What `explain` has returned.
    loss_curve : list of float
    baseline_score : float or None
    memory : StreamMemory or None
        Of a stream; None after `fit`.
    """

    n_samples: int
    n_components: int
    architecture: Architecture
    weights: dict[str, np.ndarray]
    scaling: Scaling
    code_transform: CodeTransform
    link: PlainLink
    ppca: PPCA | None
    imputation: Imputation | None
    target: Target | None
    loss_parts: tuple | None
    explained: dict[str, Any]
    loss_curve: list[float]
    baseline_score: float | None
    memory: StreamMemory | None

    @classmethod
    def of(cls, attributes: dict[str, Any]) -> Self:
        """Return that of a fitted estimator's attributes, those of one moment.

        Other threads may fit it meanwhile.

        Raises
        ------
        ValueError
            If attributes are missing, or are not what was stored.
        """
        learnt = attributes.copy()
        lost = [name for name in _OF_EACH if name not in learnt]
        if lost:
            raise damaged(f"{', '.join(lost)} is missing")
        try:
            return cls._of(learnt)
        except (KeyError, TypeError, AttributeError) as error:
            raise damaged(error) from error

    @classmethod
    def _of(cls, learnt: dict[str, Any]) -> Self:
        memory = learnt.get("_memory")
        return cls(
            n_samples=learnt["n_samples_"],
            n_components=learnt["n_components_"],
            architecture=Architecture(**learnt["_architecture"]),
            weights=learnt["_weights"],
            scaling=Scaling(**learnt["_scaling"]),
            code_transform=CodeTransform(**learnt["_code_transform"]),
            link=learnt["_link"],
            ppca=_made(PPCA, learnt.get("_ppca")),
            imputation=_made(Imputation, learnt.get("_imputation")),
            target=_made(Target, learnt.get("_target")),
            loss_parts=learnt.get("_loss_parts"),
            explained={name: learnt[name] for name in EXPLAINED if name in learnt},
            loss_curve=learnt.get("loss_curve_", []),
            baseline_score=learnt.get("baseline_score_"),
            memory=StreamMemory.of(memory) if memory else None,
        )
