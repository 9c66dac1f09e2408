import itertools

import pytest
import torch
from tests.statistics import LIMIT
from torch import Tensor

from reparam_suite.data import DataError
from reparam_suite.data.batches import EvaluationBatches, TrainBatches, binarize, keyed_generator


def batches(x: Tensor, **changes) -> TrainBatches:
    return TrainBatches(x, **{"levels": 16, "batch_size": 5, "seed": 0} | changes)


def epochs(loader: TrainBatches, number: int) -> list[list[Tensor]]:
    return [list(loader) for _ in range(number)]


def same(left: list[Tensor], right: list[Tensor]) -> bool:
    return len(left) == len(right) and all(map(torch.equal, left, right))


@pytest.mark.parametrize("levels", [1, 16, 255])
def test_binarize_draws_each_intensity_with_its_exact_probability(levels):
    num_draws = 40_000
    intensity = torch.arange(levels + 1, dtype=torch.uint8)
    generator = keyed_generator(7, levels)
    x = binarize(intensity.expand(num_draws, -1), levels=levels, generator=generator)

    assert x.dtype == torch.uint8
    assert set(x.unique().tolist()) == {0, 1}
    mean, p = x.double().mean(0), intensity.double() / levels
    assert mean[0] == 0
    assert mean[-1] == 1
    inner, p = mean[1:-1], p[1:-1]
    standard_error = (p * (1 - p) / num_draws).sqrt()
    assert ((inner - p) / standard_error).abs().lt(LIMIT).all()
    if levels > 1:
        assert ((inner - 1.03 * p) / standard_error).abs().max() > LIMIT, "an error of 3 % must be seen"


def test_binarize_draws_pixels_independently():
    half = torch.full((40_000, 2), 8, dtype=torch.uint8)
    x = binarize(half, levels=16, generator=keyed_generator(1)).double()
    agreement = (x[:, 0] == x[:, 1]).double().mean()
    assert (agreement - 0.5).abs() / (0.25 / 40_000) ** 0.5 < LIMIT


def test_an_epoch_holds_every_row_once_in_an_order_of_its_own(grey):
    orders = [torch.cat(epoch) for epoch in epochs(batches(grey, levels=None), 3)]
    for order in orders:
        assert sorted(order.tolist()) == sorted(grey.float().tolist())
    for one, other in itertools.combinations([grey.float(), *orders], 2):
        assert not torch.equal(one, other)


def test_batches_are_float32_of_the_stated_size_and_the_last_is_kept(grey):
    loader = batches(grey)
    epoch = list(loader)
    assert [tuple(x.shape) for x in epoch] == [(5, 5)] * 4 + [(3, 5)]
    assert {x.dtype for x in epoch} == {torch.float32}
    assert len(loader) == len(epoch)


def test_order_and_binarization_depend_on_seed_and_epoch_alone(grey):
    first = epochs(batches(grey), 3)
    again = epochs(batches(grey), 3)
    other = epochs(batches(grey, seed=1), 3)
    assert all(map(same, first, again))
    assert not any(map(same, first, other))

    late = batches(grey)
    late.load_state_dict({"epoch": 2, "batch": 0})
    assert same(list(late), first[2])


def test_binarization_is_redrawn_each_epoch():
    # One row has one order only: what differs between epochs is the binarization.
    x = torch.full((1, 402), 8, dtype=torch.uint8)
    x[0, 0], x[0, 1] = 0, 16
    one, other = (torch.cat(epoch)[0] for epoch in epochs(batches(x), 2))
    assert one[:2].tolist() == other[:2].tolist() == [0, 1]
    changed = (one[2:] != other[2:]).double().mean()
    assert (changed - 0.5).abs() / (0.25 / 400) ** 0.5 < LIMIT


