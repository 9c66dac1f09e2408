"""`python -m benchmarks`: each in a process of its own, whatever becomes of the others."""

import argparse
import subprocess
from importlib import import_module
from pathlib import Path

import pytest
from benchmarks.measuring import Part

from benchmarks import __main__ as all_of_them

ROOT = Path(__file__).parents[2]


class ReadError(Exception):
    """The options have been read."""


@pytest.fixture
def ran(monkeypatch):
    """The commands that would run; that of memory fails."""
    commands = []

    def run(command, *, check):
        assert check is False
        commands.append(command)
        return subprocess.CompletedProcess(command, int("benchmarks.memory" in command))

    monkeypatch.setattr(all_of_them.subprocess, "run", run)
    return commands


def test_one_that_fails_does_not_keep_the_others_from_running(ran, capsys):
    assert all_of_them.main([f"--page={ROOT / all_of_them.PAGE}"]) == 1
    assert [command[2] for command in ran] == [f"benchmarks.{name}" for name in all_of_them.SHORT]
    assert "benchmarks.memory: 0 seconds, exit code 1" in capsys.readouterr().out


@pytest.mark.parametrize("name", all_of_them.SHORT)
def test_each_takes_its_short_options_and_has_a_part_of_the_page(name, ran, monkeypatch):
    """Up to where its options are read."""
    Part(ROOT / all_of_them.PAGE, name)
    all_of_them.main([f"--page={ROOT / all_of_them.PAGE}", f"--only={name}"])
    (command,) = ran
    read = argparse.ArgumentParser.parse_args

    def only_read(made, arguments):
        raise ReadError(read(made, arguments))

    monkeypatch.setattr(argparse.ArgumentParser, "parse_args", only_read)
    with pytest.raises(ReadError) as options:
        import_module(f"benchmarks.{name}").main(command[3:])
    assert options.value.args[0].output == all_of_them.OUTPUT / f"{name}.json"


def test_a_page_without_a_part_for_one_is_refused_before_anything_runs(ran, tmp_path, capsys):
    page = tmp_path / "page.md"
    page.write_text("<!-- fit: begin -->\n<!-- fit: end -->\n")
    with pytest.raises(SystemExit) as ended:
        all_of_them.main([f"--page={page}"])
    assert ended.value.code == 2
    assert "expected <!-- floor: begin --> and <!-- floor: end -->" in capsys.readouterr().err
    assert not ran
