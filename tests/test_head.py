"""Supervision: the head's gradient, and codes that know what comes after them."""

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import torch
from numpy.testing import assert_array_equal
from sklearn.base import clone
from sklearn.datasets import load_diabetes, make_classification
from sklearn.decomposition import PCA
from sklearn.linear_model import LinearRegression, LogisticRegression, RidgeCV
from sklearn.model_selection import GridSearchCV, cross_val_score, train_test_split
from sklearn.pipeline import make_pipeline

from skae import AutoEncoderTransformer
from skae._fitting.trial import Trial
from skae._nn.head import Head
from skae._training.flat_parameters import FlatParameters

TARGETS = {
    "continuous": (
        [1, 1],
        [[0.5, np.nan], [np.nan, np.nan], [-1.0, 2.0], [0.1, 0.2]],
    ),
    "multilabel": ([1, 1], [[0, 1], [np.nan, 0], [1, 1], [np.nan, np.nan]]),
    "multiclass": (
        [2, 3],
        [
            [0, 1, 1, 0, 0],
            [1, 0, np.nan, np.nan, np.nan],
            [np.nan, np.nan, 0, 0, 1],
            [0, 1, 0, 1, 0],
        ],
    ),
}


@pytest.mark.parametrize("kind", TARGETS)
def test_gradient_is_that_of_autograd(kind):
    sizes, t = TARGETS[kind]
    t = torch.tensor(t, dtype=torch.float32)
    rng = np.random.default_rng(0)
    weights = np.repeat(rng.random(2), sizes)
    head = Head(3, kind, sizes, weights)
    head.start(rng.normal(size=(t.shape[1], 3)), rng.normal(size=t.shape[1]))
    z = torch.from_numpy(rng.normal(size=(4, 3)).astype("f4")).requires_grad_()
    inputs = [z, head.linear.weight, head.linear.bias]
    expected = torch.autograd.grad(head(z, t).mean(), inputs)
    parameters = FlatParameters(head)
    parameters.gradients.fill_(7.0)  # to be overwritten
    loss, code_gradient = head.backward(z.detach(), t)
    assert loss.item() == pytest.approx(head(z, t).mean().item(), rel=1e-5)
    found = [code_gradient, head.linear.weight.grad, head.linear.bias.grad]
    for gradient, should_be in zip(found, expected, strict=True):
        torch.testing.assert_close(gradient, should_be)


@pytest.mark.parametrize("kind", TARGETS)
def test_rows_without_any_target_cost_nothing(kind):
    sizes, t = TARGETS[kind]
    head = Head(3, kind, sizes, np.ones(sum(sizes)))
    head.start(np.ones((sum(sizes), 3)), np.zeros(sum(sizes)))
    unknown = torch.full((1, sum(sizes)), torch.nan)
    assert head(torch.ones(1, 3), unknown).item() == 0


def hidden_classes(n_samples=400):
    """Rows whose classes PCA's first components do not see."""
    X, y = make_classification(
        n_samples, 12, n_informative=3, n_redundant=0, n_classes=3, random_state=0
    )
    X[:, :9] *= 0.5
    return X, y


def accuracy(X, y, X_test, y_test, **params):
    model = make_pipeline(
        AutoEncoderTransformer(3, random_state=0, **params), LogisticRegression()
    )
    return model.fit(X, y).score(X_test, y_test)


def test_codes_hold_the_classes():
    X, y = hidden_classes()
    parts = train_test_split(X, y, random_state=0)
    parts = parts[0], parts[2], parts[1], parts[3]
    assert accuracy(*parts, supervision=1.0) > accuracy(*parts) + 0.1
    # Any labels, given any way.
    names = np.array(["low", "mid", "high"])
    as_names = parts[0], names[parts[1]], parts[2], names[parts[3]]
    assert accuracy(*as_names, supervision=1.0) > accuracy(*parts) + 0.1


@pytest.mark.slow
def test_codes_hold_the_numbers():
    X, y = load_diabetes(return_X_y=True)
    for pair in (y, np.column_stack([y, -y])):
        ours = make_pipeline(
            AutoEncoderTransformer(
                2, supervision=1.0, target_type="continuous", random_state=0
            ),
            RidgeCV(),
        )
        pca = make_pipeline(PCA(2), RidgeCV())
        scores = [cross_val_score(model, X, pair, cv=3).mean() for model in (ours, pca)]
        assert scores[0] > scores[1] + 0.05


def test_labels_are_found_in_a_single_code():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(500, 8))
    y = np.column_stack([X[:, 0] + X[:, 1] > 0, X[:, 0] + X[:, 1] > 1]).astype(int)
    model = AutoEncoderTransformer(1, supervision=10.0, random_state=0)
    z = model.fit_transform(X[:400], y[:400])
    found = (
        LogisticRegression()
        .fit(z, y[:400, 0])
        .score(model.transform(X[400:]), y[400:, 0])
    )
    assert found > 0.9


def test_unlabelled_rows_help():
    """A few labels and many rows, against the few rows alone."""
    X, y = hidden_classes(1500)
    X, X_test, y, y_test = train_test_split(X, y, test_size=500, random_state=0)
    partly = np.where(np.arange(len(y)) < 60, y, -1)
    model = AutoEncoderTransformer(3, supervision=1.0, missing_label=-1, random_state=0)
    scores = []
    for rows, targets in ((X, partly), (X[:60], y[:60])):
        model.fit(rows, targets)
        classifier = LogisticRegression().fit(model.transform(X[:60]), y[:60])
        scores.append(model.score(X_test))
        assert classifier.score(model.transform(X_test), y_test) > 0.5
    assert scores[0] > scores[1]


