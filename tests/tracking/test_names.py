"""Names that MLflow takes, and values cut to its limits."""

import pytest

from reparam_suite.tracking.names import check_key, parameter_texts


@pytest.mark.parametrize("name", ["val/elbo", "a b", "a.b-c_d:e"])
def test_names_that_are_taken(name):
    check_key("tags", name)


@pytest.mark.parametrize("name", ["", "/a", "../a", "a//b", "a\nb", "é\x1b", "a" * 251, "."])
def test_names_that_are_refused(name):
    with pytest.raises(ValueError, match=r"^tags: expected at most 250 letters"):
        check_key("tags", name)


def test_parameters_are_flat_short_and_without_secrets():
    texts = parameter_texts({"a": {"b!": 1}, "uri": "http://ada:secret@host", "long": "x" * 7000})
    assert texts == {"a.b_": "1", "uri": "http://***@host", "long": "x" * 5997 + "..."}
