import pytest


@pytest.fixture
def undrawn(undrawn, monkeypatch) -> None:
    """Neither runs nor studies draw."""
    from reparam_suite.studies import figures  # Optuna with it

    monkeypatch.setattr(figures, "drawn", lambda *_: ())
    monkeypatch.setattr(figures, "write_page", lambda study, metrics, file: file.touch())
