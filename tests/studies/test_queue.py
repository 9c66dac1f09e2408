from datetime import UTC, datetime, timedelta
from threading import Barrier, Thread

import pytest
import sqlalchemy
from optuna.storages._rdb import models
from optuna.trial import TrialState
from tests.launching import as_it_was

from reparam_suite.runtime.errors import UsageError
from reparam_suite.studies.queue import Queue, found
from reparam_suite.studies.storage import MAX_RETRIES, open_storage, put_back, silence

DEFINITION = {"space": {"a": {"float": [0, 1]}}}


@pytest.fixture(autouse=True)
def _quiet():
    with as_it_was():
        silence()
        yield


def opened(root, num_trials=4, definition=DEFINITION):
    url = f"sqlite:///{root}/optuna.db"
    storage = open_storage(url, heartbeat=1, root=root)
    study = found(storage, "s", url, directions=["maximize"], definition=definition)
    queue = Queue(study, storage, num_trials)
    queue.fill()
    return queue


def states(queue):
    return [place.state for place in queue.places()]


def end(queue, claim, value=1.0):
    queue.study.tell(claim.trial, value)


def seem_dead(queue, trial_id):
    """Puts a trial's last sign of life into the past."""
    long_ago = datetime.now(UTC).replace(tzinfo=None) - timedelta(seconds=60)
    with queue.storage.engine.begin() as connection:
        beat = sqlalchemy.update(models.TrialHeartbeatModel)
        connection.execute(beat.where(models.TrialHeartbeatModel.trial_id == trial_id).values(heartbeat=long_ago))


def test_a_study_ends_with_the_trials_that_were_asked_for(tmp_path):
    queue = opened(tmp_path)
    assert not queue.finished()
    for _ in range(4):
        end(queue, queue.claim())
    assert queue.claim() is None
    assert queue.finished()
    assert len(queue.study.trials) == 4


def test_more_can_be_asked_for_and_fewer_change_nothing(tmp_path):
    queue = opened(tmp_path, 2)
    for _ in range(2):
        end(queue, queue.claim())
    assert opened(tmp_path, 1).finished()
    more = opened(tmp_path, 3)
    assert states(more) == [TrialState.COMPLETE, TrialState.COMPLETE, TrialState.WAITING]


def test_two_who_make_the_places_at_once_do_not_make_a_study_longer(tmp_path):
    queue = opened(tmp_path, 2)
    for _ in range(2):
        queue.study.enqueue_trial({})  # what the other one made between our look and ours
    claims = [queue.claim() for _ in range(3)]
    assert [claim and claim.trial.number for claim in claims] == [0, 1, None]


def test_workers_that_claim_at_once_never_get_the_same_trial(tmp_path):
    queues = [opened(tmp_path, 12) for _ in range(4)]
    claimed, start = [], Barrier(len(queues))

    def work(queue):
        start.wait()
        while (claim := queue.claim()) is not None:
            claimed.append(claim.trial.number)
            end(queue, claim)

    threads = [Thread(target=work, args=(queue,)) for queue in queues]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(claimed) == list(range(12))


def test_a_trial_without_signs_of_life_is_begun_again_in_its_place_with_its_parameters(tmp_path):
    queue = opened(tmp_path, 2)
    dead = queue.claim()
    value = dead.trial.suggest_float("a", 0.0, 1.0)
    end(queue, queue.claim())
    assert queue.claim() is None
    assert not queue.finished()
    seem_dead(queue, dead.trial_id)
    again = queue.claim()
    assert again.again
    assert not dead.again
    assert again.trial.suggest_float("a", 0.0, 1.0) == value
    end(queue, again, 3.0)
    assert [place.trial.value for place in queue.places()] == [3.0, 1.0]
    assert queue.finished()


def test_a_trial_that_kills_every_worker_is_given_up(tmp_path):
    queue = opened(tmp_path, 1)
    for _ in range(1 + MAX_RETRIES):
        seem_dead(queue, queue.claim().trial_id)
    assert queue.claim() is None
    assert states(queue) == [TrialState.FAIL]
    assert queue.finished()


def test_a_claimed_trial_gives_a_sign_of_life_before_it_runs(tmp_path):
    queue = opened(tmp_path, 1)
    claim = queue.claim()
    with queue.storage.engine.begin() as connection:
        beats = connection.execute(sqlalchemy.select(models.TrialHeartbeatModel.trial_id)).scalars().all()
    assert beats == [claim.trial_id]


def test_a_trial_that_was_stopped_waits_in_its_place(tmp_path):
    queue = opened(tmp_path, 1)
    claim = queue.claim()
    value = claim.trial.suggest_float("a", 0.0, 1.0)
    queue.study.tell(claim.trial, state=TrialState.FAIL)
    put_back(queue.study, queue.study.trials[0])
    assert states(queue) == [TrialState.WAITING]
    assert queue.claim().trial.suggest_float("a", 0.0, 1.0) == value


def test_another_study_of_the_same_name_is_refused_with_both_named(tmp_path):
    opened(tmp_path)
    with pytest.raises(UsageError) as error:
        opened(tmp_path, definition={"space": {"b": {"int": [3, 4]}}})
    for part in (
        "study s is in sqlite:///",
        "space.a.float there is [0, 1], here not given",
        "space.b.int there is not given, here [3, 4]",
        "another name, for example s-2",
    ):
        assert part in str(error.value)
