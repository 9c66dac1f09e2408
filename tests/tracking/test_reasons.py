import pytest

from reparam_suite.tracking.reasons import reason

POOL = "API request to http://h/a failed with exception HTTPConnectionPool(host='h', port=1): Max retries exceeded"


@pytest.mark.parametrize(
    ("message", "told"),
    [
        (
            f"{POOL}: /a (Caused by NewConnectionError('<x>: failed: [Errno 111] Connection refused'))",
            "Connection refused",
        ),
        (
            f"{POOL}: /a (Caused by NameResolutionError(\"'h' ([Errno -2] Name or service not known)\"))",
            "Name or service not known",
        ),
        (
            f"{POOL}: /a (Caused by ProtocolError('Connection aborted.', RemoteDisconnected('Remote end closed')))",
            "Remote end closed",
        ),
        ("HTTPConnectionPool(host='h', port=1): Read timed out. (read timeout=5)", "no answer in time"),
        (
            "(sqlite3.OperationalError) database or disk is full\n[SQL: INSERT]",
            "(sqlite3.OperationalError) database or disk is full",
        ),
        ("\n\nsecond http://ada:secret@h", "second http://***@h"),
        ("", "OSError"),
    ],
)
def test_the_reason_is_what_the_system_said(message, told):
    assert reason(OSError(message)) == told
