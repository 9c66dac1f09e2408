import functools

from reparam_suite.estimators import DisARM
from reparam_suite.studies.identity import identity


def made(text):
    """The function `f` that a source text defines, in a file of its own."""
    import importlib.util
    import tempfile
    from pathlib import Path

    with tempfile.TemporaryDirectory() as directory:
        file = Path(directory) / "module.py"
        file.write_text(text)
        specification = importlib.util.spec_from_file_location("module", file)
        module = importlib.util.module_from_spec(specification)
        specification.loader.exec_module(module)
        return identity(module.f)


def test_comments_layout_and_docstrings_make_no_other_function():
    plain = made("def f(a, seed):\n    return a + 1\n")
    assert plain == made('# a comment\n\n\ndef f(a, seed):\n    """Adds."""\n    return (a + 1)  # one\n')
    assert plain != made("def f(a, seed):\n    return a + 2\n")


def test_what_a_function_captures_counts():
    def around(value):
        def f(seed):
            return value

        return f

    assert identity(around(1)) == identity(around(1)) != identity(around(2))
    assert identity(around(DisARM(num_samples=2))) != identity(around(DisARM(num_samples=4)))
    assert identity(functools.partial(max, 1)) != identity(functools.partial(max, 2))
