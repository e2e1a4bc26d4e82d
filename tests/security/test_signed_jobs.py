"""With `signing_keys` only what is signed runs: real workers and consumers, jobs by other programs, retries."""

import hashlib
import hmac
from collections.abc import Iterator

import pytest

from homing import App
from homing.engines.engine import EngineName
from homing.handle import remote_error
from homing.ids import new_id
from homing.job import NewJob, State
from homing.seal import Seal
from homing.signing import SigningKeys
from tests.foreign import NEIGHBOURS, Field, Site, site_on
from tests.servers import Server

OLD, NEW = "old:0123456789abcdef-old", "new:fedcba9876543210-new"
SECRET = b"fedcba9876543210-new"


@pytest.fixture
def site(valkey: Server, engine: EngineName) -> Iterator[Site]:
    with site_on(valkey, engine, signing_keys=f"{NEW},{OLD}") as site:
        yield site


def sign(site: Site, job_id: str, task: str, payload: str, options: str = "") -> str:
    """As docs/security.md tells other programs to do it."""
    parts = ["new", f"{site.app.settings.prefix}:{{{site.name}}}", task, job_id, payload, options]
    signed = "homing 1\n" + "".join(f"{len(part.encode())}:{part}," for part in parts)
    return "new:" + hmac.new(SECRET, signed.encode(), hashlib.sha256).hexdigest()


def reasons(site: Site, dead: dict[str, object]) -> set[tuple[str, str]]:
    found = [remote_error(record.error) for record in site.app.queue(site.name).dead(1_000)]
    assert len(found) == len(dead)
    return {(error.type, error.reason) for error in found}


REFUSED = {("homing.errors.JobNotSigned", "signature")}


def test_what_is_not_signed_does_not_run(site: Site) -> None:
    meta = '{"signature":"new:' + "0" * 64 + '"}'
    site.put("unsigned", task="good", payload="[[1000],{}]")
    site.put("wrong", task="good", payload="[[1001],{}]", meta=meta)
    site.put("junk", task="good", payload="[[1002],{}]", meta="junk")
    site.put("unknown", task="os.system", payload="[[1003],{}]")
    site.put("fields", recipient="a@example.com")
    dead = site.drain()
    assert set(dead) == {"unsigned", "wrong", "junk", "unknown", "fields"}
    assert reasons(site, dict(dead)) == REFUSED
    assert (dead["unsigned"].payload, dead["unsigned"].attempt) == (b"[[1000],{}]", 0)
    assert dead["wrong"].meta == meta.encode()


def test_another_program_can_sign(site: Site) -> None:
    site.put(
        "plain", task="good", payload="[[1000],{}]", meta=_meta(sign(site, "plain", "good", "[[1000],{}]"))
    )
    args = "[[1001],{}]"
    site.put("args", task="good", args="[1001]", meta=_meta(sign(site, "args", "good", args)))
    options = '{"timeout_s": 5}'
    signature = sign(site, "options", "good", "[[1002],{}]", options)
    text = options.replace('"', '\\"')
    site.put(
        "options",
        task="good",
        payload="[[1002],{}]",
        meta=f'{{"timeout_s": 5, "signed": "{text}", "signature": "{signature}"}}',
    )
    assert site.drain(1000, 1001, 1002) == {}


def _meta(signature: str) -> str:
    return f'{{"signature":"{signature}"}}'


def test_each_byte_of_a_signed_job_matters(site: Site) -> None:
    """A job of its own for each byte, with that byte changed in what is stored of it."""
    seal = Seal(SigningKeys.parse(NEW), site.app.settings.prefix)
    options = b'{"retry":{"kind":"delays","delays":[1.5]},"timeout_s":5.0}'
    sample = seal.sign(site.name, NewJob(id="x" * 21, task="good", payload=b"[[1000],{}]", meta=options))
    places = [(name, i) for name in ("task", "payload", "meta") for i in range(len(_stored(sample)[name]))]
    for name, i in places:
        job_id = new_id()
        job = seal.sign(site.name, NewJob(id=job_id, task="good", payload=b"[[1000],{}]", meta=options))
        stored = _stored(job)
        stored[name] = _flipped(stored[name], i)
        site.put(job_id, **stored)
    site.put(
        "moved", **_stored(seal.sign(site.name, NewJob(id="other", task="good", payload=b"[[1000],{}]")))
    )
    dead = site.drain()
    assert len(dead) == len(places) + 1 > 200
    assert reasons(site, dict(dead)) == REFUSED


def _stored(job: NewJob) -> dict[str, bytes]:
    return {"task": job.task.encode(), "payload": job.payload, "meta": job.meta}


def _flipped(text: bytes, at: int) -> bytes:
    return text[:at] + bytes([text[at] ^ 1]) + text[at + 1 :]


