import re

import pytest

from reparam_suite.data import MNIST, BinarizedMNIST, FashionMNIST, Omniglot


@pytest.mark.parametrize("cls", [MNIST, FashionMNIST, Omniglot, BinarizedMNIST], ids=lambda cls: cls.__name__)
def test_every_official_file_has_a_place_and_a_checksum(cls):
    for remote in cls.archive.remotes:
        assert re.fullmatch("[0-9a-f]{32}", remote.md5)
        assert remote.bases
        assert all(re.fullmatch("https?://.*/", base) for base in remote.bases)
