"""Environment and generators are those of before after every test: a command seeds all of them."""

import pytest
from tests.launching import as_it_was


@pytest.fixture(autouse=True)
def _isolated():
    with as_it_was():
        yield
