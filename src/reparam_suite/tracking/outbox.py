"""A spool whose contents a thread delivers, in order, however long that takes."""

import logging
import threading
from collections.abc import Callable, Iterable, Sequence
from time import monotonic
from typing import final

from reparam_suite.tracking.reasons import reason
from reparam_suite.tracking.records import Entry, Rejected, Undelivered
from reparam_suite.tracking.redaction import redact
from reparam_suite.tracking.spool import Batch, Rest, Spool

# A call costs sqlite some 10 ms and 0.1 ms a point: with 500 points the call itself hardly counts. Who watches a run
# waits for a new point 3 s at most.
ENOUGH = 500
PERIOD = 3.0

# Pauses after a failure double from the first to the second of these, in seconds.
_FIRST_PAUSE, _LAST_PAUSE = 0.5, 10.0

# Seconds between two attempts to deliver files that could not be, while the rest is sent.
FILES_PAUSE = 60.0

_log = logging.getLogger(__name__)


@final
class Outbox:
    """Takes entries at once and delivers them later.

    Args:
        spool: keeps them until then.
        deliver: sends some points, or one record. Where it raises it is called again with the same entries; where it
            raises `Rejected` they are set aside and the rest is sent; where it raises `Undelivered` the rest is sent
            first, and the file is tried again now and then.
        name: of the store, for the message that it is away.
    """

    def __init__(self, *, spool: Spool, deliver: Callable[[Sequence[Entry]], None], name: str) -> None:
        self._spool = spool
        self._deliver = deliver
        self._name = redact(name)
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None
        self._num_put = spool.num_unsent
        self._num_done = 0
        self._wanted = 0  # deliver up to this one without waiting for more
        self._hurry = False  # ends the pause after a failure
        self._failing = False
        self._files_at = 0.0  # when the files that were set back are tried again
        self._round = 0  # how many of them are still to be tried before the next pause
        self._start()  # now, since Python starts no threads in its last moments, when a run may have to be ended

    @property
    def failing(self) -> bool:
        """Whether the last delivery failed."""
        return self._failing

    def put(self, entries: Iterable[Entry], *, urgent: bool = False) -> None:
        """Takes entries: they are in the spool on return. Never waits for the store.

        Urgent ones are sent without waiting for more.
        """
        with self._changed:
            self._num_put += self._spool.append(entries)
            if urgent:
                self._wanted = self._num_put
            if self._thread is None:
                self._start()
            if urgent or self._spool.num_unsent >= ENOUGH:
                self._changed.notify_all()

    def flush(self, timeout: float) -> bool:
        """Waits until all that was put before is sent.

        False if that took longer than `timeout` seconds, or nothing is left but files that cannot be delivered.
        """
        with self._changed:
            target = self._wanted = self._num_put
            self._hurry = True
            self._files_at = 0.0
            self._changed.notify_all()
            self._changed.wait_for(lambda: self._num_done >= target or self._nothing_else(target), timeout)
            return self._num_done >= target

    def drain(self, patience: float) -> bool:
        """Waits as long as the store takes something every `patience` seconds; True if it took everything."""
        done = -1
        while self._num_done > done:
            done = self._num_done
            if self.flush(patience):
                return True
        return False

    def stop(self, patience: float) -> Rest:
        """Drains, gives the spool up and returns what stays in it. A later `put` starts it again."""
        self.drain(patience)
        with self._changed:
            self._thread = None
            self._failing = False
            self._num_done = self._num_put
            self._changed.notify_all()
            return self._spool.close()

    def _nothing_else(self, target: int) -> bool:
        tried = self._round == 0 and self._files_at > 0.0
        return tried and self._num_done + self._spool.num_later >= target

    def _start(self) -> None:
        self._num_done = self._num_put - self._spool.num_unsent
        self._files_at, self._round = 0.0, 0
        self._thread = threading.Thread(target=self._run, name="tracking", daemon=True)
        self._thread.start()

    def _run(self) -> None:
        pause = _FIRST_PAUSE
        while self._is_time():
            try:
                self._send_next()
            except Exception as error:  # noqa: BLE001 - a thread that died would deliver nothing that comes later
                self._wait_after(error, pause)
                pause = min(2 * pause, _LAST_PAUSE)
            else:
                pause = _FIRST_PAUSE

    def _is_time(self) -> bool:
        """Waits until there is something to send and it is time to; False when stopped."""
        with self._changed:
            deadline = monotonic() + PERIOD
            while not self._stopped():
                remaining = deadline - monotonic()
                later = self._spool.num_later
                unsent = self._spool.num_unsent - later
                ready = remaining <= 0 or unsent >= ENOUGH or self._wanted > self._num_done + later
                if unsent and (ready or self._failing):
                    return True
                if later and (self._round or monotonic() >= self._files_at):
                    return True
                self._changed.wait(remaining if remaining > 0 else PERIOD)
            return False

    def _send_next(self) -> None:
        with self._changed:
            batch = None if self._stopped() else self._spool.take() or self._take_later()
        if batch is None:
            return
        try:
            self._deliver(batch.entries)
        except Rejected as error:
            self._report("rejects", error)
            self._done(batch, refused=True)
        except Undelivered as error:
            if not batch.later:
                self._report("could not receive a file, which is kept and sent later; the rest is sent", error)
            self._set_back(batch)
        else:
            self._done(batch, refused=False)

    def _take_later(self) -> Batch | None:
        # All of them, one after the other; then none for a while.
        if self._round == 0:
            if monotonic() < self._files_at:
                return None
            self._round = self._spool.num_later
        return self._spool.take_later()

    def _set_back(self, batch: Batch) -> None:
        with self._changed:
            if self._stopped():
                return
            self._spool.set_back(batch)
            self._answered(batch)
            if self._spool.num_later == 1:
                self._files_at = monotonic() + FILES_PAUSE
            self._changed.notify_all()

    def _done(self, batch: Batch, *, refused: bool) -> None:
        with self._changed:
            if self._stopped():  # unmarked, it is sent once more by whoever has the spool now: no harm
                return
            self._spool.done(batch, refused=refused)
            self._answered(batch)
            self._num_done += len(batch.lines)
            self._changed.notify_all()

    def _answered(self, batch: Batch) -> None:
        if self._failing:
            _log.warning("%s answers again; what was kept is being sent", self._name)
        self._failing = self._hurry = False
        if batch.later:
            self._round -= 1
            if self._round == 0:
                self._files_at = monotonic() + FILES_PAUSE

    def _wait_after(self, error: Exception, pause: float) -> None:
        with self._changed:
            if self._stopped():
                return
            if not self._failing:
                self._report("does not accept records; they are kept and sent later", error)
            self._failing = True
        self._spool.to_disk()
        with self._changed:
            self._changed.wait_for(lambda: self._hurry or self._stopped(), pause)
            self._hurry = False

    def _report(self, what: str, error: Exception) -> None:
        _log.warning("%s %s: %s", self._name, what, reason(error))

    def _stopped(self) -> bool:
        # After a stop, a later put has made another thread the one that delivers.
        return self._thread is not threading.current_thread()
