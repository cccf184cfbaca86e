"""ONNX: fitted autoencoders, and pipelines with them, as graphs for other runtimes.

`register` makes skl2onnx support skae. Its ``to_onnx`` then converts an
`AutoEncoderTransformer` like any estimator of scikit-learn, alone or in a fitted
`Pipeline`. `Decoder` converts `inverse_transform`.

Graphs are float32 or float64, depending on the input type, and need opset 17 (ONNX
1.12, of 2022) or newer. They give the same codes as `transform`, also far outside the
data. Two operations are float32 even in float64 graphs, because onnxruntime has no
float64 version of them: convolutions, and the error function of ``activation="gelu"``.

Your own modules and activations are converted by ``torch.onnx.export``, which needs the
package onnxscript. If that fails, `to_onnx` fails and gives the reason.
"""

from typing import Self

import numpy as np
from numpy.typing import ArrayLike
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.utils.validation import check_is_fitted

from ._estimator import AutoEncoderTransformer
from ._inference.onnx_graph import OLDEST_OPSET, OnnxGraph

try:
    from skl2onnx import update_registered_converter
    from skl2onnx.common.data_types import DoubleTensorType, FloatTensorType
except ImportError as error:
    raise ImportError(
        "skae.onnx needs skl2onnx, onnx and onnxruntime: pip install 'skae[onnx]'."
    ) from error

__all__ = ["Decoder", "register"]


class Decoder(TransformerMixin, BaseEstimator):
    """The decoder of a fitted estimator, as a transformer that can be converted.

    Parameters
    ----------
    estimator : AutoEncoderTransformer
        Fitted estimator.

    Examples
    --------
    >>> import numpy as np
    >>> import onnxruntime
    >>> import skae.onnx
    >>> from skl2onnx import to_onnx
    >>> from sklearn.datasets import load_digits
    >>> X = load_digits().data.astype(np.float32)
    >>> ae = skae.AutoEncoderTransformer(8, max_iter=3, random_state=0).fit(X)
    >>> Z = ae.transform(X)
    >>> skae.onnx.register()
    >>> graph = to_onnx(skae.onnx.Decoder(ae), Z[:1])
    >>> session = onnxruntime.InferenceSession(graph.SerializeToString())
    >>> (R,) = session.run(None, {"X": Z})
    >>> bool(np.allclose(R, ae.inverse_transform(Z), atol=1e-3))
    True
    """

    def __init__(self, estimator: AutoEncoderTransformer) -> None:
        self.estimator = estimator

    def fit(self, X: ArrayLike | None = None, y: ArrayLike | None = None) -> Self:
        """Return the decoder, which has nothing to learn.

        Parameters
        ----------
        X, y : Ignored
            Not used, present for API consistency.

        Returns
        -------
        self : Decoder
            The decoder.
        """
        check_is_fitted(self.estimator)
        return self

    def transform(self, X: ArrayLike) -> np.ndarray:
        """Decode codes.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_components)
            Codes.

        Returns
        -------
        X_original : ndarray of shape (n_samples, n_features)
            Rows in the units of the training data.
        """
        return self.estimator.inverse_transform(X)

    def __sklearn_is_fitted__(self) -> bool:
        return self.estimator.__sklearn_is_fitted__()


Decoder.__module__ = "skae.onnx"


def register() -> None:
    """Tell skl2onnx, in this process, how to convert estimators of skae.

    Examples
    --------
    >>> import numpy as np
    >>> import onnxruntime
    >>> import skae.onnx
    >>> from skl2onnx import to_onnx
    >>> from sklearn.datasets import load_digits
    >>> from sklearn.linear_model import LogisticRegression
    >>> from sklearn.pipeline import make_pipeline
    >>> X, y = load_digits(return_X_y=True)
    >>> ae = skae.AutoEncoderTransformer(8, max_iter=3, random_state=0)
    >>> model = make_pipeline(ae, LogisticRegression(max_iter=1000)).fit(X, y)
    >>> skae.onnx.register()
    >>> graph = to_onnx(model, X[:1].astype(np.float32), options={"zipmap": False})
    >>> session = onnxruntime.InferenceSession(graph.SerializeToString())
    >>> labels, shares = session.run(None, {"X": X.astype(np.float32)})
    >>> bool(np.mean(labels == model.predict(X)) > 0.99)
    True
    """
    update_registered_converter(
        AutoEncoderTransformer,
        "SkaeAutoEncoderTransformer",
        _calculate_shapes,
        _convert,
        overwrite=True,
    )
    update_registered_converter(
        Decoder, "SkaeDecoder", _calculate_shapes, _convert, overwrite=True
    )


def _calculate_shapes(operator):
    kind = DoubleTensorType if _is_double(operator) else FloatTensorType
    n_samples = operator.inputs[0].get_first_dimension()
    _, _, n_out = _module_and_widths(operator.raw_operator)
    operator.outputs[0].type = kind([n_samples, n_out])


def _convert(scope, operator, container):
    version = container.main_opset
    if version < OLDEST_OPSET:
        raise ValueError(
            f"skae converts to ONNX with opset {OLDEST_OPSET} or newer, got "
            f"target_opset={version}."
        )
    part, n_in, _ = _module_and_widths(operator.raw_operator)
    module = part("float64" if _is_double(operator) else "float32")
    graph = OnnxGraph(scope, container, module, n_in)
    (given,), (output,) = operator.inputs, operator.outputs
    x = given.full_name
    if not isinstance(given.type, DoubleTensorType | FloatTensorType):
        x = graph.op("Cast", x, to=1)
    container.add_node("Identity", graph.layer(module, x), output.full_name)


def _module_and_widths(model):
    """Return a function of the dtype that makes the module, and its widths."""
    check_is_fitted(model)
    if isinstance(model, Decoder):
        model = model.estimator
        widths = model.n_components_, model.n_features_in_
        return lambda dtype: model.to_torch(dtype).decoder, *widths
    widths = model.n_features_in_, model.n_components_
    return lambda dtype: model.to_torch(dtype).encoder, *widths


def _is_double(operator):
    return isinstance(operator.inputs[0].type, DoubleTensorType)
