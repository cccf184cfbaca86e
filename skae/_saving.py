"""Saving: the types that loaders of files have to trust."""

import sys

from sklearn.base import BaseEstimator

__all__ = ["skops_types"]


def skops_types() -> list[str]:
    """Return the types of skae that a file of skops may name, to trust them.

    skops loads no type that is neither its own nor scikit-learn's unless it is told
    to. All of these hold numpy arrays and plain values and run no code of a file's.
    Functions and modules of your own, and what you name from torch (an activation such
    as `torch.nn.Mish`), have to be trusted one by one: see `skops.io`'s
    ``get_untrusted_types``. mlflow takes the list as ``skops_trusted_types``.

    Returns
    -------
    types : list of str
        Their names, with the module of each.

    Examples
    --------
    >>> from skae import skops_types
    >>> "skae.AutoEncoderTransformer" in skops_types()
    True

    ``skops.io.dump(model, "model.skops")`` writes a fitted pipeline, and
    ``skops.io.load("model.skops", trusted=skops_types())`` reads it.
    """
    skae = sys.modules[__package__]
    public = (getattr(skae, name) for name in skae.__all__)
    kinds = (v for v in public if isinstance(v, type) and issubclass(v, BaseEstimator))
    return sorted(f"skae.{kind.__name__}" for kind in kinds)


# The public place.
skops_types.__module__ = "skae"
