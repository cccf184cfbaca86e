"""Mixed tables: losses of groups of columns, and what comes back of the rows."""

import pickle
import warnings

import numpy as np
import pandas as pd
import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal
from scipy.sparse import csr_array
from sklearn.base import clone
from sklearn.compose import make_column_selector, make_column_transformer
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss, mean_poisson_deviance
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from skae import AutoEncoderTransformer, MixedLoss
from skae._parts.column_links import ColumnLinks, link_of
from skae._parts.column_losses import _FUNCTIONS, ColumnLosses
from skae._parts.losses import autograd_gradient
from skae._parts.mixed import choose_loss, with_columns

from .conftest import mixed_rows
from .variants import parameters

# Numbers in 0 and 6, a block from 1 to 3, binary columns 4 and 5, counts in 7.
GROUPS = [
    ("squared_error", [0, 6]),
    ("cross_entropy", [1, 2, 3]),
    ("log_loss", [4, 5]),
    ("poisson", [7]),
]
FAST = {"max_iter": 5, "hidden_layer_sizes": (8,), "random_state": 0}


def frame(n_rows=120, seed=0):
    """Return such rows as people have them."""
    X = mixed_rows(n_rows, seed)
    return pd.DataFrame(
        {
            "income": X[:, 0],
            "color": np.array(["red", "green", "blue"])[X[:, 1:4].argmax(axis=1)],
            "owner": np.where(X[:, 4] > 0, "yes", "no"),
            "visits": X[:, 7].astype(int),
        }
    )


def losses_of(X, loss, **params):
    """Return what `choose_loss` makes of a loss."""
    params = parameters(loss=with_columns(loss, X, X.shape[1]), **params)
    return choose_loss(params, X)[1]


def encoder(**kwargs):
    """Return what makes numbers of a frame, with names."""
    categories = OneHotEncoder(sparse_output=False, **kwargs)
    texts = make_column_selector(dtype_exclude="number")
    numbers = StandardScaler(), ["income"]
    made = make_column_transformer(
        (categories, texts), numbers, remainder="passthrough"
    )
    return made.set_output(transform="pandas")


class TestFoundLosses:
    def test_kinds_of_columns_are_found(self):
        ae = AutoEncoderTransformer(2, loss="auto", **FAST).fit(mixed_rows())
        assert [(name, columns.tolist()) for name, columns in ae.losses_] == [
            ("squared_error", [0]),
            ("cross_entropy", [1, 2, 3]),
            ("log_loss", [4, 5]),
            ("squared_error", [6]),
            ("poisson", [7]),
        ]

    @pytest.mark.parametrize(
        ("X", "expected"),
        [
            (np.random.default_rng(0).normal(size=(60, 3)), "squared_error"),
            (np.random.default_rng(0).integers(0, 2, (60, 3)), "log_loss"),
            (np.random.default_rng(0).poisson(1.5, (60, 3)), "poisson"),
        ],
        ids=["numbers", "binary", "counts"],
    )
    def test_columns_of_one_kind_have_the_plain_loss(self, X, expected):
        X = X.astype(float)
        found = AutoEncoderTransformer(1, loss="auto", **FAST).fit(X)
        plain = AutoEncoderTransformer(1, loss=expected, **FAST).fit(X)
        assert_array_equal(found.transform(X), plain.transform(X))
        ((name, columns),) = found.losses_
        assert (name, columns.tolist()) == (expected, [0, 1, 2])

    def test_the_first_rows_decide_for_all_that_follow(self):
        X = mixed_rows()
        ae = AutoEncoderTransformer(2, loss="auto", warm_start=True, **FAST).fit(X)
        before = ae.losses_
        one_color = X[X[:, 1] == 1]  # whose columns would be constant
        one_color[:, 7] += 0.5  # and no count
        ae.fit(one_color)
        for (name, columns), (name_before, columns_before) in zip(
            ae.losses_, before, strict=True
        ):
            assert name == name_before
            assert_array_equal(columns, columns_before)

    def test_partial_fit_goes_on_with_the_losses_of_the_first_rows(self):
        X = mixed_rows(400)
        ae = AutoEncoderTransformer(2, loss="auto", **FAST).partial_fit(X[:200])
        before = ae._loss_parts
        assert ae.partial_fit(X[200:203])._loss_parts == before
        assert np.isfinite(ae.inverse_transform(ae.transform(X))).all()

    def test_what_auto_finds_is_what_can_be_asked_for(self):
        X = mixed_rows()
        found = losses_of(X, "auto")
        asked = losses_of(
            X,
            MixedLoss(
                [("squared_error", 0), ("squared_error", 6), *GROUPS[1:]],
            ),
        )
        assert found.parts == asked.parts


