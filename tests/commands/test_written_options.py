from reparam_suite.commands.written_options import arguments, choosable


def test_options_are_written_as_the_command_line_reads_them():
    options = {"a": 0.001, "b": True, "c": None, "d": "DisARM", "e": choosable([200, 200])}
    assert arguments(options) == ["--a=0.001", "--b=true", "--c=null", "--d=DisARM", "--e=[200, 200]"]


def test_a_long_list_is_one_argument():
    assert "\n" not in str(choosable([["a long name", "another one"]] * 40))
