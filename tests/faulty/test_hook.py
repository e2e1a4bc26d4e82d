"""The rare errors are there, all kinds of them, and nobody who uses the library sees one."""

import pytest

from homing import App, State
from homing.client import Client
from homing.errors import ServerUnreachable
from homing.faults import Step, Verdict, judge
from homing.target import Target
from tests.faulty.hook import KINDS, Faults, installed
from tests.integration.client.scripts import echo
from tests.servers import Server, running

pytestmark = pytest.mark.exact_traffic("it brings errors of its own, and many")


def test_nobody_sees_the_errors(valkey: Server) -> None:
    faults = Faults(0.3, "hook")
    with App(valkey.url, prefix="faulty", deadline=60) as app, installed(faults):
        queue = app.queue("q")
        jobs = [queue.put(n) for n in range(80)]
        assert queue.cancel(jobs[0].id)
        seen = []
        for message in queue.consume(block=False):
            seen.append(message.payload)
            message.ack()
        assert seen == list(range(1, 80))
        assert jobs[1].state is State.COMPLETED
        assert queue.verify() == []
    assert set(faults.count) == set(KINDS)


def test_an_error_that_is_not_mended_is_seen(valkey: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    def gives_up(*args: object) -> Verdict:
        verdict = judge(*args)  # type: ignore[arg-type]
        return Verdict(Step.FAIL, verdict.error) if verdict.step is Step.LATER else verdict

    monkeypatch.setattr("homing.flight.judge", gives_up)
    faults = Faults(0.3, "hook")
    with (
        App(valkey.url, prefix="faulty-seen") as app,
        installed(faults),
        pytest.raises(Exception, match=r"loading|moving"),
    ):
        for n in range(80):
            app.queue("q").put(n)


def test_where_the_server_is_gone_no_reply_can_be_lost() -> None:
    with running("valkey-9.1") as server:
        client = Client(Target.parse(server.url), deadline=0.5)
        client.run(echo("here"))
    with installed(Faults(1.0, "gone", ["lost"])):
        [error] = client.run_many([echo("gone")])
    assert isinstance(error, ServerUnreachable)
    client.close()
