"""A part of the points at which an operation can break; `make crashpoints` plays them all."""

from collections.abc import Iterator

import pytest

from homing.engines import answers
from tests.crash.cases import CASES, Case
from tests.crash.points import ENGINES, Stage
from tests.servers import Server

pytestmark = pytest.mark.exact_traffic("it counts round trips, and breaks one")

#: One point in so many is played here.
EVERY = 29


@pytest.fixture
def stage(valkey: Server) -> Iterator[Stage]:
    one = Stage(valkey)
    yield one
    one.close()


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_whatever_breaks_nothing_is_lost_or_doubled(stage: Stage, case: Case) -> None:
    points = [point for e in ENGINES for kind in case.only for point in stage.points(case, e, kind)]
    start = CASES.index(case) % EVERY
    some = points[start::EVERY]
    assert some
    for point in some:
        try:
            stage.play(point)
        except AssertionError as error:
            raise AssertionError(f"{point}: {error}") from error


def test_a_wrong_answer_is_seen(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """A cancel that takes the work of its own lost copy for somebody else's says that it failed."""
    monkeypatch.setattr(answers, "cancelled_again", answers.state)
    [cancel] = [case for case in CASES if case.name == "cancel"]
    seen = []
    for point in stage.points(cancel, "lists", "sync"):
        try:
            stage.play(point)
        except AssertionError:
            seen.append((point.mode, point.dies))
    assert seen == [("unheard", False)]
