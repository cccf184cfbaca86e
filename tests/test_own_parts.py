"""Parts of someone's own, made outside of the package: a penalty, a corruption, a loss.

Together in a pipeline, searched over, pickled, and wrong in each way that is named.
"""

import pickle

import numpy as np
import pytest
import torch
from numpy.testing import assert_array_equal
from sklearn.base import BaseEstimator, clone
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline

from skae import AutoEncoderTransformer, Contraction, Sparsity


class Near(BaseEstimator):
    """Codes cost their squared distance from a point."""

    def __init__(self, point=0.0, weight=1.0):
        self.point = point
        self.weight = weight

    def penalize(self, z, x, encode, rng):
        return self.weight * (z - self.point).square().mean(dim=1)


class SaltAndPepper(BaseEstimator):
    """Entries are thrown far up or down."""

    def __init__(self, share=0.1):
        self.share = share

    def corrupt(self, x, rng):
        thrown = torch.from_numpy(rng.random(x.shape) < self.share)
        signs = torch.from_numpy(rng.choice([-3.0, 3.0], x.shape)).to(x)
        return torch.where(thrown, signs, x)


def log_cosh(output, target):
    """Return the loss of each row."""
    return torch.log(torch.cosh(output - target)).mean(dim=1)


def make(**params):
    parts = {"penalty": Near(), "corruption": SaltAndPepper(), "loss": log_cosh}
    parts |= {"max_iter": 5, "random_state": 0}
    return AutoEncoderTransformer(2, **parts | params)


def test_all_of_them_in_a_grid_and_a_pickle(digits):
    X, y = digits[0][:300], digits[1][:300]
    pipeline = make_pipeline(make(), LogisticRegression(max_iter=1000))
    grid = {
        "autoencodertransformer__penalty__weight": [0.0, 0.5],
        "autoencodertransformer__corruption__share": [0.05, 0.2],
        "autoencodertransformer__loss": [log_cosh, "huber"],
    }
    search = GridSearchCV(pipeline, grid, cv=2, error_score="raise").fit(X, y)
    assert len(search.cv_results_["params"]) == 8
    again = pickle.loads(pickle.dumps(search))
    assert_array_equal(again.predict_proba(X), search.predict_proba(X))


def test_a_penalty_moves_the_codes_to_its_point(X):
    distances = []
    for weight in (0.0, 5.0):
        model = make(penalty=Near(3.0, weight), init="random", corruption=None)
        model.set_params(max_iter=100, linearity=0.0, n_iter_no_change=100)
        distances.append(np.abs(model.fit_transform(X) - 3.0).mean())
    assert distances[1] < 0.5 * distances[0]


def test_a_penalty_adds_up_with_the_packages(X):
    for penalty in (Sparsity() + Near(), Near() + Contraction()):
        model = make(penalty=penalty).fit(X)
        assert np.isfinite(model.transform(X)).all()
        assert clone(model).penalty.second is not penalty.second


@pytest.mark.parametrize("params", [{}, {"init": "random"}, {"ordered": True}])
def test_a_loss_is_what_is_minimised(params, digits):
    X, check = digits[0][:700], digits[0][1400:]
    own = make(penalty=None, corruption=None, max_iter=60, **params)
    own.fit(X, X_val=check)
    x = (check - own.mean_) / own.scale_
    if not params.get("ordered"):
        back = own.inverse_transform(own.transform(check))
        loss = np.log(np.cosh((back - own.mean_) / own.scale_ - x)).mean()
        assert own.best_loss_ == pytest.approx(loss, rel=1e-3)
    assert own.score(check) > own.baseline_score_


def test_a_loss_may_be_a_formula_without_a_name(X):
    named = make(corruption=None, penalty=None).fit(X)
    unnamed = make(
        corruption=None,
        penalty=None,
        loss=lambda output, target: torch.log(torch.cosh(output - target)).mean(dim=1),
    ).fit(X)
    assert_array_equal(named.transform(X), unnamed.transform(X))


@pytest.mark.parametrize(
    ("function", "found"),
    [
        (lambda z: z.sum(dim=0), r"shape \(2,\)"),
        (lambda z: z[:, 0].detach().numpy(), "numpy.ndarray"),
        (lambda z: (z[:, 0] > 0).long(), "torch.int64"),
        (lambda z: z, r"shape \(\d+, 2\)"),
        (lambda z: 3.0, "float"),
        (lambda z: None, "NoneType"),
    ],
    ids=["sum", "numpy", "integers", "matrix", "float", "None"],
)
@pytest.mark.parametrize("slot", ["penalty", "loss"])
def test_what_does_not_return_a_number_for_each_row_is_named(slot, function, found, X):
    class Broken:
        def penalize(self, z, x, encode, rng):
            return function(z)

    def broken(output, target):
        return function(output[:, :2])

    model = make(**{slot: Broken() if slot == "penalty" else broken})
    with pytest.raises(TypeError, match=f"{slot}=.*a number for each row.*{found}"):
        model.fit(X)


def test_a_loss_without_a_slope_is_named(X):
    model = make(loss=lambda output, target: torch.zeros(len(output)))
    with pytest.raises(TypeError, match="must depend on its first argument"):
        model.fit(X)


def spoiling(output, target):
    losses = (output - target).square().mean(dim=1)
    target.zero_()
    return losses


def summed(output, target):
    return (output - target).sum(dim=1).square()


def test_a_loss_may_spoil_its_target(X):
    spoilt = make(loss=spoiling, penalty=None, corruption=None).fit(X)
    clean = make(loss="squared_error", penalty=None, corruption=None).fit(X)
    np.testing.assert_allclose(spoilt.transform(X), clean.transform(X), atol=1e-3)


def test_a_loss_whose_slope_is_one_number_for_all_features(X):
    assert np.isfinite(make(loss=summed).fit(X).transform(X)).all()


class Nan(Near, SaltAndPepper):
    """Fine for some calls, then not a number."""

    def __init__(self, calls=0):
        self.calls = calls

    def penalize(self, z, x, encode, rng):
        self.calls -= 1
        return z.square().sum(dim=1) * (1.0 if self.calls > 0 else np.nan)

    def corrupt(self, x, rng):
        self.calls -= 1
        return x * (1.0 if self.calls > 0 else np.nan)


@pytest.mark.parametrize("slot", ["penalty", "corruption"])
@pytest.mark.parametrize(
    ("calls", "message"),
    [(0, "The loss is nan before the first step"), (3, "diverged at once")],
)
def test_numbers_that_are_none_are_not_blamed_on_the_step_alone(
    slot, calls, message, X
):
    before = make().fit(X)
    Z = before.transform(X)
    before.set_params(**{slot: Nan(calls)}, init="random")
    with pytest.raises(ValueError, match=rf"{message}.*{slot}=Nan\(.* returns"):
        before.fit(X)
    assert_array_equal(before.transform(X), Z)
