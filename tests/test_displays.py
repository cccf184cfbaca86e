"""Displays: what is drawn, asked of the artists; no picture is compared."""

import builtins
import subprocess
import sys
from functools import partial

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.sparse import coo_matrix
from sklearn.datasets import load_digits, load_wine
from sklearn.decomposition import PCA
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import r2_score
from sklearn.model_selection import KFold
from sklearn.neural_network import MLPRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skae import (
    AutoEncoderTransformer,
    EmbeddingDisplay,
    ErrorDisplay,
    LossCurveDisplay,
    ReconstructionDisplay,
    ScreeDisplay,
    TraversalDisplay,
)
from skae._displays.canvas import short_names

plt = pytest.importorskip("matplotlib.pyplot")
Path = pytest.importorskip("matplotlib.path").Path
Text = pytest.importorskip("matplotlib.text").Text

DIGITS, LABELS = load_digits(return_X_y=True)
DIGITS, NEW, LABELS = DIGITS[:200], DIGITS[200:260], LABELS[:200]
WINE = load_wine(as_frame=True)


@pytest.fixture(scope="module")
def digits_model():
    return AutoEncoderTransformer(4, max_iter=20, random_state=0).fit(DIGITS)


@pytest.fixture(scope="module")
def wine_model():
    ae = AutoEncoderTransformer(3, max_iter=4, early_stopping=False, random_state=0)
    return make_pipeline(StandardScaler(), ae).fit(WINE.data)


@pytest.fixture(scope="module")
def pca():
    return PCA(3).fit(DIGITS)


def labels_of(ax):
    return [text.get_text() for text in ax.get_legend().get_texts()]


def lines_by_label(ax):
    return {line.get_label(): line.get_ydata() for line in ax.lines}


class TestLossCurve:
    def test_draws_what_the_fit_has_left(self, digits_model):
        display = LossCurveDisplay.from_estimator(digits_model)
        lines = lines_by_label(display.ax_)
        train, validation = list(lines)[:2]
        assert_array_equal(lines[train], digits_model.loss_curve_)
        assert_array_equal(lines[validation], digits_model.validation_loss_curve_)
        (level,) = [v for label, v in lines.items() if label.startswith("PCA, valid")]
        assert_array_equal(level, digits_model.baseline_loss_)
        (kept,) = [v for label, v in lines.items() if label.startswith("kept: epoch")]
        assert kept[0] == digits_model.best_loss_

    def test_pca_has_the_loss_that_it_has_on_the_rows_held_out(self):
        X, X_val = DIGITS[:150], DIGITS[150:]
        ae = AutoEncoderTransformer(4, init="pca", max_iter=2, random_state=0)
        ae.fit(X, X_val=X_val)
        again = (pca := PCA(4).fit(X)).inverse_transform(pca.transform(X_val))
        expected = np.square((X_val - again) / ae.scale_).mean()
        assert ae.baseline_loss_ == pytest.approx(expected, rel=1e-3)
        by_score = (1 - ae.baseline_score_) * np.square(
            (X_val - X_val.mean(axis=0)) / ae.scale_
        ).mean()
        assert ae.baseline_loss_ == pytest.approx(by_score, rel=1e-3)

    @pytest.mark.parametrize(
        "params", [{"supervision": 1.0}, {"ordered": True}, {"penalty": "sparsity"}]
    )
    def test_there_is_no_level_where_pca_has_no_such_loss(self, params):
        ae = AutoEncoderTransformer(2, max_iter=2, random_state=0, **params)
        ae.fit(DIGITS[:100], LABELS[:100])
        assert ae.baseline_loss_ is None
        labels = labels_of(LossCurveDisplay.from_estimator(ae).ax_)
        assert not any("PCA" in label for label in labels)

    def test_says_that_the_result_is_pca(self):
        X = np.random.RandomState(0).normal(size=(60, 5))
        ae = AutoEncoderTransformer(2, random_state=0).fit(X)
        assert ae.stop_reason_ == "pca"
        ax = LossCurveDisplay.from_estimator(ae).ax_
        assert ax.get_title().startswith("The result is PCA")
        assert not any("kept" in label for label in labels_of(ax))

    def test_streams_and_other_estimators(self, X):
        ae = AutoEncoderTransformer(2, random_state=0).partial_fit(X).partial_fit(X)
        LossCurveDisplay.from_estimator(ae)
        mlp = MLPRegressor(n_iter_no_change=1, tol=1e9).fit(X, X[:, 0])
        display = LossCurveDisplay.from_estimator(mlp)
        assert_array_equal(display.ax_.lines[0].get_ydata(), mlp.loss_curve_)
        with pytest.raises(ValueError, match="PCA has no loss_curve_"):
            LossCurveDisplay.from_estimator(PCA(2).fit(X))

    def test_wide_ranges_are_logarithmic_and_others_begin_at_zero(self):
        wide, narrow = LossCurveDisplay([10.0, 0.1]), LossCurveDisplay([2.0, 1.0])
        assert wide.plot().ax_.get_yscale() == "log"
        assert narrow.plot().ax_.get_ylim()[0] == 0
        assert "There was no epoch" == LossCurveDisplay([]).plot().ax_.get_title()


