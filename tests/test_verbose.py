"""What a fit writes, how it says what came of it, and how it is interrupted."""

import io
import os
import re
import signal
import sys
import warnings

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from sklearn.datasets import make_circles
from sklearn.decomposition import PCA
from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics import r2_score

from skae import AutoEncoderTransformer, ValidationWarning
from skae._fitting import verbose
from skae._training.loop import epochs

RNG = np.random.default_rng(0)
T = RNG.uniform(-2, 2, size=(120, 2))
X = np.hstack([T, T**2, np.sin(3 * T)]) + 0.05 * RNG.normal(size=(120, 6))
NOISE = RNG.normal(size=(60, 4))
FEW = {
    "hidden_layer_sizes": (16,),
    "init": "pca",
    "linearity": 0.0,
    "max_iter": 4,
    "random_state": 0,
}
NUMBER = r"-?\d[\d.e-]*"


def fitted(X, **params):
    return AutoEncoderTransformer(2, **FEW | params).fit(X)


@pytest.fixture
def lines(capsys):
    """Return a function of the lines that were written since it was called last."""
    return lambda: capsys.readouterr().out.splitlines()


class TestLines:
    def test_0_writes_nothing(self, lines):
        fitted(X, verbose=0).partial_fit(X)
        assert lines() == []

    def test_1_writes_what_is_kept_and_how_good_it_is(self, lines):
        model = fitted(X, verbose=1, early_stopping=False)
        (line,) = lines()
        found = re.fullmatch(
            r"\[AutoEncoderTransformer\] kept epoch (\d+) of 4 \(max_iter\): "
            rf"R2 on training rows ({NUMBER}), PCA ({NUMBER}), ({NUMBER}) s",
            line,
        )
        assert int(found[1]) == model.best_iter_
        assert float(found[2]) == pytest.approx(model.score(X), abs=6e-4)
        assert float(found[3]) == pytest.approx(model.baseline_score_, abs=6e-4)

    def test_rows_held_out_are_those_that_are_meant(self, lines):
        rows, check = X[::2], X[1::2]
        model = AutoEncoderTransformer(
            2, **FEW | {"max_iter": 150, "verbose": True, "linearity": 0.0}
        ).fit(rows, X_val=check)
        (line,) = lines()
        assert model.result_ == "network"
        assert f"R2 on held-out rows {model.score(check):.3f}, " in line
        assert f"PCA {model.baseline_score_:.3f}, " in line

    def test_rows_that_were_learnt_in_the_end_are_judged_before(self, lines):
        params = {"hidden_layer_sizes": (32,), "max_iter": 100}
        model = fitted(X, verbose=1, **params)
        (line,) = lines()
        assert "then trained on all rows" in line
        assert f"PCA {model.baseline_score_:.3f}" in line

    def test_pca_is_named_with_the_reason(self, lines):
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            fitted(NOISE, verbose=1)
        (warning,) = [w for w in caught if issubclass(w.category, ValidationWarning)]
        (line,) = lines()
        begin = f"[AutoEncoderTransformer] {warning.message} R2 of PCA on held-out rows"
        assert line.startswith(begin)
        assert re.search(rf" {NUMBER}, 4 epochs, {NUMBER} s$", line)

    def test_too_few_rows_are_named(self, lines):
        fitted(NOISE[:9], verbose=1)
        (line,) = lines()
        assert "9 different rows are too few" in line
        assert "R2 of PCA on training rows" in line

    @pytest.mark.parametrize("n_rows", [60, 9])
    def test_linear_codes_have_a_score_of_their_own(self, lines, n_rows):
        """Beside PCA's, on the same rows."""
        X, y = NOISE[:n_rows], NOISE[:n_rows] @ [1.0, -1.0, 1.0, 0.5]
        X_val = NOISE[::3] if n_rows == 60 else None
        params = FEW | {"supervision": 30.0, "verbose": 1, "linearity": "auto"}
        model = AutoEncoderTransformer(1, **params)
        model.fit(X, y, X_val=X_val, y_val=None if X_val is None else y[::3])
        (line,) = lines()
        assert model.result_ == "linear"
        assert "The result is principal covariates regression: " in line
        which = "training" if X_val is None else "held-out"
        found = re.search(rf"R2 on {which} rows ({NUMBER}), PCA ({NUMBER}), ", line)
        check = X if X_val is None else X_val
        assert float(found[1]) == pytest.approx(model.score(check), abs=6e-4)
        pca = PCA(1).fit(X)
        again = pca.inverse_transform(pca.transform(check))
        expected = r2_score(check, again, multioutput="variance_weighted")
        assert float(found[2]) == pytest.approx(expected, abs=6e-4)
        assert found[1] != found[2]

    def test_where_pca_leaves_nothing_it_reconstructs_all(self, lines):
        model = AutoEncoderTransformer(4, **FEW, verbose=1).fit(NOISE)
        (line,) = lines()
        assert model.result_ == "pca"
        assert "The result is PCA: it reconstructs all of the rows held out" in line
        assert "More rows" not in line and "rows 1.000, 4 epochs" in line

    def test_2_writes_a_line_an_epoch(self, lines):
        model = fitted(X, verbose=2, early_stopping=False)
        *found, last = lines()
        assert len(found) == 4 and "kept epoch" in last
        pattern = re.compile(
            rf"\[AutoEncoderTransformer\] epoch (\d)/4: loss ({NUMBER}), PCA "
            rf"({NUMBER}), step ({NUMBER}), ({NUMBER}) s"
        )
        parts = [pattern.fullmatch(line).groups() for line in found]
        assert [int(part[0]) for part in parts] == [1, 2, 3, 4]
        losses = [float(part[1]) for part in parts]
        assert losses == pytest.approx(model.loss_curve_, rel=1e-3)

    def test_losses_of_rows_held_out_are_beside(self, lines):
        model = fitted(X, verbose=2)
        losses = [line.split("validation ")[1].split(",")[0] for line in lines()[:4]]
        found = [float(loss) for loss in losses]
        assert found == pytest.approx(model.validation_loss_curve_, rel=1e-3)

    def test_with_a_target_it_is_another_linear_start(self, lines):
        y = X[:, 0] > 0
        AutoEncoderTransformer(2, **FEW, verbose=2, supervision=1.0).fit(X, y)
        assert ", linear 0." in lines()[0]

    def test_starts_that_compete_are_named(self, lines):
        circle = make_circles(100, factor=0.99, noise=0.01, random_state=0)[0]
        AutoEncoderTransformer(1, random_state=0, max_iter=20, verbose=2).fit(circle)
        found = lines()
        for name in ("train-from-pca", "train-from-random"):
            assert any(f"] {name}, epoch 1/20: loss" in line for line in found)

    def test_epochs_are_not_counted_down_where_time_ends_them(self, lines):
        params = {"max_iter": "auto", "early_stopping": False}
        fitted(X, verbose=2, max_time=0.02, **params)
        assert "] epoch 1: loss" in lines()[0]

    def test_a_stream_writes_a_line_a_call(self, lines):
        model = AutoEncoderTransformer(2, random_state=0, verbose=1)
        model.partial_fit(X).partial_fit(X)
        first, second = lines()
        assert "epoch 1: loss" in first and "epoch 2: loss" in second

    def test_a_subclass_has_its_own_name(self, lines):
        class Own(AutoEncoderTransformer):
            pass

        Own(2, **FEW, verbose=1).fit(X)
        assert lines()[0].startswith("[Own] ")

    @pytest.mark.parametrize("level", [1, 2])
    def test_nothing_else_changes(self, level):
        plain, verbose = fitted(X), fitted(X, verbose=level)
        assert plain.loss_curve_ == verbose.loss_curve_
        assert_array_equal(plain.transform(X), verbose.transform(X))


