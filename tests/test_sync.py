"""`python -m reparam_suite.sync`: its options, its lines and its exit codes."""

from types import SimpleNamespace

import pytest

from reparam_suite import sync
from reparam_suite.tracking import TrackingSettings


@pytest.fixture
def recovering(monkeypatch):
    """Has the command find earlier runs of some kinds; returns what it asked for."""
    asked = []

    def of_kinds(*kinds: str) -> list:
        def recover(gone):
            asked.append(gone)
            for number, kind in enumerate(kinds):
                yield SimpleNamespace(run_id=f"run{number}", outcome=f"was {kind} [bold]", kind=kind)

        def opened(settings):
            asked.append(settings)
            return SimpleNamespace(recover=recover)

        monkeypatch.setattr(sync.Store, "open", opened)
        return asked

    return of_kinds


@pytest.mark.parametrize(
    ("kinds", "code", "num_lines", "last"),
    [
        ((), 0, 1, "nothing to send"),
        (("left alone",), 0, 2, "nothing to send"),
        (("recovered", "left alone"), 0, 2, "run1  was left alone [bold]"),
        (("recovered", "unsent", "recovered"), 1, 3, "run2  was recovered [bold]"),
    ],
)
def test_each_run_has_a_line_and_what_is_unsent_an_exit_code(recovering, capsys, kinds, code, num_lines, last):
    recovering(*kinds)
    assert sync.main(["--tracking.root", "place"]) == code
    lines = capsys.readouterr().out.splitlines()
    assert (len(lines), lines[-1]) == (num_lines, last)


def test_options_say_which_store_and_which_machines_are_gone(recovering):
    asked = recovering()
    sync.main(["--tracking.root", "place", "--tracking.experiment", "e", "--gone", "one", "two"])
    settings, gone = asked
    assert (settings, gone) == (TrackingSettings(experiment="e", root="place"), ["one", "two"])


def test_help_ends_well(capsys):
    with pytest.raises(SystemExit) as ended:
        sync.main(["--help"])
    assert ended.value.code == 0
    assert "--gone" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--tracking.roof", "x"], "unknown option --tracking.roof, did you mean --tracking.root?"),
        (
            ["--tracking.uri", "ftp://server"],
            "--tracking.uri: expected sqlite:///FILE, http(s)://SERVER, postgresql://... or mysql://..., got ftp://server",
        ),
    ],
)
def test_sync_refuses_what_it_does_not_know(options, message, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert sync.main(options) == 2
    printed = capsys.readouterr().err
    assert printed.startswith("reparam_suite.sync: ")
    assert message in printed
    assert printed.count("\n") == 1
    assert list(tmp_path.iterdir()) == []