class TestUnits:
    def test_the_best_constant_has_a_loss_of_one(self):
        X = mixed_rows(300)
        losses = losses_of(X, MixedLoss(GROUPS))
        links = link_of(losses.link)
        mean, scale = X.mean(axis=0), losses.scale_of(X.var(axis=0))
        x = torch.tensor((X - mean) / scale)
        ends = losses.target_units(*map(torch.tensor, (mean, scale)))
        output = np.broadcast_to(links.start(mean), X.shape)
        values = losses.function(
            torch.tensor(output.copy()), torch.addcmul(ends[0], x, ends[1])
        )
        assert values.shape == (300,)
        # Its squared errors are in the units of their group, by the scaling.
        assert values.mean().item() == pytest.approx(1.0, abs=1e-4)

    def test_the_units_of_a_group_change_nothing(self):
        X = mixed_rows()
        other = X.copy()
        other[:, 0] *= 2.0**20
        ae = AutoEncoderTransformer(2, loss="auto", **FAST)
        assert_allclose(
            clone(ae).fit_transform(X), clone(ae).fit_transform(other), rtol=1e-4
        )

    def test_a_group_of_many_columns_counts_for_as_many_variables(self):
        """Each of two blocks, two binary columns and a number for a fifth."""
        rng = np.random.default_rng(0)
        blocks = np.hstack([np.eye(k)[rng.integers(0, k, 500)] for k in (3, 20)])
        X = np.column_stack(
            [blocks, rng.integers(0, 2, (500, 2)), rng.normal(size=500)]
        )
        losses = losses_of(X, "auto")
        constant = np.r_[X.mean(axis=0)[:25], 0]
        shares = []
        for name, columns, factor, _ in losses.parts:
            p = constant[list(columns)]
            if name == "cross_entropy":
                cost = -(p * np.log(p)).sum()
            elif name == "log_loss":
                cost = -(p * np.log(p) + (1 - p) * np.log1p(-p)).sum()
            else:
                cost = 1.0
            shares.append((name, factor * cost))
        totals = {name: 0.0 for name, _ in shares}
        for name, share in shares:
            totals[name] += share
        assert totals == pytest.approx(
            {"cross_entropy": 0.4, "log_loss": 0.4, "squared_error": 0.2}
        )

    def test_a_row_of_weight_two_is_two_rows(self):
        X, weights = mixed_rows(), np.arange(120) % 3 + 1.0
        params = parameters(loss=with_columns("auto", X, 8))
        weighted = choose_loss(params, X, weights)[1]
        repeated = choose_loss(params, np.repeat(X, weights.astype(int), axis=0))[1]
        for part, expected in zip(weighted.parts, repeated.parts, strict=True):
            assert part[:2] == expected[:2]
            assert part[2:] == pytest.approx(expected[2:])


