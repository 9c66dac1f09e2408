import gzip
import re
import socket
from dataclasses import replace

import numpy as np
import pytest
from tests.data.server import RNG, idx, md5, offer, same

from reparam_suite.data import MNIST, DataError
from reparam_suite.data.remote import RemoteFile


@pytest.fixture
def mnist(server, monkeypatch):
    """The arrays of a small MNIST that our server offers."""
    shapes = {"x_train": (6, 28, 28), "y_train": (6,), "x_test": (4, 28, 28), "y_test": (4,)}
    arrays = {key: RNG.integers(0, 256, shape).astype(np.uint8) for key, shape in shapes.items()}
    offer(MNIST, server, monkeypatch, [idx(array) for array in arrays.values()], shapes, wrap=gzip.compress)
    return arrays


def refused(root, *parts):
    """The download fails with a message that has all the parts, and leaves nothing behind."""
    with pytest.raises(DataError, match=re.escape(str(root / "mnist.npz"))) as error:
        MNIST(root=root).prepare_data()
    for part in parts:
        assert part in str(error.value)
    assert list(root.iterdir()) == []


def test_the_official_files_become_one_npz(server, mnist, tmp_path, capsys):
    root = tmp_path / "new" / "data"
    module = MNIST(root=root)
    module.prepare_data()
    assert [path.name for path in root.iterdir()] == ["mnist.npz"]
    assert same(MNIST.archive.read(root), mnist)
    with np.load(root / "mnist.npz", allow_pickle=False) as file:
        assert same(dict(file), mnist)
    out, err = capsys.readouterr()
    assert out == ""
    assert err == f"Downloading 4 files for {root / 'mnist.npz'}\n"


def test_a_file_that_is_there_is_not_downloaded(server, mnist, tmp_path, capsys):
    module = MNIST(root=tmp_path)
    module.prepare_data()
    asked = len(server.asked)
    assert asked == 4
    module.prepare_data()
    assert len(server.asked) == asked
    assert capsys.readouterr().err.count("\n") == 1


def test_a_server_may_leave_decompression_to_the_client(server, mnist, tmp_path):
    server.headers["Content-Encoding"] = "gzip"
    MNIST(root=tmp_path).prepare_data()
    assert same(MNIST.archive.read(tmp_path), mnist)


def test_a_wrong_checksum_is_refused(server, mnist, tmp_path):
    wrong = idx(mnist["x_train"] ^ 1)
    server.files["train-images-idx3-ubyte.gz"] = gzip.compress(wrong)
    expected = MNIST.archive.remotes[0].md5
    refused(tmp_path, f"{server.base}train-images-idx3-ubyte.gz: expected the MD5 {expected}, got {md5(wrong)}")


def test_a_wrong_checksum_of_the_last_file_leaves_nothing(server, mnist, tmp_path):
    server.files["t10k-labels-idx1-ubyte.gz"] = b"other"
    refused(tmp_path, f"{server.base}t10k-labels-idx1-ubyte.gz: expected the MD5")


def test_a_cut_off_transfer_is_refused(server, mnist, tmp_path):
    server.cut.add("t10k-images-idx3-ubyte.gz")
    refused(
        tmp_path, "t10k-images-idx3-ubyte.gz could not be downloaded", f"{server.base}t10k-images", "IncompleteRead"
    )


def test_half_a_gzip_file_is_refused(server, mnist, tmp_path):
    name = "t10k-images-idx3-ubyte.gz"
    server.files[name] = server.files[name][:-20]
    refused(tmp_path, f"{server.base}{name}: Compressed file ended before")


def test_a_file_that_the_server_lacks_is_named(server, mnist, tmp_path):
    del server.files["train-labels-idx1-ubyte.gz"]
    refused(tmp_path, f"{server.base}train-labels-idx1-ubyte.gz: 404")


def test_a_server_that_does_not_answer_is_given_up(server, mnist, tmp_path, monkeypatch):
    archive = MNIST.archive
    remotes = tuple(replace(remote, timeout=0.5) for remote in archive.remotes)
    monkeypatch.setattr(MNIST, "archive", replace(archive, remotes=remotes))
    server.silent.add("train-images-idx3-ubyte.gz")
    refused(tmp_path, f"{server.base}train-images-idx3-ubyte.gz: ", "timed out")


def unused_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


def test_the_next_place_is_asked_where_one_fails(server, monkeypatch):
    content = b"images"
    server.files["good/f"] = gzip.compress(content)
    server.files["wrong/f"] = b"others"
    nobody = f"http://127.0.0.1:{unused_port()}/"
    bases = (nobody, f"{server.base}wrong/", f"{server.base}good/")
    assert RemoteFile("f", bases, md5(content), timeout=300).fetch() == content
    with pytest.raises(DataError, match="f could not be downloaded") as error:
        RemoteFile("f", bases[:2], md5(content), timeout=300).fetch()
    assert f"{nobody}f: " in str(error.value)
    assert f"{server.base}wrong/f: expected the MD5" in str(error.value)


def test_a_root_that_cannot_be_made_is_refused(server, mnist, tmp_path):
    (tmp_path / "file").write_text("")
    root = tmp_path / "file" / "data"
    with pytest.raises(DataError, match=f"{root}/mnist.npz is missing and cannot be written: .*Not a directory"):
        MNIST(root=root).prepare_data()
    assert server.asked == []


def test_a_full_disk_leaves_nothing(server, mnist, tmp_path, monkeypatch):
    def fill(file, **arrays):
        file.write(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(np, "savez_compressed", fill)
    refused(tmp_path, "cannot be written", "No space left on device")


def test_an_interruption_leaves_nothing(server, mnist, tmp_path, monkeypatch):
    def interrupt(*arguments):
        raise KeyboardInterrupt

    monkeypatch.setattr(RemoteFile, "fetch", interrupt)
    with pytest.raises(KeyboardInterrupt):
        MNIST(root=tmp_path).prepare_data()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"x_test": None}, "got no x_test. Delete"),
        ({"x_test": None, "x_train": None}, "got no x_test and no x_train. Delete"),
        ({"x_train": np.zeros((6, 28, 28))}, "x_train: expected uint8 (6, 28, 28), got float64 (6, 28, 28). Delete"),
        ({"x_train": np.zeros((5, 784), np.uint8)}, "x_train: expected uint8 (6, 28, 28), got uint8 (5, 784)"),
        ({"x_train": np.array([None])}, "cannot be read as an .npz file: Object arrays cannot be loaded"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_file_of_other_content_is_refused(mnist, tmp_path, changes, message):
    path = tmp_path / "mnist.npz"
    np.savez(path, **{key: array for key, array in (mnist | changes).items() if array is not None})
    with pytest.raises(DataError, match=f"{path}.*Delete {path} to download it afresh") as error:
        MNIST(root=tmp_path).setup()
    assert message in str(error.value)


def test_a_truncated_file_is_refused(mnist, tmp_path):
    path = tmp_path / "mnist.npz"
    np.savez(path, **mnist)
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(DataError, match=f"{path} cannot be read as an .npz file: .*Delete {path} to download"):
        MNIST(root=tmp_path).setup()
