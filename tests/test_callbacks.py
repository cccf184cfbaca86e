"""Callbacks of scikit-learn 1.9: what they are told of a fit, and how they end it."""

import pickle
from importlib.util import find_spec

import numpy as np
import pytest
import sklearn
from joblib import parallel_backend
from numpy.testing import assert_array_equal
from sklearn.base import clone
from sklearn.datasets import make_circles
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skae import (
    AutoEncoderImputer,
    AutoEncoderTransformer,
    ReconstructionOutlierDetector,
)
from skae._compat import CallbackSupportMixin
from skae._fitting.callbacks import Callbacks
from skae._fitting.progress import Progress, Task

HAS_CALLBACKS = hasattr(CallbackSupportMixin, "set_callbacks")
if HAS_CALLBACKS:
    from sklearn.callback import ProgressBar, ScoringMonitor
HAS_RICH = find_spec("rich") is not None

needs_callbacks = pytest.mark.skipif(
    not HAS_CALLBACKS, reason="scikit-learn has callbacks from 1.9 on"
)
RNG = np.random.default_rng(0)
#: Curved rows, of which two codes hold more than a plane does.
T = RNG.uniform(-2, 2, size=(120, 2))
X = np.hstack([T, T**2, np.sin(3 * T)]) + 0.05 * RNG.normal(size=(120, 6))
ONE_START = {"init": "pca", "linearity": 0.0, "random_state": 0}
FEW = {"hidden_layer_sizes": (16,), "max_iter": 4, **ONE_START}
#: Autoencoders whose number of epochs is known in advance, for those that fit others.
TWO_EPOCHS = FEW | {"max_iter": 2, "early_stopping": False}


class Recorder:
    """A callback that writes down what it is told, and ends a training if asked to."""

    max_propagation_depth = None

    def __init__(self, stop_at=None, task="epoch"):
        self.stop_at, self.task = stop_at, task
        self.begun, self.ended, self.metrics, self.paths = [], [], [], []
        self.life = []

    def setup(self, estimator, context):
        self.life.append("setup")

    def teardown(self, estimator, context):
        self.life.append("teardown")

    def on_fit_task_begin(self, estimator, context):
        self.begun.append((context.estimator_name, context.task_name))

    def on_fit_task_end(self, estimator, context):
        self.ended.append((context.estimator_name, context.task_name))
        self.paths.append(path_of(context))
        if context.task_name == "epoch":
            self.metrics.append(context.metrics)
        names = [name for _, name in self.ended]
        return context.task_name == self.task and names.count(self.task) == self.stop_at

    def count(self, name):
        return [task for _, task in self.ended].count(name)


class Own(Recorder):
    """The same, which meta-estimators do not hand on."""

    max_propagation_depth = property()


class Looker:
    """A callback that looks at the estimator as if training had ended there."""

    def __init__(self, task="epoch"):
        self.task, self.seen = task, []

    def setup(self, estimator, context):
        pass

    teardown = on_fit_task_begin = setup

    def on_fit_task_end(self, estimator, context, *, X, y, fitted_estimator):
        if context.task_name == self.task:
            self.seen.append((fitted_estimator, X, y))


def explained(estimator, X, y):
    """Return the scores to monitor; ``scoring=None`` fails in scikit-learn 1.9.1."""
    return {"explained": estimator.score(X)}


def path_of(context):
    """Return the names of a task and all that it is a part of, the outermost first."""
    names = [(context.estimator_name, context.task_name)]
    while context.parent is not None:
        context = context.parent
        names.insert(0, (context.estimator_name, context.task_name))
    return names


def fitters():
    """Return an imputer and a detector, with the name of their subtasks."""
    inner = AutoEncoderTransformer(2, **TWO_EPOCHS)
    detector = ReconstructionOutlierDetector(inner, n_estimators=3, random_state=0)
    return [
        (AutoEncoderImputer(inner), "fit-estimator", 1),
        (detector, "fit-member", 3),
    ]


@pytest.mark.skipif(HAS_CALLBACKS, reason="scikit-learn has callbacks")
def test_older_versions_of_scikit_learn_have_none_without_a_word():
    assert not hasattr(AutoEncoderTransformer(), "set_callbacks")
    assert AutoEncoderTransformer(**FEW).fit(X).n_iter_ == 4
    for model, _, _ in fitters():
        assert not hasattr(model, "set_callbacks")
        model.fit(X)