class TestReconstruction:
    def test_pictures(self, digits_model):
        display = ReconstructionDisplay.from_estimator(
            digits_model, NEW, rows=[5, 7], X_train=DIGITS, image_shape=(8, 8)
        )
        pca = PCA(4).fit(DIGITS)
        expected = [NEW, digits_model.inverse_transform(digits_model.transform(NEW))]
        expected += [pca.inverse_transform(pca.transform(NEW))]
        expected += [values - NEW for values in expected[1:]]
        for axes, row in zip(display.axes_, [5, 7], strict=True):
            for ax, values in zip(axes, expected, strict=True):
                shown = ax.images[0].get_array()
                assert_allclose(shown, values[row].reshape(8, 8), atol=1e-3)
        limits = {ax.images[0].get_clim() for ax in display.axes_[:, 3:].flat}
        assert len(limits) == 1  # one scale for all differences, about zero
        low, high = limits.pop()
        assert low == -high

    @pytest.mark.parametrize("scale", [1.0, 255.0])
    def test_colour_pictures_have_signed_differences(self, scale, capsys, caplog):
        rng = np.random.RandomState(0)
        X, again = scale * rng.rand(2, 27), scale * (3 * rng.rand(2, 27) - 1)
        X[1, 4] = np.nan
        display = ReconstructionDisplay(X, again, image_shape=(3, 3, 3)).plot()
        original, ours, left = (ax.images[0] for ax in display.axes_[0])
        low, high = (0, 1) if scale == 1 else (np.nanmin(X), np.nanmax(X))
        for image, rows in ((original, X), (ours, again)):
            expected = np.clip((rows[0] - low) / (high - low), 0, 1)
            assert_allclose(image.get_array(), expected.reshape(3, 3, 3))
        expected = (again - X)[0].reshape(3, 3, 3).mean(axis=-1)
        assert_allclose(left.get_array(), expected)
        low, high = left.get_clim()
        assert low == -high
        with_gap, _, left = (ax.images[0] for ax in display.axes_[1])
        missing = np.arange(9).reshape(3, 3) == 1
        assert_array_equal(with_gap.get_array()[..., 3] == 0, missing)
        assert_array_equal(left.get_array().mask, missing)
        label = display.figure_.axes[-1].get_ylabel()
        assert label == "difference (mean over colours)"
        TraversalDisplay(
            again[None], np.arange(2)[None], X[0], image_shape=(3, 3, 3)
        ).plot()
        assert "Clipping" not in caplog.text + capsys.readouterr().err

    def test_curves_lie_on_their_axis(self, digits_model):
        axis = np.linspace(400, 700, 64)
        display = ReconstructionDisplay.from_estimator(
            digits_model, NEW, rows=3, X_train=DIGITS, feature_axis=axis
        )
        assert display.axes_.shape == (3, 2)
        original, ours, of_pca = display.axes_[0, 0].lines
        assert_array_equal(original.get_xdata(), axis)
        difference = display.axes_[0, 1].lines[0].get_ydata()
        assert_allclose(difference, ours.get_ydata() - original.get_ydata())
        assert len({ax.get_ylim() for ax in display.axes_[:, 1]}) == 1
        labels = labels_of(display.axes_[0, 0])
        assert labels == ["original", "reconstruction", "PCA"]

    def test_tables_in_standard_deviations_with_names(self, wine_model):
        display = ReconstructionDisplay.from_estimator(wine_model, WINE.data, rows=2)
        names = [text.get_text() for text in display.axes_[-1, 0].get_xticklabels()]
        assert names == list(WINE.data.columns)
        errors = np.square(
            wine_model[:1].transform(WINE.data)
            - wine_model[-1].inverse_transform(wine_model.transform(WINE.data))
        ).mean(axis=1)
        row = np.argmin(errors)
        expected = StandardScaler().fit_transform(WINE.data)[row]
        assert_allclose(display.axes_[0, 0].lines[0].get_ydata(), expected)
        assert display.axes_[0, 0].get_title(loc="left") == f"row {row}, least error"
        labels = labels_of(display.axes_[0, 0])
        assert labels[-1] == "PCA of these rows"

    def test_in_the_place_of_other_axes(self, digits_model):
        figure, (left, _) = plt.subplots(1, 2)
        display = ReconstructionDisplay.from_estimator(digits_model, NEW, ax=left)
        assert display.figure_ is figure
        assert not left.axison
        assert all(ax.get_position().x1 < 0.55 for ax in display.axes_.flat)

    @pytest.mark.parametrize("layout", [None, "constrained"])
    @pytest.mark.parametrize("shape", [None, (8, 8)])
    def test_in_the_place_of_axes_without_a_grid(self, digits_model, layout, shape):
        figure = plt.figure(figsize=(14, 10), layout=layout)
        for draw in (ReconstructionDisplay, TraversalDisplay):
            ax = figure.add_axes((0.1, 0.2, 0.5, 0.6))
            display = draw.from_estimator(digits_model, NEW, ax=ax, image_shape=shape)
            figure.canvas.draw()
            for panel in display.axes_.flat:
                box = panel.get_tightbbox().transformed(figure.transFigure.inverted())
                assert box.x0 > 0.09 and box.x1 < 0.61
                assert box.y0 > 0.19 and box.y1 < 0.81

    def test_baselines(self, digits_model, pca):
        draw = ReconstructionDisplay.from_estimator
        assert draw(digits_model, NEW, baseline=None).baseline is None
        display = draw(digits_model, NEW, rows=[0], baseline=pca)
        again = pca.inverse_transform(pca.transform(NEW[:1]))
        assert_allclose(display.baseline, again)
        with pytest.raises(ValueError, match="baseline='svd' must be 'pca'"):
            draw(digits_model, NEW, baseline="svd")

    @pytest.mark.parametrize(
        "params, message",
        [
            ({"image_shape": (8, 7)}, "does not hold the 64 features"),
            ({"kind": "image"}, "image_shape=None"),
            ({"image_shape": (4, 8, 2)}, "with 1, 3 or 4 channels"),
            ({"image_shape": 64}, "image_shape=64 does not hold"),
            ({"kind": "bars"}, "kind='bars' must be one of"),
            ({"feature_axis": [1, 2]}, "feature_axis has 2 values"),
            ({"rows": -1}, "rows=-1 must be a whole number from 1"),
            ({"rows": [9999]}, r"rows=\[9999\] must be .* from 0 to 59"),
            ({"rows": "a"}, "rows='a' must be"),
        ],
    )
    def test_errors_name_the_value(self, digits_model, params, message):
        with pytest.raises(ValueError, match=message):
            ReconstructionDisplay.from_estimator(digits_model, NEW, **params)

    def test_what_cannot_be_brought_back(self, digits_model):
        model = make_pipeline(digits_model, LogisticRegression()).fit(DIGITS, LABELS)
        with pytest.raises(TypeError, match="LogisticRegression has no transform"):
            ReconstructionDisplay.from_estimator(model, NEW)
        with pytest.raises(NotFittedError):
            ReconstructionDisplay.from_estimator(AutoEncoderTransformer(), NEW)