class TestGradients:
    @pytest.fixture
    def losses(self):
        parts = [
            ("squared_error", (0, 9), 0.3, 1.0),
            ("cross_entropy", (1, 2, 3), 0.5, 1.0),
            ("cross_entropy", (10, 11, 12), 0.7, 1.0),
            ("cross_entropy", (4, 5), 0.2, 1.0),
            ("log_loss", (6, 8), 0.4, 1.0),
            ("poisson", (7,), 0.6, 3.0),
        ]
        return ColumnLosses(tuple(parts))

    @pytest.mark.parametrize("weighted", [False, True])
    @pytest.mark.parametrize("n_outliers", [0, 4])
    def test_written_gradients_are_those_of_autograd(
        self, losses, n_outliers, weighted
    ):
        rng = np.random.default_rng(0)
        x = np.zeros((20, 13))
        x[:, [0, 9]] = rng.normal(size=(20, 2))
        for block in ((1, 2, 3), (10, 11, 12), (4, 5)):
            x[np.arange(20), rng.choice(block, 20)] = 1
        x[3, 1:4] = 0  # an unknown category
        x[:, [6, 8]] = rng.integers(0, 2, (20, 2))
        x[:, 7] = rng.poisson(2, 20)
        output = torch.tensor(rng.normal(size=(20, 13)), dtype=torch.float32)
        output[0, 7], output[1, 7] = 60.0, -60.0
        mean = torch.tensor(rng.normal(size=13), dtype=torch.float32)
        scale = torch.tensor(rng.random(13) + 0.5, dtype=torch.float32)
        target = torch.tensor(x, dtype=torch.float32)
        scaled = (target - mean) / scale
        weights = torch.rand(20, 1, generator=torch.Generator().manual_seed(0))
        given = n_outliers, weights if weighted else None

        written = losses.closed_form(0.5, mean, scale)(output.clone(), scaled, *given)
        by_autograd = autograd_gradient(
            lambda o, x: 0.5 * losses.function(o, torch.addcmul(mean, x, scale))
        )(output.clone(), scaled, *given)
        for value, expected in zip(written, by_autograd, strict=True):
            assert_allclose(value, expected, rtol=1e-4, atol=1e-5)

    def test_autograd_has_a_gradient_where_counts_are_zero(self):
        output = torch.tensor([[0.5], [-2.0]], requires_grad=True)
        target = torch.tensor([[0.0], [3.0]])
        value, slope = _FUNCTIONS["poisson"]
        (gradient,) = torch.autograd.grad(value(output, target).sum(), output)
        assert_allclose(gradient, slope(output.detach(), target), rtol=1e-5)

    def test_losses_are_those_of_scikit_learn(self, losses):
        rng = np.random.default_rng(0)
        output = rng.normal(size=(50, 13))
        target = np.zeros((50, 13))
        target[:, [6, 8]] = rng.integers(0, 2, (50, 2))
        target[:, 7] = rng.poisson(2, 50)
        chosen = rng.integers(0, 3, 50)
        target[np.arange(50), 1 + chosen] = 1
        rate = 3 * np.log1p(np.exp(output[:, 7]))
        in_units = target / np.where(np.arange(13) == 7, 3, 1)
        values = losses.function(torch.tensor(output), torch.tensor(in_units))
        block = np.exp(output[:, 1:4])
        block /= block.sum(axis=1, keepdims=True)
        p = 1 / (1 + np.exp(-output[:, [6, 8]]))
        expected = (
            0.3 * (output[:, [0, 9]] ** 2).sum(axis=1).mean()
            + 0.5 * log_loss(chosen, block, labels=[0, 1, 2])
            + 0.4 * sum(log_loss(target[:, j], p[:, i]) for i, j in enumerate([6, 8]))
            + 0.6 * mean_poisson_deviance(target[:, 7], rate) / 2
        )
        assert values.mean().item() == pytest.approx(expected, rel=1e-5)


def test_links_start_at_the_mean_and_keep_their_columns():
    links = ColumnLinks(
        (
            ("identity", (0,), 1.0),
            ("softmax", (1, 3), 1.0),
            ("logistic", (2,), 1.0),
            ("softplus", (4,), 2.5),
        )
    )
    mean = np.array([5.0, 0.2, 0.3, 0.8, 4.0])
    values = links.inverse(torch.from_numpy(links.start(mean))[None])[0]
    assert_allclose(values, [0.0, 0.2, 0.3, 0.8, 4.0])  # numbers in scaled units
    assert links.is_scaled(5).tolist() == [True, False, False, False, False]
    assert links.sums_to_one(5).tolist() == [False, True, False, True, False]