@needs_callbacks
class TestTasks:
    def test_a_fit_is_a_tree_of_trainings_and_epochs(self):
        told = Recorder()
        model = AutoEncoderTransformer(2, **FEW).set_callbacks(told).fit(X)
        assert told.life == ["setup", "teardown"]
        assert told.begun[:3] == [
            ("AutoEncoderTransformer", name)
            for name in ("fit", "train-from-pca", "epoch")
        ]
        assert sorted(told.begun) == sorted(told.ended)
        assert told.ended[-1][1] == "fit"
        n_refits = told.count("refit-on-all-rows")
        assert told.count("epoch") == model.n_iter_ + n_refits * model.best_iter_

    def test_starts_that_compete_have_a_training_each(self):
        circle = make_circles(100, factor=0.99, noise=0.01, random_state=0)[0]
        told = Recorder()
        model = AutoEncoderTransformer(1, random_state=0, max_iter=40)
        model.set_callbacks(told).fit(circle)
        assert told.count("train-from-pca") == told.count("train-from-random") == 1
        assert sorted(told.begun) == sorted(told.ended)

    def test_what_epochs_have_measured_is_on_their_context(self):
        told = Recorder()
        model = AutoEncoderTransformer(2, **FEW).set_callbacks(told).fit(X)
        metrics = told.metrics[: model.n_iter_]
        assert [m["epoch"] for m in metrics] == [1, 2, 3, 4]
        assert [m["loss"] for m in metrics] == model.loss_curve_
        found = [m["validation_loss"] for m in metrics]
        assert found == model.validation_loss_curve_
        assert all(m["learning_rate"] > 0 for m in metrics[:-1])

    def test_pcas_loss_is_that_of_pca(self):
        told = Recorder()
        model = AutoEncoderTransformer(2, **FEW | {"init": "random"})
        model.set_callbacks(told).fit(X, X_val=X[::3])
        (baseline,) = {m["baseline_loss"] for m in told.metrics}
        variance = X[::3].var(axis=0).sum() / X.var(axis=0).sum()
        expected = (1 - model.baseline_score_) * variance
        assert baseline == pytest.approx(expected, rel=1e-5)
        linear = Recorder()
        AutoEncoderTransformer(2, **FEW).set_callbacks(linear).fit(X, X_val=X[::3])
        assert linear.metrics[0]["baseline_loss"] == pytest.approx(expected, rel=1e-5)

    def test_there_may_be_more_epochs_than_were_known(self):
        """Where time ends them, or where weights decay after the last."""
        told = Recorder()
        model = AutoEncoderTransformer(2, max_time=0.05, random_state=0)
        model.set_callbacks(told).fit(X)
        assert told.count("epoch") >= model.n_iter_ >= 1
        (observer,) = Callbacks.of(model, "fit")
        observer.begin_fit(lambda task: {}, 1)
        for name in ("one", "two"):
            task = Task(name, None, None, max_iter=2)
            for _ in range(5):
                observer.begin_epoch(task)
                observer.end_epoch(task)
            observer.end_training(task)
        assert [context.max_subtasks for context in observer.context][:2] == [2, 5]

    def test_without_epochs_there_is_no_task_of_any(self):
        told = Recorder()
        model = AutoEncoderTransformer(2, random_state=0)
        model.set_callbacks(told, *[ProgressBar()] * HAS_RICH).fit(X[:6])
        assert model.n_iter_ == 0
        assert told.begun == told.ended == [("AutoEncoderTransformer", "fit")]

    def test_a_stream_is_a_task_a_call(self):
        told = Recorder()
        model = AutoEncoderTransformer(2, random_state=0).set_callbacks(told)
        model.partial_fit(X).partial_fit(X)
        assert [name for _, name in told.ended] == ["partial-fit"] * 2
        assert told.life == ["setup", "teardown"] * 2

    def test_nothing_changes_by_being_watched(self):
        plain = AutoEncoderTransformer(2, **FEW).fit(X)
        looked = Looker()
        watched = clone(plain).set_callbacks(Recorder(), looked).fit(X)
        assert len(looked.seen) >= 4
        assert_array_equal(plain.transform(X), watched.transform(X))
        assert plain.loss_curve_ == watched.loss_curve_

    def test_a_fit_that_fails_leaves_the_estimator_as_it_was(self):
        model = AutoEncoderTransformer(2, **FEW).fit(X)
        told, before = Recorder(), model.transform(X)
        model.set_callbacks(told)
        state = {**vars(model)}
        with pytest.raises(ValueError, match="NaN"):
            model.fit(np.full_like(X, np.nan))
        assert told.life == ["setup", "teardown"]
        assert vars(model) == state

        def fail(estimator, context):
            raise RuntimeError("as asked")

        told.on_fit_task_end = fail
        with pytest.raises(RuntimeError, match="as asked"):
            model.fit(X)
        assert told.life == ["setup", "teardown"] * 2
        assert vars(model) == state
        assert_array_equal(model.transform(X), before)

    def test_helpers_are_not_seen(self):
        told = Recorder()
        y = np.where(np.arange(len(X)) % 3, X[:, 0] > 0, np.nan)
        model = AutoEncoderTransformer(0.9, supervision=1.0, teacher="auto", **FEW)
        model.set_callbacks(told).fit(X, y)
        assert {name for name, _ in told.begun} == {"AutoEncoderTransformer"}

    def test_hooks_run_with_the_configuration_of_their_user(self):
        pytest.importorskip("pandas")
        looked = Looker("fit")
        model = AutoEncoderTransformer(2, **FEW).set_callbacks(looked)
        found = []
        looked.on_fit_task_begin = lambda estimator, context: found.append(
            sklearn.get_config()["transform_output"]
        )
        with sklearn.config_context(transform_output="pandas"):
            model.fit(X)
        assert set(found) == {"pandas"}

    def test_callbacks_survive_a_clone_and_are_gone_when_asked(self):
        told = Recorder()
        model = AutoEncoderTransformer(2, **FEW).set_callbacks(told)
        clone(model).fit(X)
        assert told.count("fit") == 1
        model.set_callbacks().fit(X)
        assert told.count("fit") == 1
        assert not any("callback" in name for name in vars(model))


