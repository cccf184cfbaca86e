"""mlflow, where it is installed: pipelines are logged and loaded, helpers are not."""

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline

from skae import AutoEncoderTransformer, skops_types

from .conftest import rows

mlflow = pytest.importorskip("mlflow")
pytest.importorskip("skops")
pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]
LABELS = np.arange(100) % 2


@pytest.fixture
def tracking(tmp_path, monkeypatch):
    """Let mlflow write into a folder of the test's, and forget it behind."""
    monkeypatch.chdir(tmp_path)
    before = mlflow.get_tracking_uri()
    mlflow.set_tracking_uri(f"sqlite:///{tmp_path}/mlflow.db")
    yield
    mlflow.sklearn.autolog(disable=True)
    mlflow.set_tracking_uri(before)


def small():
    return AutoEncoderTransformer(2, max_iter=3, random_state=0)


def test_a_pipeline_is_logged_by_one_line_and_loaded(tracking):
    model = make_pipeline(small(), LogisticRegression()).fit(rows(), LABELS)
    with mlflow.start_run():
        info = mlflow.sklearn.log_model(
            model, name="model", skops_trusted_types=skops_types()
        )
    for load in (mlflow.sklearn.load_model, mlflow.pyfunc.load_model):
        assert (load(info.model_uri).predict(rows()) == model.predict(rows())).all()


def test_autolog_logs_the_pipeline_and_nothing_that_is_fitted_on_the_way(tracking):
    mlflow.sklearn.autolog()
    make_pipeline(small(), LogisticRegression()).fit(rows(), LABELS)
    make_pipeline(small()).fit(rows())
    small().fit(rows())
    runs = mlflow.search_runs()
    assert list(runs["tags.estimator_name"]) == ["Pipeline", "Pipeline"]
    assert set(runs["params.autoencodertransformer__n_components"]) == {"2"}
