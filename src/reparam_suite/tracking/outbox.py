"""A queue whose contents a thread of its own delivers, in order, however long that takes."""

import logging
import threading
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from time import monotonic
from typing import final

from reparam_suite.tracking.records import Point, Record
from reparam_suite.tracking.redaction import redact

Entry = Point | Record

# A call costs sqlite some 10 ms and 0.1 ms a point: with 500 points the call itself hardly counts, and MLflow takes
# 1,000 at most. Who watches a run waits for a new point 3 s at most.
ENOUGH = 500
MOST = 1000
PERIOD = 3.0

# Pauses after a failure double from the first to the second of these, in seconds.
_FIRST_PAUSE, _LAST_PAUSE = 0.5, 10.0

_log = logging.getLogger(__name__)


@final
class Rejected(Exception):  # noqa: N818 - it says what happened to the entries
    """The store answers and does not want these entries: to send them again is no use."""


@final
class Outbox:
    """Takes entries at once and delivers them later.

    Args:
        deliver: sends some points, or one record. Where it raises it is called again with the same entries; where it
            raises `Rejected` they are set aside, for `stop` to return, and the rest goes on.
        name: of the store, for the message that it is away.
    """

    def __init__(self, *, deliver: Callable[[Sequence[Entry]], None], name: str) -> None:
        self._deliver = deliver
        self._name = redact(name)
        self._queue: deque[Entry] = deque()
        self._rejected: list[Entry] = []
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None
        self._num_put = 0
        self._num_done = 0
        self._wanted = 0  # deliver up to this one without waiting for more
        self._hurry = False  # ends the pause after a failure
        self._failing = False
        self._start()  # now, since Python starts no threads in its last moments, when a run may have to be ended

    @property
    def failing(self) -> bool:
        """Whether the last delivery failed."""
        return self._failing

    def put(self, entries: Iterable[Entry], *, urgent: bool = False) -> None:
        """Takes entries. Never waits for the store. Urgent ones are sent without waiting for more."""
        with self._changed:
            before = len(self._queue)
            self._queue.extend(entries)
            self._num_put += len(self._queue) - before
            if urgent:
                self._wanted = self._num_put
            if self._thread is None:
                self._start()
            if urgent or len(self._queue) >= ENOUGH:
                self._changed.notify_all()

    def flush(self, timeout: float) -> bool:
        """Waits until all that was put before is sent; False if that took longer than `timeout` seconds."""
        with self._changed:
            target = self._wanted = self._num_put
            self._hurry = True
            self._changed.notify_all()
            return self._changed.wait_for(lambda: self._num_done >= target, timeout)

    def drain(self, patience: float) -> bool:
        """Waits as long as the store takes something every `patience` seconds; True if it took everything."""
        done = -1
        while self._num_done > done:
            done = self._num_done
            if self.flush(patience):
                return True
        return False

    def stop(self, patience: float) -> list[Entry]:
        """Drains and returns the rest. A later `put` starts it again."""
        self.drain(patience)
        with self._changed:
            rest = [*self._rejected, *self._queue]
            self._rejected.clear()
            self._queue.clear()
            self._num_done = self._num_put
            self._thread = None
            self._failing = False
            self._changed.notify_all()
        return rest

    def _start(self) -> None:
        self._thread = threading.Thread(target=self._run, name="tracking", daemon=True)
        self._thread.start()

    def _run(self) -> None:
        pause = _FIRST_PAUSE
        while (batch := self._next()) is not None:
            try:
                self._deliver(batch)
            except Rejected as error:
                self._report("rejects", error)
                self._remove(batch, rejected=True)
            except Exception as error:  # noqa: BLE001 - a thread that died would lose all that comes later
                self._wait_after(error, pause)
                pause = min(2 * pause, _LAST_PAUSE)
            else:
                self._remove(batch, rejected=False)
                pause = _FIRST_PAUSE

    def _next(self) -> list[Entry] | None:
        """The next batch, when it is time for it; None when stopped. It stays in the queue until it is sent."""
        with self._changed:
            deadline = monotonic() + PERIOD
            while not self._stopped():
                remaining = deadline - monotonic()
                ready = remaining <= 0 or len(self._queue) >= ENOUGH or self._wanted > self._num_done
                if self._queue and (ready or self._failing):
                    return self._head()
                self._changed.wait(remaining if remaining > 0 else PERIOD)
            return None

    def _head(self) -> list[Entry]:
        batch: list[Entry] = []
        for entry in self._queue:
            if isinstance(entry, Record):
                return batch or [entry]
            batch.append(entry)
            if len(batch) == MOST:
                break
        return batch

    def _remove(self, batch: Sequence[Entry], *, rejected: bool) -> None:
        with self._changed:
            if self._stopped():  # the batch went to whoever called stop
                return
            if self._failing:
                _log.warning("%s answers again; what was kept is being sent", self._name)
            self._failing = self._hurry = False
            for _ in batch:
                self._queue.popleft()
            if rejected:
                self._rejected.extend(batch)
            self._num_done += len(batch)
            self._changed.notify_all()

    def _wait_after(self, error: Exception, pause: float) -> None:
        with self._changed:
            if self._stopped():
                return
            if not self._failing:
                self._report("does not take what is sent; it is kept and sent again later", error)
            self._failing = True
            self._changed.wait_for(lambda: self._hurry or self._stopped(), pause)
            self._hurry = False

    def _report(self, what: str, error: Exception) -> None:
        reason = redact(str(error)).splitlines()[0][:300] if str(error) else type(error).__name__
        _log.warning("%s %s: %s", self._name, what, reason)

    def _stopped(self) -> bool:
        # After a stop, a later put has made another thread the one that delivers.
        return self._thread is not threading.current_thread()
