"""A server whose clock jumps, and workers whose clocks are wrong, by libfaketime."""

import itertools
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

from chaos.arena import wait_until
from chaos.processes import Process
from chaos.row import NotPlayed
from chaos.topology.arena import NodesArena
from chaos.topology.node import HOST, Node, free_ports

#: Seconds by which the workers' clocks are wrong, each in turn.
WRONG = (600, -600)
FORWARD_S, BACK_S = 60, -3600
#: How long the clock is an hour behind: what is due then waits for it.
BEHIND_S = 4.0
_LIBRARY = "/usr/lib/*/faketime/libfaketime.so.1"


def faked(**more: str) -> dict[str, str]:
    """Environment of a process with a clock of its own. Intervals stay true."""
    found = sorted(Path("/").glob(_LIBRARY.lstrip("/")))
    if not found:
        raise NotPlayed("there is no libfaketime here: apt-get install libfaketime")
    return {"LD_PRELOAD": str(found[0]), "DONT_FAKE_MONOTONIC": "1", **more}


class ClockArena(NodesArena):
    offset_s = 0

    def __init__(self, *words: Any) -> None:
        super().__init__(*words)
        self._clock = self.folder / "clock"
        self._wrong = itertools.count()

    @property
    def url(self) -> str:
        return f"redis://{HOST}:{self.primary.port}"

    @property
    def primary(self) -> Node:
        return self.nodes[0]

    def start_server(self) -> None:
        self._clock.write_text("+0\n")
        # The file is looked at once a second.
        env = faked(FAKETIME_TIMESTAMP_FILE=str(self._clock), FAKETIME_CACHE_DURATION="1")
        [port] = free_ports(1)
        self.nodes.append(Node(self.folder / "server", port, self.site.options, env))
        self.primary.start()
        self.history.write("clock", 0)

    def new_tree(self) -> Process:
        wrong_s = WRONG[next(self._wrong) % len(WRONG)]
        site, self.site = self.site, replace(self.site, env=faked(FAKETIME=f"{wrong_s:+d}"))
        try:
            return super().new_tree()
        finally:
            self.site = site

    def jump(self, by_s: int) -> None:
        """Set the server's clock, and wait until it is. In between it shows the one time or the other."""
        before_s, self.offset_s = self.offset_s, self.offset_s + by_s
        self.history.write("clock", before_s * 1000, self.offset_s * 1000)
        fresh = self._clock.with_suffix(".new")
        fresh.write_text(f"{self.offset_s:+d}\n")
        fresh.rename(self._clock)
        wait_until(
            lambda: abs(self._server_s() - time.time() - self.offset_s) < 5, 10, "the clock did not jump"
        )
        self.history.write("clock", self.offset_s * 1000)

    def _server_s(self) -> float:
        with self.primary.raw() as raw:
            seconds, _ = raw.time()
        return float(seconds)


def jump_forward(arena: ClockArena) -> None:
    """The server's clock goes on by a minute at once."""
    with arena.fault("clock +60 s", None):
        arena.jump(FORWARD_S)
    arena.rest(0.5, 2.0)


def jump_back(arena: ClockArena) -> None:
    """The server's clock goes back by an hour, and after a while is right again."""
    with arena.fault("clock -1 h", None):
        arena.jump(BACK_S)
        time.sleep(BEHIND_S)
        arena.jump(-BACK_S)
    arena.rest(0.5, 2.0)
