"""Jobs that somebody with access to the server made up: nothing of them is run, rebuilt or imported."""

import pickle
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from homing.errors import JobFailed, JobNotFound
from homing.handle import RemoteError
from homing.job import State
from tests.foreign import Site

DEEP = 100_000


def imported() -> set[str]:
    """The modules of this process that are not homing's own, which loads them as it needs them."""
    return {name for name in sys.modules if name.partition(".")[0] != "homing"}


class Bomb:
    """Runs a program when it is loaded."""

    def __init__(self, canary: Path) -> None:
        self._canary = canary

    def __reduce__(self) -> tuple[Any, ...]:
        return subprocess.call, (["touch", str(self._canary)],)


def test_a_pickle_is_never_loaded(site: Site, tmp_path: Path) -> None:
    canary = tmp_path / "canary"
    bomb = pickle.dumps(Bomb(canary))
    site.put("payload", task="good", payload=bomb)
    site.put("meta", task="good", payload="[[1],{}]", meta=bomb)
    site.put("args", task="good", args=bomb)
    site.put("task", task=bomb, payload="[[],{}]")
    dead = site.drain()
    assert set(dead) == {"payload", "meta", "args", "task"}
    assert dead["payload"].payload == bomb
    assert dead["meta"].meta == bomb
    assert not canary.exists()
    pickle.loads(bomb)  # what a queue that trusts its server would have done
    assert canary.exists()


@pytest.mark.parametrize(
    "name", ["os.system", "builtins.eval", "__main__.x", "a.b;c", "antigravity", "turtle:color", "../../x"]
)
def test_a_task_is_looked_up_and_never_imported(site: Site, name: str) -> None:
    site.put("forged", task=name, payload='[["touch /tmp/forged"],{}]')
    site.put("neighbour", task="good", payload="[[7],{}]")
    site.work()
    before = imported()
    site.put("again", task=name, payload="[[],{}]")
    dead = site.drain(7)
    assert set(dead) == {"forged", "again"}
    assert b"UnknownTask" in dead["forged"].error
    assert imported() == before


def test_a_task_in_a_process_of_its_own_is_found_by_the_worker_not_by_the_job(site: Site) -> None:
    """What the process imports stands in the worker's registry; nothing of the job reaches `import`."""
    from homing.worker.frames import Order, Sought

    assert {"task", "path"} < set(Order.__struct_fields__)
    assert set(Sought.__struct_fields__) == {"name", "module", "file", "places"}
    site.put("forged", task="posixpath.join", payload='[["/","x"],{}]', meta='{"module":"os"}')
    assert set(site.drain()) == {"forged"}


