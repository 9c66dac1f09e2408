"""The store of version 0.1.0: one that tests read, and one for each test that changes it."""

import pytest
from tests.versions.recorded import Recorded


@pytest.fixture(scope="session")
def recorded(tmp_path_factory) -> Recorded:
    return Recorded.in_directory(tmp_path_factory.mktemp("recorded"))


@pytest.fixture
def own(tmp_path) -> Recorded:
    return Recorded.in_directory(tmp_path)
