"""More than there should be: large payloads and long lists cost what they must, and no more."""

import resource
from pathlib import Path

import pytest

from homing.errors import PayloadTooLarge
from tests.foreign import Site, nothing_happens
from tests.integration.cli_session import Shell

MIB = 1 << 20


def test_a_payload_over_the_limit_is_refused_before_it_is_sent(site: Site) -> None:
    big = "x" * (2 * MIB)
    with (
        nothing_happens(site.app, site.raw),
        pytest.raises(PayloadTooLarge, match=r"is 2,097,15\d bytes as JSON, the limit is 1,048,576"),
    ):
        site.app.queue("work").put(big)


def test_a_payload_that_another_program_stored_is_bounded_too(site: Site) -> None:
    """What `payload_max` allows is what a worker decodes: brackets swell to ten times their size."""

    @site.app.task(queue=site.name, messages=True)
    async def note(text: str) -> None:
        raise AssertionError(text)

    large = b"[[" + b"[]," * (2 * MIB) + b"[]],{}]"
    site.put("large", task="good", payload=large)
    site.put("message", payload=b'"' + b"x" * (2 * MIB) + b'"')
    site.put("fields", text="x" * (2 * MIB))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    dead = site.drain()
    assert set(dead) == {"large", "message", "fields"}
    assert all(b"the limit is 1,048,576: raise payload_max" in record.error for record in dead.values())
    assert dead["large"].payload == large
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 150_000  # KiB; decoded it is 400,000


def test_a_consumer_is_bounded_too(site: Site) -> None:
    site.put("large", payload=b'"' + b"x" * (2 * MIB) + b'"')
    queue = site.app.queue(site.name)
    queue.put("small")
    for job in queue.consume(block=False):
        with job:
            assert job.payload == "small"
    assert [record.id for record in queue.dead()] == ["large"]


@pytest.mark.parametrize("engine", ["lists"], indirect=True)  # the command cuts what either of them gives
def test_a_list_of_large_jobs_is_shown_in_short(site: Site, tmp_path: Path) -> None:
    site.app.queue("big", engine=site.engine).put_many(["x" * (MIB // 2)] * 100)
    shell = Shell(tmp_path, site.app.settings.url)
    before_s = _worked_s()
    said = shell.homing("jobs", "big", "--prefix", site.app.settings.prefix)
    assert (said.code, said.out.count("\n") >= 50) == (0, True)
    assert len(said.out) < 50_000
    assert _worked_s() - before_s < 3


def _worked_s() -> float:
    """What the processes that this one started have worked so far: a busy machine makes it no longer."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime
