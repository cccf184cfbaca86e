"""AutoEncoderTransformer: the border between scikit-learn and torch."""

from sklearn.base import BaseEstimator
from sklearn.utils.validation import check_is_fitted

from ._compat import fit_context
from ._constraints import CONSTRAINTS, check_missing_label, check_whole_numbers
from ._data.validation import as_given, check_rows
from ._fitting.fit import fit_autoencoder
from ._fitting.partial_fit import continue_autoencoder
from ._inference.codec import encode
from ._inference.state import from_pickle, to_pickle
from ._parts.losses import LOSSES
from ._parts.slots import with_parts
from ._reconstruction import ReconstructingTransformer
from ._runtime.atomic import all_or_nothing
from ._runtime.threads import ThreadTuner

__all__ = ["AutoEncoderTransformer"]


class AutoEncoderTransformer(ReconstructingTransformer, BaseEstimator):
    """Reduce features with an autoencoder, where PCA would stand.

    Trains an encoder and a decoder to minimise ::

        loss(decode(z), x) + linearity * bend(z, x) + supervision * error(head(z), y)
                           + cost(z) + penalty(z, x)

    with z = latent(encode(corrupt(x))), where x is a row of ``X``, centred and divided
    by one scale for all features, z its code of ``n_components`` numbers [1]_, the bend
    their distance from PCA's, and the head a linear model of ``y``, if it is to guide
    them. The other nouns are parameters, each a slot for a part; by default empty.
    What is returned is not worse than PCA on rows held out; if no network is better
    there beyond doubt, it is PCA. The codes follow structure that is not linear, and
    read like PCA's: on the training rows they are centred, uncorrelated, the largest
    variance first, and their signs are fixed. Long ones (a fifth; of PCA, those beyond
    the training rows) are shortened, lest a single row carry a model behind away.

    Parameters
    ----------
    n_components : int, float or None, default=2
        Width of the code. A float in (0, 1): as many as PCA needs to explain more than
        that share of the variance. None: the smaller side of ``X``.
    hidden_layer_sizes : "auto", int or array-like of int, default="auto"
        Widths of the layers from the input to the code, mirrored in the decoder.
        ``()`` makes a linear autoencoder. "auto" is two layers, the first about twice
        as wide as the data, or a quarter of few rows, 64 to 512, the second half, or
        64. From 25,600 rows on the first has 128 at least, and for few codes there is a
        third, half again.
    activation : str or callable, default="auto"
        Of the hidden layers: a function of a tensor, a class such as `torch.nn.Mish`
        that makes a layer, or "identity", "relu", "leaky_relu", "elu", "selu", "gelu",
        "quick_gelu" (x logistic(1.702 x), nearly the same), "silu", "softplus", "tanh"
        or "logistic". "auto" is "quick_gelu".
    loss : str or callable, default="squared_error"
        "squared_error", "absolute_error", "huber" (quadratic up to one unit of scaled
        data), "log_loss" for values in [0, 1], "kl_divergence" for rows that are
        distributions, or "poisson" for counts (half the Poisson deviance). Or a
        function of (output, target), tensors (batch, n_features) of scaled data, that
        returns the loss of each row, (batch,), or of each value, or their mean, as
        `torch.nn.MSELoss` does.
    output_activation : str, default="auto"
        "auto" is what belongs to the loss: "identity", but "logistic" for "log_loss"
        and for pictures (see ``init``), "softmax" for "kl_divergence", "exp" for
        "poisson". The first three losses also take "logistic", "tanh", "relu",
        "softplus", "exp" or "softmax", whose range must hold the values of ``X``.
    init : str, default="auto"
        "pca" anchors encoder and decoder to PCA's linear maps: training starts with
        PCA's reconstruction and learns corrections to it, also for rows moved outward
        or broken in a feature, up to 100 times the farthest one, where they fade. If
        the output activation is not "identity" it starts near PCA only. "random" is the
        plain network, which gives way to PCA as well, unless nothing is held out.
        "auto" is "pca" for "identity" and "logistic", else "random"; where rows are
        held out, others compete with it.
    linearity : "auto" or float, default="auto"
        For networks anchored to PCA, weight of the squared distance of the codes from
        PCA's, in units of their variance, times the squared share of variance that PCA
        leaves. 0 is for the least error; 10 keeps the codes nearly linear in ``X``, for
        linear models behind. "auto" is 1.2 where the output is linear, else 0.
    ordered : bool, default=False
        Whether to train the first codes to do without the later ones, by nested
        dropout [4]_. `inverse_transform` then takes any number of the first codes, and
        the loss is that of one code, two, and so on in turn. Such codes are neither
        centred, turned nor shortened, nor are those of `Gaussian` and `Sparsity`.
    network : str, Dense, Conv, Modules or None, default=None
        Encoder and decoder. None and "dense" are `Dense()`, "conv" is `Conv()`.
    corruption : str, object or None, default=None
        What is done to rows while training, to be undone by the decoder: "masking",
        "gaussian_noise", "swap_noise", or `Masking`, `GaussianNoise`, `SwapNoise` with
        their own parameters, or any object with a method ``corrupt(x, rng)``, or a
        function of these.
    latent : str, Gaussian, Mixture or None, default=None
        What a code is: a point; a normal distribution ("gaussian", the variational
        autoencoder), or a point with a density ("mixture"). Both can `sample`.
    penalty : str, object or None, default=None
        What codes cost: "sparsity", "contraction", `Sparsity`, `Contraction` with
        their own parameters, a sum of them, or any object with a method
        ``penalize(z, x, encode, rng)``, or a function of the first of these.
    supervision : float, default=0.0
        Weight of the error of telling ``y`` from the codes, 1 for the best constant
        answer, against that of the reconstruction; 3 is a good first value. 0 ignores
        ``y``. Else codes start as those of principal covariates regression [6]_, PCA's
        with an eye on ``y``, and a linear head on them is trained along, to be thrown
        away. Rows without a target, NaN, None or ``missing_label``, train the
        reconstruction alone.
    teacher : estimator, "auto" or None, default=None
        A classifier or regressor that learns from the rows with a target, one output at
        a time, what those without are likely to have. They then count as if they had
        it, also where they are held out [8]_. "auto" is trees and a linear model, of
        classes, and for numbers what of them tells more of rows held out; of up to
        5,000 rows, and none if neither tells more than a constant.
    target_type : str, default="auto"
        What ``y`` is: "continuous", "multiclass" or "multilabel", each for one or
        several outputs. "auto" asks `sklearn.utils.multiclass.type_of_target`, which
        takes whole numbers for classes; but floats are numbers if more than 20 of them,
        and than the root of the rows, differ, and a warning tells of others that are
        taken for classes. ``target_type_`` says what was decided.
    missing_label : "auto", int, float, str or None, default="auto"
        What means in ``y`` that a row has no target, beside NaN, None and ``NA``, as
        -1 does in scikit-learn's semi-supervised models. None and "auto" are nothing
        else, and "auto" warns where -1 stands beside other classes, or a text such as
        "nan". A number is no text: "-1" beside -1 as label is an error.
    standardize : bool, default=False
        Whether to weight features equally, as if a `StandardScaler` stood before, and
        not by their variance as PCA does. Undone by `inverse_transform`.
    whiten : bool, default=False
        Whether to divide the codes by their standard deviation on the training rows,
        as PCA does. Undone by `inverse_transform`. After `partial_fit` that of the
        first rows.
    solver : str, default="auto"
        "adam" [2]_, "adamw", "muon" [7]_, "rmsprop" or "sgd". "auto" is "adamw".
    learning_rate_init : "auto" or float, default="auto"
        Largest step size. "auto" depends on the solver, half for `Gaussian` codes.
    learning_rate : str, default="auto"
        "constant", or "one_cycle" [3]_, which rises and falls to zero. "auto" is that.
    alpha : "auto" or float, default="auto"
        Weight decay, not of biases; with "adamw" and "muon" apart from the gradient.
        "auto" is 0, or 1 if that is better on rows held out where 0 overfits.
    batch_size : "auto" or int, default="auto"
        Rows of a step. "auto" is 256 if that makes 2,000 steps, 100 a pass; else 128.
    max_iter : "auto" or int, default="auto"
        Passes over the training rows, at most. "auto" makes 2,000 steps, but at least
        5 passes. A one-cycle schedule ends with them, and gives no warning then.
    max_time : float, default=None
        Seconds of training, about, with which a one-cycle schedule ends; `fit` goes on
        so long with ``max_iter="auto"``. Such fits do not repeat bit for bit.
    early_stopping : bool, default=True
        Whether to hold out rows, watch the loss on them, and keep the weights that
        were best there. A network has to beat PCA there beyond doubt, in the mean (by
        10 %, if it has a ``linearity``) and on most rows [5]_, or PCA of all rows is
        the result; with up to 2,000 rows, the good passes are then made again on all.
        Of fewer than 15 rows none are held out: the result is PCA. If False, the
        training loss is watched.
    validation : "auto", float, splitter or None, default="auto"
        Rows to hold out, unless `fit` gets ``X_val``. "auto" draws
        ``validation_fraction`` of them, a float is such a part; equal rows stay
        together. Of a splitter, as `TimeSeriesSplit`, it is the last split. None holds
        out nothing, as ``early_stopping=False`` does.
    validation_fraction : float, default=0.1
        Part of the rows to hold out; of short data up to a fifth, for 100 rows.
    n_iter_no_change : "auto" or int, default="auto"
        Passes in a row without improvement that end the training. "auto" is a tenth
        of ``max_iter``, a fifth for codes that are drawn, or a fifteenth if all rows
        have a target that guides them, but at least 10.
    tol : float, default=1e-4
        Part of the loss by which it must fall to count as improvement.
    warm_start : bool, default=False
        Whether `fit` goes on from the weights, mean and scale of the previous fit.
    device : str or torch.device, default="auto"
        "cpu", "cuda", "cuda:N", or "auto", a GPU if the network gains by it.
    random_state : int, RandomState instance or None, default=None
        Seed of the start, of the order of rows and of the split. An int repeats a fit
        bit for bit on the same machine with the same versions and thread count.
    verbose : bool or int, default=False
        Whether to write the losses after each pass.

    Attributes
    ----------
    n_components_, n_samples_ : int
        Width of the code, and rows seen in `fit`.
    n_features_in_, feature_names_in_ : int, ndarray of shape (n_features_in_,)
        Features seen in `fit`, and their names if ``X`` had some.
    mean_, scale_ : ndarray of shape (n_features_in_,)
        What scales the rows: ``(X - mean_) / scale_``.
    loss_curve_, validation_loss_curve_ : list of float
        Training loss of each pass, as it was met along the way, and the loss on the
        validation rows after it; None if there are none.
    best_loss_, best_iter_ : float, int
        The lowest loss watched, and its pass, whose weights are kept; 0 is the start.
    n_iter_, stop_reason_ : int, str
        Passes that were made, and why no more: "converged", "max_iter", "max_time",
        "diverged"; "pca", or "linear" with a target, if none was better; "partial_fit".
    baseline_score_ : float
        What `score` would give PCA with as many components, fitted to the rows that
        were trained on, on those held out or ``X_val``; if there are none, or if the
        result is PCA, on the training rows, of which 10,000 stand for more.
    explained_variance_ratio_ : ndarray of shape (n_components_,)
        Share of the variance that each code explains. With v_j = variance of code j
        times the mean squared slope of the decoder along it, it is v_j / sum(v) times
        the `score` of the training rows, of at most 10,000 drawn at random. Where a
        later code has the larger share, both get their mean: shares do not increase.
        None is negative, and they are PCA's where the result is PCA. After
        `partial_fit` these and the following are of the rows so far, of which 1,000, or
        ten times those of the last part, count before it at most.
    explained_variance_, singular_values_ : ndarray of shape (n_components_,)
        The same share in squared units of ``X``, of standardized features with
        ``standardize=True``, as PCA's; and the root of it times
        ``n_samples_ - 1``.
    noise_variance_ : float
        What is left of the variance, for each direction that is no code's.
    components_ : ndarray of shape (n_components_, n_features_in_)
        Mean slope of the decoder along each code on the training rows, of `scale_`:
        the loadings. PCA's where the result is PCA, and then ``X`` comes back as
        ``mean_ + scale_ * (Z @ components_)``. With ``whiten=True`` of codes before.
    target_type_ : str or None
        What ``y`` was taken for, if it guided the codes.
    device_ : str
        Where it was trained.

    See Also
    --------
    sklearn.decomposition.PCA : The best linear codes, and much faster.

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
        n_components=2,
        *,
        hidden_layer_sizes="auto",
        activation="auto",
        loss="squared_error",
        output_activation="auto",
        init="auto",
        linearity="auto",
        ordered=False,
        network=None,
        corruption=None,
        latent=None,
        penalty=None,
        supervision=0.0,
        teacher=None,
        target_type="auto",
        missing_label="auto",
        standardize=False,
        whiten=False,
        solver="auto",
        learning_rate_init="auto",
        learning_rate="auto",
        alpha="auto",
        batch_size="auto",
        max_iter="auto",
        max_time=None,
        early_stopping=True,
        validation="auto",
        validation_fraction=0.1,
        n_iter_no_change="auto",
        tol=1e-4,
        warm_start=False,
        device="auto",
        random_state=None,
        verbose=False,
    ):
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

    @fit_context(prefer_skip_nested_validation=True)
    def fit(self, X, y=None, *, X_val=None, y_val=None, groups=None):
        """Train the autoencoder on ``X``.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Training data, at least two rows.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs), default=None
            What guides the codes with ``supervision`` above 0; ignored with 0.
        X_val : {array-like, sparse matrix}, same features as ``X``, default=None
            Rows to validate on, instead of a part of ``X`` held out. A Pipeline scales
            them like ``X`` if made with ``transform_input=["X_val"]`` and routing is
            on. Cross-validation slices an ``X_val`` with as many rows as ``X``.
        y_val : array-like of shape (n_validation_samples, ...), default=None
            Their targets.
        groups : array-like of shape (n_samples,), default=None
            Groups of rows, as subjects or series, that are held out as a whole or not
            at all. They are routed after ``set_fit_request(groups=True)``.

        Returns
        -------
        self : AutoEncoderTransformer
            The fitted estimator. A fit that fails or is interrupted leaves the
            previous one as it was.

        Raises
        ------
        ValueError
            If a parameter or the data are not valid, if ``device`` is not there, or
            if training diverged at once.

        Warns
        -----
        ConvergenceWarning
            If training stopped while the loss was still falling, or diverged.
        """
        with all_or_nothing(self), ThreadTuner() as threads:
            continued = self.warm_start and hasattr(self, "_weights")
            X = self._validate(X, ensure_min_samples=2, reset=not continued)
            if X_val is not None:
                X_val = self._validate(X_val)
            previous = vars(self) if continued else None
            params = self._params()
            data = (X, y), (X_val, y_val)
            learnt = fit_autoencoder(params, *data, previous, threads, groups)
            vars(self).pop("_memory", None)
            vars(self).update(learnt)
        return self

    @fit_context(prefer_skip_nested_validation=True)
    def partial_fit(self, X, y=None, classes=None):
        """Make one pass over more rows, with steps of a constant size.

        The first rows set the scale and the linear start; the others go on from there,
        or from a `fit`. Until they are 100, and 10 for each code, and as long as a
        feature or the target has been constant, up to 1,000 rows, rows are kept with
        the estimator, and what makes a better start begins the training anew with all
        of them. A feature that moves later is learnt from there on. Codes are not
        turned to
        principal axes, nothing is held out, and a teacher learns from these rows alone.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
        y : array-like of shape (n_samples,) or (n_samples, n_outputs), default=None
            As in `fit`.
        classes : array-like or list of them, default=None
            All classes, of each output, where the first ``y`` does not have them all.

        Returns
        -------
        self : AutoEncoderTransformer
            As it was before, if a call fails.

        Warns
        -----
        ConvergenceWarning
            If features that were constant now have most of the variance, and the first
            rows are gone.
        """
        with all_or_nothing(self), ThreadTuner() as threads:
            previous = vars(self) if hasattr(self, "_weights") else None
            X = self._validate(X, reset=previous is None)
            params = self._params()
            learnt = continue_autoencoder(params, X, y, classes, previous, threads)
            vars(self).update(learnt)
        return self

    def transform(self, X):
        """Encode ``X``.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)

        Returns
        -------
        Z : ndarray of shape (n_samples, n_components)
            Codes; float32 if ``X`` is, else float64.
        """
        if not self.__sklearn_is_fitted__():  # the check itself takes a row's time
            check_is_fitted(self)
        return as_given(encode(self, self._validate(X)), X)

    def set_params(self, **params):
        """Set parameters, also those of a part that is only named.

        Parameters
        ----------
        **params : dict
            By name. ``latent__beta=0.1`` makes ``latent=Gaussian(beta=0.1)`` of
            ``latent="gaussian"``.

        Returns
        -------
        self : AutoEncoderTransformer
        """
        return super().set_params(**with_parts(params, vars(self)))

    def _params(self):
        """Return all parameters, those too that a subclass does not ask for."""
        return {name: getattr(self, name) for name in CONSTRAINTS}

    def _validate_params(self):
        params = self.get_params(deep=False)
        check_whole_numbers(params)
        check_missing_label(params.get("missing_label"))
        super()._validate_params()

    def _validate(self, X, **checks):
        return check_rows(self, X, **checks)

    def __getstate__(self):
        return to_pickle(super().__getstate__())

    def __setstate__(self, state):
        super().__setstate__(from_pickle(state))

    def __sklearn_is_fitted__(self):
        return hasattr(self, "_weights")

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        loss = LOSSES.get(self.loss) if isinstance(self.loss, str) else None
        tags.input_tags.positive_only = loss is not None and loss.non_negative
        tags.input_tags.sparse = True
        tags.target_tags.multi_output = True
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags


# Pickles name the public place, so that they survive a move of this file.
AutoEncoderTransformer.__module__ = "skae"
