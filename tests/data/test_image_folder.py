"""A folder of images, flat or with folders in it: pixels, splits, and every file that cannot be used by name."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from tests.data.test_image_files import FAULTS, image

from reparam_suite.data import DataError, ImageFolder


def flat(folder: Path, number: int = 20, **options) -> list[np.ndarray]:
    return [image(folder / f"{index:02}.png", **options) for index in range(number)]


def rows_of(data: ImageFolder, split: str) -> np.ndarray:
    return np.rint(torch.cat(list(data.undivided(split))).numpy() * 255).astype(np.uint8)


def test_a_flat_folder_is_split_by_names(tmp_path):
    pixels = np.stack(flat(tmp_path)).transpose(0, 3, 1, 2)
    (tmp_path / "notes.txt").write_text("no image")
    image(tmp_path / ".thumbnails/x.png", size=(1, 1))
    data = ImageFolder(path=tmp_path, batch_size=7, num_workers=2)
    assert (data.kind, data.event_shape, data.levels) == ("colour", (3, 4, 6), 255)
    assert data.num_rows == {"train": 16, "valid": 2, "test": 2}
    assert np.array_equal(rows_of(data, "train"), pixels[[index for index in range(20) if index % 10 < 8]])
    assert np.array_equal(rows_of(data, "valid"), pixels[[8, 18]])
    assert np.array_equal(rows_of(data, "test"), pixels[[9, 19]])
    orders = [list(ImageFolder(path=tmp_path, batch_size=7, num_workers=n).train_dataloader()) for n in (0, 3)]
    assert all(torch.equal(one, other) for one, other in zip(*orders, strict=True))
    assert data.name == f"ImageFolder-{tmp_path.name}"


def test_folders_of_classes_are_read_and_train_valid_and_test_are_splits(tmp_path):
    given = {"train": 12, "val": 3, "test": 2}
    for split, number in given.items():
        for index in range(number):
            image(tmp_path / split / f"class{index % 2}" / f"{index}.jpg", size=(8, 8))
    data = ImageFolder(path=tmp_path)
    assert data.num_rows == {"train": 12, "valid": 3, "test": 2}
    assert ImageFolder(path=tmp_path / "train").num_rows == {"train": 10, "valid": 1, "test": 1}


def test_grey_images_have_one_channel_and_are_not_binarized(tmp_path):
    pixels = np.stack(flat(tmp_path, mode="L"))[:, None]
    data = ImageFolder(path=tmp_path, kind="grey")
    assert (data.kind, data.event_shape) == ("grey", (1, 4, 6))
    assert np.array_equal(rows_of(data, "valid"), pixels[[8, 18]])
    assert np.array_equal(rows_of(ImageFolder(path=tmp_path), "valid"), np.repeat(pixels[[8, 18]], 3, 1))


@pytest.mark.parametrize(("greatest", "told"), [(1, True), (16, True), (200, False)])
def test_images_that_are_nearly_black_are_said(tmp_path, caplog, greatest, told):
    for index in range(20):
        levels = np.linspace(0, greatest, 24).astype(np.uint8).reshape(4, 6)
        Image.fromarray(levels).save(tmp_path / f"{index:02}.png")
    assert ImageFolder(path=tmp_path, kind="grey").num_rows["train"] == 16
    message = (
        f"{tmp_path}: expected intensities that reach 128 to 255, got at most {greatest} in 16 images, which are "
        "trained on as nearly black ones"
    )
    assert [record.getMessage() for record in caplog.records] == [message] * told


def test_images_are_scaled_and_cut_in_the_middle(tmp_path):
    tall, wide = np.zeros((40, 20, 3), np.uint8), np.zeros((20, 40, 3), np.uint8)
    tall[10:30], wide[:, 10:30] = 200, 200
    for index in range(10):
        Image.fromarray(tall if index % 2 else wide).save(tmp_path / f"{index}.png")
    cut = rows_of(ImageFolder(path=tmp_path, size=10), "train")
    assert cut.shape == (8, 3, 10, 10)
    assert (cut[..., 1:-1, 1:-1] > 190).all()
    squeezed = rows_of(ImageFolder(path=tmp_path, size=(10, 20), crop="none"), "train")
    assert squeezed.shape == (8, 3, 10, 20)
    assert (squeezed[1, :, 0] < 20).all()


def test_files_that_cannot_be_used_are_listed_by_name(tmp_path):
    flat(tmp_path)
    for name, (make, _) in FAULTS.items():
        make(tmp_path / name)
    data = ImageFolder(path=tmp_path)
    with pytest.raises(DataError) as refused:
        data.setup()
    message = str(refused.value)
    assert message.startswith(f"{tmp_path}: expected images that can be used, got 8 of 28 that cannot: ")
    assert message.endswith("; and 3 more")
    for name in sorted(FAULTS)[:5]:
        assert f"{name}: {FAULTS[name][1]}" in message


def test_sizes_that_differ_are_refused_unless_one_is_stated(tmp_path):
    flat(tmp_path, 10)
    image(tmp_path / "odd.png", size=(5, 5))
    with pytest.raises(DataError, match=r"one size, got 10 of 4 x 6 and odd\.png of 5 x 5: state the `size`"):
        ImageFolder(path=tmp_path).setup()
    assert ImageFolder(path=tmp_path, size=4).event_shape == (3, 4, 4)


def test_too_few_images_and_no_folder_are_refused(tmp_path):
    with pytest.raises(DataError, match="to take validation and test images from, got none; or folders train, valid"):
        ImageFolder(path=tmp_path).setup()
    image(tmp_path / "one.png")
    with pytest.raises(DataError, match=r"expected at least 10 images .*, got 1; or folders train, valid and test"):
        ImageFolder(path=tmp_path).setup()
    with pytest.raises(DataError, match="nowhere: expected a folder of images, got a path that does not exist"):
        ImageFolder(path=tmp_path / "nowhere").setup()
    with pytest.raises(DataError, match=r"one\.png: expected a folder of images, got a file"):
        ImageFolder(path=tmp_path / "one.png").setup()
    (tmp_path / "train").mkdir()
    with pytest.raises(DataError, match="train: expected images, got none"):
        ImageFolder(path=tmp_path).setup()


def test_a_file_that_is_lost_or_changed_while_it_is_used_is_named(tmp_path):
    flat(tmp_path, 10)
    data = ImageFolder(path=tmp_path)
    data.setup()
    (tmp_path / "03.png").write_bytes(b"something else")
    with pytest.raises(DataError, match=r"03\.png: it cannot be read as an image: unknown format"):
        list(data.train_dataloader())
    damaged = bytearray((tmp_path / "04.png").read_bytes())
    damaged[len(damaged) // 2] ^= 0xFF  # among the pixels, between a header and an end that are as they should be
    (tmp_path / "03.png").write_bytes(damaged)
    found = ImageFolder(path=tmp_path)
    with pytest.raises(DataError, match=r"03\.png: it cannot be read as an image: broken data stream"):
        _ = found.train_mean


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"size": 0}, "size: expected an integer of at least 1, got 0"),
        ({"size": (8, 8, 8)}, "size: expected one number, or height and width, got (8, 8, 8)"),
        ({"crop": "random"}, 'crop: expected "centre" or "none", got \'random\''),
        ({"kind": "binary"}, 'kind: expected "colour" or "grey", got \'binary\''),
        ({"num_workers": -1}, "num_workers: expected an integer of at least 0, got -1"),
    ],
)
def test_options_out_of_range_are_refused(options, message, tmp_path):
    with pytest.raises(ValueError) as refused:  # noqa: PT011 - the whole message is compared
        ImageFolder(path=tmp_path, **options)
    assert str(refused.value) == message


def test_a_camera_that_was_held_sideways_is_turned(tmp_path):
    upright = np.zeros((6, 4, 3), np.uint8)
    upright[:3] = 255
    for index in range(10):
        exif = Image.Exif()
        exif[0x0112] = 6  # a quarter turn to the right makes it upright
        turned = np.rot90(upright) if index % 2 else upright
        Image.fromarray(turned).save(tmp_path / f"{index}.png", **({"exif": exif} if index % 2 else {}))
    rows = rows_of(ImageFolder(path=tmp_path), "train")
    assert rows.shape == (8, 3, 6, 4)
    assert (rows == upright.transpose(2, 0, 1)).all()
