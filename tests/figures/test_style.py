import subprocess
import sys


def test_importing_figures_imports_no_matplotlib():
    check = "import sys, reparam_suite.figures; sys.exit('matplotlib' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", check], check=False).returncode == 0


def test_a_figure_is_written_without_pyplot(tmp_path):
    check = (
        "import sys, torch; from reparam_suite.figures import code_use; "
        "code_use(torch.rand(5, 3)).savefig(sys.argv[1]); sys.exit('matplotlib.pyplot' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", check, str(tmp_path / "code.png")], check=False).returncode == 0
    assert (tmp_path / "code.png").read_bytes().startswith(b"\x89PNG")
