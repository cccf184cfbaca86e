"""README: its code runs, its commands are those of CI, and it stays short."""

import re
from pathlib import Path

import pytest

from skae import AutoEncoderTransformer

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()


@pytest.mark.slow
def test_python_runs_from_the_first_line_to_the_last(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    names = {}
    for block in re.findall(r"```python\n(.*?)```", README, flags=re.DOTALL):
        exec(block, names)
    assert names["Z"].shape == (450, 8)
    assert names["X_again"].shape == (450, 64)
    assert names["accuracy"] > 0.85
    assert names["search"].best_params_ == {"reduce": "passthrough"}
    assert names["supervised"].best_params_ == {"reduce__supervision": 3.0}
    assert names["is_outlier"][names["y_test"] == 0].mean() > 0.5
    assert names["is_outlier"][names["y_test"] != 0].mean() < 0.15
    assert names["share"] > names["ae"].baseline_score_
    assert names["model"].score(names["X_test"], names["y_test"]) == names["accuracy"]


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
