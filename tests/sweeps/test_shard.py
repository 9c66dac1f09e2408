import pytest

from reparam_suite.sweeps.grid import Grid
from reparam_suite.sweeps.shard import Shard


def test_the_parts_are_the_whole_and_none_is_larger_by_more_than_one():
    cells = Grid({"a": range(5)}).with_seeds([0, 1])
    shares = [Shard.of(f"{index}/3").share(cells) for index in (1, 2, 3)]
    assert [len(share) for share in shares] == [4, 3, 3]
    assert {cell.key for share in shares for cell in share} == {cell.key for cell in cells}


@pytest.mark.parametrize("text", ["0/3", "4/3", "1", "a/b", "1/0", "-1/3"])
def test_what_is_no_part_is_refused(text):
    with pytest.raises(ValueError, match="shard: expected I/N with I from 1 to N, got "):
        Shard.of(text)
