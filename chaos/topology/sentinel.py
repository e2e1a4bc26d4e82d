"""A primary, its replicas and three sentinels; the primary dies, stands still or is relieved."""

import contextlib
import threading
import time
from dataclasses import replace
from typing import Any

import redis

from chaos.arena import wait_until
from chaos.checker import Final
from chaos.topology.arena import NodesArena
from chaos.topology.node import HOST, Node, free_ports

SERVICE = "homing"
SENTINELS, QUORUM = 3, 2
#: How often a sentinel asks the nodes what they are; its own is 10 s.
INFO_PERIOD_MS = 500
#: How long the sentinels may take to do what they do.
FAILOVER_S = 60.0
FREEZE_S = 4.0
#: MiB that fill the way to a replica, and how long the primary is ahead of it.
FILLERS, AHEAD_S = 16, 0.5


class SentinelArena(NodesArena):
    replicas = 2
    #: Faults in which the primary's newest writes may not have reached the one that follows it.
    lossy = frozenset({"kill primary", "freeze primary", "switch"})

    def __init__(self, *words: Any) -> None:
        super().__init__(*words)
        self.sentinels: list[Node] = []
        self._watch: Watch | None = None

    @property
    def url(self) -> str:
        hosts = ",".join(f"{HOST}:{sentinel.port}" for sentinel in self.sentinels)
        return f"redis+sentinel://{hosts}/{SERVICE}"

    @property
    def primary(self) -> Node:
        return self.named() or self.nodes[0]

    def start_server(self) -> None:
        data = 1 + self.replicas
        first, *others = free_ports(data + SENTINELS)
        for port in [first, *others[: data - 1]]:
            self.nodes.append(Node(self.folder / "server" / str(port), port, self.site.options))
            if port == first:
                self.nodes[-1].start()
            else:
                self.nodes[-1].start(replicaof=f"{HOST} {first}")
        for port in others[data - 1 :]:
            self._start_sentinel(port, first)
        self.wait_whole()
        self._watch = Watch(self)
        self._watch.start()

    def _start_sentinel(self, port: int, primary: int) -> None:
        sentinel = Node(self.folder / "server" / f"sentinel-{port}", port)
        sentinel.folder.mkdir(parents=True)
        settings = sentinel.folder / "sentinel.conf"
        settings.write_text(
            f"port {port}\nbind {HOST}\ndir {sentinel.folder}\n"
            f"sentinel monitor {SERVICE} {HOST} {primary} {QUORUM}\n"
            f"sentinel down-after-milliseconds {SERVICE} 1000\n"
            f"sentinel failover-timeout {SERVICE} 3000\n"
            f"sentinel parallel-syncs {SERVICE} 2\n"
        )
        sentinel.launch_with(str(settings), "--sentinel")
        self.sentinels.append(sentinel)
        sentinel.wait()
        sentinel.tell("SENTINEL", "DEBUG", "info-period", INFO_PERIOD_MS)

    def __exit__(self, *_: object) -> None:
        if self._watch is not None:
            self._watch.stop()
        super().__exit__()
        for sentinel in self.sentinels:
            sentinel.kill()

    def named(self) -> Node | None:
        """The primary that all sentinels name; None while they differ."""
        found = set()
        for sentinel in self.sentinels:
            with contextlib.suppress(redis.RedisError):
                found.add(tuple(sentinel.tell("SENTINEL", "GET-MASTER-ADDR-BY-NAME", SERVICE)))
        if len(found) != 1:
            return None
        [(_, port)] = found
        return next((node for node in self.nodes if node.port == int(port)), None)

    def wait_promoted(self, before: Node) -> Node:
        """Until all sentinels name another one, and it knows."""

        def promoted() -> bool:
            node = self.named()
            return node not in (None, before) and _role(node) == "master"

        wait_until(promoted, FAILOVER_S, "no replica was promoted")
        return self.primary

    def switched(self, port: int) -> bool:
        """The primary on this port is the one that everybody is sent to."""
        named = self.named()
        return named is not None and named.port == port

    def whole(self) -> bool:
        """Each replica follows the primary and has all of it, and each sentinel knows that."""
        primary = self.named()
        if primary is None or _role(primary) != "master":
            return False
        following = all(_follows(node, primary) for node in self.nodes if node is not primary)
        return following and all(map(self._content, self.sentinels))

    def wait_writable(self) -> None:
        """A primary that was promoted takes writes at once."""

    def wait_whole(self) -> None:
        wait_until(self.whole, FAILOVER_S, "the replicas did not follow")

    def come_back(self, old: Node) -> None:
        """A primary that was replaced is started again, with what its last snapshot holds.

        It may not be promoted before it has caught up: with two elections in a row it would be.
        """
        old.start(replicaof=f"{HOST} {self.primary.port}", replica_priority="0")

    def admit(self, old: Node) -> None:
        """It has caught up: it may be promoted, and every sentinel knows."""
        self.wait_whole()
        old.tell("CONFIG", "SET", "replica-priority", 100)
        wait_until(lambda: all(map(self._all_eligible, self.sentinels)), FAILOVER_S, "a replica was not seen")

    def _all_eligible(self, sentinel: Node) -> bool:
        return all(int(one["slave-priority"]) for one in self._replicas(sentinel))

    def _replicas(self, sentinel: Node) -> list[dict[str, str]]:
        told = sentinel.tell("SENTINEL", "REPLICAS", SERVICE)
        return [one if isinstance(one, dict) else dict(zip(one[::2], one[1::2], strict=True)) for one in told]

    def _content(self, sentinel: Node) -> bool:
        """It knows each replica as one that is there, and the other sentinels."""
        try:
            told = self._replicas(sentinel)
            others = sentinel.tell("SENTINEL", "SENTINELS", SERVICE)
        except redis.RedisError:  # it is slow just now
            return False
        good = [
            one for one in told if one["flags"] in ("slave", {"slave"}) and one["master-link-status"] == "ok"
        ]
        return len(good) == self.replicas and len(others) == SENTINELS - 1

    def look(self) -> Final:
        return replace(super().look(), lossy=self.lossy, undone=SentinelArena.lossy)


