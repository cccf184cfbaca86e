"""Saving: the types that loaders have to trust."""

from ._estimator import AutoEncoderTransformer
from ._parts.corruptions import CORRUPTIONS
from ._parts.latents import LATENTS
from ._parts.networks import NETWORKS
from ._parts.penalties import PENALTIES, PenaltySum

__all__ = ["skops_types"]


def skops_types():
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
    >>> skops_types()[:3]
    ['skae.AutoEncoderTransformer', 'skae.Contraction', 'skae.Conv']

    ``skops.io.dump(model, "model.skops")`` writes a fitted pipeline, and
    ``skops.io.load("model.skops", trusted=skops_types())`` reads it.
    """
    parts = [*NETWORKS.values(), *LATENTS.values(), *PENALTIES.values()]
    parts += [*CORRUPTIONS.values(), PenaltySum]
    types = {AutoEncoderTransformer, *parts}
    return sorted(f"{kind.__module__}.{kind.__name__}" for kind in types)


# It names the public place.
skops_types.__module__ = "skae"
