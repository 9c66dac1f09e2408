"""The files of pins say the same, and every package that pyproject.toml asks for has one."""

import re
import tomllib
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

ROOT = Path(__file__).parents[1]


def pins(file: str) -> dict[str, str]:
    text = (ROOT / file).read_text(encoding="utf-8")
    return {
        canonicalize_name(name): version for name, version in re.findall(r"^([\w.-]+)==([^\s;]+)", text, re.MULTILINE)
    }


def test_the_file_with_hashes_has_the_same_versions():
    plain, hashed = pins("constraints.txt"), pins("constraints-hashed.txt")
    assert {name: hashed.get(name) for name in plain} == plain


def test_every_pin_with_hashes_has_one():
    blocks = re.split(r"\n(?=\S)", (ROOT / "constraints-hashed.txt").read_text(encoding="utf-8"))
    assert len(blocks) > 200
    assert all("--hash=sha256:" in block for block in blocks)
    assert not any(address in block for block in blocks for address in ("://", "file:"))


def test_the_oldest_versions_are_within_the_bounds_and_no_later_than_the_pins():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = project["optional-dependencies"]
    oldest, known = pins("constraints-oldest.txt"), pins("constraints.txt")
    for requirement in map(Requirement, (*project["dependencies"], *extras["study"], *extras["ray"], *extras["flows"])):
        name = canonicalize_name(requirement.name)
        if requirement.name != project["name"]:
            assert requirement.specifier.contains(oldest[name]), requirement
            assert Version(oldest[name]) <= Version(known[name])


def test_every_requirement_is_pinned_within_its_bounds():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = project["optional-dependencies"].values()
    required = [Requirement(text) for texts in (project["dependencies"], *extras) for text in texts]
    known = pins("constraints.txt")
    for requirement in required:
        if requirement.name != project["name"]:
            assert requirement.specifier.contains(known[canonicalize_name(requirement.name)]), requirement
