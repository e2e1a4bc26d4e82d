"""Three primaries with a replica each; primaries die or are relieved, and the queue's slot moves with its jobs."""

import contextlib
import time
from dataclasses import replace

import redis

from chaos.arena import wait_until
from chaos.checker import Final
from chaos.plan import QUEUE
from chaos.topology.arena import NodesArena
from chaos.topology.node import HOST, Node, free_ports
from homing.routes import SLOTS, slot_of

PRIMARIES = 3
#: How long the nodes may take to agree on something.
AGREE_S = 60.0
#: Keys that are moved at once.
MOVED = 50
_SETTINGS = {
    "cluster-enabled": "yes",
    "cluster-node-timeout": "1500",
    "cluster-allow-replica-migration": "no",  # who gave its last slot away stays a primary
    "cluster-replica-validity-factor": "0",
}


class ClusterArena(NodesArena):
    slot = slot_of(f"homing:{{{QUEUE}}}")

    @property
    def url(self) -> str:
        return "redis+cluster://" + ",".join(f"{HOST}:{node.port}" for node in self.nodes)

    @property
    def primary(self) -> Node:
        found = self.owner()
        assert found is not None, "the nodes do not agree on who has the queue"
        return found

    def start_server(self) -> None:
        ports = free_ports(4 * PRIMARIES)
        for port, bus in zip(ports[::2], ports[1::2], strict=True):
            settings = {**_SETTINGS, "cluster-port": str(bus), **self.site.options}
            self.nodes.append(Node(self.folder / "server" / str(port), port, settings))
            self.nodes[-1].start()
        first, *others = self.nodes
        for epoch, node in enumerate(self.nodes, 1):
            node.tell("CLUSTER", "SET-CONFIG-EPOCH", epoch)
        for node in others:
            first.tell("CLUSTER", "MEET", HOST, node.port, node.settings["cluster-port"])
        wait_until(
            lambda: all(len(_table(node)) == len(self.nodes) for node in self.nodes), AGREE_S, "nobody met"
        )
        share = SLOTS // PRIMARIES + 1
        for at, node in enumerate(self.nodes[:PRIMARIES]):
            node.tell("CLUSTER", "ADDSLOTSRANGE", at * share, min((at + 1) * share, SLOTS) - 1)
        for at, node in enumerate(self.nodes[PRIMARIES:]):
            node.tell("CLUSTER", "REPLICATE", _id(self.nodes[at]))
        self.wait_whole()

    def owner(self) -> Node | None:
        """Who has the queue's slot, in the eyes of all that are there; None while they differ."""
        seen = {_owner_seen_by(node, self.slot) for node in self.nodes if node.alive}
        if len(seen) != 1:
            return None
        [port] = seen
        return next((node for node in self.nodes if node.port == port), None)

    def wait_owner(self, before: Node) -> Node:
        """Until another one has the queue's slot, in everybody's eyes."""
        wait_until(lambda: self.owner() not in (None, before), AGREE_S, "the slot found no new owner")
        return self.primary

    def wait_whole(self) -> None:
        """Until all is well in everybody's eyes, and each replica has all of what its primary has."""

        def whole() -> bool:
            told = [node.info("replication") for node in self.nodes]
            replicas = [one for one in told if one.get("role") == "slave"]
            return (
                all(told)
                and all(one["master_link_status"] == "up" for one in replicas)
                and len(replicas) == len(self.nodes) - PRIMARIES
                and all("cluster_state:ok" in _state(node) for node in self.nodes)
                and self.owner() is not None
            )

        wait_until(whole, AGREE_S, "the cluster did not become whole")

    def elsewhere(self) -> tuple[Node, Node]:
        """The primary that has the queue, and another one."""
        source = self.primary
        table = _table(source)
        others = [
            node
            for node in self.nodes
            if node is not source and "master" in table[node.port] and "fail" not in table[node.port]
        ]
        return source, self.dice.choice(others)

    def look(self) -> Final:
        lossy = frozenset({"kill primary"})
        return replace(super().look(), lossy=lossy, undone=lossy)


def _id(node: Node) -> str:
    return str(node.tell("CLUSTER", "MYID"))


