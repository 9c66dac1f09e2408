import io
import subprocess
import sys

import torch

from reparam_suite.figures import code_use

_PROGRAM = """
import sys, torch
from reparam_suite.figures import code_use

print("matplotlib" in sys.modules)
code_use(torch.rand(5, 3)).savefig(sys.argv[1])
print("matplotlib.pyplot" in sys.modules)
"""


def test_importing_figures_imports_no_matplotlib_and_a_figure_is_written_without_pyplot(tmp_path):
    program = [sys.executable, "-c", _PROGRAM, str(tmp_path / "code.png")]
    done = subprocess.run(program, capture_output=True, text=True, check=False)
    assert done.stdout.split() == ["False", "False"], done.stderr
    assert (tmp_path / "code.png").read_bytes().startswith(b"\x89PNG")


def test_a_figure_has_its_place_and_needs_no_layout_when_it_is_saved():
    figure = code_use(torch.rand(5, 3))
    assert figure.get_layout_engine() is None
    (panel, *_) = figure.axes
    before = panel.get_position().bounds
    figure.savefig(io.BytesIO())
    assert panel.get_position().bounds == before
    corners = panel.get_tightbbox().extents / (*figure.bbox.size, *figure.bbox.size)
    assert ((corners >= 0.0) & (corners <= 1.0)).all()
