import dataclasses
import gzip
import hashlib
import io
import re
import socket
import struct
import threading
import zipfile
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import pytest
from PIL import Image

from reparam_suite.data import MNIST, BinarizedMNIST, DataError, FashionMNIST, Omniglot
from reparam_suite.data.remote import RemoteFile

RNG = np.random.default_rng(5)


def md5(content: bytes) -> str:
    return hashlib.md5(content).hexdigest()


class Server:
    """Serves `files`; of those in `cut` it sends less than it announced, to those in `silent` it gives no answer."""

    def __init__(self):
        self.files: dict[str, bytes] = {}
        self.headers: dict[str, str] = {}
        self.cut: set[str] = set()
        self.silent: set[str] = set()
        self.asked: list[str] = []
        self.released = threading.Event()
        server = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                name = self.path.strip("/")
                server.asked.append(name)
                if name in server.silent:
                    server.released.wait(20)
                    return
                if name not in server.files:
                    self.send_error(404)
                    return
                content = server.files[name]
                self.send_response(200)
                self.send_header("Content-Length", str(len(content)))
                for key, value in server.headers.items():
                    self.send_header(key, value)
                self.end_headers()
                self.wfile.write(content[: len(content) // 2] if name in server.cut else content)

            def log_message(self, *arguments):
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,))
        self._thread.start()
        self.base = f"http://127.0.0.1:{self._server.server_port}/"

    def close(self):
        self.released.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


@pytest.fixture
def server(monkeypatch):
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    server = Server()
    yield server
    server.close()


def idx(array):
    return struct.pack(f">HBB{array.ndim}I", 0, 8, array.ndim, *array.shape) + array.tobytes()


def offer(cls, server, monkeypatch, contents, shapes, wrap=bytes):
    """Let the class find its official files on our server, small as they are."""
    remotes = []
    for remote, content in zip(cls.archive.remotes, contents, strict=True):
        server.files[remote.name] = wrap(content)
        remotes.append(dataclasses.replace(remote, bases=(server.base,), md5=md5(content), timeout=0.5))
    monkeypatch.setattr(cls, "archive", dataclasses.replace(cls.archive, remotes=tuple(remotes), shapes=shapes))


@pytest.fixture
def mnist(server, monkeypatch):
    """The arrays of a small MNIST that our server offers."""
    shapes = {"x_train": (6, 28, 28), "y_train": (6,), "x_test": (4, 28, 28), "y_test": (4,)}
    arrays = {key: RNG.integers(0, 256, shape).astype(np.uint8) for key, shape in shapes.items()}
    offer(MNIST, server, monkeypatch, [idx(array) for array in arrays.values()], shapes, wrap=gzip.compress)
    return arrays


def same(left, right):
    return left.keys() == right.keys() and all(np.array_equal(left[key], right[key]) for key in left)


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


def test_a_server_that_does_not_answer_is_given_up(server, mnist, tmp_path):
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
    assert RemoteFile("f", bases, md5(content), timeout=2).fetch() == content
    with pytest.raises(DataError, match="f could not be downloaded") as error:
        RemoteFile("f", bases[:2], md5(content), timeout=2).fetch()
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
        ({"x_test": None}, "has no x_test. Delete"),
        ({"x_test": None, "x_train": None}, "has no x_test and no x_train. Delete"),
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


def test_binarized_mnist_is_read_from_its_text(server, monkeypatch, tmp_path):
    shapes = {"x_train": (6, 28, 28), "x_valid": (3, 28, 28), "x_test": (2, 28, 28)}
    arrays = {key: RNG.integers(0, 2, shape).astype(np.uint8) for key, shape in shapes.items()}
    texts = ["".join(" ".join(map(str, row)) + "\n" for row in x.reshape(-1, 784).tolist()) for x in arrays.values()]
    offer(BinarizedMNIST, server, monkeypatch, [text.encode() for text in texts], shapes)
    module = BinarizedMNIST(root=tmp_path, batch_size=6)
    module.prepare_data()
    module.setup()
    assert same(BinarizedMNIST.archive.read(tmp_path), arrays)
    (x,) = module.train_dataloader()
    assert sorted(x.tolist()) == sorted(arrays["x_train"].reshape(6, 784).tolist())


