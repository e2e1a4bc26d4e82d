"""The harness of the benchmarks sees what it claims to see: on a real server, and over one small run."""

import os
import sys
from pathlib import Path

import pytest

from benchmarks.interpreter import Interpreter, Refused
from benchmarks.readings import left, read
from benchmarks.scenarios import waits
from benchmarks.scenarios.scene import Run
from benchmarks.scenarios.waits import naps
from benchmarks.setups import HOMING, LOOPS, Setup
from benchmarks.stage import Silent, Stage
from benchmarks.transitions import BESIDE, Walk
from homing.client import Client
from homing.engines import make
from homing.engines.engine import EngineName
from homing.job import Ack
from homing.keys import Keys
from homing.target import Target
from tests.servers import running

BIN = Path(sys.executable).parent


def test_what_is_left_counts_what_nobody_acknowledged() -> None:
    with running("valkey-9.1") as server, server.redis() as client:
        client.rpush("waiting:a", 1, 2)
        client.zadd("running", {"b": 1})
        ids = [client.xadd("stream", {"job": n}) for n in range(3)]
        assert left(client, ("waiting:*", "running", "stream")) == 2 + 1 + 3
        client.xgroup_create("stream", "workers", id="0")
        client.xreadgroup("workers", "one", {"stream": ">"}, count=2)
        client.xack("stream", "workers", ids[0])
        assert left(client, ("stream",)) == 2, "one was delivered and one was not: the acknowledged one stays"
        client.xreadgroup("workers", "one", {"stream": ">"})
        client.xack("stream", "workers", *ids)
        client.xdel("stream", *ids)
        assert left(client, ("stream", "elsewhere:*")) == 0


def test_two_readings_tell_what_was_sent_between_them() -> None:
    with running("valkey-9.1") as server, server.redis() as client:
        before = read(client)
        for _ in range(20):
            client.set("a", "b")
        spent = read(client) - before
        assert (spent.commands["set"], spent.flights) == (20, 21), "the second INFO is a flight, too"


def test_the_witness_tells_which_jobs_ran_and_which_ran_twice() -> None:
    with Stage(BIN, jobs=5) as stage:
        stage.runs[1] = 1
        stage.runs[4] = 2
        assert (stage.ran(), stage.repeated()) == (2, 1)


def test_the_server_goes_before_all_others_or_says_why_not() -> None:
    with Stage(BIN) as stage:
        refused = ""
        try:
            stage.put_server_first()
        except Silent as silent:  # only some may
            refused = str(silent)
        threads = [int(path.name) for path in Path(f"/proc/{stage.server.pid}/task").iterdir()]
        policies = {os.sched_getscheduler(thread) for thread in threads}
        assert policies == {os.SCHED_OTHER if refused else os.SCHED_FIFO}
        assert not refused or "no real-time priority here: " in refused


def test_a_program_that_fails_is_told_with_its_last_words() -> None:
    with Stage(BIN) as stage, pytest.raises(Silent, match=r"ended with 3; .*out of bread"):
        stage.ask(("{bin}/python", "-c", "import sys; print('out of bread', file=sys.stderr); sys.exit(3)"))


#: From here on 25 milliseconds differ in one small letter only.
SPELT_ALIKE_MS = (1_800_000_000_000 >> 6 << 6) + 38


@pytest.mark.parametrize("setup", [HOMING[0], LOOPS[0]], ids=lambda setup: setup.name)
def test_a_small_run_counts_every_job(setup: Setup) -> None:
    figures = naps(Run(setup, BIN, seconds=0.1, rate=1_000), 20)
    assert figures["jobs"] == 100
    assert 0 < figures["share"] <= 1.1


@pytest.mark.parametrize("engine", ["streams", "lists"])
def test_instructions_are_counted_and_the_scripts_do_what_they_do_on_the_server(engine: EngineName) -> None:
    with running("valkey-9.1") as server, Client(Target.parse(server.url)) as client:
        counter = Interpreter(str(server.address["unix_socket_path"]))
        walk = Walk(engine, lambda command: counter.run(command)[0], at_ms=SPELT_ALIKE_MS)
        instructions = []
        for jobs in (10, 10, 20):
            _, count = counter.run(walk.enqueue(jobs))
            instructions.append(count.instructions)
            assert 0 < count.commands < 10 * jobs
        assert instructions[0] == instructions[1], "no clock is in it"
        assert instructions[0] < instructions[2] < 2 * instructions[0]
        [first] = client.run(walk.claim(1)).jobs
        assert client.run(walk.settle([first], Ack())).done == 1
        claimed, _ = counter.run(walk.claim(1_000))
        settled, _ = counter.run(walk.settle(claimed.jobs, Ack()))
        assert (len(claimed.jobs), settled.done) == (1_000, 1_000)
        counts = client.run(walk.verbs.counts())
        assert (counts.waiting, counts.finished) == (BESIDE + 40 - 1_001, 1_001)
        assert client.run(walk.verbs.verify()).problems == []
        counter.close()


def test_a_script_that_fails_beside_the_server_says_why() -> None:
    with running("valkey-9.1") as server:
        counter = Interpreter(str(server.address["unix_socket_path"]))
        verbs = make("streams", Keys("broken"))
        with server.redis() as client:
            client.set("homing:{broken}:meta", "no hash")
        with pytest.raises(Refused, match="WRONGTYPE"):
            counter.run(verbs.open())
        counter.close()


def test_a_run_that_had_more_jobs_at_once_than_it_asked_for_is_no_figure(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(waits, "SHARE_MAX", 0.01)
    with pytest.raises(Silent, match="more than 20 jobs at once"):
        naps(Run(LOOPS[0], BIN, seconds=0.1, rate=1_000), 20)