@needs_callbacks
class TestFittedEstimator:
    def test_it_is_the_network_of_that_epoch(self):
        """Its error on the rows held out is the loss that was measured there."""
        looked = Looker()
        model = AutoEncoderTransformer(2, **FEW).set_callbacks(looked)
        model.fit(X, X_val=X[::3])
        for number, (fitted, _, _) in enumerate(looked.seen[: model.n_iter_]):
            error = fitted.reconstruction_error(X[::3]).mean() / X.var(axis=0).mean()
            measured = model.validation_loss_curve_[number]
            assert error == pytest.approx(measured, rel=1e-4)
            assert fitted.n_iter_ == fitted.best_iter_ == number + 1
            assert fitted.loss_curve_ == model.loss_curve_[: number + 1]

    def test_that_of_the_kept_epoch_is_the_result(self):
        looked = Looker()
        params = FEW | {"early_stopping": False}
        model = AutoEncoderTransformer(2, **params).set_callbacks(looked).fit(X)
        fitted, seen, target = looked.seen[model.best_iter_ - 1]
        assert model.result_ == fitted.result_ == "network"
        assert_array_equal(fitted.transform(X), model.transform(X))
        Z = model.transform(X)
        assert_array_equal(fitted.inverse_transform(Z), model.inverse_transform(Z))
        assert_array_equal(seen, X)
        assert target is seen  # what it learns to give back

    def test_at_the_end_it_is_the_result(self):
        looked = Looker("fit")
        y = X[:, 0]
        model = AutoEncoderTransformer(2, **FEW).set_callbacks(looked).fit(X, y)
        ((fitted, _, target),) = looked.seen
        assert_array_equal(fitted.transform(X), model.transform(X))
        assert target is y

    def test_scikit_learn_passes_it_only_if_it_is_keyword_only(self):
        """As the user guide says: where this changes, change the guide."""
        found, told = [], Recorder()

        def end(estimator, context, fitted_estimator=None):
            found.append(fitted_estimator)

        told.on_fit_task_end = end
        AutoEncoderTransformer(2, **FEW).set_callbacks(told).fit(X)
        assert found and set(found) == {None}

    def test_it_is_pickled_and_goes_on(self):
        looked = Looker()
        model = AutoEncoderTransformer(2, **FEW).partial_fit(X)
        model.set_callbacks(looked).fit(X)
        again = pickle.loads(pickle.dumps(looked.seen[0][0].set_callbacks()))
        assert again.partial_fit(X).n_iter_ == 2

    def test_a_score_is_monitored(self):
        monitor = ScoringMonitor(scoring=explained)
        model = AutoEncoderTransformer(2, **FEW | {"early_stopping": False})
        model.set_callbacks(monitor).fit(X)
        rows = monitor.get_logs().data
        scores = [row["explained"] for row in rows if row["task_name"] == "epoch"]
        assert len(scores) == 4 and scores[-1] > scores[0]
        (last,) = [row["explained"] for row in rows if row["task_name"] == "fit"]
        assert last == pytest.approx(model.score(X))