class Watch(threading.Thread):
    """Tells the history of each switch: from when another node is a primary until all sentinels name it.

    Sentinels switch of their own accord, too: two of them may be elected one after the other.
    """

    def __init__(self, arena: SentinelArena) -> None:
        super().__init__(daemon=True)
        self._arena = arena
        self._enough = threading.Event()
        self.switches = 0

    def run(self) -> None:
        arena = self._arena
        primaries, new = {arena.primary.port}, 0
        while not self._enough.wait(0.05):
            found = {node.port for node in arena.nodes if node.alive and _role(node, 0.1) == "master"}
            # Who does not answer is still what it was.
            silent = {node.port for node in arena.nodes if node.alive and not _role(node, 0.1)}
            if fresh := found - primaries:
                if not new:
                    self.switches += 1
                    arena.history.write("fault", f"s{self.switches}", "switch", "*")
                [new, *_] = fresh
            primaries = found | (primaries & silent)
            if new and arena.switched(new):
                arena.history.write("healed", f"s{self.switches}")
                new = 0

    def stop(self) -> None:
        self._enough.set()
        self.join()


class PairArena(SentinelArena):
    """One replica: the one that confirmed is the one that is promoted."""

    replicas = 1
    lossy = frozenset[str]()

    def switched(self, port: int) -> bool:
        """Until it has a replica again, a primary that wants one takes no writes."""
        return super().switched(port) and self.whole()

    def wait_writable(self) -> None:
        self.wait_whole()


def _role(node: Node | None, patience_s: float = 1.0) -> str:
    return str(node.info("replication", patience_s).get("role", "")) if node else ""


def _follows(node: Node, primary: Node) -> bool:
    told = node.info("replication")
    return (
        told.get("role") == "slave"
        and told.get("master_port") == primary.port
        and told.get("master_link_status") == "up"
    )


def kill_primary(arena: SentinelArena) -> None:
    """SIGKILL the primary; it comes back as a replica of the one that was promoted."""
    old = arena.primary
    with arena.fault("kill primary", None):
        old.kill()
        arena.wait_promoted(old)
        arena.come_back(old)
        arena.wait_writable()
    arena.admit(old)
    arena.rest(0.5, 1.5)


def kill_ahead(arena: SentinelArena) -> None:
    """SIGKILL the primary while its replicas lag: what it acknowledges by itself meanwhile is lost with it.

    What is on its way to a replica that stands still would survive in the kernel's buffers: they are filled.
    """
    old = arena.primary
    with arena.fault("kill primary", None):
        replicas = [node for node in arena.nodes if node is not old]
        for node in replicas:
            node.freeze()
        with old.raw() as raw:
            for _ in range(FILLERS):
                raw.set("filler", bytes(1 << 20))
            raw.delete("filler")
        time.sleep(AHEAD_S)
        old.kill()
        for node in replicas:
            node.thaw()
        arena.wait_promoted(old)
        arena.come_back(old)
        arena.wait_writable()
    arena.admit(old)
    arena.rest(0.5, 1.5)


def freeze_primary(arena: SentinelArena) -> None:
    """SIGSTOP the primary for longer than a failover takes: it comes back and thinks that it still is one."""
    old = arena.primary
    with arena.fault("freeze primary", None):
        old.freeze()
        time.sleep(FREEZE_S)
        arena.wait_promoted(old)
        old.thaw()
        old.tell("CONFIG", "SET", "replica-priority", 0)
        arena.wait_writable()
    arena.admit(old)
    arena.rest(0.5, 1.5)


def relieve_primary(arena: SentinelArena) -> None:
    """SENTINEL FAILOVER: the old primary lives on, and takes writes until the sentinels demote it."""
    old = arena.primary
    with arena.fault("relieve primary", None):
        arena.dice.choice(arena.sentinels).tell("SENTINEL", "FAILOVER", SERVICE)
        arena.wait_promoted(old)
        arena.wait_writable()
    arena.wait_whole()
    arena.rest(0.5, 1.5)
