"""The harness of the benchmarks sees what it claims to see: on a real server, and over one small run."""

import sys
from pathlib import Path

import pytest

from benchmarks.readings import left, read
from benchmarks.scenarios.scene import Run
from benchmarks.scenarios.waits import naps
from benchmarks.setups import HOMING, LOOPS, Setup
from benchmarks.stage import Silent, Stage
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


def test_a_program_that_fails_is_told_with_its_last_words() -> None:
    with Stage(BIN) as stage, pytest.raises(Silent, match=r"ended with 3; .*out of bread"):
        stage.ask(("{bin}/python", "-c", "import sys; print('out of bread', file=sys.stderr); sys.exit(3)"))


@pytest.mark.parametrize("setup", [HOMING[0], LOOPS[0]], ids=lambda setup: setup.name)
def test_a_small_run_counts_every_job(setup: Setup) -> None:
    figures = naps(Run(setup, BIN, seconds=0.1, rate=1_000), 20)
    assert figures["jobs"] == 100
    assert 0 < figures["share"] <= 1.1
