"""The one place that uses private names of jsonargparse.

Its public `set_parsing_settings` adds to the import policy of the whole process and cannot take anything back.
"""

from collections.abc import Collection, Iterator
from contextlib import contextmanager

from jsonargparse import set_parsing_settings
from jsonargparse._common import parsing_settings

_POLICY = ("import_path_verdicts", "import_paths_enforced")


@contextmanager
def imports_only(modules: Collection[str]) -> Iterator[None]:
    """Within this context values that are parsed may name classes and functions of these modules alone."""
    before = {key: parsing_settings[key] for key in _POLICY}
    set_parsing_settings(import_path_denylist=["*"], import_path_allowlist=sorted(modules))
    try:
        yield
    finally:
        parsing_settings.update(before)
