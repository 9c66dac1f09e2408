"""`python -m benchmarks`: each in a process of its own, whatever becomes of the others."""

import argparse
import subprocess
from importlib import import_module
from pathlib import Path

import pytest

from benchmarks import __main__ as all_of_them

ROOT = Path(__file__).parents[2]
MEASURED = ROOT / "docs" / "measured" / "benchmarks"


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
    monkeypatch.setattr(all_of_them, "missed", lambda file: [f"missed: {file.stem}\n"])
    return commands


def test_one_that_fails_does_not_keep_the_others_from_running(ran, capsys):
    assert all_of_them.main([]) == 1
    assert [command[2] for command in ran] == [f"benchmarks.{name}" for name in all_of_them.SHORT]
    told = capsys.readouterr().out
    assert "benchmarks.memory: 0 seconds, exit code 1" in told
    assert "missed: fit" in told
    assert "missed: memory" not in told


@pytest.mark.parametrize("name", all_of_them.SHORT)
def test_each_takes_its_short_options_and_its_table_is_on_the_page(name, ran, monkeypatch):
    """Up to where its options are read."""
    all_of_them.main([f"--tables={MEASURED}", f"--only={name}"])
    (command,) = ran
    read = argparse.ArgumentParser.parse_args

    def only_read(made, arguments):
        raise ReadError(read(made, arguments))

    monkeypatch.setattr(argparse.ArgumentParser, "parse_args", only_read)
    with pytest.raises(ReadError) as options:
        import_module(f"benchmarks.{name}").main(command[3:])
    assert options.value.args[0].output == all_of_them.OUTPUT / f"{name}.json"
    assert options.value.args[0].table == MEASURED / f"{name}.md"
    assert options.value.args[0].table.read_text().count("| --- |")
    assert f'\n--8<-- "{name}.md"\n' in (ROOT / "docs" / "performance.md").read_text()


def test_without_an_option_nothing_is_written_into_the_documentation(ran):
    all_of_them.main([])
    files = [Path(value.partition("=")[2]) for command in ran for value in command if "/" in value and "=" in value]
    assert len(files) == 2 * len(ran) + len(all_of_them.WITH_FIGURE)
    assert {file.parent for file in files} == {all_of_them.OUTPUT}
