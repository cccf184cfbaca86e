"""Overfitting: whether the loss falls on training rows but not on held-out rows.

The losses on held-out and on training rows are compared with PCA's losses on both.
PCA's losses differ too: it is fitted to the training rows, and the held-out rows may be
more difficult. Measured in docs/choices.md, "Overfitting, and when weights decay".
"""

from collections.abc import Sequence

import numpy as np

from .._training.early_stopping import EarlyStopping

__all__ = ["generalisation_gap", "overfits"]

# A network may overfit if the training loss falls for this share of all epochs, and for
# at least this number of epochs, without gain on held-out rows.
_IN_VAIN = 0.06
_LEAST_EPOCHS = 3
# Smallest gap that then means overfitting. If rows are few, the loss also rises by
# chance.
_GAP = 1.5
# Smallest gap that means overfitting once patience has run out.
_GAP_IN_THE_END = 1.2
# Losses below this are rounding errors.
_NOTHING = 1e-14


def generalisation_gap(
    loss_curve: Sequence[float],
    validation_curve: Sequence[float],
    pca_gap: float,
    n_epochs: int,
) -> float:
    """Return the ratio of the losses on held-out and training rows, over PCA's ratio.

    Parameters
    ----------
    loss_curve, validation_curve : list of float
        Losses of each epoch so far, on training rows and on held-out rows.
    pca_gap : float
        The same ratio of PCA's losses.
    n_epochs : int
        Number of last epochs over which losses are averaged.
    """
    validation_loss, loss = (
        float(np.mean(curve[-n_epochs:])) for curve in (validation_curve, loss_curve)
    )
    return validation_loss / max(loss * pca_gap, _NOTHING)


def overfits(
    early_stopping: EarlyStopping,
    loss_curve: Sequence[float],
    validation_curve: Sequence[float],
    pca_gap: float,
) -> bool:
    """Whether the training loss has fallen for some time, but not the held-out loss.

    Long steps may raise both losses for a while. This is not overfitting, and shorter
    steps will lower them.
    """
    n_waited = early_stopping.n_iter - early_stopping.best_iter
    if n_waited < max(_LEAST_EPOCHS, _IN_VAIN * early_stopping.config.max_iter):
        return False
    if early_stopping.best_iter == 0:
        return False
    n_epochs = n_waited // 2
    lower = np.mean(loss_curve[-n_epochs:]) < loss_curve[early_stopping.best_iter - 1]
    least = _GAP if early_stopping.reason is None else _GAP_IN_THE_END
    gap = generalisation_gap(loss_curve, validation_curve, pca_gap, n_epochs)
    return bool(lower and gap > least)
