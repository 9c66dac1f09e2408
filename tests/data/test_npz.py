import io
import re
import warnings
import zipfile

import numpy as np
import pytest

from reparam_suite.data import Arrays, DataError, npz

GREY = np.random.default_rng(11).integers(0, 256, (40, 5, 2)).astype(np.uint8)
X = np.random.default_rng(2).normal(size=(40, 3))


def member(array=X) -> bytes:
    content = io.BytesIO()
    np.lib.format.write_array(content, array)
    return content.getvalue()


def claim(shape, content=b"1" * 100) -> bytes:
    """A member whose header claims another shape than it holds."""
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(header, {"descr": "<f8", "fortran_order": False, "shape": shape})
    return header.getvalue() + content


@pytest.fixture
def write(tmp_path):
    def write_members(*members: tuple[str, bytes], compression=zipfile.ZIP_STORED):
        path = tmp_path / "mine.npz"
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # a name twice
            with zipfile.ZipFile(path, "w", compression) as file:
                for name, content in members:
                    file.writestr(name, content)
        return path

    return write_members


def loaded(path) -> Arrays:
    module = Arrays(path=path)
    module.setup()
    return module


def refused(path, message):
    with pytest.raises(DataError, match=re.escape(f"{path}: {message}")) as error:
        Arrays(path=path).setup()
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("names", [("x_train.npy", "x_train"), ("x_train.npy", "x_train.npy.npy")])
def test_two_arrays_of_one_name_are_refused(write, names):
    refused(write(*((name, member()) for name in names)), f"expected one array x_train, got 2: {', '.join(names)}")


def test_one_member_twice_is_refused(write):
    refused(write(("x_train.npy", member()), ("x_train.npy", member(X + 1))), "expected one array x_train, got 2")


def test_a_member_without_suffix_is_no_array(write):
    refused(write(("x_train", member())), "expected a member x_train.npy, got x_train")


@pytest.mark.parametrize("compression", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
@pytest.mark.parametrize(
    ("shape", "claimed"),
    [((10**12, 8), "58.21 TiB"), ((10**30, 8), "5.551e+13 EiB"), ((10**6, 8), "61.04 MiB")],
)
def test_a_header_that_claims_more_than_the_file_can_hold_is_refused(write, shape, claimed, compression):
    path = write(("x_train.npy", claim(shape)), compression=compression)
    with pytest.raises(DataError, match=re.escape(f"got a header of float64 {shape}, {claimed}")):
        Arrays(path=path)  # from the header alone: nothing is allocated


def test_an_array_larger_than_the_memory_is_refused(write, monkeypatch):
    monkeypatch.setattr(npz.os, "sysconf", lambda name: {"SC_PHYS_PAGES": 4, "SC_PAGE_SIZE": 100}[name])
    refused(write(("x_train.npy", member())), "x_train: expected at most 400 B, the machine's memory, got 960 B")


@pytest.mark.parametrize("shape", [(-1, 8), (True, 8)])
def test_what_is_no_shape_is_refused(write, shape):
    refused(write(("x_train.npy", claim(shape))), f"x_train: expected a shape, got {shape}")


def test_a_header_that_claims_a_little_more_is_refused_when_the_rows_are_read(write):
    path = write(("x_train.npy", claim((100, 8))))
    with pytest.raises(DataError, match=f"{path} cannot be read as an .npz file"):
        Arrays(path=path).setup()


def test_zeros_that_compress_well_are_read(tmp_path):
    path = tmp_path / "zeros.npz"
    np.savez_compressed(path, x_train=np.zeros((20_000, 100)))
    assert path.stat().st_size < 20_000 * 100 * 8 / 900
    assert npz.arrays(path, ["x_train"])["x_train"].shape == (20_000, 100)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, ": expected an .npz file, got a path that does not exist"),
        (b"", "cannot be read as an .npz file"),
        (b"x_train,x_test\n1,2\n", "cannot be read as an .npz file"),
        (b"\x93NUMPY\x01\x00", "cannot be read as an .npz file"),
    ],
    ids=["absent", "empty", "text", "npy"],
)
def test_what_is_no_npz_file_is_refused(tmp_path, content, message):
    path = tmp_path / "mine.npz"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(DataError, match=f"{path}:? {message.removeprefix(': ')}"):
        Arrays(path=path)


def test_a_directory_is_refused(tmp_path):
    with pytest.raises(DataError, match=f"{tmp_path} cannot be read as an .npz file"):
        Arrays(path=tmp_path)


@pytest.mark.parametrize("compressed", [False, True])
def test_a_damaged_file_is_never_taken_for_another(tmp_path, compressed):
    path = tmp_path / "mine.npz"
    (np.savez_compressed if compressed else np.savez)(path, x_train=GREY, x_valid=GREY, x_test=GREY)
    whole = path.read_bytes()
    digest = loaded(path).digest
    refusals = []
    for cut in range(0, len(whole), 37):
        path.write_bytes(whole[:cut])
        with pytest.raises(DataError, match=str(path)):
            loaded(path)
    path.write_bytes(whole)
    with zipfile.ZipFile(path) as file:
        end = file.start_dir  # zipfile does not check the directory that follows, only that names agree with it
    for place in range(0, end, 3):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 0x55]) + whole[place + 1 :])
        try:
            # Some bytes of a zip file, such as dates, mean nothing to us.
            assert loaded(path).digest == digest
        except DataError as error:
            refusals.append(str(error))
    assert len(refusals) > 100
    assert all(str(path) in refusal for refusal in refusals)
