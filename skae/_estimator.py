"""AutoEncoderTransformer: the border between scikit-learn and torch."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import ArrayLike
from sklearn.base import BaseEstimator
from sklearn.utils import Tags
from sklearn.utils.validation import check_is_fitted

from ._compat import CallbackSupportMixin, Summarized, fit_context
from ._constraints import CONSTRAINTS, check_missing_label, check_whole_numbers
from ._data.first_rows import StreamedRows
from ._data.outputs import Label
from ._data.targets import Classes
from ._data.validation import as_given, check_observed, check_rows, is_nan
from ._data.weights import weigh
from ._fitting.callbacks import Callbacks
from ._fitting.dataset import Splitter, TrainingData
from ._fitting.fit import fit_autoencoder
from ._fitting.partial_fit import continue_autoencoder
from ._fitting.progress import Progress
from ._fitting.verbose import Writer
from ._inference.codec_cache import encode
from ._inference.fitted_state import FittedState
from ._inference.state import from_pickle, to_pickle
from ._nn.layers import Activation
from ._notebook import summary_html
from ._parts.corruptions import CorruptionLike
from ._parts.latents import AnyLatent
from ._parts.losses import LOSSES
from ._parts.mixed import MixedLoss, with_columns
from ._parts.networks import AnyNetwork
from ._parts.parameters import Parameters
from ._parts.penalties import PenaltyLike
from ._parts.slots import with_parts
from ._reconstruction import ReconstructingTransformer
from ._runtime.atomic import all_or_nothing
from ._runtime.clock import TimeLimit
from ._runtime.isolation import isolated_fit
from ._runtime.memory import explains_out_of_memory
from ._runtime.threads import ThreadTuner
from ._typing import MatrixLike, RandomState, Rows

__all__ = ["AutoEncoderTransformer"]


class AutoEncoderTransformer(
    Summarized, CallbackSupportMixin, ReconstructingTransformer, BaseEstimator
):
    """Reduce features with an autoencoder, used like PCA.

    A neural network, the encoder, turns each row of ``X`` into a code (embedding,
    latent vector) of ``n_components`` numbers. A second network, the decoder, turns
    codes back into rows [1]_. Both are trained together to reconstruct ``X``. The codes
    can represent nonlinear structure. Otherwise they have the form of PCA's: on the
    training rows they are centred, uncorrelated and sorted by variance, with fixed
    signs.

    Training starts as PCA. If no network is significantly better than PCA on held-out
    rows, the result is PCA itself (``result_``). Use the estimator to reduce features
    before a model, to visualise, compress or denoise, to find unusual rows by their
    reconstruction error, and to generate rows. If the structure is linear, or if there
    are fewer than a few hundred rows, PCA gives the same quality and is much faster.

    Parameters
    ----------
    n_components : int, float or None, default=2
        Width of the code (the bottleneck).

        - int: this number.
        - float in (0, 1): as many as PCA needs to explain more than this share of the
          variance.
        - None: the smaller side of ``X``.

    hidden_layer_sizes : "auto", int or array-like of int, default="auto"
        Widths of the layers from the input to the code. The decoder has them in
        reverse. ``()`` makes a linear autoencoder. "auto" is two layers. The first has
        twice as many units as there are features, or a quarter of the number of rows if
        that is less, and between 64 and 512. The second has half as many, at least 64.
        From 25,600 rows on, the first layer has at least 128 units, and a network with
        few codes has a third layer.
    activation : str or callable, default="auto"
        Activation of the hidden layers.

        - "identity", "relu", "leaky_relu", "elu", "selu", "gelu", "silu", "softplus",
          "tanh", "logistic": as in torch.
        - "quick_gelu": x logistic(1.702 x), an approximation of GELU.
        - "auto": "quick_gelu".
        - callable: a function of a tensor, or a class such as `torch.nn.Mish`.

    loss : str, MixedLoss or callable, default="squared_error"
        Reconstruction error to minimise.

        - "squared_error", "absolute_error".
        - "huber": quadratic up to one unit of scaled data, linear beyond.
        - "log_loss": cross-entropy, for values in [0, 1].
        - "kl_divergence": Kullback-Leibler divergence, for rows that are distributions.
        - "poisson": half the Poisson deviance, for counts.
        - "auto": for tables with numbers, counts, binary and one-hot columns. The kind
          of each column is found in the training rows, and each kind gets its own loss
          (see `MixedLoss`, ``losses_``). If all columns are of one kind, the plain loss
          for it is used.
        - `MixedLoss`: a loss for each group of columns that you name.
        - callable: a function of (output, target), two tensors (batch, n_features) of
          scaled data. It returns the loss of each row, (batch,), or of each value, or
          the mean of all, as `torch.nn.MSELoss` does.

    output_activation : str, default="auto"
        Last step of the decoder: "identity", "logistic", "tanh", "relu", "softplus",
        "exp" or "softmax". Its range must contain the values of ``X``. "auto" depends
        on the loss: "logistic" for "log_loss", "softmax" for "kl_divergence", and "exp"
        for "poisson". These losses, and those of a mixed loss, allow no other output
        activation. For other losses "auto" is "identity", or "logistic" if that is
        better and the values fill [0, 1] like those of pictures.
    init : str, default="auto"
        Initial weights.

        - "pca": encoder and decoder are PCA's linear maps plus a network whose last
          layers start at zero. Training starts with PCA's reconstruction, or near it if
          the output activation is not "identity".
        - "random": a plain network with random weights.
        - "auto": "pca" if the output activation is "identity" or "logistic", or if the
          loss is mixed; else "random". If rows are held out, other starts compete with
          this one.

    linearity : "auto" or float, default="auto"
        Weight of the penalty that keeps the codes close to PCA's, for networks that
        start as PCA (see Notes). 0 gives the lowest reconstruction error. 10 gives
        codes that are nearly linear in ``X``, for linear models on the codes. "auto" is
        1.2 if the output is linear or the loss is mixed, else 0.
    ordered : bool, default=False
        Whether the first codes are trained to work without the later ones, by nested
        dropout [4]_. `inverse_transform` then takes any number of the first codes.
        Ordered codes are not centred, rotated or shortened.
    network : str, Dense, Conv, Modules or None, default=None
        Architecture of encoder and decoder.

        - None, "dense", `Dense`: fully connected layers.
        - "conv", `Conv`: convolutions, for pictures and signals.
        - `Modules`: functions that make your own torch modules.

    corruption : str, object, callable or None, default=None
        How rows are corrupted in training; the decoder learns the clean rows (a
        denoising autoencoder). "masking", "gaussian_noise", "swap_noise", or `Masking`,
        `GaussianNoise`, `SwapNoise` with their parameters; or an object with a method
        ``corrupt(x, rng)``, or a function of these arguments.
    latent : str, Gaussian, Mixture or None, default=None
        What a code is.

        - None: a point.
        - "gaussian", `Gaussian`: a normal distribution, as in a variational
          autoencoder.
        - "mixture", `Mixture`: a point, with a density fitted to all codes.

        The last two allow `sample`.
    penalty : str, object, callable or None, default=None
        Penalty on the codes, added to the loss: "sparsity", "contraction", `Sparsity`,
        `Contraction` with their parameters, or a sum of them; or an object with a
        method ``penalize(z, x, encode, rng)``, or a function of ``(z)``, ``(z, x)`` or
        all four arguments.
    supervision : float, default=0.0
        Weight of the error of a linear model that predicts ``y`` from the codes. It is
        trained together with the autoencoder, and then discarded. Its error is 1 for
        the best constant prediction; 3 is a good first value for the weight. 0 ignores
        ``y``. With a weight above 0, codes start as those of principal covariates
        regression [6]_. Rows without a target (NaN, None, ``missing_label``) train only
        the reconstruction.
    teacher : estimator, "auto" or None, default=None
        Classifier or regressor that predicts the targets of rows without one, for
        semi-supervised learning [8]_. "auto" chooses between trees and linear models on
        up to 5,000 rows, and uses none if neither is better than a constant.
    target_type : str, default="auto"
        What ``y`` is: "continuous", "multiclass" or "multilabel", each for one or
        several outputs. "auto" uses `sklearn.utils.multiclass.type_of_target`. Whole
        numbers stored as floats are taken as numbers if they have more than 20
        different values, and more than the square root of the number of rows.
        Otherwise they are taken as classes, and a warning says so.
    missing_label : "auto", int, float, str or None, default="auto"
        Value of ``y`` that means "no target", besides NaN, None and ``NA``.
        Scikit-learn's semi-supervised models use -1. "auto" and None add no value.
        "auto" warns if ``y`` has -1 beside other classes, or a text such as "nan".
    missing_values : int, float, np.nan or None, default=None
        Value of ``X`` that means "missing". NaN is an error unless it is this value.
        Gaps are filled by probabilistic PCA [9]_ from the observed entries of the row,
        and do not count in the loss. If the rows of `fit` have gaps, more entries are
        hidden in training and validation, so that the network learns codes of
        incomplete rows. `impute` completes rows.
    standardize : bool, default=False
        Whether features are standardized first, as by a `StandardScaler`, so that they
        count equally. If False, they count by their variance, as in PCA.
        `inverse_transform` undoes it.
    whiten : bool, default=False
        Whether codes are divided by their standard deviation on the training rows, as
        in PCA. `inverse_transform` undoes it. After `partial_fit`, the standard
        deviation is that of the first rows.
    solver : str, default="auto"
        "adam" [2]_, "adamw", "muon" [7]_, "rmsprop", "sgd" or "soap" [10]_. "auto" is
        "soap" for `Dense` networks on a CPU, with 500 to 10,000 training rows and up to
        256 features. It is "adamw" on a GPU, for tables of other sizes, for other
        networks, for `Gaussian` codes, in `partial_fit`, and if the output is neither
        linear nor logistic.
    learning_rate_init : "auto" or float, default="auto"
        Largest step size. "auto" depends on the solver, and is halved for `Gaussian`
        codes.
    learning_rate : str, default="auto"
        Schedule of the step size: "constant", or "one_cycle" [3]_, which rises and then
        falls to zero. "auto" is "one_cycle".
    alpha : "auto" or float, default="auto"
        Weight decay, not for biases; decoupled for "adamw", "muon" and "soap". "auto"
        is 0, or 1 if 0 overfits and 1 is better on held-out rows.
    batch_size : "auto" or int, default="auto"
        Rows in one step. "auto" is 256 if an epoch then has at least 100 steps; else
        128. It is also 128 if ``max_iter`` is set to fewer than 2,000 such steps.
    max_iter : "auto" or int, default="auto"
        Maximum number of epochs (passes over the training rows). "auto" makes 2,000
        steps, 1,000 with "soap", and at least 5 epochs. With `Conv` it is limited by
        1.5e9 floating point operations per row, but to no fewer than 50 epochs. A
        one-cycle schedule ends with the last epoch.
    max_time : float or None, default=None
        Approximate number of seconds for the whole `fit`. Training ends early enough to
        leave time for the steps after it, as measured. Reading the rows, PCA, a teacher
        and the comparison with PCA are never shortened: if they take longer, the result
        is PCA. Fits with a time limit do not repeat bit for bit. `partial_fit` always
        makes its one epoch, however long it takes.
    early_stopping : bool, default=True
        Whether to hold out rows, monitor the loss on them, keep the weights of the best
        epoch, and fall back to PCA (see Notes). With fewer than 15 rows none are held
        out, and the result is PCA. If False, the training loss is monitored.
    validation : "auto", float, splitter or None, default="auto"
        Rows to hold out, unless `fit` gets ``X_val``.

        - "auto": ``validation_fraction`` of them, drawn at random. Equal rows stay
          together.
        - float: this share.
        - splitter, such as `TimeSeriesSplit`: its last split.
        - None: none, as with ``early_stopping=False``.

    validation_fraction : float, default=0.1
        Share of the rows to hold out. For small data it is raised to up to a fifth, to
        hold out 100 rows.
    n_iter_no_change : "auto" or int, default="auto"
        Patience: training ends after this many epochs in a row without improvement.
        "auto" is a tenth of ``max_iter``, a fifth for `Gaussian` codes, a fifteenth if
        all rows have a target, and at least 10.
    tol : float, default=1e-4
        Smallest relative decrease of the loss that counts as an improvement.
    warm_start : bool, default=False
        Whether `fit` continues from the weights, mean and scale of the previous fit.
    device : str or torch.device, default="auto"
        "cpu", "cuda", "cuda:N", or "auto": a GPU if the network is large enough to be
        faster there.
    random_state : int, RandomState instance or None, default=None
        Seed of the initial weights, the order of rows and the split. With an int, a fit
        repeats bit for bit on the same machine with the same versions.
    verbose : bool or int, default=False
        What is written to the standard output:

        - False or 0: nothing;
        - True or 1: one line at the end. It names the epoch whose weights are kept, or
          says that the result is PCA and why. It also gives the share of variance that
          is reconstructed, and PCA's. During training, a bar shows the epochs, in
          terminals and notebooks with tqdm (``skae[progress]``);
        - 2: also one line per epoch: losses, PCA's loss, step size, seconds.
    on_interrupt : {"raise", "keep"}, default="raise"
        What Ctrl-C, or the stop button of a notebook, does during training:

        - "raise": raise KeyboardInterrupt. The estimator stays as it was before `fit`;
        - "keep": end the training, and keep the best weights so far. A second Ctrl-C
          during the steps after training raises KeyboardInterrupt.

    Attributes
    ----------
    n_components_ : int
        Width of the code.
    n_features_in_ : int
        Number of features seen in `fit`.
    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Names of the features, if ``X`` had names that are all strings.
    n_samples_ : int
        Number of rows seen in `fit`.
    n_samples_seen_ : int
        The same, as `sklearn.decomposition.IncrementalPCA` calls it.
    mean_ : ndarray of shape (`n_features_in_`,)
        Mean of each feature in the rows that the network started from: without the
        held-out rows if it was only fine-tuned on these. If the result is PCA, of all
        rows.
    scale_ : ndarray of shape (`n_features_in_`,)
        Rows are scaled as ``(X - mean_) / scale_``.
    result_ : str
        "network"; "pca" if no network was significantly better; or "linear" in this
        case with a target: the linear codes of [6]_.
    stop_reason_ : str
        Why training ended: "converged", "max_iter", "max_time", "diverged",
        "interrupted" or "callback"; "pca" or "linear" if no network was better;
        "partial_fit" after `partial_fit`.
    n_iter_ : int
        Number of epochs.
    loss_curve_ : list of float
        Training loss of each epoch, averaged over its steps.
    validation_loss_curve_ : list of float or None
        Loss on the validation rows after each epoch; None if there are none.
    best_loss_ : float
        Lowest monitored loss.
    best_iter_ : int
        Epoch of this loss, whose weights are kept. 0 is the start.
    baseline_score_ : float
        The `score` of PCA with as many components, fitted to the training rows. It is
        measured on the held-out rows or ``X_val``. If there are none, or if the result
        is PCA, it is measured on the training rows (at most 10,000 of them).
    baseline_loss_ : float or None
        PCA's loss on the validation rows, or on the training rows if there are none.
        It can be compared with the loss curves. None if no such comparison is possible:
        with a target, a penalty, `Gaussian` or ordered codes, or a loss with its own
        output activation.
    components_ : ndarray of shape (`n_components_`, `n_features_in_`)
        Loadings: mean slope of the decoder along each code on the training rows, in
        units of ``scale_``. If the result is PCA, they are PCA's components, and the
        reconstruction is ``mean_ + scale_ * (Z @ components_)``. With ``whiten=True``,
        they are those of the codes before whitening.
    explained_variance_ratio_ : ndarray of shape (`n_components_`,)
        Share of the variance that each code explains. The shares are not negative, do
        not increase, and sum to the `score` of the training rows (see Notes).
    explained_variance_ : ndarray of shape (`n_components_`,)
        The explained variance in squared units of ``X``, or of standardized features.
    singular_values_ : ndarray of shape (`n_components_`,)
        Square roots of ``explained_variance_ * (n_samples_ - 1)``.
    noise_variance_ : float
        Mean unexplained variance, over the directions that no code explains.
    losses_ : list of (str, ndarray of int)
        Losses with the positions of their columns. Each block of one-hot columns is a
        separate entry.
    target_type_ : str or None
        The type that was used for ``y``, if it guided the codes.
    device_ : str
        Device of the training.

    See Also
    --------
    sklearn.decomposition.PCA : The best linear codes, and much faster.
    sklearn.decomposition.KernelPCA : Nonlinear codes by kernels.
    sklearn.decomposition.IncrementalPCA : PCA of data that arrive in parts.
    Dense : Options of the dense network.
    Conv : Convolutional networks.
    Gaussian : Variational autoencoders.
    MixedLoss : Tables of numbers, counts and categories.

    Notes
    -----
    **Objective.** For a scaled row x, with z = latent(encode(corrupt(x))), it is ::

        loss(decode(z), x) + linearity * r * |z - z_pca|^2
                           + supervision * error(head(z), y) + kl(z) + penalty(z, x)

    averaged over rows. z_pca are PCA's codes, in units of their variance. r is the
    square of the share of variance that PCA leaves unexplained. The other terms are
    zero unless their parameters are set.

    **Competing starts.** With ``init="auto"`` and held-out rows, several networks begin
    to train: some start as PCA, some are plain and, for values in [0, 1], some have a
    logistic output. The losses on held-out rows decide which one continues.

    **The result is not worse than PCA.** A network must beat PCA on the held-out rows:
    on average (by 5 % if ``linearity`` is above 0), and on most rows by the
    signed-rank test [5]_. The estimator is measured exactly as it will be used. With up
    to 10,000 rows, the network is then fine-tuned on all rows, held-out rows included:
    with smaller steps, in half of the epochs that led to it. With fewer than 200
    rows, it is instead trained again from its start. So are tables of up to 2,000 rows,
    if held-out rows are farther out than the others or if there are parts that users
    may have written.

    **Rows far from the data.** Networks are also trained on rows moved outward and on
    rows with a broken feature. Beyond the outermost training row, their output tends to
    PCA's. The longest fifth of the codes (for PCA, those longer than any in training)
    is shortened: a length r beyond the radius R becomes R (1 + log(r / R)). So no
    single row dominates a model on the codes. `inverse_transform` undoes it.

    **Explained variance.** Let v_j be the variance of code j times the mean squared
    slope of the decoder along it. Code j explains the part v_j / sum(v) of the `score`
    on the training rows (at most 10,000 of them, drawn at random). If a later code has
    a larger share, both get their mean. After `partial_fit`, the shares are those of
    all rows so far. Rows before the last call count as at most 1,000 rows, or ten times
    the rows of that call, whichever is more.

    **Callbacks.** With scikit-learn 1.9 and newer, ``set_callbacks`` takes callbacks
    (`sklearn.callback`), such as `ProgressBar` and `ScoringMonitor`. The task ``fit``
    has one task for each training: ``train-from-pca``, the competing starts, and
    ``refit-on-all-rows``. Each of these has one task ``epoch`` for each epoch. At the
    end of an epoch, ``context.metrics`` is a dict with "epoch", "loss",
    "validation_loss", "baseline_loss" (PCA's) and "learning_rate".
    ``fitted_estimator`` is the network of this epoch, whether better than PCA or not;
    it is built only for hooks that ask for it, as an argument after ``*``. A hook that
    returns True ends all training, and the best network so far is the result. Without
    ``y``, callbacks get ``X`` as ``y``, so that they can monitor scores.

    References
    ----------
    .. [1] Hinton, Salakhutdinov (2006). Reducing the dimensionality of data with
       neural networks. Science 313.
    .. [2] Kingma, Ba (2015). Adam: a method for stochastic optimization. ICLR.
    .. [3] Smith, Topin (2018). Super-convergence: very fast training of neural
       networks using large learning rates. arXiv:1708.07120.
    .. [4] Rippel et al. (2014). Learning ordered representations with nested dropout.
    .. [5] Wilcoxon (1945). Individual comparisons by ranking methods.
    .. [6] de Jong, Kiers (1992). Principal covariates regression. Chemometrics 14.
    .. [7] Jordan et al. (2024). Muon: an optimizer for hidden layers. Blog post.
    .. [8] Lee (2013). Pseudo-label: the simple and efficient semi-supervised learning
       method for deep neural networks. ICML workshop.
    .. [9] Tipping, Bishop (1999). Probabilistic principal component analysis. Journal
       of the Royal Statistical Society B 61.
    .. [10] Vyas et al. (2025). SOAP: improving and stabilizing Shampoo using Adam.
       ICLR. One-sided: only the inputs of a layer are rotated.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from skae import AutoEncoderTransformer
    >>> X, _ = load_digits(return_X_y=True)
    >>> ae = AutoEncoderTransformer(n_components=8, random_state=0).fit(X)
    >>> ae.transform(X).shape
    (1797, 8)
    >>> ae.inverse_transform(ae.transform(X)).shape
    (1797, 64)
    >>> ae.score(X) > ae.baseline_score_
    True
    """

    _parameter_constraints = CONSTRAINTS

    def __init__(
        self,
        n_components: int | float | None = 2,
        *,
        hidden_layer_sizes: str | int | Sequence[int] = "auto",
        activation: Activation = "auto",
        loss: str | MixedLoss | Callable[..., Any] = "squared_error",
        output_activation: str = "auto",
        init: str = "auto",
        linearity: str | float = "auto",
        ordered: bool = False,
        network: str | AnyNetwork | None = None,
        corruption: str | CorruptionLike | None = None,
        latent: str | AnyLatent | None = None,
        penalty: str | PenaltyLike | None = None,
        supervision: float = 0.0,
        teacher: str | BaseEstimator | None = None,
        target_type: str = "auto",
        missing_label: Label = "auto",
        missing_values: float | None = None,
        standardize: bool = False,
        whiten: bool = False,
        solver: str = "auto",
        learning_rate_init: str | float = "auto",
        learning_rate: str = "auto",
        alpha: str | float = "auto",
        batch_size: str | int = "auto",
        max_iter: str | int = "auto",
        max_time: float | None = None,
        early_stopping: bool = True,
        validation: str | float | Splitter | None = "auto",
        validation_fraction: float = 0.1,
        n_iter_no_change: str | int = "auto",
        tol: float = 1e-4,
        warm_start: bool = False,
        device: str | torch.device = "auto",
        random_state: RandomState = None,
        verbose: bool | int = False,
        on_interrupt: str = "raise",
    ) -> None:
        self.n_components = n_components
        self.hidden_layer_sizes = hidden_layer_sizes
        self.activation = activation
        self.loss = loss
        self.output_activation = output_activation
        self.init = init
        self.linearity = linearity
        self.ordered = ordered
        self.network = network
        self.corruption = corruption
        self.latent = latent
        self.penalty = penalty
        self.supervision = supervision
        self.teacher = teacher
        self.target_type = target_type
        self.missing_label = missing_label
        self.missing_values = missing_values
        self.standardize = standardize
        self.whiten = whiten
        self.solver = solver
        self.learning_rate_init = learning_rate_init
        self.learning_rate = learning_rate
        self.alpha = alpha
        self.batch_size = batch_size
        self.max_iter = max_iter
        self.max_time = max_time
        self.early_stopping = early_stopping
        self.validation = validation
        self.validation_fraction = validation_fraction
        self.n_iter_no_change = n_iter_no_change
        self.tol = tol
        self.warm_start = warm_start
        self.device = device
        self.random_state = random_state
        self.verbose = verbose
        self.on_interrupt = on_interrupt

    @fit_context(prefer_skip_nested_validation=True)
    def fit(
        self,
        X: MatrixLike,
        y: ArrayLike | None = None,
        sample_weight: ArrayLike | None = None,
        *,
        X_val: MatrixLike | None = None,
        y_val: ArrayLike | None = None,
        groups: ArrayLike | None = None,
    ) -> Self:
        """Train the autoencoder on ``X``.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Training data, at least two rows.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs), default=None
            Target that guides the codes if ``supervision`` is above 0; else ignored.
        sample_weight : array-like of shape (n_samples,), default=None
            How many rows each row stands for, also in the scale, PCA and validation. A
            row of weight 0 is ignored. A row of weight 2 counts as two equal rows, bit
            for bit. Weights are routed after ``set_fit_request(sample_weight=True)``.
        X_val : {array-like, sparse matrix}, same features as ``X``, default=None
            Rows to validate on, instead of held-out rows of ``X``. A Pipeline scales
            them like ``X`` if it is made with ``transform_input=["X_val"]`` and
            metadata routing is enabled. Beware: cross-validation slices an ``X_val``
            that has as many rows as ``X``.
        y_val : array-like of shape (n_validation_samples, ...), default=None
            Targets of ``X_val``.
        groups : array-like of shape (n_samples,), default=None
            Groups of rows, such as subjects or series. A group is held out as a whole
            or not at all. Groups are routed after ``set_fit_request(groups=True)``.

        Returns
        -------
        self : AutoEncoderTransformer
            The fitted estimator. If a fit fails or is interrupted, the estimator stays
            as it was; see ``on_interrupt``.

        Raises
        ------
        ValueError
            If a parameter or the data are not valid, if ``device`` is not available,
            or if training diverged at once.
        MemoryError
            If even a few rows at once do not fit into the memory of the CPU or GPU.

        Warns
        -----
        ConvergenceWarning
            If training stopped while the loss was still falling, or diverged.
        UserWarning
            If memory is too short for a batch, which is then worked on in parts.
        """
        limit = TimeLimit(self.max_time)
        progress = self._progress("fit")
        with all_or_nothing(self), progress, ThreadTuner() as threads:
            continued = self.warm_start and hasattr(self, "_weights")
            frame = X
            X = self._validate(X, ensure_min_samples=2, reset=not continued)
            X, y, groups, weights = weigh(sample_weight, X, y, groups)
            check_observed(self, X)
            if X_val is not None:
                X_val = self._validate(X_val)
            previous = FittedState.of(self.__dict__) if continued else None
            params = self._params(frame)
            data = TrainingData(X, y, weights, X_val, y_val, groups)
            progress.set_data(X, y)
            with isolated_fit(), explains_out_of_memory():
                learnt = fit_autoencoder(
                    params, data, previous, threads, limit, progress
                )
            self.__dict__.pop("_memory", None)
            self.__dict__.update(learnt)
        return self

    @fit_context(prefer_skip_nested_validation=True)
    def partial_fit(
        self,
        X: MatrixLike,
        y: ArrayLike | None = None,
        classes: Classes | None = None,
        sample_weight: ArrayLike | None = None,
    ) -> Self:
        """Make one pass over more rows, with steps of a constant size.

        The first rows set the scale and the linear start. Later rows continue from
        there, or from a `fit`.

        The estimator keeps the first rows until there are 100, and 10 for each code.
        It keeps up to 1,000 rows as long as a feature or the target is constant. If
        more rows make a better start, training begins again with all kept rows. A
        feature that stops being constant later is learnt from then on.

        Codes are not rotated to principal axes, no rows are held out, and a teacher
        learns only from the rows of this call.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
        y : array-like of shape (n_samples,) or (n_samples, n_outputs), default=None
            As in `fit`.
        classes : array-like or list of them, default=None
            All classes, for each output, if the first ``y`` does not have them all.
        sample_weight : array-like of shape (n_samples,), default=None
            As in `fit`. Weights compare the rows of one call; all calls count equally.

        Returns
        -------
        self : AutoEncoderTransformer
            The fitted estimator. It stays as it was if a call fails.

        Warns
        -----
        ConvergenceWarning
            If features that were constant now have most of the variance, and the first
            rows are no longer kept.
        """
        progress = self._progress("partial-fit")
        with all_or_nothing(self), progress, ThreadTuner() as threads:
            continued = hasattr(self, "_weights")
            frame = X
            X = self._validate(X, reset=not continued)
            X, y, weights = weigh(sample_weight, X, y)
            if not continued:
                check_observed(self, X)
            params = self._params(frame)
            progress.set_data(X, y)
            progress.begin_fit(None, None, 0)
            part = StreamedRows(X, y, classes, weights)
            previous = FittedState.of(self.__dict__) if continued else None
            with isolated_fit(), explains_out_of_memory():
                learnt = continue_autoencoder(params, part, previous, threads)
            self.__dict__.update(learnt)
            progress.conclude(
                lambda: f"epoch {self.n_iter_}: loss {self.best_loss_:.4g}"
            )
        return self

    def transform(self, X: MatrixLike) -> np.ndarray:
        """Encode ``X``.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)

        Returns
        -------
        Z : ndarray of shape (n_samples, n_components)
            Codes; float32 if ``X`` is, else float64. With scikit-learn's
            ``array_api_dispatch``, a tensor gives a tensor on its device, although the
            fitted state is numpy.
        """
        if not self.__sklearn_is_fitted__():  # the check itself takes a row's time
            check_is_fitted(self)
        return as_given(encode(self, self._validate(X)), X)

    def set_params(self, **params: Any) -> Self:
        """Set parameters, also those of a part that is given by name.

        Parameters
        ----------
        **params : dict
            Parameters by name. ``latent__beta=0.1`` turns ``latent="gaussian"`` into
            ``latent=Gaussian(beta=0.1)``.

        Returns
        -------
        self : AutoEncoderTransformer
        """
        return super().set_params(**with_parts(params, vars(self)))

    def _progress(self, task_name: str) -> Progress:
        """Return the `Progress` of a fit, with its observers.

        Call it before the fit stores the estimator's attributes to restore them after
        an error. scikit-learn's attributes for callbacks then stay until it removes
        them.
        """
        observers = [*Callbacks.of(self, task_name), *Writer.of(self)]
        return Progress(observers, self.on_interrupt)

    def _params(self, frame: object) -> Parameters:
        """Return all parameters, including those that a subclass does not have.

        Columns that the loss names are looked up in the rows as the user gave them.
        """
        loss = with_columns(self.loss, frame, self.n_features_in_)
        return replace(Parameters.of(self), loss=loss)

    def _validate_params(self):
        params = self.get_params(deep=False)
        check_whole_numbers(params)
        check_missing_label(params.get("missing_label"))
        super()._validate_params()

    def _validate(self, X: MatrixLike, **checks: Any) -> Rows:
        return check_rows(self, X, missing_values=self.missing_values, **checks)

    @property
    def _takes_gaps(self) -> bool:
        is_auto = isinstance(self.loss, str) and self.loss == "auto"
        return not (is_auto or isinstance(self.loss, MixedLoss))

    def _summary_html(self) -> str:
        return summary_html(self)

    def __getstate__(self) -> dict[str, Any]:
        return to_pickle(super().__getstate__())

    def __setstate__(self, state: dict[str, Any]) -> None:
        # Parameters that did not exist when it was pickled get their defaults.
        state = from_pickle(state, type(self).__name__)
        super().__setstate__({**_DEFAULTS, **state})

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "_weights")

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        loss = LOSSES.get(self.loss) if isinstance(self.loss, str) else None
        tags.input_tags.positive_only = loss is not None and loss.non_negative
        tags.input_tags.sparse = True
        tags.input_tags.allow_nan = is_nan(self.missing_values)
        tags.target_tags.multi_output = True
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags


_DEFAULTS = AutoEncoderTransformer().get_params(deep=False)
# Pickles name the public place, so that they survive a move of this file.
AutoEncoderTransformer.__module__ = "skae"
