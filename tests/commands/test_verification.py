"""`--verify_resume N` on this machine."""

import re

import pytest
from tests.launching import fit

SMALL = ("--model.hidden_sizes", "[4]", "--record.every", "2", "--record.gradients_every", "4")


@pytest.mark.slow
@pytest.mark.usefixtures("warm_python")
def test_a_resumed_run_is_reported_identical_and_leaves_nothing(tmp_path):
    ended = fit("--verify_resume", "6", *SMALL, root=tmp_path / "mlruns")
    assert ended.code == 0, ended.err + ended.out
    lines = ended.out.splitlines()
    assert lines[0] == "6 steps in one piece, and 6 stopped after 3 and resumed in a new process"
    kinds = [*("parameters", "optimizer", "random streams", "batches", "callbacks", "metrics")]
    assert [line[:16].strip() for line in lines[1:-1]] == kinds
    assert all(re.fullmatch(r"[1-9]\d* identical", line[16:]) for line in lines[1:-1])
    assert lines[-1] == "the resumed run is bitwise identical"
    assert not (tmp_path / "mlruns").exists()


def test_a_difference_ends_with_exit_code_1(tmp_path, monkeypatch):
    """Here the "resumed" run is one of another seed."""
    from reparam_suite.commands.verification import _Verified

    trained = _Verified._trained
    monkeypatch.setattr(_Verified, "_resume", lambda self, run_id: None)
    seeds = iter((0, 1))

    def of_another_seed(self, num_steps, observer=None):
        object.__setattr__(self.run, "seed", next(seeds))
        return trained(self, num_steps)

    monkeypatch.setattr(_Verified, "_trained", of_another_seed)
    ended = fit("--verify_resume", "4", *SMALL, root=tmp_path / "mlruns")
    assert ended.code == 1, ended.err + ended.out
    assert re.search(r"^parameters +differ: state_dict \S+ by \S+ at most$", ended.out, re.MULTILINE)
    assert ended.out.splitlines()[-1] == "the resumed run differs"


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (("--verify_resume", "1"), "--verify_resume: expected at least 2 steps, got 1"),
        (("--verify_resume", "4", "--resume", "x"), "--verify_resume: expected no --resume beside it, got x"),
        (("--verify_resume", "4", "--seeds", "1", "2"), "--verify_resume: expected no --seeds beside it, got [1, 2]"),
    ],
)
def test_it_is_refused(args, message, tmp_path):
    ended = fit(*args, root=tmp_path / "mlruns")
    assert (ended.code, ended.err) == (2, f"reparam_suite.fit: {message}\n")