@pytest.mark.parametrize("taken", range(13))
def test_a_loaded_state_yields_exactly_what_remained(grey, taken):
    whole = list(itertools.chain(*epochs(batches(grey), 3)))  # 5 batches an epoch

    stopped = batches(grey)
    for _ in itertools.islice(itertools.chain.from_iterable(itertools.repeat(stopped)), taken):
        pass
    state = stopped.state_dict()
    assert state == {"epoch": taken // 5, "batch": taken % 5}

    resumed = batches(grey)
    resumed.load_state_dict(state)
    rest = list(resumed)
    assert len(rest) == 5 - taken % 5
    while len(rest) < 15 - taken:
        rest += list(resumed)
    assert same(rest, whole[taken:])


def test_iterators_that_are_never_used_change_nothing(grey):
    loader = batches(grey)
    for _ in range(3):
        iter(loader)
    assert loader.state_dict() == {"epoch": 0, "batch": 0}
    assert same(list(loader), list(batches(grey)))


def test_an_epoch_cut_short_is_followed_by_the_next(grey):
    cut = batches(grey, epoch_length=2)
    assert len(cut) == 5
    whole = epochs(batches(grey), 3)
    assert all(same(list(cut), epoch[:2]) for epoch in whole)


@pytest.mark.parametrize("world_size", [2, 3])
def test_processes_share_each_global_batch_without_overlap_or_loss(grey, world_size):
    whole = list(batches(grey))
    ranks = [list(batches(grey, rank=rank, world_size=world_size)) for rank in range(world_size)]
    for batch, *parts in zip(whole, *ranks, strict=True):
        woven = torch.empty_like(batch)
        for rank, part in enumerate(parts):
            woven[rank::world_size] = part
        assert torch.equal(woven, batch)


def test_a_batch_too_small_for_the_processes_is_refused(grey):
    with pytest.raises(
        DataError,
        match="batch_size 5: expected batches of at least 4 rows, one per process, got a last batch of 3 of the 23",
    ):
        batches(grey, world_size=4)
    with pytest.raises(DataError, match="rows to evaluate on: expected at least 2, one per process, got 1"):
        EvaluationBatches(grey[:1], world_size=2)


def test_a_position_beyond_the_epoch_is_refused(grey):
    with pytest.raises(DataError, match="saved position: expected a batch below 5, the batches of an epoch, got 5"):
        batches(grey).load_state_dict({"epoch": 1, "batch": 5})


@pytest.mark.parametrize("num_rows", [1, 499, 500, 501, 1_234])
def test_evaluation_batches_keep_order_and_share_rows_evenly(num_rows):
    x = torch.arange(num_rows, dtype=torch.float32)[:, None]
    loader = EvaluationBatches(x)
    parts = list(loader)
    sizes = [len(part) for part in parts]
    assert torch.equal(torch.cat(parts), x)
    assert len(loader) == len(parts)
    assert max(sizes) <= 500
    assert max(sizes) - min(sizes) <= 1


def test_evaluation_rows_are_shared_without_overlap_or_loss():
    x = torch.arange(1_001, dtype=torch.float32)[:, None]
    ranks = [list(EvaluationBatches(x, rank=rank, world_size=2)) for rank in range(2)]
    assert len(ranks[0]) == len(ranks[1])
    assert all(len(part) for rank in ranks for part in rank)
    rows = torch.cat([*ranks[0], *ranks[1]]).flatten()
    assert torch.equal(rows.sort().values, x.flatten())


def test_a_divisor_makes_intensities_of_levels(grey):
    for loader in (EvaluationBatches(grey, divisor=16), batches(grey, levels=None, divisor=16)):
        assert sorted(torch.cat(list(loader)).tolist()) == sorted((grey.float() / 16).tolist())


def test_images_come_in_the_order_and_binarization_of_their_flat_rows(grey):
    flat, images = batches(grey[:, :4].contiguous()), batches(grey[:, :4].reshape(23, 1, 2, 2))
    for rows, shaped in zip(flat, images, strict=True):
        assert shaped.shape[1:] == (1, 2, 2)
        assert torch.equal(rows, shaped.flatten(1))


def test_a_batch_changed_by_its_user_leaves_the_data_alone():
    x = torch.ones(6, 2)
    for batch in itertools.chain(EvaluationBatches(x), batches(x, levels=None)):
        batch.zero_()
    assert x.eq(1).all()