class TestEmbedding:
    def test_a_colour_and_a_marker_for_each_class(self, digits_model):
        display = EmbeddingDisplay.from_estimator(digits_model, DIGITS, LABELS)
        Z, points = digits_model.transform(DIGITS), display.ax_.collections
        assert labels_of(display.ax_) == [str(c) for c in range(10)]
        assert_array_equal(points[3].get_offsets(), Z[LABELS == 3, :2])
        looks = {
            (p.get_facecolor().tobytes(), p.get_paths()[0].vertices.tobytes())
            for p in points
        }
        assert len(looks) == 10
        assert len({p.get_facecolor()[0, :3].tobytes() for p in points}) == 10
        assert display.ax_.get_aspect() == 1

    def test_numbers_have_a_bar(self, digits_model):
        y = DIGITS.sum(axis=1) + 0.5
        display = EmbeddingDisplay.from_estimator(digits_model, DIGITS, y)
        (points,) = display.ax_.collections
        assert_array_equal(points.get_array(), y)
        assert len(display.figure_.axes) == 2

    def test_unknown_targets_are_grey(self, digits_model):
        y = LABELS.astype(float)
        y[:30] = np.nan
        display = EmbeddingDisplay.from_estimator(digits_model, DIGITS, y)
        assert labels_of(display.ax_)[:2] == ["unknown (30)", "0"]
        y = np.array([None] * 30 + ["a", "b"] * 85, dtype=object)
        display = EmbeddingDisplay.from_estimator(digits_model, DIGITS, y)
        assert labels_of(display.ax_) == ["unknown (30)", "a", "b"]

    @pytest.mark.parametrize("y", [None, np.linspace(0, 1, 6_000)])
    def test_many_rows_as_cells(self, y):
        Z = np.random.RandomState(0).normal(size=(6_000, 2))
        (cells,) = EmbeddingDisplay(Z, y).plot().ax_.collections
        if y is None:
            assert cells.get_array().sum() == 6_000
        assert len(cells.get_array()) < 3_000

    def test_one_target_at_a_time(self, digits_model):
        draw = EmbeddingDisplay.from_estimator
        assert len(draw(digits_model, DIGITS, LABELS[:, None]).ax_.collections) == 10
        with pytest.raises(ValueError, match=r"shape \(200, 2\).*one of its columns"):
            draw(digits_model, DIGITS, np.c_[LABELS, LABELS])

    def test_other_codes_of_any_transformer(self, pca):
        display = EmbeddingDisplay.from_estimator(pca, NEW, components=(2, 0))
        share = pca.explained_variance_ratio_[2]
        name = f"code 2 ({share:.1%} of the variance)"
        assert display.ax_.get_xlabel() == name
        for components in [(0, 3), 1, (-1, 0), ("a", "b"), ()]:
            with pytest.raises(ValueError, match="components=.* from 0 to 2"):
                EmbeddingDisplay.from_estimator(pca, NEW, components=components)
        with pytest.raises(ValueError, match="two numbers from 0 to 2"):
            EmbeddingDisplay.from_estimator(pca, NEW, components=(0, 1, 2))

    def test_one_code_and_no_codes(self, digits_model):
        with pytest.raises(ValueError, match="draws two codes, .*n_components=2"):
            EmbeddingDisplay.from_estimator(PCA(1).fit(NEW), NEW)
        model = make_pipeline(digits_model, LogisticRegression()).fit(DIGITS, LABELS)
        with pytest.raises(TypeError, match=r"no transform.*pipeline\[:-1\]"):
            EmbeddingDisplay.from_estimator(model, NEW)


