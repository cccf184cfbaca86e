"""Rows with gaps: what is fitted, what comes back, and what is refused."""

import pickle

import numpy as np
import pandas as pd
import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal
from scipy.sparse import csr_array
from sklearn.base import clone
from sklearn.decomposition import PCA
from sklearn.impute import SimpleImputer
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils import get_tags

from skae import AutoEncoderTransformer, Conv, Gaussian, Masking, MixedLoss
from skae._data.row_versions import BatchGaps, RowVersions
from skae._linear.pca import pca_errors, pca_losses
from skae._linear.ppca import PPCA
from skae._parts.losses import LOSSES
from skae._training.batch import Batch
from skae._training.random_gaps import RandomGaps
from skae._training.terms import Reconstruction

from .conftest import rows as roll


def circle(n_samples=300, seed=0):
    """Return rows on a circle in five features, which one code can hold."""
    rng = np.random.default_rng(seed)
    t = rng.uniform(0, 2 * np.pi, n_samples)
    X = np.column_stack([np.cos(t), np.sin(t), np.cos(2 * t), np.sin(2 * t), t / 6])
    return X + 0.01 * rng.normal(size=X.shape)


def with_gaps(X, share=0.15, seed=1):
    missing = np.random.default_rng(seed).random(X.shape) < share
    return np.where(missing, np.nan, X), missing


def make(n_components=2, **params):
    settings = {"missing_values": np.nan, "max_iter": 4, "random_state": 0}
    return AutoEncoderTransformer(n_components, **settings | params)


X = circle()
G, MISSING = with_gaps(X)


@pytest.fixture(scope="module")
def fitted():
    """Return an estimator whose network has won."""
    ae = make(3, max_iter=80).fit(G)
    assert ae.result_ == "network"
    return ae


def test_codes_and_rows_are_complete(fitted):
    Z = fitted.transform(G)
    assert Z.shape == (300, 3)
    assert np.isfinite(Z).all()
    assert np.isfinite(fitted.inverse_transform(Z)).all()


def test_imputed_rows_are_nearer_than_linear_ones(fitted):
    filled = fitted.impute(G)
    assert_array_equal(filled[~MISSING], X[~MISSING])
    linear = PPCA.fit(G, MISSING).fill(G, MISSING)
    error, of_linear, of_mean = (
        np.square(rows - X)[MISSING].mean()
        for rows in (filled, linear, SimpleImputer().fit_transform(G))
    )
    assert error < 0.8 * of_linear < of_mean


def test_rows_without_gaps_are_imputed_as_they_are(fitted):
    filled = fitted.impute(X)
    assert_array_equal(filled, X)
    assert filled is not X


def test_row_of_which_nothing_is_known_has_a_code(fitted):
    row = np.full((1, 5), np.nan)
    assert np.isfinite(fitted.transform(row)).all()
    assert np.isfinite(fitted.impute(row)).all()
    assert np.isnan(fitted.reconstruction_error(row))  # nothing to compare with


def test_few_rows_and_many_have_the_same_codes(fitted):
    one_by_one = [fitted.transform(G[i : i + 1])[0] for i in range(10)]
    assert_allclose(fitted.transform(G)[:10], one_by_one, atol=1e-10)


def test_scores_are_of_observed_entries(fitted):
    R = fitted.inverse_transform(fitted.transform(G))
    errors = np.where(MISSING, np.nan, np.square(R - X))
    found = fitted.reconstruction_error(G, per_feature=True)
    assert_allclose(found, errors)
    rows = ~MISSING.all(axis=1)
    found = fitted.reconstruction_error(G)
    assert_allclose(found[rows], np.nanmean(errors[rows], axis=1))
    about_mean = np.nansum(np.square(G - np.nanmean(G, axis=0)))
    assert_allclose(fitted.score(G), 1 - np.nansum(errors) / about_mean)
    assert fitted.score(G) > fitted.baseline_score_
    assert_allclose(fitted.explained_variance_ratio_.sum(), fitted.score(G), atol=0.02)


def test_a_seed_repeats(fitted):
    again = clone(fitted).fit(G)
    assert_array_equal(again.transform(G), fitted.transform(G))


def test_pickle_fills_the_same(fitted):
    copy = pickle.loads(pickle.dumps(fitted))
    assert_array_equal(copy.impute(G), fitted.impute(G))