@needs_callbacks
class TestStopping:
    def test_a_hook_that_returns_true_ends_the_training(self):
        told = Recorder(stop_at=3)
        model = AutoEncoderTransformer(2, **FEW | {"max_iter": 300})
        model.set_callbacks(told).fit(X, X_val=X[::3])
        assert told.count("epoch") == model.n_iter_ == 3
        assert model.stop_reason_ in ("callback", "pca")
        assert sorted(told.begun) == sorted(told.ended)

    def test_the_best_so_far_is_kept(self):
        looked = Looker()
        model = AutoEncoderTransformer(2, **FEW | {"max_iter": 300})
        model.set_params(early_stopping=False)
        model.set_callbacks(looked, Recorder(stop_at=3)).fit(X)
        assert (model.stop_reason_, model.result_) == ("callback", "network")
        assert model.n_iter_ == 3
        best, _, _ = looked.seen[model.best_iter_ - 1]
        assert_array_equal(model.transform(X), best.transform(X))

    def test_starts_that_compete_all_end(self):
        told = Recorder(stop_at=3)
        model = AutoEncoderTransformer(2, random_state=0, max_iter=60)
        model.set_callbacks(told).fit(X)
        assert told.count("epoch") == 3
        assert np.isfinite(model.score(X))

    def test_what_is_trained_again_on_all_rows_ends_too(self):
        params = ONE_START | {"hidden_layer_sizes": (32,), "max_iter": 100}
        told = Recorder()
        AutoEncoderTransformer(2, **params).set_callbacks(told).fit(X)
        n_refits = told.count("refit-on-all-rows")
        assert n_refits == 1  # else there is nothing to see here
        n_epochs = told.count("epoch")
        again = Recorder(stop_at=n_epochs - 2)
        model = AutoEncoderTransformer(2, **params).set_callbacks(again).fit(X)
        assert again.count("epoch") == n_epochs - 2
        assert model.result_ == "network"
        without = Recorder(stop_at=1, task="train-from-pca")
        same = AutoEncoderTransformer(2, **params).set_callbacks(without).fit(X)
        assert without.count("refit-on-all-rows") == 0
        assert_array_equal(same.transform(X), model.transform(X))


@needs_callbacks
class TestMetaEstimators:
    def test_a_pipeline_hands_them_on(self):
        told, own = Recorder(), Own()
        ae = AutoEncoderTransformer(2, **FEW).set_callbacks(own)
        pipeline = make_pipeline(StandardScaler(), ae, LogisticRegression())
        pipeline.set_callbacks(told).fit(X, X[:, 0] > 0)
        names = [
            ("Pipeline", "fit"),
            ("AutoEncoderTransformer", "fit"),
            ("AutoEncoderTransformer", "train-from-pca"),
            ("AutoEncoderTransformer", "epoch"),
        ]
        assert names in told.paths
        assert sorted(told.begun) == sorted(told.ended)
        assert not hasattr(ae, "_parent_callback_ctx")

    @pytest.mark.parametrize(
        "backend", ["threading", pytest.param("loky", marks=pytest.mark.slow)]
    )
    def test_the_tree_of_a_search_goes_down_to_the_epochs(self, backend):
        monitor = ScoringMonitor(scoring=explained)
        model = AutoEncoderTransformer(**FEW | {"max_iter": 2})
        search = GridSearchCV(
            model.set_callbacks(monitor), {"n_components": [1, 2]}, cv=2, n_jobs=2
        ).set_callbacks(*[ProgressBar()] * HAS_RICH)
        with parallel_backend(backend):
            search.fit(X)
        epochs = {
            row["task_id_path"]: row["explained"]
            for row in monitor.get_logs().data
            if row["task_name"] == "epoch"
        }
        # GridSearchCV's fit, search, a split of a candidate, a start, an epoch.
        expected = {(0, 0, split, 0, epoch) for split in range(4) for epoch in range(2)}
        # And its best once more.
        expected |= {(0, 1, 0, epoch) for epoch in range(2)}
        assert epochs.keys() == expected
        assert all(0 < value < 1 for value in epochs.values())

    @pytest.mark.skipif(not HAS_RICH, reason="scikit-learn's bars need rich")
    def test_a_progress_bar_goes_down_to_the_epochs(self, capsys, monkeypatch):
        monkeypatch.setenv("COLUMNS", "200")
        monkeypatch.setattr("rich._console", None)  # it may know another width
        bar = ProgressBar(max_propagation_depth=None)
        search = GridSearchCV(
            AutoEncoderTransformer(**FEW | {"max_iter": 2}), {"n_components": [2]}, cv=2
        )
        search.set_callbacks(bar).fit(X)
        out = capsys.readouterr().out
        assert out.count("train-from-pca") == 3
        assert out.count("100%") >= 6


