"""Loss curve: the losses of a training, and the epoch that was kept."""

import textwrap
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import ArrayLike
from sklearn.base import BaseEstimator
from sklearn.utils.validation import check_is_fitted

from .._notebook import result_in_words
from .._reconstruction import ReconstructingTransformer
from .canvas import COLOURS, DASHES, one_axes
from .comparison import last_step

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["LossCurveDisplay"]

# Ratio of the largest to the smallest loss from which on the scale is logarithmic.
_WIDE = 8.0
# Characters of a line of text that fit into the picture.
_LINE_LENGTH = 56


class LossCurveDisplay:
    """Losses of each epoch, PCA's loss, and the epoch whose weights are kept.

    Use `from_estimator` to make it. The parameters are the data that it draws.

    Parameters
    ----------
    loss_curve : array-like of shape (n_epochs,)
        Training loss of each epoch, averaged over its steps.
    validation_loss_curve : array-like of shape (n_epochs,), default=None
        Loss on held-out rows after each epoch.
    best_iter : int, default=None
        The epoch whose weights are kept, from 1; 0 is the start.
    baseline_loss : float, default=None
        PCA's loss, on held-out rows if there are some.
    is_pca : bool, default=False
        Whether the result is PCA.
    result : str, default=None
        What the result is, if it is not a network, and why: shown as the title, or
        instead of the losses if there was no epoch.

    Attributes
    ----------
    ax_, figure_ : matplotlib Axes, Figure
        After `plot`.

    See Also
    --------
    ScreeDisplay : Share of the variance that is reconstructed, by number of codes.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from skae import AutoEncoderTransformer, LossCurveDisplay
    >>> ae = AutoEncoderTransformer(2, max_iter=20, random_state=0)
    >>> ae = ae.fit(load_iris().data)
    >>> display = LossCurveDisplay.from_estimator(ae)
    >>> display.ax_.get_xlabel()
    'epoch'
    """

    def __init__(
        self,
        loss_curve: ArrayLike,
        validation_loss_curve: ArrayLike | None = None,
        *,
        best_iter: int | None = None,
        baseline_loss: float | None = None,
        is_pca: bool = False,
        result: str | None = None,
    ) -> None:
        self.loss_curve = loss_curve
        self.validation_loss_curve = validation_loss_curve
        self.best_iter = best_iter
        self.baseline_loss = baseline_loss
        self.is_pca = is_pca
        self.result = result

    @classmethod
    def from_estimator(
        cls, estimator: BaseEstimator, *, ax: "Axes | None" = None
    ) -> Self:
        """Draw the losses of a fitted estimator.

        Parameters
        ----------
        estimator : AutoEncoderTransformer or Pipeline that ends in one
            Any other estimator with a ``loss_curve_`` works, such as `MLPRegressor`.
        ax : matplotlib Axes, default=None
            Axes to draw on. None makes a figure.

        Returns
        -------
        display : LossCurveDisplay
            The display, drawn.

        Raises
        ------
        ValueError
            If the estimator has no ``loss_curve_``.
        """
        estimator = last_step(estimator)
        check_is_fitted(estimator)
        if getattr(estimator, "loss_curve_", None) is None:
            raise ValueError(
                f"{type(estimator).__name__} has no loss_curve_ to draw. Pass a fitted "
                "AutoEncoderTransformer, or a Pipeline that ends in one."
            )
        display = cls(
            estimator.loss_curve_,
            getattr(estimator, "validation_loss_curve_", None),
            best_iter=getattr(estimator, "best_iter_", None),
            baseline_loss=getattr(estimator, "baseline_loss_", None),
            is_pca=getattr(estimator, "result_", None) == "pca",
            result=_result_of(estimator),
        )
        return display.plot(ax=ax)

    def plot(self, ax: "Axes | None" = None) -> Self:
        """Draw the losses.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Axes to draw on. None makes a figure.

        Returns
        -------
        display : LossCurveDisplay
            The display, drawn.
        """
        ax = self.ax_ = one_axes(ax, earlier=getattr(self, "ax_", None))
        self.figure_ = ax.figure
        if not np.size(self.loss_curve):
            self._say_that_there_is_nothing(ax)
            return self
        epochs = np.arange(1, np.size(self.loss_curve) + 1)
        held_out = self.validation_loss_curve is not None
        self._line(ax, "train", epochs, self.loss_curve, "training, along the way")
        watched = self.loss_curve
        if self.validation_loss_curve is not None:
            watched = self.validation_loss_curve
            self._line(ax, "ours", epochs, watched, "validation")
        if self.baseline_loss is not None:
            where = "validation" if held_out else "training"
            label = f"PCA, {where}: {self.baseline_loss:.3g}"
            self._level(ax, label)
        self._mark_kept(ax, epochs, watched)
        self._scale(ax, watched)
        ax.set(xlabel="epoch", ylabel="loss")
        locator: Any = ax.xaxis.get_major_locator()
        locator.set_params(integer=True)
        if ax.get_legend_handles_labels()[0]:
            ax.legend(frameon=False)
        return self

    def _say_that_there_is_nothing(self, ax):
        ax.set(title="There was no epoch", xticks=[], yticks=[])
        text = self._result() or "There are no losses to draw."
        place = {"x": 0.5, "y": 0.5, "ha": "center", "va": "center"}
        ax.text(**place, s=_wrapped(text), transform=ax.transAxes)

    def _result(self):
        """Return a sentence about a result that is not a network, or None."""
        if self.result is not None:
            return f"The result is {self.result}"
        if not self.is_pca:
            return None
        some = np.size(self.loss_curve) > 0
        why = (
            "no network was significantly better" if some else "no network was trained"
        )
        return f"The result is PCA: {why}"

    def _line(self, ax, role, epochs, losses, label):
        ax.plot(
            epochs,
            losses,
            color=COLOURS[role],
            linestyle=DASHES[role],
            label=label,
            marker="." if len(losses) < 10 else None,
        )

    def _level(self, ax, label):
        style = {"color": COLOURS["baseline"], "linestyle": DASHES["baseline"]}
        ax.axhline(self.baseline_loss, label=label, **style)

    def _mark_kept(self, ax, epochs, watched):
        if result := self._result():
            ax.set_title(_wrapped(result))
        elif self.best_iter and self.best_iter <= len(watched):
            loss = watched[self.best_iter - 1]
            ax.axvline(self.best_iter, color=COLOURS["kept"], lw=0.8, ls=DASHES["kept"])
            label = f"kept: epoch {self.best_iter} of {len(epochs)}, {loss:.3g}"
            style = {"color": COLOURS["kept"], "linestyle": "none", "marker": "o"}
            ax.plot([self.best_iter], [loss], label=label, **style)
        elif self.best_iter == 0:
            ax.set_title("The start is kept: no epoch was better")

    def _scale(self, ax, watched):
        values = np.concatenate([self.loss_curve, watched])
        values = values[np.isfinite(values)]
        if len(values) and values.min() > 0 and values.max() > _WIDE * values.min():
            ax.set_yscale("log")
        else:
            low = values.min() if len(values) else 0.0
            ax.set_ylim(bottom=min(0.0, 1.1 * low))


def _result_of(estimator):
    """Return what the result of an autoencoder is, None for networks and others."""
    is_ours = isinstance(estimator, ReconstructingTransformer)
    if not is_ours or estimator.result_ == "network":
        return None
    return result_in_words(estimator)


def _wrapped(text):
    return textwrap.fill(text, _LINE_LENGTH)


# Pickles name the public place, so that they survive a move of this file.
LossCurveDisplay.__module__ = "skae"