class TestColumns:
    @pytest.mark.parametrize(
        "columns",
        [
            ["visits"],
            "visits",
            make_column_selector("visits"),
            lambda X: [X.shape[1] - 1],
            -1,
            [6],
            slice(6, None),
            slice("visits", "visits"),
            np.arange(7) == 6,
        ],
        ids="names name selector callable end int slice name-slice mask".split(),
    )
    def test_columns_are_named_as_in_a_column_transformer(self, columns):
        X = encoder().fit_transform(frame())
        X = X.rename(columns={"remainder__visits": "visits"})
        ae = AutoEncoderTransformer(2, loss=MixedLoss([("poisson", columns)]), **FAST)
        names = [(n, X.columns[c].tolist()) for n, c in ae.fit(X).losses_]
        assert ("poisson", [X.columns[6]]) in names
        assert [name for name, _ in names].count("cross_entropy") == 2

    @pytest.mark.parametrize(
        ("groups", "message"),
        [
            ([("poisson", ["visit"])], "no column 'visit'. Its columns are 'oneh"),
            ([("poisson", 7)], "X has 7 columns, and none at 7"),
            ([("poisson", [True, False])], "mask of columns must have 7 values"),
            ([("poisson", [1.5])], "names or whole numbers, got 1.5"),
            (
                [("poisson", [0]), ("log_loss", [0])],
                "__color_blue' is twice",
            ),
            ([("gamma", [0])], "must be one of 'squared_error', .*got 'gamma'"),
            ([("poisson",)], r"must be tuples \(loss, columns\).*got \('poisson',\)"),
            ([("cross_entropy", [2, 3])], "Columns 'onehotencoder__color_red' to"),
            ([("poisson", [5])], "Column 'standardscaler__income' of X holds -"),
            ([("log_loss", [6])], "'remainder__visits' of X holds .* values in .0, 1."),
        ],
    )
    def test_what_cannot_be_is_refused(self, groups, message):
        X = encoder().fit_transform(frame())
        ae = AutoEncoderTransformer(2, loss=MixedLoss(groups), **FAST)
        with pytest.raises(ValueError, match=message):
            ae.fit(X)
        assert not hasattr(ae, "n_features_in_")

    def test_names_need_a_frame(self):
        ae = AutoEncoderTransformer(
            1, loss=MixedLoss([("poisson", ["visits"])]), **FAST
        )
        with pytest.raises(ValueError, match=r"set_output\(transform='pandas'\)"):
            ae.fit(mixed_rows())

    def test_the_others_have_the_loss_that_is_asked_for(self):
        loss = MixedLoss(GROUPS[1:2], remainder="squared_error")
        ae = AutoEncoderTransformer(2, loss=loss, **FAST).fit(mixed_rows())
        assert [(n, c.tolist()) for n, c in ae.losses_] == [
            ("squared_error", [0, 4, 5, 6, 7]),
            ("cross_entropy", [1, 2, 3]),
        ]

    def test_an_output_activation_is_refused(self):
        ae = AutoEncoderTransformer(loss="auto", output_activation="relu")
        with pytest.raises(ValueError, match="output_activation='auto', got 'relu"):
            ae.fit(mixed_rows())

    def test_rows_outside_are_refused_by_validation_too(self):
        X = mixed_rows()
        outside = X.copy()
        outside[2, 1:4] = 1
        ae = AutoEncoderTransformer(2, loss="auto", **FAST)
        with pytest.raises(ValueError, match="from 1 to 3 sum to 3 in row 2"):
            ae.fit(X, X_val=outside)