class TestError:
    def test_shares_of_the_variance_largest_on_top(self, wine_model):
        display = ErrorDisplay.from_estimator(wine_model, WINE.data)
        X = StandardScaler().fit_transform(WINE.data)
        again = wine_model[-1].inverse_transform(wine_model.transform(WINE.data))
        lost = 1 - r2_score(X, again, multioutput="raw_values")
        of_pca = PCA(3).fit(X)
        of_pca = of_pca.inverse_transform(of_pca.transform(X))
        of_pca = 1 - r2_score(X, of_pca, multioutput="raw_values")
        order = np.argsort(lost)
        names = [text.get_text() for text in display.ax_.get_yticklabels()]
        assert names == [WINE.data.columns[i] for i in order]
        others, ours = display.ax_.lines[:2]
        assert_allclose(ours.get_xdata(), lost[order])
        assert_allclose(others.get_xdata(), of_pca[order], rtol=1e-5)
        assert display.ax_.get_xlim()[0] == 0

    def test_curves_in_units(self, digits_model):
        display = ErrorDisplay.from_estimator(digits_model, NEW, metric="rmse")
        again = digits_model.inverse_transform(digits_model.transform(NEW))
        expected = np.sqrt(np.square(NEW - again).mean(axis=0))
        assert_allclose(lines_by_label(display.ax_)["reconstruction"], expected)

    def test_constant_features_have_no_share(self, digits_model):
        display = ErrorDisplay.from_estimator(digits_model, NEW)
        shares = lines_by_label(display.ax_)["reconstruction"]
        assert_array_equal(np.isnan(shares), NEW.std(axis=0) == 0)

    def test_a_threshold_out_of_fold_holds_for_new_rows(self):
        X = np.random.default_rng(0).permutation(load_digits().data)[:900]
        learnt, new = X[:300], X[300:]
        model = AutoEncoderTransformer(8, max_iter=30, random_state=0).fit(learnt)
        flagged = {}
        for cv in (None, 5):
            display = ErrorDisplay.from_estimator(
                model, new, X_train=learnt, threshold=0.9, cv=cv, kind="row"
            )
            flagged[cv] = (display.row_errors > display.threshold).mean()
        assert flagged[None] > 0.2
        assert 0.05 < flagged[5] < 0.15
        texts = [text.get_text() for text in display.ax_.get_legend().get_texts()]
        assert any("quantile of training rows, out of fold" in text for text in texts)

    def test_folds_are_of_shuffled_rows_of_any_kind(self):
        X = np.repeat(np.eye(3), 40, axis=0) + 0.01 * np.arange(360).reshape(120, 3) % 7
        model = AutoEncoderTransformer(2, max_iter=2, random_state=0).fit(X)
        draw = partial(ErrorDisplay.from_estimator, model, X, X_train=X)
        shuffled = KFold(3, shuffle=True, random_state=0)
        assert draw(cv=3).threshold == draw(cv=shuffled).threshold
        assert draw(cv=3).threshold < draw(cv=KFold(3)).threshold  # of unseen classes
        sparse = coo_matrix(X)
        display = ErrorDisplay.from_estimator(model, sparse, X_train=sparse, cv=3)
        assert display.threshold == pytest.approx(draw(cv=3).threshold)

    def test_folds_need_the_training_rows(self, digits_model):
        for threshold in (0.99, None):
            with pytest.raises(ValueError, match="cv=3 needs X_train"):
                ErrorDisplay.from_estimator(
                    digits_model, NEW, cv=3, threshold=threshold
                )

    def test_rows_with_the_threshold_of_the_training_rows(self, digits_model):
        display = ErrorDisplay.from_estimator(
            digits_model, NEW, X_train=DIGITS, threshold=0.9, kind="row"
        )
        errors = digits_model.reconstruction_error(NEW)
        assert_allclose(display.row_errors, errors)
        assert display.row_errors.mean() == pytest.approx(display.feature_errors.mean())
        known = digits_model.reconstruction_error(DIGITS)
        assert display.threshold == pytest.approx(np.quantile(known, 0.9))
        n_above = (errors > display.threshold).sum()
        (label,) = [text for text in labels_of(display.ax_) if "quantile" in text]
        assert label == f"0.9 quantile of training rows: {n_above} of 60 above"
        heights = sum(bar.get_height() for bar in display.ax_.patches[:-1])
        assert heights == len(NEW)

    def test_errors_name_the_value(self, pca):
        for params in ({"kind": "rows"}, {"metric": "mse"}):
            with pytest.raises(ValueError, match="must be"):
                ErrorDisplay.from_estimator(pca, NEW, **params)
        for threshold in (5, "a", 0, True):
            with pytest.raises(ValueError, match=f"threshold={threshold!r} must be"):
                ErrorDisplay.from_estimator(pca, NEW, threshold=threshold)

    def test_of_one_row_there_is_no_share(self, wine_model):
        row = WINE.data[:1]
        display = ErrorDisplay.from_estimator(wine_model, row, X_train=WINE.data)
        expected = wine_model[:1].transform(row)
        expected = expected - wine_model[-1].inverse_transform(
            wine_model.transform(row)
        )
        drawn = lines_by_label(display.ax_)["reconstruction"], display.ax_.lines[1]
        assert_allclose(drawn[1].get_xdata(), np.sort(np.abs(expected[0])))
        assert display.ax_.get_xlabel().startswith("root mean squared error")

    def test_a_baseline_that_is_the_same_is_named_and_not_drawn(self, pca):
        for kind in ("feature", "row"):
            display = ErrorDisplay.from_estimator(pca, DIGITS, kind=kind)
            labels = labels_of(display.ax_)
            assert "reconstruction = PCA of these rows" in labels
            assert "PCA of these rows" not in labels

    def test_constant_features_are_named(self):
        X = np.c_[WINE.data.to_numpy()[:, :3], np.full(178, 0.1)]
        display = ErrorDisplay.from_estimator(PCA(1).fit(X), X)
        names = [text.get_text() for text in display.ax_.get_yticklabels()]
        assert [name for name in names if "constant" in name] == ["x3 (constant)"]


