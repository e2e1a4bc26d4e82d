"""One function per fault: it strikes once, tells the history whom, and lets the others work for a while."""

import contextlib
import os
import signal
import time

import redis

from chaos.arena import Arena, stop_and_go
from chaos.processes import send


def kill_child(arena: Arena) -> None:
    """SIGKILL a worker process; its supervisor sees it die."""
    children = [pid for tree in arena.trees for pid in tree.children()]
    if children:
        victim = arena.dice.choice(children)
        with arena.fault("kill child", [victim]):
            send([victim], signal.SIGKILL)
    arena.rest(0.2, 0.6)


def kill_supervisor(arena: Arena) -> None:
    """SIGKILL a supervisor; its children die with it."""
    tree = arena.dice.choice(arena.trees)
    with arena.fault("kill supervisor", tree.tree()):
        tree.process.kill()
        tree.process.wait()
    arena.rest(0.5, 1.5)


def kill_tree(arena: Arena) -> None:
    """SIGKILL a whole tree at once: a host that died."""
    tree = arena.dice.choice(arena.trees)
    with arena.fault("kill tree", tree.tree()):
        tree.kill_tree()
    arena.rest(0.5, 1.5)


def stop_beyond_lease(arena: Arena) -> None:
    """SIGSTOP whole trees for two leases, all but one of them; then let them go on."""
    victims = arena.dice.sample(arena.trees, max(1, len(arena.trees) - 1))
    pids = [pid for tree in victims for pid in tree.tree()]
    with arena.fault("stop beyond lease", pids):
        stop_and_go(pids, 2 * arena.plan.lease_ms / 1000)
    arena.rest(0.5, 1.0)


def stop_child(arena: Arena) -> None:
    """SIGSTOP one worker process: its supervisor keeps its lease, so nothing may run twice."""
    children = [pid for tree in arena.trees for pid in tree.children()]
    if children:
        victim = arena.dice.choice(children)
        with arena.fault("stop child", [victim]):
            stop_and_go([victim], 2 * arena.plan.lease_ms / 1000)
    arena.rest(0.2, 0.5)


def rolling_restart(arena: Arena) -> None:
    """SIGTERM to each tree in turn, each replaced before the next one goes."""
    for at, tree in enumerate(arena.trees):
        with arena.fault("rolling restart", tree.tree()):
            fresh = arena.new_tree()
            tree.process.send_signal(signal.SIGTERM)
            tree.process.wait(60)
            arena.trees[at] = fresh
    arena.rest(0.0, 0.2)


def kill_server(arena: Arena) -> None:
    """SIGKILL the server; it comes back in the same place with what its AOF has."""
    assert arena.server is not None
    with arena.fault("kill server", None):
        os.kill(arena.server.pid, signal.SIGKILL)
        arena.server.stop()
        time.sleep(arena.dice.uniform(0.0, 3.0))
        arena.start_server()
    arena.rest(1.0, 3.0)


def kill_connections(arena: Arena) -> None:
    """CLIENT KILL to everybody."""
    with arena.raw() as raw, arena.fault("kill connections", None):
        raw.execute_command("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
    arena.rest(0.1, 0.3)


def flush_scripts(arena: Arena) -> None:
    with arena.raw() as raw, arena.fault("flush scripts", None):
        raw.script_flush()
    arena.rest(0.02, 0.1)


def pause_server(arena: Arena) -> None:
    """CLIENT PAUSE or a server in a long sleep, for two leases: nobody died, so nothing may run twice."""
    pause_s = 2 * arena.plan.lease_ms / 1000
    with arena.raw(socket_timeout=60) as raw, arena.fault("pause server", None):
        if arena.dice.random() < 0.5:
            raw.execute_command("CLIENT", "PAUSE", int(pause_s * 1000), "ALL")
            time.sleep(pause_s)
        else:
            raw.execute_command("DEBUG", "SLEEP", pause_s)
    arena.rest(1.0, 2.0)


def quiet(arena: Arena) -> None:
    """Nothing happens: what a run looks like without faults."""
    with arena.fault("quiet", []):
        pass
    arena.rest(0.3, 0.3)


def rewrite(arena: Arena) -> None:
    """BGREWRITEAOF, BGSAVE, and the AOF off and on again, under load."""
    with arena.raw() as raw, arena.fault("rewrite", []):
        what = arena.dice.choice(["BGREWRITEAOF", "BGSAVE", "appendonly"])
        with contextlib.suppress(redis.ResponseError):  # one is already going on
            if what == "appendonly":
                raw.config_set("appendonly", "no")
                time.sleep(0.2)
                raw.config_set("appendonly", "yes")
            else:
                raw.execute_command(what)
    arena.rest(0.3, 0.8)
