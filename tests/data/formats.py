"""Small files in the exact formats of the official ones."""

import io
import struct
import tarfile

import numpy as np
from scipy.io import savemat


def pickled_by_python_2(**members: np.ndarray | list[int] | str) -> bytes:
    """A dictionary as Python 2's cPickle wrote it at protocol 2: texts as byte strings, NumPy under its old names."""
    body = b"".join(_text(key) + _value(value) for key, value in members.items())
    return b"\x80\x02}(" + body + b"u."


def _text(text: str) -> bytes:
    return b"U" + bytes([len(text)]) + text.encode()  # SHORT_BINSTRING


def _value(value: np.ndarray | list[int] | str) -> bytes:
    if isinstance(value, str):
        return _text(value)
    if isinstance(value, list):
        return b"](" + b"".join(b"K" + bytes([number]) for number in value) + b"e"
    rebuilt = b"cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\x00\x85U\x01b\x87R"
    shape = b"(" + b"".join(b"J" + struct.pack("<i", size) for size in value.shape) + b"t"
    dtype = b"cnumpy\ndtype\nU\x02u1K\x00K\x01\x87R(K\x03U\x01|NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb"
    content = value.tobytes()
    return rebuilt + b"(K\x01" + shape + dtype + b"\x89T" + struct.pack("<i", len(content)) + content + b"tb"


def cifar10_tar(images: np.ndarray, labels: np.ndarray, *, num_test: int) -> bytes:
    """cifar-10-python.tar.gz of [N, 3, 32, 32] images: five equal batches, then the test batch."""
    rows = images.reshape(len(images), -1)
    parts = [*np.array_split(np.arange(len(rows) - num_test), 5), np.arange(len(rows) - num_test, len(rows))]
    names = [*(f"data_batch_{number}" for number in range(1, 6)), "test_batch"]
    batches = {
        name: pickled_by_python_2(batch_label=name, labels=labels[part].tolist(), data=rows[part])
        for name, part in zip(names, parts, strict=True)
    }
    return tar_gz({f"cifar-10-batches-py/{name}": content for name, content in batches.items()})


def tar_gz(files: dict[str, bytes]) -> bytes:
    """A .tar.gz of files."""
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w:gz") as archive:
        for name, held in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(held)
            archive.addfile(member, io.BytesIO(held))
    return content.getvalue()


def svhn_mat(images: np.ndarray, labels: np.ndarray) -> bytes:
    """train_32x32.mat of [N, 3, 32, 32] images: X [32, 32, 3, N], y [N, 1] with 10 for the digit 0."""
    content = io.BytesIO()
    savemat(content, {"X": images.transpose(2, 3, 1, 0), "y": np.where(labels == 0, 10, labels)[:, None]})
    return content.getvalue()


def official_files(name: str, arrays: dict[str, np.ndarray]) -> list[bytes]:
    """The official files of CIFAR10 or SVHN for x_train, y_train, x_test and y_test."""
    if name == "SVHN":
        return [svhn_mat(arrays[f"x_{split}"], arrays[f"y_{split}"]) for split in ("train", "test")]
    x, y = (np.concatenate([arrays[f"{part}_train"], arrays[f"{part}_test"]]) for part in "xy")
    return [cifar10_tar(x, y, num_test=len(arrays["x_test"]))]
