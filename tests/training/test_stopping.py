"""Signals: what the first one does, where it is held back, and what is left of the handlers."""

import signal
import threading

import pytest

from reparam_suite.training import STOP_SIGNALS, Stopped, StopSignals, stopping


@pytest.fixture(autouse=True)
def handlers():
    """Of all signals, as Python starts with them; afterwards as they were."""
    before = {signum: signal.getsignal(signum) for signum in STOP_SIGNALS}
    for signum in STOP_SIGNALS:
        signal.signal(signum, signal.default_int_handler if signum == signal.SIGINT else signal.SIG_DFL)
    yield
    for signum, handler in before.items():
        signal.signal(signum, handler)


def handler_of(signum: int) -> object:
    return signal.getsignal(signum)


@pytest.mark.parametrize("signum", STOP_SIGNALS)
def test_the_first_signal_ends_it_and_later_ones_change_nothing(signum):
    def signalled_twice():
        with StopSignals() as signals:
            try:
                signal.raise_signal(signum)
            finally:
                signal.raise_signal(signal.SIGTERM)  # while the first one's work is done
                assert signals.received == signum

    with pytest.raises(Stopped) as stopped:
        signalled_twice()
    assert stopped.value.exit_code == 128 + signum
    assert handler_of(signal.SIGTERM) == signal.SIG_IGN, "nothing disturbs the end of the process"


def test_handlers_are_those_of_before_where_no_signal_came():
    with StopSignals():
        assert handler_of(signal.SIGTERM) not in (signal.SIG_DFL, signal.SIG_IGN)
    assert handler_of(signal.SIGTERM) == signal.SIG_DFL
    assert handler_of(signal.SIGINT) is signal.default_int_handler


def test_a_signal_is_held_back_until_nothing_can_be_lost():
    with StopSignals() as signals:
        signals.wait()
        signal.raise_signal(signal.SIGTERM)
        assert signals.received == signal.SIGTERM
        with pytest.raises(Stopped) as stopped:
            signals.wait_no_longer()
    assert stopped.value.exit_code == 143
    assert not signals.waits


def test_waiting_takes_the_signals_from_handlers_that_were_put_since():
    with StopSignals() as signals:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)  # as Lightning puts its own
        signals.wait()
        signal.raise_signal(signal.SIGTERM)
        assert signals.received == signal.SIGTERM
        signals.forget()
        signals.wait_no_longer()  # what was sent on purpose ends nothing
    assert handler_of(signal.SIGTERM) == signal.SIG_DFL


def test_a_stop_that_came_to_another_process_is_a_termination():
    with pytest.raises(Stopped) as stopped:
        StopSignals().stop()
    assert stopped.value.exit_code == 143


def test_what_the_program_does_with_a_hangup_is_left_to_it():
    signal.signal(signal.SIGHUP, signal.SIG_IGN)  # as nohup does
    with StopSignals() as signals:
        signal.raise_signal(signal.SIGHUP)
        assert signals.received is None
        assert handler_of(signal.SIGHUP) == signal.SIG_IGN
    assert handler_of(signal.SIGHUP) == signal.SIG_IGN


def test_another_thread_leaves_handlers_alone_and_says_so_once(caplog):
    stopping._say_that_signals_are_left_alone.cache_clear()
    seen = []

    def enter():
        for _ in range(2):
            with StopSignals() as signals:
                signals.wait()
                seen.append(handler_of(signal.SIGTERM))
                signals.wait_no_longer()

    with caplog.at_level("WARNING"):
        thread = threading.Thread(target=enter)
        thread.start()
        thread.join()
    assert seen == [signal.SIG_DFL] * 2
    assert [record.message for record in caplog.records] == [
        "a run outside of the main thread: Ctrl-C and SIGTERM leave no checkpoint of their step"
    ]
