"""The process that records a run, and whether it is still there."""

import os
import subprocess
import sys
from dataclasses import replace

import psutil

from reparam_suite.tracking.process import Process


def test_a_process_is_known_by_number_and_start(gone):
    assert not Process.this().is_gone()
    assert gone.is_gone()
    assert replace(Process.this(), started=Process.this().started - 3600).is_gone()  # the number was used again
    assert not replace(Process.this(), started=Process.this().started + 5).is_gone()  # the clock was set
    assert Process.of(Process.this().tags()).pid == os.getpid()
    assert Process.of({"process.pid": "1"}) is None


def test_a_process_that_nobody_has_waited_for_is_gone():
    child = subprocess.Popen([sys.executable, "-c", ""])
    process = replace(Process.this(), pid=child.pid, started=psutil.Process(child.pid).create_time())
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
    assert process.is_gone()
    child.wait()