def test_every_bit_of_a_signed_job_matters() -> None:
    """The same without a server, for all eight bits of each byte."""
    from homing.job import Claimed

    seal = Seal(SigningKeys.parse(NEW), "homing")
    job = seal.sign("q", NewJob(id="a1", task="good", payload=b"[[1],{}]", meta=b'{"timeout_s":5.0}'))
    whole = [job.id.encode(), job.task.encode(), job.payload, job.meta]
    passed = []
    for place, raw in enumerate(whole):
        for at in range(len(raw)):
            for bit in range(8):
                changed = [*whole]
                changed[place] = raw[:at] + bytes([raw[at] ^ 1 << bit]) + raw[at + 1 :]
                job_id, task, payload, meta = changed
                names = [text.decode("utf-8", "replace") for text in (job_id, task)]
                if not seal.fault("q", Claimed(names[0], b"0", names[1], payload, 0, meta, 0)):
                    passed.append(changed)
    assert passed == []


def test_a_signed_job_is_no_job_of_another_queue_or_prefix(site: Site, valkey: Server) -> None:
    job = site.app.tasks["good"].enqueue(1)
    record = job.record()
    stored: dict[str, Field] = {"task": record.task, "payload": record.payload, "meta": record.meta}
    elsewhere = Site(site.app, site.raw, site.engine, name="elsewhere")
    elsewhere.put(job.id, **stored)
    site.work()
    assert (elsewhere.ran, [one.id for one in site.app.queue("elsewhere").dead()]) == ([], [job.id])
    with site_on(valkey, site.engine, signing_keys=NEW) as other:
        other.put(job.id, **stored)
        assert set(other.drain()) == {job.id}


def test_a_retry_and_a_replay_keep_it_valid(site: Site) -> None:
    runs: list[int] = []
    mended = False

    @site.app.task(queue=site.name, retry=[0, 0])
    async def fails(number: int) -> None:
        runs.append(number)
        if not mended:
            raise ValueError(number)

    job = fails.options(timeout=5).enqueue(1)
    own = fails.options(retry=[0]).enqueue(2)
    dead = site.drain()
    assert (sorted(runs), set(dead)) == ([1, 1, 1, 2, 2], {job.id, own.id})
    assert all(b'"type":"ValueError"' in record.error for record in dead.values())
    mended = True
    assert set(site.app.queue(site.name).replay()) == {job.id, own.id}
    site.work()
    assert (job.state, own.state, len(runs)) == (State.COMPLETED, State.COMPLETED, 7)


@pytest.mark.parametrize("wait", [0.0, 0.001])
def test_every_way_in_signs(site: Site, wait: float) -> None:
    import asyncio

    good, queue = site.app.tasks["good"], site.app.queue(site.name)
    numbers = range(NEIGHBOURS, NEIGHBOURS + 5)
    first, second, third, fourth, fifth = numbers
    good.options(delay=wait).enqueue(first)
    good.enqueue_many([good.call(second)])

    async def later() -> None:
        await asyncio.gather(
            good.options(priority=3).aenqueue(third), good.options(id="mine").aenqueue(fourth)
        )
        await good.aenqueue_many([good.options(delay=wait, timeout=9).call(fifth)])
        await site.app.aclose()

    asyncio.run(later())
    assert site.drain(*numbers) == {}

    messages = site.app.queue("messages", engine=site.engine)
    messages.put({"n": 1})
    messages.put_many([2], delay=wait)
    seen = []
    for job in messages.consume(burst=True):
        with job:
            seen.append(job.payload)
    assert sorted(map(str, seen)) == ["2", "{'n': 1}"]
    assert queue.counts().dead == 0


def test_a_consumer_refuses_what_is_not_signed(site: Site) -> None:
    queue = site.app.queue(site.name)
    site.put("unsigned", payload="1")
    site.put("fields", a="1")
    site.put("signed", payload="2", meta=_meta(sign(site, "signed", "", "2")))
    queue.put(3)
    seen = []
    for job in queue.consume(block=False):
        with job:
            seen.append(job.payload)
    assert seen == [2, 3]
    assert reasons(site, {"unsigned": None, "fields": None}) == REFUSED


def test_keys_are_rotated_without_a_pause(valkey: Server, engine: EngineName) -> None:
    with site_on(valkey, engine, signing_keys=OLD) as site:
        good = site.app.tasks["good"]
        good.enqueue(1000)
        settings = site.app.settings
        with App(
            settings.url, prefix=settings.prefix, signing_keys=f"{NEW},{OLD}", unknown_task_for=0
        ) as both:
            rotating = Site(both, site.raw, engine)
            rotating.drain(1000)
            good.enqueue(1001)
        with App(settings.url, prefix=settings.prefix, signing_keys=NEW, unknown_task_for=0) as new:
            rotated = Site(new, site.raw, engine)
            [record] = rotated.drain().values()
            assert (
                "signed with a key that is not in signing_keys: 'old'" in remote_error(record.error).message
            )


def test_without_keys_signed_jobs_run_like_any_other(valkey: Server, engine: EngineName, site: Site) -> None:
    job = site.app.tasks["good"].options(timeout=5).enqueue(1000)
    settings = site.app.settings
    with App(settings.url, prefix=settings.prefix) as plain:
        unaware = Site(plain, site.raw, engine)
        assert unaware.drain(1000) == {}
    assert job.state is State.COMPLETED
