"""The Python that starts at once, held to the one that takes seconds."""

import pathlib
import signal
import subprocess
import sys
import time

import pytest

COLD = sys.executable  # before a test puts the other one in its place
PROGRAMS = {
    "arguments, environment, streams": (
        "import os, sys; print(sys.argv[1:], os.environ['A'], os.getcwd(), sys.stdin.read()); sys.stderr.write('e')",
        "a b",
    ),
    "an exit code": "raise SystemExit(7)",
    "a reason": "raise SystemExit('because')",
    "an error": "1 / 0",
    "Ctrl-C": (  # a shell that runs the tests in the background has it ignored
        "import os, signal, time\n"
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        "os.kill(os.getpid(), signal.SIGINT); time.sleep(60)"
    ),
    "a death": "import os, signal; os.kill(os.getpid(), signal.SIGKILL)",
    "at the end": "import atexit; atexit.register(print, 'end'); print(__name__)",
    "a process of its own": (
        "import multiprocessing, sys\n"
        "multiprocessing.set_executable(sys.executable)\n"
        "process = multiprocessing.get_context('spawn').Process(target=print, args=('there',))\n"
        "process.start(); process.join(); print(process.exitcode)"
    ),
}


@pytest.mark.parametrize("name", PROGRAMS)
def test_a_program_does_what_it_does(name, warm_python, tmp_path):
    program, *arguments = PROGRAMS[name] if isinstance(PROGRAMS[name], tuple) else (PROGRAMS[name],)
    ends = []
    for python in (warm_python, COLD):
        command = [python, "-c", program, *arguments]
        done = subprocess.run(
            command, capture_output=True, text=True, input="in", env={"A": "b"}, cwd=tmp_path, timeout=60, check=False
        )
        ends.append((done.returncode, done.stdout, done.stderr.splitlines()[-1:]))
    assert ends[0] == ends[1]


def test_a_module_and_a_file_are_run(warm_python, tmp_path):
    (tmp_path / "mine.py").write_text("import sys; print(__name__, sys.argv[1:], sys.path[0])")
    for given in (["-m", "mine", "1"], ["mine.py", "2"]):
        told = []
        for python in (warm_python, COLD):
            done = subprocess.run(
                [python, *given], cwd=tmp_path, capture_output=True, text=True, timeout=60, check=True
            )
            told.append(done.stdout)
        assert told[0] == told[1] != ""


def test_signals_reach_it_and_it_dies_with_who_has_started_it(warm_python, tmp_path):
    program = (
        "import os, pathlib, signal, time\n"
        "signal.signal(signal.SIGTERM, lambda *_: pathlib.Path('told').touch())\n"
        "pathlib.Path('begun').write_text(str(os.getpid()))\n"
        "time.sleep(600)"
    )
    process = subprocess.Popen([warm_python, "-c", program], cwd=tmp_path)
    pid = int(until(lambda: (tmp_path / "begun").exists() and (tmp_path / "begun").read_text()))
    process.send_signal(signal.SIGTERM)
    until((tmp_path / "told").exists)
    process.kill()
    assert process.wait(60) == -signal.SIGKILL
    until(lambda: not (pathlib.Path("/proc") / str(pid)).exists())


def until(happened):
    deadline = time.monotonic() + 60
    while not (found := happened()):
        assert time.monotonic() < deadline
        time.sleep(0.01)
    return found
