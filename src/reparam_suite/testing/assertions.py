"""Assertions in the form of the suite's messages: what, what was expected, what was found, how far apart."""

from torch import Tensor

from reparam_suite.testing.statistics import LIMIT, Draws


def expect(holds: bool, subject: str, expected: str, got: object) -> None:
    """Requires that something holds.

    Raises:
        AssertionError: if it does not.
    """
    if not holds:
        raise AssertionError(f"{subject}: expected {expected}, got {got}")


def shown(numbers: Tensor) -> str:
    """A list of numbers, with four digits at most."""
    return f"[{', '.join(f'{number:.4g}' for number in numbers.flatten().tolist())}]"


def is_close(draws: Draws, exact: Tensor) -> bool:
    """Whether the mean of the draws is `exact` within the threshold, in all coordinates."""
    return bool((draws.z_scores(exact) < LIMIT).all())


def expect_close(subject: str, draws: Draws, exact: Tensor) -> None:
    """Requires that the mean of the draws is `exact` within the threshold.

    Raises:
        AssertionError: naming the worst coordinate and by how many standard errors it is wrong.
    """
    scores = draws.z_scores(exact).flatten()
    worst = int(scores.argmax())
    place = f"coordinate {worst} of the {subject}" if len(scores) > 1 else subject
    expected, got = exact.flatten()[worst].item(), draws.mean.flatten()[worst].item()
    apart = f"{got:.4g}: {scores[worst].item():.1f} standard errors apart, at most {LIMIT} are allowed"
    expect(is_close(draws, exact), place, f"{expected:.4g}", apart)