@needs_callbacks
class TestThoseThatFitOthers:
    """The imputer and the detector, whose tasks go down to the epochs."""

    @pytest.fixture(params=fitters(), ids=["imputer", "detector"])
    def fitter(self, request):
        model, task, n_fits = request.param
        return clone(model), task, n_fits

    def test_the_tree_goes_down_to_the_epochs(self, fitter):
        model, task, n_fits = fitter
        told, name = Recorder(), type(model).__name__
        model.set_callbacks(told).fit(X)
        assert told.life == ["setup", "teardown"]
        assert told.begun[0] == told.ended[-1] == (name, "fit")
        assert sorted(told.begun) == sorted(told.ended)
        expected = [(name, "fit")] + [
            ("AutoEncoderTransformer", part)
            for part in ("fit", "train-from-pca", "epoch")
        ]
        assert told.paths.count(expected) == 2 * n_fits
        assert [name for name in vars(model) if "callback" in name] == [
            "_skl_callbacks"
        ]

    def test_a_member_continues_the_task_of_its_number(self, fitter):
        model, task, n_fits = fitter
        seen, told = [], Recorder()

        def note(estimator, context):
            if context.source_task_name is not None:
                seen.append((context.source_task_name, context.task_id))

        told.on_fit_task_begin = note
        model.set_callbacks(told).fit(X)
        assert seen == [(task, number) for number in range(n_fits)]

    def test_nothing_changes_by_being_watched(self, fitter):
        model, _, _ = fitter
        plain = clone(model).fit(X)
        watched = clone(model).set_callbacks(Recorder(), Looker()).fit(X)
        method = "transform" if hasattr(model, "transform") else "score_samples"
        results = [getattr(fitted, method)(X + 0.1) for fitted in (plain, watched)]
        assert_array_equal(*results)
        watched.set_callbacks()
        assert vars(watched).keys() == vars(plain).keys()
        for inner in getattr(watched, "estimators_", None) or [watched.estimator_]:
            assert not any("callback" in name for name in vars(inner))

    def test_at_the_end_it_is_fitted(self, fitter):
        model, looked = fitter[0], Looker("fit")
        model.set_callbacks(looked).fit(X)
        fitted, rows, _ = looked.seen[-1]
        assert type(fitted) is type(model)
        assert_array_equal(rows, X)
        assert pickle.dumps(fitted.set_callbacks())

    def test_a_pipeline_hands_them_on_without_a_warning(self, fitter):
        model, task, n_fits = fitter
        told = Recorder()
        make_pipeline(StandardScaler(), model).set_callbacks(told).fit(X)
        assert told.count("epoch") == 2 * n_fits
        assert told.paths[-2][0] == ("Pipeline", "fit")
        assert len(told.paths[-2]) == 2  # it continues a task of the pipeline

    def test_a_fit_that_fails_leaves_it_as_it_was(self, fitter):
        model, told = fitter[0], Recorder()
        model.fit(X)
        state = {**vars(model.set_callbacks(told))}
        with pytest.raises(ValueError, match="infinity"):
            model.fit(np.full_like(X, np.inf))

        def fail(estimator, context):
            if context.task_name == "epoch":
                raise RuntimeError("as asked")

        told.on_fit_task_end = fail
        with pytest.raises(RuntimeError, match="as asked"):
            model.fit(X)
        assert told.life == ["setup", "teardown"] * 2
        assert vars(model) == state

    def test_callbacks_of_the_estimator_inside_see_the_whole_tree(self, fitter):
        model, own = fitter[0], Own()
        model.set_params(estimator=clone(model.estimator).set_callbacks(own)).fit(X)
        assert {path[0] for path in own.paths} == {(type(model).__name__, "fit")}

    def test_what_a_meta_estimator_hands_on_is_to_be_set_on_it(self, fitter):
        model = fitter[0]
        model.set_params(estimator=clone(model.estimator).set_callbacks(Recorder()))
        with pytest.raises(TypeError, match="Register them directly on the meta-est"):
            model.fit(X)

    @pytest.mark.parametrize(
        "backend", ["threading", pytest.param("loky", marks=pytest.mark.slow)]
    )
    def test_members_that_are_fitted_at_the_same_time(self, backend):
        monitor = ScoringMonitor(scoring=explained)
        model, _, n_fits = fitters()[1]
        plain = clone(model).fit(X)
        model.estimator.set_callbacks(monitor)
        model.set_params(n_jobs=2).set_callbacks(*[ProgressBar()] * HAS_RICH)
        with parallel_backend(backend):
            model.fit(X)
        assert_array_equal(model.training_scores_, plain.training_scores_)
        epochs = {
            row["task_id_path"]
            for row in monitor.get_logs().data
            if row["task_name"] == "epoch"
        }
        # The detector's fit, a member, its training, an epoch.
        assert epochs == {(0, i, 0, epoch) for i in range(n_fits) for epoch in (0, 1)}

    def test_other_transformers_are_named(self):
        told = Recorder()
        model = ReconstructionOutlierDetector(PCA(1), n_estimators=2, random_state=0)
        with pytest.warns(UserWarning, match="PCA does not support callbacks"):
            model.set_callbacks(told).fit(X)
        assert [name for _, name in told.ended] == ["fit-member", "fit-member", "fit"]


