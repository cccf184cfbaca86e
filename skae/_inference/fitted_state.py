"""Fitted state: what an estimator has learnt, as objects of skae's classes.

The estimator stores numpy arrays and plain values as attributes. The module `state`
migrates them when they are loaded. This module makes the objects that the rest of the
code uses. Older states may lack some of them, which are then None.
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

Stored = TypeVar("Stored")

# Attributes of every fitted estimator.
_REQUIRED = (
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
    """Return an error which says why the fitted state is incomplete or damaged."""
    return ValueError(
        "What was fitted is incomplete or damaged, as a corrupt file would be "
        f"({str(why)[:200]}). Load it from another copy, or fit it again."
    )


def stored(value: object | None) -> dict[str, Any] | None:
    """Return the fields of an object by name, which are stored. None stays None."""
    return None if value is None else vars(value)


def _from_fields(cls: type[Stored], values: dict[str, Any] | None) -> Stored | None:
    """Return the object whose fields were stored by name. None stays None."""
    return None if values is None else cls(**values)


@dataclass(frozen=True)
class StreamMemory:
    """State that only `partial_fit` needs, to continue from its last call.

    Attributes
    ----------
    checkpoint : Checkpoint
    moments : Moments or None
        Moments of the rows seen so far.
    first : StreamedRows or None
        The first rows, as long as they are kept.
    """

    checkpoint: Checkpoint
    moments: Moments | None
    first: StreamedRows | None

    @classmethod
    def of(cls, memory: dict[str, Any]) -> Self:
        """Return it from an estimator's ``_memory``, plain values by name."""
        rest = memory.copy()
        moments, first = rest.pop("moments", None), rest.pop("first", None)
        kept = _from_fields(Moments, moments), _from_fields(StreamedRows, first)
        return cls(Checkpoint(**rest), *kept)


@dataclass(frozen=True)
class FittedState:
    """What an estimator has learnt.

    Attributes
    ----------
    n_samples : int
        Number of rows seen so far.
    n_components : int
    architecture : Architecture
    weights : dict
        Arrays of the network's weights by name.
    scaling : Scaling
    code_transform : CodeTransform
    link : str or tuple
        The link of the loss; see `link_of`.
    ppca : PPCA or None
        Model that fills gaps, if there may be gaps.
    imputation : Imputation or None
        How much the network contributes to the filled values.
    target : Target or None
        Interpretation of ``y``.
    loss_parts : tuple or None
        The return value of `loss_parts`.
    explained : dict
        The return value of `explain`.
    loss_curve : list of float
    baseline_score : float or None
    memory : StreamMemory or None
        Memory of `partial_fit`; None after `fit`.
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
        """Return the state from a fitted estimator's attributes.

        They are copied first, because another thread may refit the estimator.

        Raises
        ------
        ValueError
            If attributes are missing, or are not as they were stored.
        """
        learnt = attributes.copy()
        lost = [name for name in _REQUIRED if name not in learnt]
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
            ppca=_from_fields(PPCA, learnt.get("_ppca")),
            imputation=_from_fields(Imputation, learnt.get("_imputation")),
            target=_from_fields(Target, learnt.get("_target")),
            loss_parts=learnt.get("_loss_parts"),
            explained={name: learnt[name] for name in EXPLAINED if name in learnt},
            loss_curve=learnt.get("loss_curve_", []),
            baseline_score=learnt.get("baseline_score_"),
            memory=StreamMemory.of(memory) if memory else None,
        )
