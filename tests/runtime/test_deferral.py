"""scipy.signal is found at once, and complete at its first use."""

import subprocess
import sys

_PROGRAM = """
import sys
from reparam_suite.runtime.deferral import defer_scipy_signal

defer_scipy_signal()
import scipy.signal
import lightning.pytorch

heavy = "scipy.signal._signaltools"
print(heavy in sys.modules)
print(scipy.signal.convolve([1, 2], [1, 3]).tolist(), scipy.signal.hamming(3).round(2).tolist())
from scipy.signal import windows

print(heavy in sys.modules, type(scipy.signal).__name__, windows.hann(3).tolist())
module = scipy.signal
defer_scipy_signal()
print(sys.modules["scipy.signal"] is module)
"""


def test_lightning_is_imported_without_it_and_its_first_use_finds_all_of_it() -> None:
    done = subprocess.run([sys.executable, "-c", _PROGRAM], capture_output=True, text=True, check=False)
    assert done.stdout.splitlines() == [
        "False",
        "[1, 5, 6] [0.08, 1.0, 0.08]",
        "True module [0.0, 1.0, 0.0]",
        "True",
    ], done.stderr