class TestTraversal:
    def test_each_code_goes_alone(self, digits_model):
        display = TraversalDisplay.from_estimator(
            digits_model, DIGITS, components=[2, 0], n_steps=5, image_shape=(8, 8)
        )
        assert display.axes_.shape == (2, 5)
        Z = digits_model.transform(DIGITS)
        code = Z.mean(axis=0)
        code[2] = np.quantile(Z[:, 2], 0.95)
        expected = digits_model.inverse_transform(code[None]).reshape(8, 8)
        assert_allclose(display.axes_[0, -1].images[0].get_array(), expected)
        assert display.axes_[0, -1].get_xlabel() == f"{code[2]:.2g}"

    def test_from_a_row(self, digits_model):
        display = TraversalDisplay.from_estimator(digits_model, DIGITS, row=3)
        again = digits_model.inverse_transform(digits_model.transform(DIGITS[3:4]))
        assert_allclose(display.base, again[0])
        change = display.axes_[0, 1].lines[0].get_ydata()
        assert_allclose(change, display.rows[0, 0] - display.base)

    def test_of_pca_a_table_shows_its_loadings(self):
        X = StandardScaler().fit_transform(WINE.data)
        pca = PCA(2).fit(X)
        display = TraversalDisplay.from_estimator(pca, X)
        assert display.axes_.shape == (2, 1)
        first = display.axes_[0, 0].lines[0].get_ydata()
        Z = pca.transform(X)
        step = np.quantile(Z[:, 0], 0.05) - Z[:, 0].mean()
        assert_allclose(first, step * pca.components_[0])

    @pytest.mark.parametrize(
        "params, message",
        [
            ({"components": [9]}, r"components=\[9\] must be .* from 0 to 3"),
            ({"components": 1}, "components=1 must be a list"),
            ({"components": []}, r"components=\[\] must be a list"),
            ({"row": 99999}, "row=99999 must be a whole number from 0 to 199"),
            ({"row": 1.5}, "row=1.5 must be"),
            ({"n_steps": 0}, "n_steps=0 must be a whole number from 2"),
        ],
    )
    def test_errors_name_the_value(self, digits_model, params, message):
        with pytest.raises(ValueError, match=message):
            TraversalDisplay.from_estimator(digits_model, DIGITS, **params)

    def test_rounding_errors_do_not_fill_the_scale(self, digits_model):
        base = DIGITS[0]
        rows = base + 1e-15 * np.random.RandomState(0).normal(size=(1, 3, 64))
        display = TraversalDisplay(rows, np.arange(3)[None], base).plot()
        low, high = display.axes_[0, 1].get_ylim()
        assert high - low > 0.1
        flat = TraversalDisplay(
            rows - base + 0.1, np.arange(3)[None], base, image_shape=(8, 8)
        ).plot()
        low, high = flat.axes_[0, 0].images[0].get_clim()
        assert high - low > 1e-3
        display = ReconstructionDisplay(base[None], rows[0, :1]).plot()
        assert display.axes_[0, 1].get_ylim()[1] > 0.1