class TestReconstructions:
    @pytest.fixture(scope="class")
    @classmethod
    def fitted(cls):
        X = mixed_rows(300)
        ae = AutoEncoderTransformer(2, loss="auto", max_iter=60, random_state=0)
        return ae.fit(X), X

    def test_they_are_means_and_probabilities(self, fitted):
        ae, X = fitted
        R = ae.inverse_transform(ae.transform(X))
        assert_allclose(R[:, 1:4].sum(axis=1), 1)
        assert R[:, 1:6].min() >= 0
        assert R[:, 1:6].max() <= 1
        assert R[:, 7].min() >= 0
        # Near the mean over the training rows, as maximum likelihood has it.
        assert_allclose(R.mean(axis=0)[1:], X.mean(axis=0)[1:], atol=0.1)
        assert ae.score(X) > 0.6

    def test_categories_are_the_most_likely_ones(self, fitted):
        ae, X = fitted
        Z = ae.transform(X)
        R, valid = ae.inverse_transform(Z), ae.inverse_transform(Z, as_categories=True)
        assert_array_equal(valid[:, 1:4].argmax(axis=1), R[:, 1:4].argmax(axis=1))
        assert_array_equal(valid[:, 1:4].sum(axis=1), 1)
        assert_array_equal(valid[:, 4:6], R[:, 4:6] > 0.5)
        assert_array_equal(valid[:, [0, 6, 7]], R[:, [0, 6, 7]])
        assert np.isin(valid[:, 1:6], (0, 1)).all()

    def test_one_row_is_decoded_as_many_are(self, fitted):
        ae, X = fitted
        Z = ae.transform(X)
        assert_allclose(ae.inverse_transform(Z[:1]), ae.inverse_transform(Z)[:1])

    def test_a_module_of_torch_gives_the_same(self, fitted):
        ae, X = fitted
        R = ae.to_torch("float64")(torch.from_numpy(X)).detach().numpy()
        assert_allclose(R, ae.inverse_transform(ae.transform(X)), atol=1e-9)

    def test_a_pickle_gives_the_same_and_holds_plain_values(self, fitted):
        ae, X = fitted
        pickled = pickle.dumps(ae)
        assert b"torch" not in pickled
        assert b"ColumnLosses" not in pickled
        assert_array_equal(pickle.loads(pickled).transform(X), ae.transform(X))

    def test_a_seed_repeats_and_clones_agree(self, fitted):
        ae, X = fitted
        assert_array_equal(clone(ae).fit(X).transform(X), ae.transform(X))

    def test_float32_comes_back_as_float32(self, fitted):
        ae, X = fitted
        R = ae.inverse_transform(ae.transform(X.astype("f4")))
        assert R.dtype == np.float32
        assert_allclose(R, ae.inverse_transform(ae.transform(X)), rtol=1e-3, atol=1e-3)

    def test_samples_can_be_categories(self):
        X = mixed_rows()
        ae = AutoEncoderTransformer(2, loss="auto", latent="mixture", **FAST).fit(X)
        drawn = ae.sample(20, random_state=0, as_categories=True)
        assert np.isin(drawn[:, 1:6], (0, 1)).all()


def test_sparse_rows_give_what_dense_ones_give():
    X = mixed_rows()
    ae = AutoEncoderTransformer(2, loss="auto", **FAST)
    dense, sparse = clone(ae).fit(X), clone(ae).fit(csr_array(X))
    assert dense._loss_parts == sparse._loss_parts
    assert_allclose(dense.transform(X), sparse.transform(csr_array(X)), rtol=1e-6)


def test_constant_columns_come_back_as_they_are():
    X = np.column_stack(
        [mixed_rows(), np.zeros((120, 2)), np.ones(120), np.full(120, 7.5)]
    )
    ae = AutoEncoderTransformer(2, loss="auto", **FAST).fit(X)
    R = ae.inverse_transform(ae.transform(X))
    assert_array_equal(R[:, 8:], X[:, 8:])
    assert np.isfinite(R).all()


def test_unknown_categories_are_rows_of_zeros():
    train, test = frame(), frame(30, seed=1)
    test.loc[3, "color"] = "violet"
    encode = encoder(handle_unknown="ignore").fit(train)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        X, X_val = encode.transform(train), encode.transform(test)
    ae = AutoEncoderTransformer(2, loss="auto", **FAST).fit(X, X_val=X_val)
    back = ae.inverse_transform(ae.transform(X_val), as_categories=True)
    assert_array_equal(back[:, :3].sum(axis=1), 1)  # some category that is known
    assert np.isfinite(ae.validation_loss_curve_).all()


