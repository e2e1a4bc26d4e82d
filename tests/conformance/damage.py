"""What goes wrong with a queue's keys, done by a raw client, and how a test sees it mended."""

import pytest

from tests.conformance.driver import Queue, Whole


def lists_only(queue: Queue) -> None:
    if queue.engine.name != "lists":
        pytest.skip("the streams engine has no such place")


def streams_only(queue: Queue) -> None:
    if queue.engine.name != "streams":
        pytest.skip("the lists engine has no such place")


def ref_of(queue: Queue, job_id: str) -> tuple[str, str]:
    """The stream and the entry that the index names."""
    ref = queue.field("index", job_id)
    assert ref is not None
    priority, _, entry = ref.decode().rpartition("/")
    return queue.keys.stream(int(priority or 0)), entry


def lose(queue: Queue, *job_ids: str) -> None:
    """The bodies of jobs that wait or are active are deleted."""
    for job_id in job_ids:
        if queue.engine.name == "lists":
            queue.raw.delete(queue.keys.job(job_id))
        else:
            queue.raw.xdel(*ref_of(queue, job_id))


def spoil(queue: Queue, job_id: str) -> None:
    """Something else writes a string where a job's hash is, or would be."""
    queue.raw.set(queue.keys.job(job_id), "nonsense")


def put_body(queue: Queue, job_id: str, state: str, **more: object) -> None:
    """A body of which no place knows."""
    fields = {"state": state, "payload": "1", "attempt": "2", **more}
    queue.raw.hset(queue.keys.job(job_id), mapping=fields)


def mends(queue: Queue, expected: Whole, *words: str) -> None:
    """Verify names the damage; a dry repair changes nothing; repair leaves the expected state, without a
    problem; and once more changes nothing.
    """
    found = queue.problems()
    assert any(all(word in problem.says for word in words) for problem in found), found
    subjects = list(dict.fromkeys(problem.subject for problem in found))
    damaged = queue.dump()
    dry = {subject: queue.repair(subject, dry=True) for subject in subjects}
    assert queue.dump() == damaged
    assert {answer.outcome for subject, answer in dry.items() if subject != "counts:"} == {"mended"}
    assert all(answer.says for answer in dry.values())
    assert queue.mend() != []
    assert queue.whole() == expected
    mended = queue.dump()
    assert {queue.repair(subject).outcome for subject in subjects} == {"fine"}
    assert queue.mend() == []
    assert queue.dump() == mended
