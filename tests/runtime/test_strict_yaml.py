"""YAML: UTF-8 in every locale, every key once, nothing endless; what is refused is refused at once."""

import pytest
import yaml

from reparam_suite.runtime import strict_yaml
from reparam_suite.runtime.strict_yaml import MOST_LEVELS, MOST_VALUES, YAMLRefused


@pytest.mark.parametrize(
    ("text", "content"),
    [
        ("a: 1\nb: {c: [1, x], d: null}\n", {"a": 1, "b": {"c": [1, "x"], "d": None}}),
        ("a: &one {b: 1}\nc: *one", {"a": {"b": 1}, "c": {"b": 1}}),
        ("- {a: 1}\n- {a: 2}", [{"a": 1}, {"a": 2}]),  # in two mappings
        ("[a, a]", ["a", "a"]),
        ("a: a\nb: a", {"a": "a", "b": "a"}),
        ("", None),
    ],
)
def test_what_is_taken_is_what_yaml_says(text, content):
    assert strict_yaml.loaded(text) == content == yaml.safe_load(text)


BOMB = "a: &a [0,0,0,0,0,0,0,0,0,0]\n" + "\n".join(
    f"{name}: &{name} [{','.join([f'*{before}'] * 10)}]" for before, name in zip("abcdefgh", "bcdefghi", strict=True)
)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("seed: 1\nname: x\nseed: 2", "expected every key once, got seed in lines 1 and 3"),
        ("model: {class_path: A, init_args: {x: 1, x: 2}}", "expected every key once, got x in lines 1 and 1"),
        ("&a [*a]", r"expected a value that ends, got \*a within itself in line 1"),
        ("[" * 100_000, f"expected at most {MOST_LEVELS} levels, got more in line 1"),
        (BOMB, f"expected at most {MOST_VALUES:,} values, got more in line 5"),
        ("day: 2024-99-99", "expected values that can be read, got one that cannot: month must be in 1..12"),
    ],
    ids=["twice", "twice within", "itself", "deep", "bomb", "date"],
)
def test_what_is_refused_is_named_with_its_lines(text, message):
    with pytest.raises(YAMLRefused, match=f"^{message}"):
        strict_yaml.loaded(text)


def test_no_tag_makes_an_object():
    with pytest.raises(yaml.YAMLError, match="could not determine a constructor"):
        strict_yaml.loaded("x: !!python/name:os.system")


def test_a_file_is_read_as_utf_8_whatever_the_locale(tmp_path, monkeypatch):
    file = tmp_path / "a.yaml"
    file.write_bytes("\ufeff# é\nname: ñ\n".encode())
    monkeypatch.setattr("locale.getencoding", lambda: "ascii")
    monkeypatch.setattr("io.text_encoding", lambda encoding, *_: encoding or "ascii")
    assert strict_yaml.read(file) == {"name": "ñ"}
    file.write_bytes(b"name: \xff")
    with pytest.raises(ValueError, match="utf-8"):
        strict_yaml.read(file)