def test_binarized_mnist_of_grey_values_is_refused(server, monkeypatch, tmp_path):
    shapes = {"x_train": (1, 28, 28), "x_valid": (1, 28, 28), "x_test": (1, 28, 28)}
    offer(BinarizedMNIST, server, monkeypatch, [b"", b"", b""], shapes)
    np.savez(tmp_path / BinarizedMNIST.archive.file, **{key: np.full((1, 28, 28), 7, np.uint8) for key in shapes})
    with pytest.raises(DataError, match=r"larochelle\.npz: x_train: expected 0 and 1, got values up to 7"):
        BinarizedMNIST(root=tmp_path).setup()


def test_fashion_mnist_is_read_as_mnist_is(server, monkeypatch, tmp_path):
    shapes = {"x_train": (6, 28, 28), "y_train": (6,), "x_test": (4, 28, 28), "y_test": (4,)}
    arrays = {key: RNG.integers(0, 256, shape).astype(np.uint8) for key, shape in shapes.items()}
    offer(FashionMNIST, server, monkeypatch, [idx(array) for array in arrays.values()], shapes, wrap=gzip.compress)
    FashionMNIST(root=tmp_path).prepare_data()
    assert same(FashionMNIST.archive.read(tmp_path), arrays)


def pictures(folder: str, black: dict[str, tuple[slice, slice]]) -> bytes:
    """A zip of pictures as Omniglot's: one bit a pixel, paper white, ink black in the named part."""
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        archive.writestr(f"{folder}/", b"")
        archive.writestr(f"__MACOSX/{folder}/._0001_01.png", b"rubbish")
        for name, part in black.items():
            paper = np.ones((105, 105), bool)
            paper[part] = False
            png = io.BytesIO()
            Image.fromarray(paper).save(png, "png")
            archive.writestr(f"{folder}/{name}.png", png.getvalue())
    return content.getvalue()


def test_omniglot_is_read_from_its_pictures(server, monkeypatch, tmp_path):
    everywhere, top, left = (slice(None), slice(None)), (slice(0, 15), slice(None)), (slice(None), slice(0, 15))
    background = pictures(
        "images_background",
        {"Zulu/character01/0002_16": left, "Zulu/character01/0002_15": top, "Aleph/character02/0001_01": everywhere},
    )
    evaluation = pictures("images_evaluation", {"A/character01/0003_20": top, "A/character01/0003_02": left})
    shapes = {"x_train": (3, 28, 28), "x_test": (2, 28, 28)}
    offer(Omniglot, server, monkeypatch, [background, evaluation], shapes)
    Omniglot(root=tmp_path).prepare_data()
    arrays = Omniglot.archive.read(tmp_path)
    # 15 of 105 pixels are 4 of 28, with no remainder.
    inked = {part: np.zeros((28, 28), np.uint8) for part in ("everywhere", "top", "left")}
    inked["everywhere"][:], inked["top"][:4], inked["left"][:, :4] = 255, 255, 255
    assert np.array_equal(arrays["x_train"], [inked["everywhere"], inked["top"], inked["left"]])
    assert np.array_equal(arrays["x_test"], [inked["left"], inked["top"]])


@pytest.mark.parametrize("cls", [MNIST, FashionMNIST, Omniglot, BinarizedMNIST], ids=lambda cls: cls.__name__)
def test_every_official_file_has_a_place_and_a_checksum(cls):
    for remote in cls.archive.remotes:
        assert re.fullmatch("[0-9a-f]{32}", remote.md5)
        assert remote.bases
        assert all(re.fullmatch("https?://.*/", base) for base in remote.bases)