@needs_callbacks
@pytest.mark.skipif(not HAS_RICH, reason="scikit-learn's bars need rich")
class TestBarsAreToldOfSeveralEpochsAtOnce:
    @pytest.fixture
    def told(self, monkeypatch):
        """Return what the bar is told, in order, with the epoch that training is in."""
        told, tell = [], ProgressBar.on_fit_task_end

        def note(bar, estimator, context):
            told.append((context.task_name, context.task_id, self.n_trained))
            tell(bar, estimator, context)

        monkeypatch.setattr(ProgressBar, "on_fit_task_end", note)
        return told

    @pytest.fixture(autouse=True)
    def count(self, monkeypatch):
        self.n_trained, end = 0, Progress.end_epoch

        def counted(progress, trial):
            self.n_trained += 1
            return end(progress, trial)

        monkeypatch.setattr(Progress, "end_epoch", counted)

    def clock(self, monkeypatch, seconds):
        """Let an epoch take so long, as far as bars know."""
        now = lambda: self.n_trained * seconds  # noqa: E731
        monkeypatch.setattr("skae._fitting.callbacks.perf_counter", now)

    @pytest.mark.parametrize(
        "seconds, trained",
        [
            (1.0, [1, 2, 3, 4, 5, 6]),
            (0.04, [3, 3, 3, 6, 6, 6]),
            (0.06, [2, 2, 4, 4, 6, 6]),
            (0.0, [6, 6, 6, 6, 6, 6]),
        ],
    )
    def test_as_often_as_it_is_redrawn(self, told, monkeypatch, seconds, trained):
        self.clock(monkeypatch, seconds)
        params = FEW | {"max_iter": 6, "early_stopping": False}
        AutoEncoderTransformer(2, **params).set_callbacks(ProgressBar()).fit(X)
        epochs = [("epoch", i, now) for i, now in enumerate(trained)]
        assert told == [*epochs, ("train-from-pca", 0, 6), ("fit", 0, 6)]

    def test_others_are_told_of_each_when_it_ends(self, told, monkeypatch):
        self.clock(monkeypatch, 0.0)
        model = AutoEncoderTransformer(2, **FEW)
        model.set_callbacks(ProgressBar(), Recorder(stop_at=2)).fit(X)
        assert model.n_iter_ == 2
        assert told[:2] == [("epoch", 0, 1), ("epoch", 1, 2)]
