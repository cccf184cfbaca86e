"""Autoencoders that stand wherever scikit-learn's PCA stands."""

from ._corruptions import GaussianNoise, Masking, SwapNoise
from ._latents import Gaussian, Mixture
from ._networks import Conv, Dense, Modules
from ._penalties import Contraction, PenaltySum, Sparsity
from ._transformer import AutoEncoderTransformer
from ._warning import ValidationWarning

__all__ = [
    "AutoEncoderTransformer",
    "Contraction",
    "Conv",
    "Dense",
    "Gaussian",
    "GaussianNoise",
    "Masking",
    "Mixture",
    "Modules",
    "PenaltySum",
    "Sparsity",
    "SwapNoise",
    "ValidationWarning",
    "__version__",
]

__version__ = "0.1.0"
