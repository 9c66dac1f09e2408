import pytest

from reparam_suite.data import Arrays


@pytest.fixture
def real_arrays(real_file) -> Arrays:
    """2,000 points on a line in five dimensions, with noise of 0.1."""
    data = Arrays(path=real_file, batch_size=200)
    data.setup()
    return data
