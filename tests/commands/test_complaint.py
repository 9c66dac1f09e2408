"""The last line of a command: one line, short, and without effect on a terminal."""

from reparam_suite.commands.complaint import complain, shown


def test_it_is_one_line(capsys):
    complain("fit", "--name: got \x1b[31mred\nand more")
    assert capsys.readouterr().err == "reparam_suite.fit: --name: got \\x1b[31mred and more\n"


def test_a_long_word_is_shown_by_its_ends():
    assert shown(f"expected a path, got {'a' * 500 + 'b' * 500}.") == f"expected a path, got {'a' * 200}...{'b' * 49}."
    assert shown("word " * 300) == ("word " * 300).strip()
