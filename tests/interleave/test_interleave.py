"""Some schedules of real workers whose commands, replies and deaths come in every order."""

from collections import Counter
from collections.abc import Callable, Iterator

import pytest

from homing.delivery.claimer import Claimer
from homing.engines.engine import EngineName
from tests.interleave.schedule import Schedules
from tests.servers import Server

pytestmark = pytest.mark.exact_traffic("a seed decides on all of its faults")

#: Schedules of each engine; `make interleave` plays as many as one likes.
SCHEDULES = 15


@pytest.fixture
def schedules(valkey: Server) -> Iterator[Callable[[EngineName], Schedules]]:
    made: list[Schedules] = []

    def make(engine: EngineName) -> Schedules:
        made.append(Schedules(valkey, engine))
        return made[-1]

    yield make
    for one in made:
        one.close()


@pytest.mark.parametrize("engine", ["lists", "streams"])
def test_no_promise_is_broken_in_any_order(
    schedules: Callable[[EngineName], Schedules], engine: EngineName
) -> None:
    played = schedules(engine)
    seen: Counter[str] = Counter()
    for seed in range(SCHEDULES):
        world, error = played.tried(seed)
        assert error is None, f"seed {seed}: {error}"
        seen.update(world.seen())
    assert all(seen[what] for what in ("repeated", "reclaimed lapsed", "reclaimed died", "late")), seen


def test_a_seed_is_a_schedule(schedules: Callable[[EngineName], Schedules]) -> None:
    played = schedules("streams")
    first, again, other = (played.tried(seed)[0].trace for seed in (3, 3, 4))
    assert first == again
    assert first != other


def test_a_broken_worker_is_seen(
    schedules: Callable[[EngineName], Schedules], monkeypatch: pytest.MonkeyPatch
) -> None:
    async def forgets(self: Claimer, post: object, lease: object) -> None:
        """Never asks what a lost answer was about."""

    monkeypatch.setattr(Claimer, "_held", forgets)
    played = schedules("streams")
    assert any("not drained" in str(played.tried(seed)[1]) for seed in range(10 * SCHEDULES))
