"""Autoencoders that stand wherever scikit-learn's PCA stands."""

from ._anomaly.detector import ReconstructionOutlierDetector
from ._displays.embedding import EmbeddingDisplay
from ._displays.error import ErrorDisplay
from ._displays.loss_curve import LossCurveDisplay
from ._displays.reconstruction import ReconstructionDisplay
from ._displays.report import report
from ._displays.scree import ScreeDisplay
from ._displays.traversal import TraversalDisplay
from ._estimator import AutoEncoderTransformer
from ._imputer import AutoEncoderImputer
from ._parts.corruptions import GaussianNoise, Masking, SwapNoise
from ._parts.latents import Gaussian, Mixture
from ._parts.mixed import MixedLoss
from ._parts.networks import Conv, Dense, Modules
from ._parts.part_checks import check_part
from ._parts.penalties import Contraction, PenaltySum, Sparsity
from ._runtime.warning import ValidationWarning
from ._saving import skops_types
from ._version import __version__

__all__ = [
    "AutoEncoderImputer",
    "AutoEncoderTransformer",
    "Contraction",
    "Conv",
    "Dense",
    "EmbeddingDisplay",
    "ErrorDisplay",
    "Gaussian",
    "GaussianNoise",
    "LossCurveDisplay",
    "Masking",
    "MixedLoss",
    "Mixture",
    "Modules",
    "PenaltySum",
    "ReconstructionDisplay",
    "ReconstructionOutlierDetector",
    "ScreeDisplay",
    "Sparsity",
    "SwapNoise",
    "TraversalDisplay",
    "ValidationWarning",
    "__version__",
    "check_part",
    "report",
    "skops_types",
]
