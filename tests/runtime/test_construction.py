"""Objects made from plain data: classes of allowed modules, and nothing else runs."""

import sys

import pytest

from reparam_suite.estimators import LeaveOneOut, ScoreFunction
from reparam_suite.runtime.construction import check_all_allowed, construct, imported
from reparam_suite.runtime.errors import NotAllowedError, NotOnRecordError
from reparam_suite.runtime.plain_data import plain


def test_what_was_written_is_made_again():
    made = construct(plain(ScoreFunction(num_samples=3, baseline=LeaveOneOut())))
    assert type(made) is ScoreFunction
    assert made.num_samples == 3
    assert type(made.baseline) is LeaveOneOut


@pytest.fixture
def trap(tmp_path, monkeypatch):
    """A module that cannot be imported without a trace."""
    (tmp_path / "trap.py").write_text(f"open({str(tmp_path / 'sprung')!r}, 'w').close()\nclass Trap: pass\n")
    monkeypatch.syspath_prepend(tmp_path)
    yield tmp_path / "sprung"
    sys.modules.pop("trap", None)


@pytest.mark.parametrize(
    "data",
    [
        {"class_path": "trap.Trap"},
        {"reference": "trap.Trap"},
        [{"deep": {"class_path": "trap.Trap", "init_args": {}}}],
        {
            "class_path": "reparam_suite.estimators.ScoreFunction",
            "init_args": {"baseline": {"class_path": "trap.Trap"}},
        },
    ],
)
def test_a_class_of_another_module_is_refused_before_it_is_imported(trap, data):
    for refuse in (construct, check_all_allowed):
        with pytest.raises(NotAllowedError, match=r"trap.Trap: expected a class of reparam_suite; allow its module"):
            refuse(data)
    assert not trap.exists()
    construct({"class_path": "trap.Trap"}, allow=("trap",))
    assert trap.exists()


@pytest.mark.parametrize(
    "path",
    [
        "reparam_suite.training.replicas.subprocess.Popen",
        "reparam_suite.runtime.construction.importlib.import_module",
        "reparam_suite.models.estimator_module.Path",
    ],
)
def test_what_an_allowed_module_has_imported_is_not_its_own(path):
    with pytest.raises((NotAllowedError, NotOnRecordError)):
        imported(path)


def test_a_function_is_not_called():
    data = {"class_path": "reparam_suite.training.checkpoint_files.write_durably", "init_args": {"path": "x"}}
    with pytest.raises(NotOnRecordError, match="expected a class, got a function"):
        construct(data)


def test_a_class_that_is_not_there_is_told():
    with pytest.raises(NotOnRecordError, match=r"there is no class or function reparam_suite\.estimators\.Nothing"):
        construct({"class_path": "reparam_suite.estimators.Nothing"})


def test_an_opaque_part_is_told():
    with pytest.raises(NotOnRecordError, match="is not on record"):
        construct(plain(lambda: None))
