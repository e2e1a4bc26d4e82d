"""What a walk is worth: it sees a difference, shows it with the fewest steps, and is the same again."""

import random
from collections.abc import Sequence

import pytest

from tests.model.ends import Beside
from tests.model.steps import Step, random_steps
from tests.model.twin import Different
from tests.model.walk import Walker, shrunk
from tests.servers import Server

pytestmark = pytest.mark.exact_answers("it compares each answer with that of a model which was asked once")


def test_a_seed_is_a_walk() -> None:
    assert random_steps(random.Random("1/2"), 50) == random_steps(random.Random("1/2"), 50)
    assert random_steps(random.Random("1/2"), 50) != random_steps(random.Random("1/3"), 50)


def test_a_difference_is_found_and_shown_with_the_fewest_steps(
    valkey: Server, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> None:
    walker = Walker(valkey, f"tools-{id(request):x}")
    monkeypatch.setattr(Beside, "follow", lambda *_: None)  # a model that is wrong about who waits
    steps: list[Step] = [
        ("register", 0, 0, 0),
        ("enqueue", 1, 1, 0),
        ("tick", 1, 0, 1),
        ("follow", 0, 1, 0),
        ("listen", 0, 0, 0),
    ]
    with pytest.raises(Different, match="replies: engine 2, model 1") as found:
        walker.walk(steps)
    assert found.value.where == "lists counts"
    fewest: Sequence[Step] = shrunk(walker, steps, found.value.where)
    assert fewest == [("enqueue", 1, 1, 0), ("follow", 0, 1, 0)]
    walker.close()