class TestScree:
    def test_ordered_codes_tell_all_in_one_fit(self):
        ae = AutoEncoderTransformer(4, ordered=True, max_iter=5, random_state=0)
        ae.fit(DIGITS)
        display = ScreeDisplay.from_estimator(ae, NEW, X_train=DIGITS)
        Z = ae.transform(NEW)
        total = np.square(NEW - NEW.mean(axis=0)).sum()
        expected = [
            1 - np.square(NEW - ae.inverse_transform(Z[:, :j])).sum() / total
            for j in (1, 2, 3, 4)
        ]
        assert_allclose(display.ax_.lines[0].get_ydata(), expected)
        assert expected[-1] == pytest.approx(ae.score(NEW))
        pca = PCA(2).fit(DIGITS)
        again = pca.inverse_transform(pca.transform(NEW))
        score = 1 - np.square(NEW - again).sum() / total
        assert display.baseline_scores[1] == pytest.approx(score, rel=1e-4)
        assert display.ax_.get_ylim() == (0, 1)

    def test_others_are_fitted_again(self):
        ae = AutoEncoderTransformer(3, standardize=True, max_iter=1, random_state=0)
        X = WINE.data.to_numpy()
        ae.fit(X)
        display = ScreeDisplay.from_estimator(ae, X)
        assert_array_equal(display.n_components, [1, 2, 3])
        assert display.scores[-1] == pytest.approx(ae.score(X))
        assert ae.n_components_ == 3
        display = ScreeDisplay.from_estimator(ae, X, n_components=[5])
        assert_array_equal(display.n_components, [5])

    @pytest.mark.parametrize("level", [0.1, 0.9])
    def test_the_names_do_not_lie_on_the_lines(self, level):
        scores = np.array([0.2, 0.5, 0.7])
        display = ScreeDisplay([1, 2, 4], scores, level * scores).plot()
        display.figure_.canvas.draw()
        box = display.ax_.get_legend().get_window_extent()
        for line in display.ax_.lines:
            path = display.ax_.transData.transform(line.get_xydata())
            assert not Path(path).intersects_bbox(box, filled=False)

    def test_of_pca_both_lines_are_one(self, pca):
        display = ScreeDisplay.from_estimator(pca, DIGITS)
        assert_allclose(display.scores, display.baseline_scores, rtol=1e-6)
        share = np.cumsum(pca.explained_variance_ratio_)
        assert_allclose(display.scores, share, rtol=1e-6)
        assert labels_of(display.ax_) == ["PCA, its first codes = PCA of these rows"]
        for numbers in ([4], 0, [1.5], ["a"]):
            with pytest.raises(ValueError, match="from 1 to 3"):
                ScreeDisplay.from_estimator(pca, DIGITS, n_components=numbers)
        with pytest.raises(ValueError, match="names no number of codes"):
            ScreeDisplay.from_estimator(pca, DIGITS, n_components=[])

    def test_one_code_has_one_tick(self):
        display = ScreeDisplay.from_estimator(PCA(1).fit(DIGITS), NEW, X_train=DIGITS)
        assert_array_equal(display.ax_.get_xticks(), [1])

    def test_rows_that_do_not_vary(self, pca):
        with pytest.raises(ValueError, match="2 rows of X do not vary"):
            ScreeDisplay.from_estimator(pca, DIGITS[[0, 0]])


class TestLongNames:
    """Names that are too long are short in pictures, and pictures hold them."""

    NAMES = [f"{name} of the cells, {i:02}, " + 40 * "y" for i, name in enumerate("ab")]
    ALIKE = ["the " + 60 * "x" + f"{i}" + 60 * "x" for i in range(3)]

    def test_names_are_short_and_differ(self):
        a, b, *alike, short = short_names([*self.NAMES, *self.ALIKE, "short"])
        assert a.startswith("a of the cells") and "…" in a and len(a) == 30
        assert b.startswith("b of the cells")
        assert len({*alike}) == 3 and all(len(name) <= 30 for name in alike)
        assert alike[0].startswith("2: the x")
        assert short == "short"

    @pytest.fixture(params=[1, 3], ids=["one code", "three codes"])
    def drawn(self, request):
        X = WINE.data.copy()
        X.columns = [f"{name}, {60 * 'y'}" for name in X.columns]
        pca = PCA(request.param).fit(X)
        baseline = PCA(2).fit(X)
        return [
            ErrorDisplay.from_estimator(pca, X, baseline=baseline),
            ErrorDisplay.from_estimator(pca, X, baseline=baseline, kind="row"),
            TraversalDisplay.from_estimator(pca, X),
            ReconstructionDisplay.from_estimator(pca, X, rows=1, baseline=baseline),
        ]

    def test_pictures_hold_all_texts(self, drawn):
        for display in drawn:
            display.figure_.canvas.draw()  # no warning that there is no room
            for ax in display.figure_.axes:
                texts = [ax.xaxis.label, ax.yaxis.label]
                texts += ax.get_legend().get_texts() if ax.get_legend() else []
                names = [*ax.get_xticklabels(), *ax.get_yticklabels()]
                assert all(len(text.get_text()) <= 30 for text in names)
                texts += [text for text in names if "…" in text.get_text()]
                for text in filter(Text.get_text, texts):
                    box = text.get_window_extent()
                    assert box.x0 >= 0 and box.x1 <= display.figure_.bbox.x1
                    assert box.y0 >= 0 and box.y1 <= display.figure_.bbox.y1
                assert ax.get_window_extent().height > 80

    def test_many_classes(self, wine_model):
        y = np.array([f"class {i:03} {30 * 'y'}" for i in range(178)])
        y[:20] = "the largest"
        display = EmbeddingDisplay.from_estimator(wine_model, WINE.data, y)
        labels = labels_of(display.ax_)
        assert labels[0] == "131 other classes" and len(labels) == 29
        assert "the largest" in labels and all(len(text) <= 24 for text in labels)
        display.figure_.canvas.draw()
        box = display.ax_.get_legend().get_window_extent()
        assert box.x1 <= display.figure_.bbox.x1 and box.y0 >= 0
        rows = sum(len(points.get_offsets()) for points in display.ax_.collections)
        assert rows == 178


