"""Pictures: rows as images, grey or in colour, and differences of rows."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

from .._typing import Floats
from .canvas import limits

__all__ = ["difference_picture", "grey_levels", "is_in_colour", "picture"]


def is_in_colour(image_shape: Sequence[int]) -> bool:
    """Whether pictures have red, green and blue, and perhaps transparency."""
    return len(image_shape) == 3 and image_shape[-1] in (3, 4)


def grey_levels(values: ArrayLike, image_shape: Sequence[int]) -> tuple[float, float]:
    """Return the values that are drawn as black and as white.

    These are the lowest and the highest value; for colours between 0 and 1, they are 0
    and 1.
    """
    low, high = limits(values)
    is_share = is_in_colour(image_shape) and low >= 0 and high <= 1
    return (0.0, 1.0) if is_share else (low, high)


def picture(
    row: Floats, image_shape: Sequence[int], levels: tuple[float, float]
) -> Floats:
    """Return a row as an image: grey values, or colours from 0 to 1.

    Gaps are NaN in grey pictures, and transparent in those in colour.

    Parameters
    ----------
    row : ndarray of shape (n_features,)
    image_shape : sequence of int
    levels : tuple of float
        What is black and what is white, from `grey_levels`.
    """
    image = np.reshape(row, image_shape)
    if not is_in_colour(image_shape):
        return image
    low, high = levels
    missing = np.isnan(image).any(axis=-1)
    image = np.clip((np.nan_to_num(image) - low) / (high - low), 0.0, 1.0)
    if missing.any():
        opaque = image[..., 3] if image.shape[-1] == 4 else np.ones(missing.shape)
        image = np.dstack([image[..., :3], np.where(missing, 0.0, opaque)])
    return image


def difference_picture(difference: Floats, image_shape: Sequence[int]) -> Floats:
    """Return a difference of rows as an image of one number per pixel.

    In colour, this is the mean over red, green and blue.
    """
    image = np.reshape(difference, image_shape)
    return image[..., :3].mean(axis=-1) if is_in_colour(image_shape) else image