@pytest.mark.parametrize(
    "error",
    [
        '{"exc_module":"os","exc_type":"system","exc_message":["touch canary"]}',
        '{"type":"os.system","message":"touch canary","traceback":"","reason":""}',
        '{"py/object":"os.system","py/reduce":[{"py/function":"os.system"},["touch canary"]]}',
        "cos\nsystem\n(S'touch canary'\ntR.",
        '["os.system","touch canary"]',
        '{"type":{"__class__":"os"},"message":["touch canary"]}',
    ],
)
def test_a_stored_error_is_read_and_never_rebuilt(
    site: Site, error: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    site.put("bad", task="nobody", payload="[[],{}]")
    site.drain()
    site.raw.hset(site.keys.job("bad"), "error", error)
    job = site.app.job(site.name, "bad")
    before = imported()
    with pytest.raises(JobFailed) as failed:
        job.result(timeout=2)
    assert type(failed.value.error) is RemoteError
    assert all(
        type(getattr(failed.value.error, name)) is str for name in ("type", "message", "traceback", "reason")
    )
    assert failed.value.__cause__ is None
    assert not list(tmp_path.iterdir())
    assert imported() == before


def test_a_stored_result_is_json_and_nothing_else(site: Site, tmp_path: Path) -> None:
    canary = tmp_path / "canary"
    job = site.app.tasks["good"].enqueue(1)
    site.work()
    site.raw.set(site.keys.result(job.id), b"completed\n" + pickle.dumps(Bomb(canary)))
    with pytest.raises(ValueError, match=r"JSON is malformed|not UTF-8"):
        site.app.job(site.name, job.id).result(timeout=2)
    assert not canary.exists()


#: What a parser, a float, an int or a stack may break on; the foreign worker only ever sees bytes.
BOMBS: dict[str, bytes] = {
    "empty": b"",
    "not-json": b"hello",
    "cut": b'[[1],{"a":',
    "behind": b"[[1],{}] trailing",
    "not-utf8": b'[["\xff\xfe"],{}]',
    "lone-surrogate": b'[["\\ud800"],{}]',
    "nul": b"[[1],{}]\x00",
    "deep-arrays": b"[" * DEEP,
    "deep-closed": b"[[" + b"[" * DEEP + b"]" * DEEP + b"],{}]",
    "deep-objects": b'[[1],{"a":' + b'{"a":' * DEEP + b"1" + b"}" * DEEP + b"}]",
    "long-int": b"[[" + b"9" * 5_000 + b"],{}]",
    "huge-exponent": b"[[1e999],{}]",
    "nan": b"[[NaN],{}]",
    "infinity": b"[[Infinity],{}]",
    "minus-infinity": b"[[-Infinity],{}]",
    "an-object": b'{"args":[1]}',
    "a-number": b"3",
    "null": b"null",
    "a-text": b'"[[1],{}]"',
    "three": b"[[1],{},{}]",
    "args-object": b"[{},[]]",
    "too-few": b"[[],{}]",
    "too-many": b"[[1,2,3],{}]",
    "unknown-name": b'[[],{"nobody":1}]',
    "twice": b'[[1],{"number":2}]',
    "wrong-kind": b'[["1"],{}]',
    "single-quotes": b"[['1'],{}]",
    "comment": b"[[1],{}] // x",
    "bom": b"\xef\xbb\xbf[[1],{}]",
}


def test_json_bombs_go_to_the_dead_letters_whole(site: Site) -> None:
    for name, body in BOMBS.items():
        site.put(name, task="good", payload=body)
    dead = site.drain()
    assert set(dead) == set(BOMBS)
    assert {name: dead[name].payload for name in BOMBS} == BOMBS
    not_decoded = {
        name for name, record in dead.items() if b'"type":"homing.errors.DecodeError"' in record.error
    }
    assert not_decoded == set(BOMBS)


def test_json_bombs_in_meta_go_to_the_dead_letters_whole(site: Site) -> None:
    bombs = {name: body for name, body in BOMBS.items() if body}
    for name, body in bombs.items():
        site.put(name, task="good", payload="[[1],{}]", meta=body)
    odd = {"retry": b'{"retry":7}', "timeout": b'{"timeout_s":"x"}', "errors": b'{"errors":{}}'}
    for name, body in odd.items():
        site.put(name, task="good", payload="[[1],{}]", meta=body)
    # The one that is an object is a meta with a field that homing does not know, and keeps.
    del bombs["an-object"]
    assert {name: record.meta for name, record in site.drain(1).items()} == {**bombs, **odd}


@pytest.mark.exact_answers("of a copy nobody knows what it would have removed")
def test_a_job_of_another_prefix_is_not_found(site: Site) -> None:
    from homing import App

    job = site.app.tasks["good"].enqueue(1)
    with App(site.app.settings.url, prefix=f"{site.app.settings.prefix}-other") as other:
        stranger = other.job(site.name, job.id)
        for ask in (
            lambda: stranger.state,
            stranger.record,
            stranger.cancel,
            lambda: stranger.result(timeout=1),
        ):
            with pytest.raises(JobNotFound, match=f"job {site.name}/{job.id} is not known"):
                ask()
        with pytest.raises(JobNotFound):
            other.queue(site.name).remove(job.id)
        assert other.queue(site.name).purge(State.WAITING) == 0
    assert job.state is State.WAITING