class TestGivenAxes:
    @pytest.mark.parametrize("layout", [None, "constrained", "tight"])
    def test_a_second_plot_replaces_the_first(self, digits_model, layout):
        figure, (left, right) = plt.subplots(1, 2, layout=layout)
        shape = {"image_shape": (8, 8), "ax": left}
        display = ReconstructionDisplay.from_estimator(digits_model, NEW, **shape)
        n_axes = len(figure.axes)
        display.plot(ax=left)
        assert len(figure.axes) == n_axes
        TraversalDisplay.from_estimator(digits_model, NEW, **shape)
        assert len(figure.axes) == 2 + 4 * 7
        ErrorDisplay.from_estimator(digits_model, NEW, ax=left)
        assert figure.axes == [left, right] and left.axison
        y = np.linspace(0.0, 1.5, len(NEW))
        points = EmbeddingDisplay.from_estimator(digits_model, NEW, y, ax=right)
        points.plot(ax=right)
        assert len(figure.axes) == 3 and len(right.collections) == 1

    def test_panels_are_of_one_size_in_a_figure_without_a_layout(self, digits_model):
        _, (left, _) = plt.subplots(1, 2, figsize=(12, 6))
        box = left.get_window_extent()
        display = ReconstructionDisplay.from_estimator(
            digits_model, NEW, image_shape=(8, 8), ax=left
        )
        display.figure_.canvas.draw()
        sizes = [ax.get_window_extent().size for ax in display.axes_.flat]
        assert_allclose(sizes, np.tile(sizes[:1], (len(sizes), 1)))
        for ax in display.figure_.axes[2:]:
            inner = ax.get_tightbbox()
            assert inner.x0 > box.x0 - 1 and inner.x1 < box.x1 + 1

    def test_a_part_of_a_figure(self, digits_model):
        for layout in (None, "constrained"):
            left, _ = plt.figure(figsize=(9, 6), layout=layout).subfigures(1, 2)
            for ax in (left.subplots(), left.add_axes((0.1, 0.1, 0.8, 0.8))):
                display = ReconstructionDisplay.from_estimator(
                    digits_model, NEW, image_shape=(8, 8), ax=ax
                )
                assert display.figure_ is left
                left.figure.canvas.draw()

    def test_another_display_adds_to_the_axes(self):
        display = LossCurveDisplay([2.0, 1.0]).plot()
        other = LossCurveDisplay([3.0, 2.0]).plot(ax=display.ax_)
        assert len(display.ax_.lines) == 2
        assert len(other.plot(ax=display.ax_).ax_.lines) == 1


def test_a_table_with_a_spread_needs_no_centre():
    rows = np.array([[2.0, 8.0]])
    spread = np.array([2.0, 4.0])
    display = ReconstructionDisplay(rows, rows, kind="table", spread=spread).plot()
    lines = display.axes_[0, 0].get_lines()
    (line,) = [line for line in lines if line.get_label() == "original"]
    assert_array_equal(line.get_ydata(), [1.0, 2.0])


