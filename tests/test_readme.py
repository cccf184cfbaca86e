"""README: its code runs, its commands are those of CI, and it stays short."""

import re
from pathlib import Path

import pytest
from joblib import parallel_config
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline

from skae import AutoEncoderTransformer

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()


@pytest.mark.slow
def test_python_runs_from_the_first_line_to_the_last(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    names = {}
    with parallel_config("sequential"):  # processes of its own would import skae again
        for block in re.findall(r"```python\n(.*?)```", README, flags=re.DOTALL):
            exec(block, names)
    assert names["Z"].shape == (450, 8)
    assert names["X_again"].shape == (450, 64)
    assert names["accuracy"] > 0.85
    assert names["search"].best_params_ == {"reduce": "passthrough"}
    assert names["supervised"].best_params_ == {"reduce__supervision": 3.0}
    assert names["is_outlier"].mean() < 0.1
    assert names["why"].shape == (450, 64)
    assert names["share"] > names["ae"].baseline_score_
    assert names["model"].score(names["X_test"], names["y_test"]) == names["accuracy"]


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # of torch's plans
def test_python_of_the_page_on_production_runs(tmp_path, monkeypatch):
    for package in ("skops", "skl2onnx", "onnxscript"):
        pytest.importorskip(package)
    monkeypatch.chdir(tmp_path)
    page = (ROOT / "docs" / "production.md").read_text()
    X, y = load_digits(return_X_y=True)
    ae = AutoEncoderTransformer(8, max_iter=3, random_state=0)
    model = make_pipeline(ae, LogisticRegression(max_iter=1000)).fit(X, y)
    names = {"X": X, "ae": ae, "model": model, "X_test": X[:500], "y_test": y[:500]}
    names["X_recent"] = X[500:700]
    blocks = re.findall(r"```python\n(.*?)```", page, flags=re.DOTALL)
    for block in blocks:
        if "mlflow" not in block:  # which is installed for nothing else
            exec(block, names)
    assert len(blocks) == 7
    assert names["graph"].ByteSize() > 1000
    x = names["x"]
    codes = names["program"].module()(x)
    assert codes.shape == (1797, 8)
    assert (names["model"].predict(X) == model.predict(X)).all()
    assert names["p_value"] > 1e-6 and names["share"] < 0.1
    written = (tmp_path / "README.md").read_text()
    assert "Scans, not photographs." in written
    assert str(model.score(X[:500], y[:500])) in written


def test_ci_runs_the_test_command_of_the_readme():
    commands = re.findall(r"```sh\n(.*?)\n```", README, flags=re.DOTALL)
    (command,) = [command for command in commands if "pytest" in command]
    assert command in (ROOT / ".ci" / "run").read_text().splitlines()


def test_it_is_short():
    assert len(README.splitlines()) <= 150


@pytest.mark.parametrize("name", sorted(AutoEncoderTransformer().get_params()))
def test_every_parameter_is_documented_with_its_default(name):
    default = AutoEncoderTransformer().get_params()[name]
    line = rf"^    {name} : .*default=(.+)$"
    (text,) = re.findall(line, AutoEncoderTransformer.__doc__, flags=re.MULTILINE)
    assert eval(text) == default
