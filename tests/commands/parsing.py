"""A command line, as the parts of a run."""

from typing import Any

from reparam_suite.commands.options import Options
from reparam_suite.running import Run
from reparam_suite.running.assembly import Assembly, assemble
from reparam_suite.running.surroundings import library_call
from reparam_suite.runtime.global_state import unchanged_globals


def parse(text: str) -> Run:
    return Options.of(text.split()).run()


def model_of(text: str) -> Any:
    return parse(text).model()


def assembled(text: str) -> Assembly:
    """All parts of a run, as they are before anything is recorded."""
    with unchanged_globals(), library_call(progress=False) as surroundings:
        return assemble(parse(text), surroundings)