class TestBar:
    @pytest.fixture
    def terminal(self, monkeypatch):
        monkeypatch.setattr(verbose, "_is_interactive", lambda: True)

    @pytest.fixture
    def bars(self, terminal, monkeypatch):
        """Return the bars that are shown, however soon one change follows another."""
        pytest.importorskip("tqdm")
        shown, make = [], verbose._bar

        def slow_to_hide(name):
            shown.append(make(name))
            shown[-1].mininterval = 0
            return shown[-1]

        monkeypatch.setattr(verbose, "_bar", slow_to_hide)
        return shown

    def test_it_shows_epochs_and_losses_and_goes_away(self, bars, capsys):
        model = fitted(X, verbose=1)
        *shown, last = capsys.readouterr().out.split("\r")
        assert last.startswith("[AutoEncoderTransformer] ")
        (bar,) = bars
        assert bar.disable  # as tqdm marks those that are closed
        shown = [text for text in shown if "train-from-pca" in text]
        for epoch in (1, 2, 3, 4):
            assert any(f"{epoch}/4 [" in text for text in shown)
        assert f"loss={model.validation_loss_curve_[-1]:.3g}" in shown[-1]
        assert "PCA=" in shown[-1]

    def test_it_goes_away_where_a_fit_fails(self, bars):
        def loss(output, x):
            if bars:  # training has begun
                raise RuntimeError("no more")
            return (output - x).square().mean(dim=1)

        with pytest.raises(RuntimeError, match="no more"):
            fitted(X, verbose=1, init="random", loss=loss)
        assert bars[0].disable

    def test_nobody_is_shown_one_where_nobody_looks(self, monkeypatch):
        monkeypatch.delitem(sys.modules, "ipykernel", raising=False)
        monkeypatch.setattr(sys, "stdout", io.StringIO())
        assert verbose._bar("name") is None
        monkeypatch.setitem(sys.modules, "ipykernel", None)
        assert verbose._is_interactive()

    def test_there_is_none_without_tqdm(self, terminal, monkeypatch, lines):
        monkeypatch.setitem(sys.modules, "tqdm", None)
        monkeypatch.setitem(sys.modules, "tqdm.auto", None)
        fitted(X, verbose=1)
        assert len(lines()) == 1