class TestInScikitLearn:
    def test_categories_of_a_frame_go_in_and_come_back(self):
        X = frame(300)
        ae = AutoEncoderTransformer(3, loss="auto", max_iter=60, random_state=0)
        model = make_pipeline(encoder(), ae).fit(X)
        Z = model.transform(X)
        encoded = ae.inverse_transform(Z, as_categories=True)
        categories = model[0].named_transformers_["onehotencoder"]
        back = categories.inverse_transform(encoded[:, :5])
        assert (back[:, 0] == X["color"]).mean() > 0.9
        assert (back[:, 1] == X["owner"]).mean() > 0.9

    def test_a_grid_over_losses(self):
        X = frame()
        y = X.pop("owner")
        ae = AutoEncoderTransformer(1, loss=MixedLoss(), **FAST)
        grid = {
            "autoencodertransformer__loss": ["auto", "squared_error"],
        }
        nested = {"autoencodertransformer__loss__remainder": ["auto", "squared_error"]}
        model = make_pipeline(encoder(), ae, LogisticRegression())
        search = GridSearchCV(model, [grid, nested], cv=2).fit(X, y)
        assert np.isfinite(search.cv_results_["mean_test_score"]).all()

    def test_parts_of_it_are_parameters(self):
        loss = MixedLoss(GROUPS)
        ae = AutoEncoderTransformer(loss=loss)
        assert ae.get_params()["loss__groups"] is GROUPS
        assert clone(ae).loss is not loss
        assert "MixedLoss(groups=" in repr(ae)
        ae.set_params(loss="auto").set_params(loss__remainder="squared_error")
        assert ae.loss.remainder == "squared_error"


class TestBesidePCA:
    """Where no network is better, PCA is the result, within the columns' range."""

    @pytest.fixture(scope="class")
    @classmethod
    def noise(cls):
        rng = np.random.default_rng(0)
        X = np.column_stack(
            [
                rng.normal(size=(80, 3)),
                np.eye(4)[rng.integers(0, 4, 80)],
                rng.integers(0, 2, (80, 2)),
                rng.poisson(1, 80),
                np.full(80, 3.0),
            ]
        )
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            ae = AutoEncoderTransformer(2, loss="auto", random_state=0).fit(X)
        return ae, X

    def test_the_result_is_pca(self, noise):
        ae, X = noise
        assert ae.result_ == "pca"
        R = ae.inverse_transform(ae.transform(X))
        linear = ae.mean_ + ae.scale_ * (ae.transform(X) @ ae.components_)
        assert_allclose(R[:, :3], linear[:, :3], atol=1e-6)
        inside = linear[:, 7:9].clip(1e-3, 1 - 1e-3)
        assert_allclose(R[:, 7:9], inside, atol=1e-6)
        assert_allclose(R[:, 3:7].sum(axis=1), 1)
        assert R[:, 9].min() > 0
        assert_array_equal(R[:, 10], 3.0)

    def test_it_comes_back_the_same_in_any_way(self, noise):
        ae, X = noise
        R = ae.inverse_transform(ae.transform(X))
        module = ae.to_torch("float64")
        assert_allclose(module(torch.from_numpy(X)).detach(), R, atol=1e-9)
        assert_allclose(ae.inverse_transform(ae.transform(X[:1])), R[:1])
        assert_array_equal(pickle.loads(pickle.dumps(ae)).transform(X), ae.transform(X))

    def test_more_rows_and_warm_starts_go_on_from_it(self, noise):
        ae, X = noise
        ae = pickle.loads(pickle.dumps(ae))
        R = ae.partial_fit(X).inverse_transform(ae.transform(X))
        assert_allclose(R[:, 3:7].sum(axis=1), 1, rtol=1e-6)
        again = pickle.loads(pickle.dumps(noise[0])).set_params(
            warm_start=True, max_iter=3, early_stopping=False
        )
        assert np.isfinite(again.fit(X).inverse_transform(again.transform(X))).all()

    def test_a_network_that_stays_is_better_on_the_rows_held_out(self):
        X = mixed_rows(400)
        ae = AutoEncoderTransformer(2, loss="auto", **FAST | {"max_iter": 40}).fit(X)
        assert ae.result_ == "network"
        assert ae.best_loss_ < ae.baseline_loss_