def test_state_without_gaps_loads(fitted):
    """States of versions that knew no gaps have no word of them."""
    state = {
        name: value
        for name, value in fitted.__getstate__().items()
        if name not in ("_ppca", "_imputation", "missing_values")
    }
    old = AutoEncoderTransformer.__new__(AutoEncoderTransformer)
    old.__setstate__(state)
    assert old.missing_values is None
    assert_allclose(old.transform(X), fitted.transform(X))
    with pytest.raises(ValueError, match="contains NaN"):
        old.transform(G)
    with pytest.raises(ValueError, match="fit to dense rows with missing_values"):
        old.impute(X)


def test_float32_stays(fitted):
    rows = G.astype(np.float32)
    assert fitted.impute(rows).dtype == fitted.transform(rows).dtype == np.float32
    assert_allclose(fitted.impute(rows), fitted.impute(G), atol=1e-3)


@pytest.mark.parametrize("part_missing", [0.2, 0.8])
@pytest.mark.parametrize("n_features", [12, 300])
def test_sensitivity_goes_through_what_fills_the_gaps(n_features, part_missing):
    """It agrees with finite differences of observed entries; gaps have none."""
    rng = np.random.default_rng(0)
    wide = roll() if n_features == 12 else roll() @ rng.normal(size=(12, n_features))
    wide += rng.normal(size=wide.shape)
    missing = rng.random(wide.shape) < part_missing
    gaps = np.where(missing, np.nan, wide)
    few = {"max_iter": 2, "early_stopping": False, "random_state": 0}
    model = AutoEncoderTransformer(3, missing_values=np.nan, **few).fit(gaps)
    some = gaps[:5]
    slopes = model.sensitivity(some, average=False)
    for j in range(0, n_features, n_features // 4):
        step = np.zeros(some.shape)
        step[:, j] = 1e-4
        expected = (model.transform(some + step) - model.transform(some - step)) / 2e-4
        expected[missing[:5, j]] = 0.0
        assert_allclose(slopes[:, :, j], expected, rtol=1e-5, atol=1e-7)
    assert_allclose(model.sensitivity(some), slopes.mean(axis=0))


def test_a_filling_at_a_bound_stays_there(fitted):
    """What is filled with the largest value that was seen does not move."""
    ppca = PPCA(**fitted._ppca)
    slopes, missing = np.ones((1, 2, G.shape[1])), np.zeros((1, G.shape[1]), bool)
    missing[0, 0] = True
    filled = ppca.mean[None].copy()
    moved = ppca.differentiate_fill(slopes, missing, filled)
    assert not np.allclose(moved[:, :, 1:], 1.0) and (moved[:, :, 0] == 0).all()
    filled[0, 0] = ppca.high[0]
    still = ppca.differentiate_fill(slopes, missing, filled)
    assert_allclose(still[:, :, 1:], 1.0)


@pytest.mark.parametrize("loss", ["auto", MixedLoss([("squared_error", [0])])])
def test_losses_that_take_no_gaps_say_so_at_once(loss):
    with pytest.raises(ValueError, match="MixedLoss, or loss='auto', takes no missing"):
        AutoEncoderTransformer(2, loss=loss).fit(G)


@pytest.mark.parametrize(
    "params",
    [
        {},
        {"init": "random"},
        {"loss": "absolute_error"},
        {"loss": "log_loss"},
        {"loss": "poisson"},
        {"output_activation": "softplus"},
        {"latent": Gaussian()},
        {"latent": "mixture", "penalty": "sparsity"},
        {"corruption": Masking(0.2)},
        {"network": Conv(image_shape=(5,))},
        {"standardize": True, "whiten": True},
        {"ordered": True},
        {"early_stopping": False},
        {"n_components": 0.9},
    ],
    ids=str,
)
def test_variants_take_gaps(params):
    rows = (G - np.nanmin(G)) / (np.nanmax(G) - np.nanmin(G))
    ae = make(**{"n_components": 2} | params).fit(rows)
    assert np.isfinite(ae.transform(rows)).all()
    filled = ae.impute(rows)
    assert np.isfinite(filled).all()
    assert_array_equal(filled[~MISSING], rows[~MISSING])
    assert np.isfinite([*ae.loss_curve_, ae.score(rows), ae.baseline_score_]).all()


def test_supervised_codes_of_rows_with_gaps():
    y = (X[:, 0] > 0).astype(int)
    y[::3] = -1
    ae = make(supervision=3.0, missing_label=-1, teacher="auto").fit(G, y)
    assert np.isfinite(ae.transform(G)).all()


def test_rows_to_validate_on_may_have_gaps():
    val = with_gaps(circle(100, seed=5))[0]
    for rows, rows_val in ((G, val), (X, val), (G, circle(100, seed=5))):
        ae = make().fit(rows, X_val=rows_val)
        assert np.isfinite(ae.validation_loss_curve_).all()
        assert np.isfinite(ae.transform(val)).all()


def test_sparse_rows_may_validate_dense_ones_with_gaps():
    ae = make().fit(G, X_val=csr_array(circle(100, seed=5)))
    assert np.isfinite(ae.validation_loss_curve_).all()
    with pytest.raises(ValueError, match="X_val has missing values, but X is sparse"):
        make().fit(csr_array(X), X_val=G)


def test_weights_are_repeated_rows():
    weights = np.arange(len(G)) % 3
    weighted = make().fit(G, sample_weight=weights)
    repeated = make().fit(np.repeat(G, weights, axis=0))
    assert_array_equal(weighted.transform(G), repeated.transform(G))
    assert_array_equal(weighted.impute(G), repeated.impute(G))
    assert_allclose(
        weighted.score(G, sample_weight=weights),
        repeated.score(np.repeat(G, weights, axis=0)),
    )


def test_pca_of_rows_with_gaps_is_the_least():
    """With no epoch to learn in, the result is PCA of the rows as they are filled."""
    ae = make(2, early_stopping=True, max_iter=1, learning_rate_init=1e-9).fit(G)
    assert ae.result_ == "pca"
    assert_array_equal(ae.impute(G), PPCA(**ae._ppca).fill(G, MISSING))
    filled = PPCA(**ae._ppca).fill(G, MISSING)
    pca = PCA(2).fit(filled)
    codes = ae.transform(G) * ae.scale_[0]
    assert_allclose(np.abs(codes), np.abs(pca.transform(filled)), atol=0.02)
    errors = np.where(MISSING, 0, filled - pca.inverse_transform(pca.transform(filled)))
    about_mean = np.nansum(np.square(G - np.nanmean(G, axis=0)))
    assert_allclose(ae.score(G), 1 - np.square(errors).sum() / about_mean, atol=1e-3)


def test_scales_are_those_of_observed_values():
    """Filled values vary less than others, since they lie on the regression."""
    rng = np.random.default_rng(0)
    rows, missing = with_gaps(rng.normal(size=(4_000, 3)) * [1, 2, 3], 0.5)
    ae = make(2, standardize=True, max_iter=1, early_stopping=False).fit(rows)
    assert_allclose(ae.scale_, np.nanstd(rows, axis=0), rtol=1e-3)


@pytest.mark.parametrize("missing_values", [-1, -1.0])
def test_another_value_may_stand_for_a_gap(missing_values):
    rows = np.where(MISSING, -9.0, X)
    marked = make(missing_values=-9).fit(rows)
    as_nan = make().fit(G)
    assert_array_equal(marked.transform(rows), as_nan.transform(G))
    assert_array_equal(marked.impute(rows), as_nan.impute(G))
    with pytest.raises(ValueError, match="contains NaN"):
        marked.transform(G)


def test_whole_numbers_with_a_marker():
    rows = np.where(MISSING, -99, np.round(10 * X)).astype(int)
    filled = make(missing_values=-99).fit(rows).impute(rows)
    assert filled.dtype == np.float64
    assert (filled[MISSING] != -99).all()


def test_data_frames_with_their_own_gaps():
    frame = pd.DataFrame(G, columns=list("abcde")).convert_dtypes()
    assert frame.isna().to_numpy().any()
    ae = make().fit(frame)
    assert_array_equal(ae.transform(frame), make().fit(G).transform(G))
    frame["c"] = np.nan
    with pytest.raises(ValueError, match=r"No value of feature 2 \('c'\)"):
        make().fit(frame)


def test_tensors_come_with_gaps():
    tensor = torch.from_numpy(G)
    assert_array_equal(make().fit(tensor).impute(tensor), make().fit(G).impute(G))


def test_behind_a_scaler_in_a_pipeline():
    """It lets NaN through, as the scalers of scikit-learn do."""
    pipe = make_pipeline(StandardScaler(), make()).fit(G)
    assert np.isfinite(pipe.transform(G)).all()


def test_complete_rows_are_learnt_as_ever():
    plain = make(missing_values=None, max_iter=20).fit(X)
    ready = make(max_iter=20).fit(X)
    assert_array_equal(plain.transform(X), ready.transform(X))
    assert plain.loss_curve_ == ready.loss_curve_
    assert np.isfinite(ready.transform(G)).all()  # gaps come later
    assert np.isfinite(ready.impute(G)).all()


def test_tags_follow_the_parameter():
    assert get_tags(make()).input_tags.allow_nan
    assert not get_tags(make(missing_values=-1)).input_tags.allow_nan
    assert not get_tags(make(missing_values=None)).input_tags.allow_nan


def test_nan_without_the_parameter_is_an_error_that_names_it():
    plain = make(missing_values=None)
    with pytest.raises(ValueError, match="NaN.*set missing_values=np.nan"):
        plain.fit(G)
    with pytest.raises(ValueError, match="NaN.*set missing_values=np.nan"):
        plain.fit(X).transform(G)
    with pytest.raises(ValueError, match="infinity"):
        make().fit(np.where(MISSING, np.inf, X))


@pytest.mark.parametrize(
    ("rows", "params", "message"),
    [
        (csr_array(np.where(MISSING, np.nan, X)), {}, "X is sparse and has missing"),
        (csr_array(X), {"missing_values": 0}, "missing_values=0, but X is sparse"),
        (np.where(np.arange(5) == 3, np.nan, X), {}, "No value of feature 3 is"),
        (G**2, {"loss": "kl_divergence"}, "compares rows as a whole|sum to 1"),
        (G, {"loss": "auto"}, "A MixedLoss, or loss=.auto., takes no missing"),
        (X, {"missing_values": "nan"}, "missing_values.*must be"),
    ],
)
def test_what_cannot_be_filled_is_refused(rows, params, message):
    with pytest.raises(ValueError, match=message):
        make(**params).fit(rows)


def test_sparse_rows_without_gaps_are_fine():
    ae = make().fit(csr_array(X))
    with pytest.raises(ValueError, match="fit to dense rows"):
        ae.impute(G)


def test_parts_of_a_stream_have_gaps():
    ae = make(2)
    for part in np.array_split(G, 4):
        ae.partial_fit(part)
    assert np.isfinite(ae.transform(G)).all()
    assert np.isfinite([ae.score(G), *ae.loss_curve_]).all()
    assert_array_equal(ae.impute(G)[~MISSING], X[~MISSING])


@pytest.mark.parametrize("go_on", ["validate", "partial_fit", "warm_start"])
def test_sparse_rows_leave_how_gaps_are_filled(go_on):
    """They have no gaps of their own to tell."""
    X, model = circle(100), make(warm_start=True, max_iter=5)
    rows, _ = with_gaps(X)
    if go_on == "validate":
        model.fit(rows, X_val=csr_array(X))
    else:
        before = model.fit(rows)._imputation
        getattr(model, "fit" if go_on == "warm_start" else go_on)(csr_array(X))
        assert model._imputation == before
    filled = model.impute(rows)
    assert_array_equal(filled[~np.isnan(rows)], rows[~np.isnan(rows)])
    assert np.isfinite(filled).all()


def test_warm_start_keeps_what_fills():
    ae = make(warm_start=True).fit(G)
    before = ae.impute(G)
    assert np.isfinite(ae.fit(G).impute(G)).all()
    assert before.shape == G.shape


# --- the loss


def batch_with_gaps(seed=0):
    rng = np.random.default_rng(seed)
    x, output = (torch.tensor(rng.random((6, 4)), dtype=torch.float32) for _ in "xo")
    observed = torch.tensor(rng.random((6, 4)) < 0.6)
    return x, output, observed


class Identity:
    """A scaling that does nothing."""

    mean = np.zeros(4)
    scale = np.ones(4)


@pytest.mark.parametrize(
    ("name", "link"),
    [(name, LOSSES[name].link) for name in LOSSES if name != "kl_divergence"]
    + [("squared_error", "logistic"), ("absolute_error", "softplus")],
)
def test_gaps_have_no_loss_and_no_gradient(name, link):
    loss = LOSSES[name]
    x, output, observed = batch_with_gaps()
    term = Reconstruction(loss, link, Identity, torch.device("cpu"))
    found = term.losses(output, x, observed)
    values = torch.stack(
        [
            term.losses(output[:, [j]].repeat(1, 4), x[:, [j]].repeat(1, 4))
            for j in range(4)
        ]
    )  # of each value alone
    assert_allclose(found, (values.t() * observed).sum(dim=1) / 4, atol=1e-5)
    batch = Batch(x, x[:, :0], x, observed=observed)
    mean, gradient = term.backward(output.clone(), batch)
    assert_allclose(mean, found.mean(), rtol=1e-5)
    assert gradient[~observed].abs().max() < 1e-6
    leaf = output.clone().requires_grad_()
    (expected,) = torch.autograd.grad(term.losses(leaf, x, observed).mean(), leaf)
    assert_allclose(gradient, expected, atol=1e-6)


def test_pca_is_compared_where_rows_are_observed():
    x, _, observed = batch_with_gaps()
    pca = PCA(2).fit(x.numpy())
    residual = x.numpy() - pca.inverse_transform(pca.transform(x.numpy()))
    expected = np.square(residual * observed.numpy()).mean(axis=1)
    assert_allclose(pca_errors(pca, [(x, x, observed)]), expected, rtol=1e-5)
    batch = Batch(x, x[:, :0], x, observed=observed)
    squared_error = LOSSES["squared_error"].function
    assert_allclose(pca_losses(pca, [batch], squared_error), expected, rtol=1e-5)


def test_hidden_entries_leave_no_trace():
    """What was filled with the help of an entry is filled anew without it."""
    ppca = PPCA.fit(G, MISSING)
    gaps, rows = RandomGaps(ppca), ppca.fill(G, MISSING)
    observed = torch.from_numpy(~MISSING)
    x = torch.from_numpy(rows)
    anew = RowVersions(*x.shape, 0, x.device)
    of_batch = BatchGaps(observed, torch.arange(len(x)), anew)
    inputs = gaps.hide(x, of_batch, np.random.default_rng(3)).numpy()
    hidden = gaps.draw(~MISSING, np.random.default_rng(3))
    assert_array_equal(inputs[~hidden], rows[~hidden])
    assert_array_equal(inputs, ppca.fill(np.where(hidden, np.nan, rows), hidden))
    share = (hidden & ~MISSING).sum() / (~MISSING).sum()
    assert 0.15 < share < 0.25


# --- draws


def test_draws_are_as_far_off_as_the_filled_values(fitted):
    draws = fitted.impute(G, n_draws=20, random_state=0)
    assert draws.shape == (20, *G.shape)
    assert (draws[:, ~MISSING] == X[~MISSING]).all()
    filled = fitted.impute(G)
    error = np.square(filled - X)[MISSING].mean()
    spread = np.square(draws - filled)[:, MISSING].mean()
    assert 0.4 < spread / error < 2.5
    assert_array_equal(fitted.impute(G, n_draws=20, random_state=0), draws)
    assert not np.array_equal(fitted.impute(G, n_draws=20, random_state=1), draws)


@pytest.mark.parametrize("n_draws", [0, -1, 2.5, "two"])
def test_number_of_draws_is_checked(n_draws, fitted):
    with pytest.raises(ValueError, match=f"n_draws must be .* got {n_draws!r}"):
        fitted.impute(G, n_draws=n_draws)


@pytest.mark.filterwarnings("ignore")
def test_the_order_in_memory_and_the_kind_of_gap_do_not_matter():
    """Frames have their columns one after another; more than 8 make several bytes."""
    X, _ = with_gaps(np.hstack([circle(60), circle(60, seed=1)]))
    few = {"missing_values": np.nan, "max_iter": 2, "random_state": 0}
    model = AutoEncoderTransformer(2, hidden_layer_sizes=(8,), **few)
    expected = model.fit(X).transform(X)
    frame = pd.DataFrame(X)
    objects = frame.astype(object).mask(frame.isna(), pd.NA)
    for same in (np.asfortranarray(X), frame, objects):
        assert_array_equal(model.fit(same).transform(same), expected)
    clone(model).partial_fit(np.asfortranarray(X))