class TestInterrupts:
    @pytest.fixture
    def interrupted(self, monkeypatch):
        """Press Ctrl-C in some epoch of all that are begun."""

        def at(n_epochs):
            counted = []

            def some(*args):
                for loss in epochs(*args):
                    counted.append(loss)
                    if len(counted) == n_epochs:
                        raise KeyboardInterrupt
                    yield loss

            monkeypatch.setattr("skae._fitting.session.epochs", some)

        return at

    def test_the_state_before_is_kept(self, interrupted):
        model = fitted(X)
        before, codes = {**vars(model)}, model.transform(X)
        interrupted(3)
        with pytest.raises(KeyboardInterrupt):
            model.fit(X)
        assert vars(model) == before
        assert_array_equal(model.transform(X), codes)

    def test_the_best_so_far_is_kept_if_asked_for(self, interrupted, lines):
        params = {"early_stopping": False}
        params |= {"max_iter": 20, "n_iter_no_change": 20}
        whole = fitted(X, **params)
        interrupted(9)
        model = fitted(X, **params, on_interrupt="keep", verbose=1)
        assert (model.stop_reason_, model.n_iter_) == ("interrupted", 8)
        assert model.loss_curve_ == whole.loss_curve_[:8]
        assert model.best_loss_ == min(model.loss_curve_)
        assert model.baseline_score_ < model.score(X) < whole.score(X)
        assert "of 8 (interrupted): R2" in lines()[0]

    def test_a_network_that_has_learnt_nothing_yet_is_named(self, interrupted):
        interrupted(1)
        params = {"init": "random", "early_stopping": False, "on_interrupt": "keep"}
        with pytest.warns(ConvergenceWarning, match="untrained. Let it go on"):
            fitted(X, **params)

    def test_starts_that_compete_all_end(self, interrupted):
        interrupted(5)
        model = AutoEncoderTransformer(2, random_state=0, on_interrupt="keep").fit(X)
        assert model.n_iter_ <= 4
        assert len(model.validation_loss_curve_) == model.n_iter_
        assert np.isfinite(model.score(X))

    def test_what_was_validated_is_kept_where_it_comes_later(self, interrupted):
        params = {"hidden_layer_sizes": (32,), "max_iter": 100}
        model = fitted(X, **params)
        again = model.n_iter_ + model.best_iter_ // 2
        interrupted(again)
        kept = fitted(X, on_interrupt="keep", **params)
        assert kept.result_ == "network"
        assert kept.loss_curve_ == model.loss_curve_
        assert not np.array_equal(kept.transform(X), model.transform(X))

    def test_a_real_one(self):
        """As a terminal or a notebook sends it."""

        class Pressed:
            def corrupt(self, x, rng):
                self.count = getattr(self, "count", 0) + 1
                if self.count == 5:
                    os.kill(os.getpid(), signal.SIGINT)
                return x

        params = {"early_stopping": False, "corruption": Pressed(), "max_iter": 10**5}
        # A shell lets what it starts in the background ignore the signal.
        before = signal.signal(signal.SIGINT, signal.default_int_handler)
        try:
            model = fitted(X, on_interrupt="keep", **params)
        finally:
            signal.signal(signal.SIGINT, before)
        assert model.stop_reason_ == "interrupted"
        assert 0 < model.n_iter_ < 1000

    def test_what_is_not_known_is_refused(self):
        with pytest.raises(ValueError, match="'on_interrupt' parameter"):
            fitted(X, on_interrupt="ignore")