def test_without_matplotlib_the_error_says_what_to_install(monkeypatch):
    real = builtins.__import__

    def refuse(name, *args, **kwargs):
        if name.startswith("matplotlib"):
            raise ImportError(name)
        return real(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", refuse)
    with pytest.raises(ImportError, match=r"pip install skae\[plot\]"):
        LossCurveDisplay([1.0, 0.5]).plot()


def test_importing_skae_imports_no_extra():
    code = (
        "import sys, skae; "
        "print({'matplotlib', 'IPython'} & sys.modules.keys() or 'none')"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout.strip() == "none", done.stderr


def test_data_frames_and_their_output(wine_model):
    """No warning of names that are not there: warnings are errors here."""
    ae = AutoEncoderTransformer(2, ordered=True, standardize=True, max_iter=1)
    ae.set_params(random_state=0).set_output(transform="pandas").fit(WINE.data)
    pca = PCA(2).fit(WINE.data)
    display = ReconstructionDisplay.from_estimator(ae, WINE.data, baseline=pca)
    assert display.feature_names == list(WINE.data.columns)
    EmbeddingDisplay.from_estimator(ae, WINE.data, WINE.target)
    TraversalDisplay.from_estimator(ae, WINE.data)
    ScreeDisplay.from_estimator(ae, WINE.data)
    display = ErrorDisplay.from_estimator(ae, WINE.data)
    assert display.row_errors.mean() * 13 == pytest.approx(
        np.sum(display.feature_errors / WINE.data.std(ddof=0) ** 2)
    )


@pytest.fixture(scope="module", params=[np.nan, -1.0])
def with_gaps(request):
    missing = np.random.RandomState(0).uniform(size=WINE.data.shape) < 0.1
    X = StandardScaler().fit_transform(WINE.data)
    missing[3] = True  # nothing of a row
    X = np.where(missing, np.nan, X) + 5.0
    given = np.where(missing, request.param, X)
    ae = AutoEncoderTransformer(
        2, missing_values=request.param, max_iter=3, random_state=0
    )
    return ae.fit(given), given, X


class TestGaps:
    """Rows with missing values: what is missing does not count, and is not drawn."""

    def test_errors_are_those_of_the_observed_entries(self, with_gaps):
        ae, given, X = with_gaps
        display = ErrorDisplay.from_estimator(ae, given, threshold=None)
        assert_allclose(display.row_errors, ae.reconstruction_error(given))
        errors = np.square(X - ae.inverse_transform(ae.transform(given)))
        assert_allclose(display.feature_errors, np.nanmean(errors, axis=0))
        assert_allclose(display.feature_variances, np.nanvar(X, axis=0))
        filled = ae.impute(given)
        again = (pca := PCA(2).fit(filled)).inverse_transform(pca.transform(filled))
        expected = np.nanmean(np.square(X - again), axis=0)
        assert_allclose(display.baseline_feature_errors, expected, rtol=1e-5)
        assert display.baseline_name == "PCA of these rows (gaps filled)"
        ax = display.plot(kind="row").ax_
        n_known = len(X) - 1
        assert ax.containers[0].datavalues.sum() == n_known

    @pytest.mark.parametrize("kind", ["curve", "table"])
    def test_gaps_are_not_drawn(self, with_gaps, kind):
        ae, given, X = with_gaps
        display = ReconstructionDisplay.from_estimator(
            ae, given, rows=[3, 5, 7], kind=kind
        )
        for axes, row in zip(display.axes_, X[[3, 5, 7]], strict=True):
            drawn = axes[0].lines[0].get_ydata()
            assert_array_equal(np.isnan(drawn), np.isnan(row))
            difference = axes[1].lines[0].get_ydata()
            assert_array_equal(np.isnan(difference), np.isnan(row))
        title = display.axes_[0, 0].get_title(loc="left")
        assert title == "row 3, nothing observed"
        shown = ReconstructionDisplay.from_estimator(ae, given, rows=2).row_names
        assert shown[1].endswith("largest error")

    def test_gaps_of_pictures_are_hatched(self):
        X = np.where(np.random.RandomState(0).rand(*DIGITS.shape) < 0.1, -1, DIGITS)
        ae = AutoEncoderTransformer(2, missing_values=-1, max_iter=2, random_state=0)
        display = ReconstructionDisplay.from_estimator(
            ae.fit(X), X, rows=[0], image_shape=(8, 8)
        )
        original, _, _, left, _ = display.axes_[0]
        missing = (X[0] == -1).reshape(8, 8)
        assert_array_equal(original.images[0].get_array().mask, missing)
        assert_array_equal(left.images[0].get_array().mask, missing)
        assert original.patch.get_hatch() and left.patch.get_hatch()
        assert original.images[0].get_clim() == (0, DIGITS[0].max())

    def test_traversal_and_scree(self, with_gaps):
        ae, given, X = with_gaps
        display = TraversalDisplay.from_estimator(ae, given)
        assert_allclose(display.spread, np.nanstd(X, axis=0))
        display = ScreeDisplay.from_estimator(ae, given)
        assert display.scores[-1] == pytest.approx(ae.score(given))
        assert np.isfinite(display.baseline_scores).all()

    def test_a_baseline_gets_the_gaps_or_filled_rows(self, with_gaps):
        ae, given, X = with_gaps
        draw = ReconstructionDisplay.from_estimator
        same = draw(ae, given, rows=[0], baseline=ae)
        assert_array_equal(same.baseline, same.reconstruction)
        pca = PCA(2).fit(filled := ae.impute(given))
        display = draw(ae, given, rows=[0], baseline=pca)
        expected = pca.inverse_transform(pca.transform(filled[:1]))
        assert_allclose(display.baseline, expected)

    @pytest.mark.parametrize(
        "display", [ErrorDisplay, ReconstructionDisplay, TraversalDisplay]
    )
    def test_the_error_names_the_remedy(self, digits_model, pca, display):
        X = np.where(NEW == 16, np.nan, NEW)
        with pytest.raises(ValueError, match="missing_values=np.nan"):
            display.from_estimator(digits_model, X)
        with pytest.raises(ValueError, match="PCA does not accept|imputer"):
            display.from_estimator(pca, X)
