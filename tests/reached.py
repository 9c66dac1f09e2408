"""`make test-fast`: the tests that the changed files reach, the nearest ones first, for two minutes.

A file reaches those that import it, or name it in a string: the dotted name of a module, or the name of a file or
folder, which is how tests reach configurations, examples and pages. What a package exports is as near as the module
that it comes from; the rest of the package, which is imported along with it, is far.
"""

import ast
import heapq
import subprocess
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SECONDS = 120.0
LAST_TESTS = 25.0  # seconds that the tests which have begun, and pytest itself, have to end in
SOURCES = {"src": "src", "tests": ".", "experiments": ".", "benchmarks": "."}  # where modules are, and below what
FOR_ALL = {"pyproject.toml", "constraints.txt"}
NEAR, FAR = 1, 100
LATE = "left out: the time is over"


def main(arguments: list[str]) -> int:
    """Runs pytest on the test files that the changed ones reach; further arguments are pytest's."""
    began = time.time()
    changed, since = changed_files(ROOT)
    tests = Tree(ROOT).reached(changed)
    everything = len(list((ROOT / "tests").rglob("test_*.py")))
    print(f"{len(changed)} files changed since {since}; they reach {len(tests)} of {everything} test files", flush=True)
    if not tests:
        return 0
    until = f"--until={began + SECONDS - LAST_TESTS}"
    # Whole files in this order: a file's trained runs are made once.
    options = [
        "-p",
        "tests.reached",
        until,
        "-m",
        "not slow",
        "-n",
        "2",
        "--dist",
        "loadfile",
        "--no-loadscope-reorder",
    ]
    return subprocess.run(
        [sys.executable, "-m", "pytest", *options, *arguments, *tests], cwd=ROOT, check=False
    ).returncode


def changed_files(root: Path) -> tuple[list[str], str]:
    """Paths of the files that differ from where this branch left main, new ones included, and that commit."""

    def git(*arguments: str) -> list[str]:
        ended = subprocess.run(["git", *arguments], cwd=root, capture_output=True, text=True, check=False)
        return ended.stdout.split("\n")[:-1]

    (since, *_) = [*git("merge-base", "main", "HEAD"), "HEAD"]
    names = {*git("diff", "--name-only", since), *git("ls-files", "--others", "--exclude-standard")}
    return sorted(names), since[:12]


class Tree:
    """The project's modules, and who imports or names whom."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.modules = {
            dotted_name(path.relative_to(root / below)): path
            for folder, below in SOURCES.items()
            for path in sorted((root / folder).rglob("*.py"))
        }
        trees = {name: ast.parse(path.read_text(encoding="utf-8")) for name, path in self.modules.items()}
        self._exports = {
            name: dict(exports(trees[name])) for name, path in self.modules.items() if path.name == "__init__.py"
        }
        self._users: dict[str, dict[str, int]] = defaultdict(dict)
        self._strings: dict[str, set[str]] = {}
        for name, tree in trees.items():
            texts = [
                node.value for node in ast.walk(tree) if isinstance(node, ast.Constant) and type(node.value) is str
            ]
            self._strings[name] = {part for text in texts for part in text.split("/")}
            for used, distance in self._used(name, {*imported(tree), *texts}):
                self._users[used][name] = min(distance, self._users[used].get(name, distance))
        for conftest in [name for name in trees if name.endswith("conftest")]:
            below = [name for name in trees if name.startswith(conftest.removesuffix("conftest"))]
            self._users[conftest] |= dict.fromkeys(below, FAR)

    def _used(self, name: str, dotted_names: Iterable[str]) -> Iterator[tuple[str, int]]:
        near = FAR if name in self._exports else NEAR  # a package has its modules imported, whatever is wanted of it
        for dotted in dotted_names:
            parts = dotted.split(".")
            packages = [prefix for n in range(len(parts), 0, -1) if (prefix := ".".join(parts[:n])) in self.modules]
            for number, prefix in enumerate(packages):
                rest = dotted.removeprefix(prefix).strip(".").split(".")[0]
                if exported := self._exports.get(prefix, {}).get(rest):
                    yield exported, near
                yield prefix, near if number == 0 and prefix not in self._exports else FAR

    def reached(self, changed: Iterable[str]) -> list[str]:
        """The paths of the test files that the changed files reach, the nearest first."""
        changed = list(changed)
        distances: dict[str, int] = {}
        queue = [(distance, name) for path in changed for name, distance in self._begins(path)]
        heapq.heapify(queue)
        while queue:
            distance, name = heapq.heappop(queue)
            if name not in distances:
                distances[name] = distance
                for user, further in self._users[name].items():
                    heapq.heappush(queue, (distance + further, user))
        own = {f"test_{Path(path).name}" for path in changed}
        tests = [name for name in distances if name in self.modules and self.modules[name].name.startswith("test_")]
        ordered = sorted(tests, key=lambda name: (distances[name], self.modules[name].name not in own, name))
        return [str(self.modules[name].relative_to(self.root)) for name in ordered]

    def _begins(self, path: str) -> Iterator[tuple[str, int]]:
        """The modules that a changed file is, or is read by, and their distance from it."""
        file = Path(path)
        if file.suffix == ".py" and file.parts[0] in SOURCES:
            yield dotted_name(file.relative_to(SOURCES[file.parts[0]])), 0
        else:
            names = {file.name, file.stem, *file.parts[:-1]}
            yield from ((name, NEAR) for name, strings in self._strings.items() if names & strings)
        if path in FOR_ALL:
            yield "tests.conftest", 0


def dotted_name(path: Path) -> str:
    """The name that a module of this path is imported by."""
    return ".".join(path.with_suffix("").parts).removesuffix(".__init__")


def imported(tree: ast.Module) -> Iterator[str]:
    """The dotted names that a module imports, anywhere in it."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module is not None:
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def exports(tree: ast.Module) -> Iterator[tuple[str, str]]:
    """The names that a package exports, and the module that each is from."""
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module is not None:
            yield from ((alias.asname or alias.name, node.module) for alias in node.names)


# ---------------------------------------------------------------------------------------------------- pytest's plugin


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--until", type=float, help="no test begins after this time, in seconds since 1970")


def pytest_configure(config: pytest.Config) -> None:
    config.pluginmanager.register(LeftOut(config))


@dataclass(eq=False)  # pytest puts plugins into sets
class LeftOut:
    """Leaves out what would begin too late, and tells what did not run, by file."""

    config: pytest.Config
    slow: Counter[str] = field(default_factory=Counter)
    late: Counter[str] = field(default_factory=Counter)

    def pytest_deselected(self, items: list[pytest.Item]) -> None:
        self.slow.update(item.nodeid.partition("::")[0] for item in items)

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_setup(self, item: pytest.Item) -> None:
        if time.time() > self.config.getoption("until"):
            pytest.skip(LATE)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.skipped and LATE in str(report.longrepr):
            self.late[report.nodeid.partition("::")[0]] += 1

    def pytest_sessionfinish(self) -> None:
        if (output := getattr(self.config, "workeroutput", None)) is not None:
            output["slow"] = dict(self.slow)

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, node) -> None:
        self.slow = Counter(getattr(node, "workeroutput", {}).get("slow", self.slow))  # every worker has seen all

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        for why, files in {"slow": self.slow, "late": self.late}.items():
            if files:
                told = ", ".join(f"{file} ({number})" for file, number in sorted(files.items()))
                terminalreporter.write_line(f"left out, {why}: {sum(files.values())} tests in {told}")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
