"""Files that cannot be used, as the command tells of them: one line with the file's name, and nothing is created."""

import numpy as np
import pyarrow as pa
import pytest
from PIL import Image
from pyarrow.parquet import write_table
from tests.launching import fit


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    root = tmp_path_factory.mktemp("files")
    for folder in ("alpha", "sizes", "cut"):
        (root / folder).mkdir()
        for number in range(11):
            Image.new("RGB", (4, 4)).save(root / folder / f"{number:02}.png")
    Image.new("RGBA", (4, 4)).save(root / "alpha/03.png")
    Image.new("I;16", (4, 4)).save(root / "alpha/07.png")
    Image.new("RGB", (5, 4)).save(root / "sizes/03.png")
    (root / "cut/03.png").write_bytes((root / "cut/03.png").read_bytes()[:-9])
    (root / "one").mkdir()
    Image.new("RGB", (4, 4)).save(root / "one/00.png")
    write_table(pa.table({"a": np.arange(20.0)}), root / "x.parquet")
    np.savez(root / "labels.npz", y_train=np.arange(20))
    return root


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            "ImageFolder --data.path {}/alpha",
            "got 2 of 11 that cannot: 03.png: expected no alpha channel, got RGBA; 07.png: expected 8 bits a channel",
        ),
        (
            "ImageFolder --data.path {}/sizes",
            "images of one size, got 10 of 4 x 4 and 03.png of 4 x 5: state the `size`",
        ),
        ("ImageFolder --data.path {}/cut", "got 1 of 11 that cannot: 03.png: it is cut off"),
        (
            "ImageFolder --data.path {}/one",
            "one: expected at least 10 images to take validation and test images from, got 1",
        ),
        ("Arrays --data.path {}/x.parquet --data.columns [b]", "x.parquet: columns: expected b, got a file of a"),
        (
            "Arrays --data.path {}/labels.npz",
            "labels.npz: expected x_train and, if you like, x_valid and x_test, got",
        ),
        ("StreamedArrays --data.train {}/x.npy", "x.npy: expected an .npy file, got a path that does not exist"),
    ],
    ids=["alpha and 16 bits", "sizes", "cut off", "one image", "column", "labels only", "missing"],
)
def test_a_file_that_cannot_be_used_ends_the_command_before_anything_is_created(options, message, files):
    ended = fit("--data", *options.format(files).split(), root=files / "mlruns")
    assert ended.code == 2
    (line,) = ended.err.splitlines()
    assert message in line
    assert not (files / "mlruns").exists()
