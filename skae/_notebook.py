"""Notebook: the summary of a fitted estimator in scikit-learn's HTML.

It is read from fitted attributes, so displaying it computes nothing new.
"""

import html

import numpy as np
from sklearn.base import BaseEstimator

__all__ = ["held_out_scores", "network_shape", "result_in_words", "summary_html"]

# Mid-tones, which are visible on light and dark backgrounds. Text has scikit-learn's
# colour.
_OURS, _PCA = "#2a86c8", "#d9722e"
_WIDTH, _HEIGHT, _MARGIN = 360, 96, 4
# Largest number of points of a line. More would not be distinguishable.
_MOST_POINTS = 180
# Ratio of the largest to the smallest loss from which on the scale is logarithmic.
_WIDE = 8.0


def summary_html(estimator: BaseEstimator) -> str:
    """Return HTML with the network, its score beside PCA's, and the loss curve.

    Parameters
    ----------
    estimator : AutoEncoderTransformer
        Fitted estimator.
    """
    n_weights = sum(weight.size for weight in estimator._weights.values())
    rows = {
        "result": result_in_words(estimator),
        "network": network_shape(estimator),
        "parameters": f"{n_weights:,}",
        "R²": _scores(estimator),
        "epochs": _epochs(estimator),
    }
    # Notebooks align the cells of tables to the right.
    cell = '<td style="text-align: left">'
    cells = "".join(
        f"<tr>{cell}{name}</td>{cell}{html.escape(text)}</td></tr>"
        for name, text in rows.items()
    )
    return (
        '<div class="estimator-table skae-summary" style="padding: 0.3em 0.5em; '
        "color: var(--sklearn-color-text); display: flex; flex-wrap: wrap; "
        'gap: 0.3em 2em; align-items: center; justify-content: center">'
        '<div><table class="parameters-table" style="color: inherit">'
        f"<tbody>{cells}</tbody></table></div>"
        f"{_curve_svg(estimator)}</div>"
    )


def network_shape(estimator: BaseEstimator) -> str:
    """Return the widths of rows, dense hidden layers, codes, and back, as a text.

    Other networks than dense ones are shown by the name of their kind.

    Parameters
    ----------
    estimator : AutoEncoderTransformer
        Fitted estimator.

    Returns
    -------
    shape : str
    """
    ends = [estimator.n_features_in_, estimator.n_components_]
    kind, _ = estimator._architecture["network"]
    if estimator._architecture["init"] == "linear":
        hidden = []
    elif kind == "Dense":
        hidden = list(estimator._architecture["hidden_layer_sizes"])
    else:
        hidden = [kind]
    widths = [ends[0], *hidden, ends[1], *hidden[::-1], ends[0]]
    return " – ".join(map(str, widths))


def result_in_words(estimator: BaseEstimator) -> str:
    """Return what the result is, and the reason if it is not a network.

    The reason follows from fitted attributes: the fit warned of it, and stored nothing.

    Parameters
    ----------
    estimator : AutoEncoderTransformer
        Fitted estimator.

    Returns
    -------
    result : str
    """
    if estimator.result_ == "network":
        return "network"
    name = "PCA" if estimator.result_ == "pca" else "the best linear codes"
    if estimator.n_iter_:
        return f"{name}: no network was significantly better"
    validates = estimator.early_stopping and estimator.validation is not None
    if validates and estimator.validation_loss_curve_ is None:
        reason = "too few different rows to hold some out"
    else:
        reason = "training ended before the first epoch did"
    return f"{name}: no network was trained ({reason})"


