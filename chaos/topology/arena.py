"""An arena whose server is several processes, or one with something around it."""

import itertools
from abc import abstractmethod
from typing import Any

import redis

from chaos.arena import Arena
from chaos.plan import QUEUE
from chaos.topology.node import Node
from homing import App


class NodesArena(Arena):
    """Nodes in place of the one server; which of them has the queue is asked each time."""

    def __init__(self, *words: Any) -> None:
        super().__init__(*words)
        self.nodes: list[Node] = []
        self.turns = itertools.count()

    @property
    @abstractmethod
    def url(self) -> str:
        """What a user would give to homing."""

    @property
    @abstractmethod
    def primary(self) -> Node:
        """The node that has the queue now."""

    def worker_url(self) -> str:
        return self.url

    def producer_url(self) -> str:
        return self.url

    @property
    def app(self) -> App:
        if self._app is None:
            self._app = App(self.url, deadline=2.0)
            self._app.queue(QUEUE, engine=self.plan.engine)
        return self._app

    def raw(self, **options: Any) -> "redis.Redis":
        return self.primary.raw(**options)

    def __exit__(self, *_: object) -> None:
        super().__exit__()
        for node in self.nodes:
            node.kill()
