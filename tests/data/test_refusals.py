"""Files that cannot be used, as the command tells of them: one line with the file's name, and nothing is created."""

import numpy as np
import pyarrow as pa
import pytest
from PIL import Image
from pyarrow.parquet import write_table
from tests.launching import fit


@pytest.fixture
def files(tmp_path):
    (tmp_path / "images").mkdir()
    for number in range(12):
        alpha = "A" if number == 3 else ""
        Image.new(f"RGB{alpha}", (4, 4)).save(tmp_path / "images" / f"{number:02}.png")
    write_table(pa.table({"a": np.arange(20.0)}), tmp_path / "x.parquet")
    np.savez(tmp_path / "labels.npz", y_train=np.arange(20))
    return tmp_path


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ("ImageFolder --data.path {}/images", "got 1 of 12 that cannot: 03.png: expected no alpha channel, got RGBA"),
        ("Arrays --data.path {}/x.parquet --data.columns [b]", "x.parquet: columns: expected b, got a file of a"),
        (
            "Arrays --data.path {}/labels.npz",
            "labels.npz: expected x_train and, if you like, x_valid and x_test, got",
        ),
        ("StreamedArrays --data.train {}/x.npy", "x.npy: expected an .npy file, got a path that does not exist"),
    ],
    ids=["alpha", "column", "labels only", "missing"],
)
def test_a_file_that_cannot_be_used_ends_the_command_before_anything_is_created(options, message, files):
    ended = fit("--data", *options.format(files).split(), root=files / "mlruns")
    assert ended.code == 2
    (line,) = ended.err.splitlines()
    assert message in line
    assert not (files / "mlruns").exists()
