"""Stored jobs that are not what they should be: dead letters, whole, and a hundred good jobs behind them run."""

import time
from collections.abc import Callable

import pytest

from homing.errors import NewerData, WrongType
from homing.handle import remote_error
from homing.job import JobRecord
from tests.foreign import Site, dump

Store = Callable[[Site], None]


def fields(**stored: str | bytes) -> Store:
    return lambda site: site.put("bad", **stored)


#: What is stored under the id `bad`; words of the error in its dead letter, or None when it simply runs.
ROWS: list[tuple[str, Store, str | None]] = [
    ("no-payload", fields(task="good"), "is not JSON [args, kwargs]"),
    ("empty-payload", fields(task="good", payload=b""), "is not JSON [args, kwargs]"),
    ("binary-payload", fields(task="good", payload=bytes(range(256))), "is not JSON [args, kwargs]"),
    ("payload-of-another-shape", fields(task="good", payload='{"number":1}'), "is not JSON [args, kwargs]"),
    ("wrong-arity", fields(task="good", payload="[[],{}]"), "missing a required argument: 'number'"),
    ("unknown-argument", fields(task="good", payload='[[1],{"x":2}]'), "unexpected keyword argument 'x'"),
    (
        "wrong-kind",
        fields(task="good", payload='[["one"],{}]'),
        "parameter number: Expected `int`, got `str`",
    ),
    ("foreign-args-junk", fields(task="good", args="1"), "is not JSON [args, kwargs]"),
    ("meta-junk", fields(task="good", payload="[[1],{}]", meta=b"\xff\x00"), "JSON is malformed"),
    ("meta-array", fields(task="good", payload="[[1],{}]", meta="[1]"), "meta is not an object but list"),
    ("meta-timeout", fields(task="good", payload="[[1],{}]", meta='{"timeout_s":"x"}'), "meta: Expected"),
    ("unknown-task", fields(task="nobody", payload="[[1],{}]"), "no task named 'nobody' is registered"),
    (
        "binary-task",
        fields(task=b"\xff\xfe", payload="[[1],{}]"),
        "is registered in the workers of this queue",
    ),
    ("no-task", fields(payload="1"), "no task takes messages is registered|no task takes messages"),
    ("attempt-junk", fields(task="good", payload="[[1],{}]", attempt="many"), None),
    ("attempt-negative", fields(task="good", payload="[[1],{}]", attempt="-5"), None),
    ("attempt-huge", fields(task="good", payload="[[1],{}]", attempt="9" * 30), None),
    ("priority-junk", fields(task="good", payload="[[1],{}]", priority="high"), None),
    ("times-junk", fields(task="good", payload="[[1],{}]", created_ms="soon", due_ms="never"), None),
    ("state-unknown-field", fields(task="good", payload="[[1],{}]", colour="red"), None),
    ("newer-meta", fields(task="good", payload="[[1],{}]", meta='{"invented_later":{"a":1}}'), None),
]


@pytest.mark.parametrize(("store", "says"), [row[1:] for row in ROWS], ids=[row[0] for row in ROWS])
def test_a_stored_job_that_is_broken_is_buried_whole(site: Site, store: Store, says: str | None) -> None:
    store(site)
    dead = site.drain() if says is not None else site.drain(1)
    if says is None:
        assert dead == {}
        return
    error = remote_error(dead["bad"].error)
    assert any(words in error.message for words in says.split("|")), error
    assert whole(dead["bad"])


def whole(record: JobRecord) -> bool:
    return bool(record.payload or record.fields or record.task)


def test_an_id_without_a_job_is_counted_and_dropped_once(site: Site) -> None:
    if site.engine == "lists":
        site.put("bad")
        counted = 1
    else:
        # An entry is its own body; what an index can name without one is an entry that somebody deleted.
        job = site.app.queue(site.name).put(1)
        [(entry, _)] = site.raw.xrange(site.keys.stream(0)) or []
        assert entry is not None
        site.raw.xdel(site.keys.stream(0), entry)
        site.raw.hdel(f"{site.keys.base}:index", job.id)
        counted = 0
    assert site.drain() == {}
    assert site.app.queue(site.name).counts().missing == counted


def test_a_key_of_another_type_under_a_jobs_name_is_kept_and_buried(site: Site) -> None:
    if site.engine == "lists":
        site.raw.set(site.keys.job("bad"), b"\x00junk")
        site.raw.lpush(site.keys.waiting(0), "bad")
    else:  # a scheduled job is a hash of its own there
        site.app.tasks["good"].options(delay=0.001, id="bad").enqueue(1)
        site.raw.set(site.keys.job("bad"), b"\x00junk")
    dead = site.drain()
    assert "holds a string, not a hash" in remote_error(dead["bad"].error).message
    assert site.raw.get(f"{site.keys.base}:raw:bad") == b"\x00junk"


def test_a_queue_whose_key_is_of_another_type_says_so_and_others_go_on(site: Site) -> None:
    other = site.app.queue("other", engine=site.engine)
    broken = site.keys.waiting(0) if site.engine == "lists" else site.keys.stream(0)
    site.raw.set(broken, "not ours")
    before, began = dump(site.raw, site.app.settings.prefix), time.monotonic()
    with pytest.raises(
        WrongType, match=r"another type .* the TYPE of the keys .*:\{work\}:\*, .*\(queue 'work'\)"
    ):
        site.app.tasks["good"].enqueue(1)
    assert time.monotonic() - began < 0.1
    assert dump(site.raw, site.app.settings.prefix) == before
    other.put("fine")
    seen = []
    for job in other.consume(block=False):
        with job:
            seen.append(job.payload)
    assert seen == ["fine"]


def test_data_of_a_newer_release_is_left_alone(site: Site) -> None:
    site.raw.hset(site.keys.meta, "version", "99")
    before = dump(site.raw, site.app.settings.prefix)
    with pytest.raises(NewerData, match="data version 99"):
        site.app.tasks["good"].enqueue(1)
    with pytest.raises(NewerData, match="data version 99"):
        site.work()
    assert dump(site.raw, site.app.settings.prefix) == before
