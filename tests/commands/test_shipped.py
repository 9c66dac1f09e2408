"""Files that the package ships are found by name, wherever a command runs."""

import re

import pytest

from reparam_suite.commands.shipped import CONF, STUDIES, names, with_shipped_files
from reparam_suite.runtime.errors import UsageError


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def test_names_stand_for_the_files_of_each_option():
    args = ["--config", "discrete_vae", "--trainer=ddp-gloo", "-c", "gaussian_vae", "--seed", "3"]
    assert with_shipped_files(args) == [
        "--config",
        str(CONF / "discrete_vae.yaml"),
        f"--trainer={CONF / 'trainer' / 'ddp-gloo.yaml'}",
        "-c",
        str(CONF / "gaussian_vae.yaml"),
        "--seed",
        "3",
    ]
    assert with_shipped_files(["--config", "digits"], STUDIES)[1] == str(CONF / "studies" / "digits.yaml")


@pytest.mark.parametrize("value", ["run.yaml", "./discrete_vae", "conf/discrete_vae", "--seed", '{"a": 1}', ""])
def test_paths_stay_as_they_are(value):
    assert with_shipped_files(["--config", value]) == ["--config", value]


def test_a_file_here_is_taken_before_a_shipped_one(tmp_path):
    (tmp_path / "discrete_vae").write_text("seed: 3\n")
    assert with_shipped_files(["--config", "discrete_vae"]) == ["--config", "discrete_vae"]


def test_another_name_is_refused_with_those_that_there_are():
    message = f"--config: expected a YAML file, or one of {', '.join(names())}, got discrete, did you mean "
    with pytest.raises(UsageError, match=f"^{re.escape(message)}"):
        with_shipped_files(["--config", "discrete"])