def held_out_scores(estimator: BaseEstimator) -> tuple[float, float] | None:
    """Return R2 of the network and of PCA on the held-out rows, or None.

    PCA's score is stored. The network's score follows from the losses on the same rows.
    It is that of the validated network, even if this was then trained on all rows.

    Parameters
    ----------
    estimator : AutoEncoderTransformer
        Fitted estimator.

    Returns
    -------
    scores : pair of float or None
        None if the losses are not squared errors of the rows themselves, if no rows
        were held out, or if PCA is the result.
    """
    level = getattr(estimator, "baseline_loss_", None)
    curve, best = estimator.validation_loss_curve_, estimator.best_iter_
    are_errors = estimator.loss == "squared_error" and estimator.corruption is None
    is_network = estimator.result_ == "network"
    if not (level and curve and are_errors and is_network and 0 < best <= len(curve)):
        return None
    of_pca = estimator.baseline_score_
    return 1 - (1 - of_pca) * curve[best - 1] / level, of_pca


def _epochs(estimator):
    """Return the number of epochs, and why there are no more if a network is kept."""
    if estimator.result_ != "network":
        return str(estimator.n_iter_)
    return f"{estimator.n_iter_} ({estimator.stop_reason_})"


def _scores(estimator):
    scores = held_out_scores(estimator)
    if scores is not None:
        return f"{scores[0]:.3f} on rows held out, PCA {scores[1]:.3f}"
    if estimator.result_ == "pca":
        return f"{estimator.baseline_score_:.3f} on the training rows"
    share = estimator.explained_variance_ratio_.sum()
    if estimator.stop_reason_ == "partial_fit":
        return f"{share:.3f} on the last rows"
    of_pca = getattr(estimator, "_baseline_training_score", None)  # not in old pickles
    beside = "" if of_pca is None else f", PCA {of_pca:.3f}"
    return f"{share:.3f} on training rows{beside}"


def _curve_svg(estimator):
    """Return the loss curves and PCA's loss as an SVG picture, or an empty text."""
    training = np.asarray(estimator.loss_curve_, dtype=float)
    validation = estimator.validation_loss_curve_ or []
    level = getattr(estimator, "baseline_loss_", None)
    values = np.concatenate([training, validation, [] if level is None else [level]])
    values = values[np.isfinite(values)]
    if len(training) < 2 or not len(values):
        return ""
    low, high = values.min(), values.max()
    is_wide = low > 0 and high > _WIDE * low
    measure = np.log if is_wide else np.asarray
    bottom, top = (measure(low), measure(high)) if is_wide else (min(0.0, low), high)

    def height(losses):
        share = (measure(losses) - bottom) / ((top - bottom) or 1.0)
        return _HEIGHT - _MARGIN - share * (_HEIGHT - 2 * _MARGIN)

    def line(losses, style):
        epochs = np.arange(len(losses))
        some = np.unique(np.linspace(0, len(losses) - 1, _MOST_POINTS).astype(int))
        x = _MARGIN + epochs * (_WIDTH - 2 * _MARGIN) / max(1, len(training) - 1)
        y = height(losses)
        points = " ".join(f"{x[i]:.0f},{y[i]:.1f}" for i in some if np.isfinite(y[i]))
        return f'<polyline points="{points}" fill="none" {style}/>'

    lines = line(
        training, 'stroke="currentColor" stroke-opacity="0.5" stroke-dasharray="2 2"'
    )
    named = ["··· training"]
    if len(validation):
        lines += line(np.asarray(validation), f'stroke="{_OURS}" stroke-width="1.5"')
        named.append(f'<span style="color: {_OURS}">—</span> validation')
    if level is not None:
        style = f'stroke="{_PCA}" stroke-dasharray="6 3"'
        y = f"{height(level):.1f}"
        lines += f'<line x1="0" x2="{_WIDTH}" y1="{y}" y2="{y}" {style}/>'
        named.append(f'<span style="color: {_PCA}">--</span> PCA')
    scale = ", by logarithm" if is_wide else ", from 0" if low >= 0 else ""
    caption = f"loss of {len(training)} epochs{scale}: " + ", ".join(named)
    return (
        f'<div><svg width="{_WIDTH}" height="{_HEIGHT}" '
        f'viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" '
        'style="display: block; max-width: 100%">'
        f"<title>Losses of the epochs</title>{lines}</svg>"
        f'<div style="font-size: 0.85em">{caption}</div></div>'
    )
