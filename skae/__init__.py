"""Autoencoders that stand wherever scikit-learn's PCA stands."""

from ._corruptions import GaussianNoise, Masking, SwapNoise
from ._transformer import AutoEncoderTransformer

__all__ = [
    "AutoEncoderTransformer",
    "GaussianNoise",
    "Masking",
    "SwapNoise",
    "__version__",
]

__version__ = "0.1.0"
