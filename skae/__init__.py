"""Autoencoders that stand wherever scikit-learn's PCA stands."""

from ._anomaly.detector import ReconstructionOutlierDetector
from ._estimator import AutoEncoderTransformer
from ._parts.corruptions import GaussianNoise, Masking, SwapNoise
from ._parts.latents import Gaussian, Mixture
from ._parts.networks import Conv, Dense, Modules
from ._parts.part_checks import check_part
from ._parts.penalties import Contraction, PenaltySum, Sparsity
from ._runtime.warning import ValidationWarning
from ._saving import skops_types
from ._version import __version__

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
    "ReconstructionOutlierDetector",
    "Sparsity",
    "SwapNoise",
    "ValidationWarning",
    "__version__",
    "check_part",
    "skops_types",
]
