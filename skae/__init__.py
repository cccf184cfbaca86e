"""Autoencoders that stand wherever scikit-learn's PCA stands."""

from ._transformer import AutoEncoderTransformer

__all__ = ["AutoEncoderTransformer", "__version__"]

__version__ = "0.1.0"