def _state(node: Node) -> str:
    with contextlib.suppress(redis.RedisError):  # it is slow just now
        return str(node.tell("CLUSTER", "INFO"))
    return ""


def _table(node: Node) -> dict[int, str]:
    """Port -> flags of each node, as one of them sees it."""
    try:
        with node.raw(decode_responses=True, socket_timeout=1) as raw:
            raw.set_response_callback("CLUSTER NODES", str)
            told = str(raw.execute_command("CLUSTER NODES"))
    except redis.RedisError:
        return {}
    lines = [line.split() for line in told.splitlines()]
    return {int(line[1].split("@")[0].rpartition(":")[2]): line[2] for line in lines}


def _owner_seen_by(node: Node, slot: int) -> int:
    """The port of the primary of a slot; 0: this node does not say."""
    try:
        with node.raw(socket_timeout=1) as raw:
            raw.set_response_callback("CLUSTER SLOTS", list)
            for first, last, primary, *_ in raw.execute_command("CLUSTER SLOTS"):
                if first <= slot <= last:
                    return int(primary[1])
    except redis.RedisError:
        pass
    return 0


def kill_primary(arena: ClusterArena) -> None:
    """SIGKILL the node that has the queue; it comes back as a replica of the one that took over."""
    old = arena.primary
    with arena.fault("kill primary", None):
        old.kill()
        arena.wait_owner(old)
    arena.rest(0.2, 1.0)
    old.start()
    arena.wait_whole()
    arena.rest(0.3, 1.0)


def relieve_primary(arena: ClusterArena) -> None:
    """CLUSTER FAILOVER: the replica takes over when it has all of what the primary has."""
    old = arena.primary
    replicas = [node for node in arena.nodes if node.info("replication").get("master_port") == old.port]
    with arena.fault("relieve primary", None):
        arena.dice.choice(replicas).tell("CLUSTER", "FAILOVER")
        arena.wait_owner(old)
    arena.wait_whole()
    arena.rest(0.3, 1.0)


def move_slot(arena: ClusterArena) -> None:
    """The queue's slot to another primary as it is done since ever: its keys one after the other."""
    source, sink = arena.elsewhere()
    slot = arena.slot
    with arena.fault("move slot", None):
        _set_slot(sink, slot, "IMPORTING", _id(source))
        _set_slot(source, slot, "MIGRATING", _id(sink))
        with source.raw(socket_timeout=30) as raw:
            while keys := raw.execute_command("CLUSTER GETKEYSINSLOT", slot, MOVED):
                raw.execute_command("MIGRATE", HOST, sink.port, "", 0, 20_000, "KEYS", *keys)
        others = [node for node in arena.nodes if node not in (source, sink) and _is_primary(node)]
        for node in (sink, source, *others):
            _set_slot(node, slot, "NODE", _id(sink))
        arena.wait_owner(source)
    arena.wait_whole()
    arena.rest(0.2, 0.8)


def move_slot_at_once(arena: ClusterArena) -> None:
    """CLUSTER MIGRATESLOTS of Valkey 9: the slot moves as a whole, behind everybody's back."""
    source, sink = arena.elsewhere()
    with arena.fault("move slot at once", None):
        source.tell("CLUSTER", "MIGRATESLOTS", "SLOTSRANGE", arena.slot, arena.slot, "NODE", _id(sink))
        end_s = time.monotonic() + AGREE_S
        while arena.owner() is not sink:
            if time.monotonic() > end_s:
                raise TimeoutError(f"the slot did not move: {source.tell('CLUSTER', 'GETSLOTMIGRATIONS')}")
            time.sleep(0.05)
    arena.wait_whole()
    arena.rest(0.2, 0.8)


def _set_slot(node: Node, slot: int, *words: str) -> None:
    """CLUSTER SETSLOT; a node whose replica is only just there refuses it for a moment."""

    def done() -> bool:
        try:
            node.tell("CLUSTER", "SETSLOT", slot, *words)
        except redis.ResponseError as error:
            if not str(error).startswith("NOREPLICAS"):
                raise
            return False
        return True

    wait_until(done, AGREE_S, "the replicas did not come back")


def _is_primary(node: Node) -> bool:
    return node.info("replication").get("role") == "master"
