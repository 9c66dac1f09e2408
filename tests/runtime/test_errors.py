import pytest

from reparam_suite.runtime import errors


@pytest.mark.parametrize(
    ("cls", "builtin"),
    [
        (errors.ArgumentValueError, ValueError),
        (errors.ArgumentTypeError, TypeError),
        (errors.StateError, RuntimeError),
        (errors.DataError, ValueError),
    ],
)
def test_every_error_is_the_suites_and_the_builtin_of_its_kind(cls, builtin):
    with pytest.raises(errors.SuiteError, match="what: expected X, got Y") as error:
        raise cls("what: expected X, got Y")
    assert isinstance(error.value, builtin)