def test_all_labels_unknown_is_no_target(X):
    model = AutoEncoderTransformer(random_state=0, max_iter=5)
    expected = clone(model).fit_transform(X)
    supervised = clone(model).set_params(supervision=1.0, missing_label=-1)
    for y in (None, np.full(len(X), -1), np.full(len(X), np.nan)):
        with pytest.warns(UserWarning, match="supervision=1 has no effect"):
            codes = supervised.fit_transform(X, y)
        assert_array_equal(codes, expected)


def test_two_labels_may_all_be_held_out(digits):
    X, y = digits[0][:300], np.full(300, -1)
    y[:2] = digits[1][:2]
    model = AutoEncoderTransformer(
        4, supervision=3.0, missing_label=-1, max_iter=5, random_state=0
    )
    assert np.isfinite(model.fit(X, y).transform(X)).all()


def test_no_leak_on_random_labels():
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(300, 20)), rng.integers(0, 2, 300)
    model = make_pipeline(
        AutoEncoderTransformer(5, supervision=1.0, random_state=0), LogisticRegression()
    )
    scores = cross_val_score(model, X, y, cv=5)
    assert abs(scores.mean() - 0.5) < 2 * 0.5 / np.sqrt(300)


def test_where_nothing_is_better_the_codes_are_linear():
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(120, 6)), rng.normal(size=120)
    model = AutoEncoderTransformer(2, supervision=1.0, random_state=0).fit(X, y)
    assert model.stop_reason_ == "linear"
    z = model.transform(X)
    assert LinearRegression().fit(X, z).score(X, z) == pytest.approx(1, abs=1e-9)


@pytest.mark.parametrize(
    ("gain_of_known", "gain_of_others", "better"),
    [
        (0.5, -0.01, True),  # many would lose a little, and cannot tell of the target
        (0.0, 0.5, False),  # the target gains nothing
        (0.5, 0.5, True),
    ],
)
def test_rows_with_a_target_say_whether_codes_are_better(
    monkeypatch, gain_of_known, gain_of_others, better
):
    targets = torch.full((100, 2), torch.nan)
    targets[::10, 0] = 1.0
    known = np.arange(100) % 10 == 0
    start = np.where(known, 3.0, 1.0)
    best = start - np.where(known, gain_of_known * 3, gain_of_others)
    losses = {"best": (best, 0.1), "start": (start, 0.2)}
    monkeypatch.setattr(Trial, "_losses_with", lambda self, values: losses[values])
    trial = object.__new__(Trial)
    trial.training = SimpleNamespace(target="some")
    trial.early_stopping = SimpleNamespace(best_values="best", start_values="start")
    trial.held_out = SimpleNamespace(targets=targets, row_weights=None)
    trial.evidence_rows = slice(None)
    assert trial._beats_its_start(0.01) == better
    losses["best"] = best, 0.3  # the target loses
    assert not trial._beats_its_start(0.01)


def test_rare_classes_and_single_rows_are_split():
    X, y = hidden_classes(200)
    y = y.astype(str)
    y[0] = "only one"
    y[1:3] = "two"
    model = AutoEncoderTransformer(2, supervision=1.0, random_state=0, max_iter=5)
    assert np.isfinite(model.fit_transform(X, y)).all()
    many = (np.arange(200) // 2).astype(
        str
    )  # more classes than codes, and than rows held out
    assert np.isfinite(model.fit_transform(X, many)).all()


def test_validation_rows_bring_their_targets():
    X, y = hidden_classes()
    model = AutoEncoderTransformer(2, supervision=1.0, random_state=0, max_iter=5)
    model.fit(X[:300], y[:300], X_val=X[300:], y_val=y[300:])
    assert len(model.validation_loss_curve_) == model.n_iter_
    before = vars(model).copy()
    with pytest.raises(ValueError, match="supervision=1 .* pass its y_val"):
        model.fit(X[:300], y[:300], X_val=X[300:])
    with pytest.raises(ValueError, match="y_val goes with X_val"):
        model.fit(X, y, y_val=y)
    with pytest.raises(ValueError, match="inconsistent numbers of samples"):
        model.fit(X, y[:300])
    with pytest.raises(ValueError, match="class 9, which is not among"):
        model.fit(X[:300], y[:300], X_val=X[300:], y_val=np.full(100, 9))
    assert vars(model) == before


def test_the_weight_is_searched_like_any_other():
    X, y = hidden_classes()
    pipeline = make_pipeline(
        AutoEncoderTransformer(2, random_state=0, max_iter=20), LogisticRegression()
    )
    grid = {"autoencodertransformer__supervision": [0.0, 1.0]}
    search = GridSearchCV(pipeline, grid, cv=3).fit(pd.DataFrame(X), pd.Series(y))
    assert search.best_params_ == {"autoencodertransformer__supervision": 1.0}


def test_loss_curves_hold_both_parts():
    X, y = hidden_classes()
    model = AutoEncoderTransformer(2, supervision=3.0, random_state=0, max_iter=10)
    loss = model.fit(X, y).validation_loss_curve_[-1]
    assert loss > 1 - model.score(X) + 0.1


def test_tags_say_that_y_is_optional():
    tags = AutoEncoderTransformer(supervision=1.0).__sklearn_tags__()
    assert not tags.target_tags.required
    assert tags.target_tags.multi_output
