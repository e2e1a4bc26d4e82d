"""An arena in which every process reaches the server over a road of its own, and what befalls the roads."""

import contextlib
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from chaos.arena import Arena
from chaos.processes import Process
from chaos.proxy import Road, State


class RoadArena(Arena):
    """One road for all producers, and one for each worker tree."""

    def __init__(self, *words: Any) -> None:
        super().__init__(*words)
        self.producer_road: Road | None = None
        self.roads: dict[int, Road] = {}  # pid of a supervisor -> its road

    def _road(self) -> Road:
        assert self.server is not None
        path = Path(self.server.address["unix_socket_path"])
        return Road(path, self.dice.randrange(1 << 30), self.plan.path).open()

    def producer_url(self) -> str:
        if self.producer_road is None:
            self.producer_road = self._road()
        return self.producer_road.url

    def new_tree(self) -> Process:
        road = self._road()
        plan, self.plan = self.plan, replace(self.plan, url=road.url)
        tree = super().new_tree()
        self.plan = plan
        self.roads[tree.pid] = road
        return tree

    def __exit__(self, *words: object) -> None:
        super().__exit__(*words)
        for road in (self.producer_road, *self.roads.values()):
            if road is not None:
                road.close()

    def notes(self) -> dict[str, Any]:
        lost = {"producers": dict(self.producer_road.lost) if self.producer_road else {}}
        lost["workers"] = {}
        for road in self.roads.values():
            for way, count in road.lost.items():
                lost["workers"][way] = lost["workers"].get(way, 0) + count
        return {"lost replies": lost}


@contextmanager
def changed(road: Road, state: State) -> Iterator[None]:
    """The road is so for as long as the block lasts."""
    before, road.state = road.state, state
    try:
        yield
    finally:
        road.state = before


def lose_enqueue_replies(arena: RoadArena) -> None:
    """For a while one in ten replies to an enqueue is lost, in one way or another."""
    assert arena.producer_road is not None
    state = State(loss=0.1, about=frozenset({"enqueue"}))
    with arena.fault("lose enqueue replies", []), changed(arena.producer_road, state):
        time.sleep(2.0)
    arena.rest(0.0, 0.1)


def lose_worker_replies(arena: RoadArena) -> None:
    """For a while one in twenty replies to the workers is lost, whatever it says."""
    with arena.fault("lose worker replies", None), contextlib.ExitStack() as stack:
        for road in arena.roads.values():
            stack.enter_context(changed(road, State(loss=0.05)))
        time.sleep(2.0)
    arena.rest(0.1, 0.5)


def hole(arena: RoadArena) -> None:
    """One tree's road has a hole for three leases, in one direction or both."""
    tree = arena.dice.choice(arena.trees)
    state = State(hole=arena.dice.choice(["up", "down", "both"]))
    with arena.fault("hole", tree.tree()), changed(arena.roads[tree.pid], state):
        time.sleep(3 * arena.plan.lease_ms / 1000)
    arena.rest(1.0, 2.0)


def slow_roads(arena: RoadArena) -> None:
    """All roads are slow: 50 to 500 ms each way; now and then a reply dribbles in, byte by byte."""
    with arena.fault("slow roads", []), contextlib.ExitStack() as stack:
        for road in (arena.producer_road, *arena.roads.values()):
            if road is not None:
                state = State(delay_s=(0.05, 0.5), dribble=arena.dice.random() < 0.2)
                stack.enter_context(changed(road, state))
        time.sleep(10.0)
    arena.rest(0.0, 0.1)
