"""What the end of a run means for its job, and what is kept of it."""

import asyncio
from typing import Any

import pytest

from homing import codec, events
from homing.errors import DecodeError, UnknownTask
from homing.job import Ack, Again, Bury, Cancel, Cancelled, Claimed, Dead, Decision, Retry
from homing.meta import Meta, PastError
from homing.policy import Backoff, Fixed, Never, Raised, Returned, as_policy, decide, dump, unknown_task

ERROR = ValueError("no such mailbox")


def claimed(attempt: int = 0, meta: bytes = b"") -> Claimed:
    return Claimed("a1", b"0", "send_email", b"[[],{}]", attempt, meta, since_ms=0)


def decided(end: Returned | Raised, retry: object = None, job: Claimed | None = None) -> Decision:
    return decide(job or claimed(), end, as_policy(retry), random=lambda: 1.0)


def told(decision: Decision) -> dict[str, Any]:
    assert isinstance(decision, Dead)
    record: dict[str, Any] = codec.decode(decision.error)
    return record


def test_what_a_handler_returns_is_its_result() -> None:
    assert decided(Returned({"sent": True})) == Ack(b'{"sent":true}')
    assert decided(Returned(None)) == Ack(b"")
    assert decided(Returned(False)) == Ack(b"false")


@pytest.mark.parametrize("value", [object(), float("nan"), "x" * 2_000_000])
def test_a_job_whose_result_cannot_be_kept_is_done_all_the_same(value: object) -> None:
    seen: list[str] = []
    stop = events.subscribe(lambda name, fields: seen.append(f"{name} {fields['job']}"))
    decision = decided(Returned(value), retry=5)
    assert isinstance(decision, Ack)
    assert decision.result.startswith(b"!")
    stop()
    assert seen == ["result_dropped a1"]


def test_a_failed_run_waits_as_its_policy_says_and_remembers_the_error() -> None:
    decision = decided(Raised(ERROR), Backoff(5))
    assert decision == Again(1000, 1, Meta(errors=(PastError(1, "ValueError", "no such mailbox"),)).write())


def test_the_run_after_the_last_is_buried_with_all_attempts() -> None:
    job, policy = claimed(), Fixed(2, 0.0005)
    while isinstance(decision := decide(job, Raised(ERROR), policy), Again):
        assert decision.delay_ms == 1
        job = claimed(decision.attempt, decision.meta)
    record = told(decision)
    assert (record["type"], record["message"], record["reason"]) == (
        "ValueError", "no such mailbox", "no runs left after 3",
    )  # fmt: skip
    assert [past["attempt"] for past in record["attempts"]] == [1, 2, 3]
    assert isinstance(decision, Dead)
    assert decision.attempt == 3


def test_a_job_carries_its_ten_newest_errors_and_short() -> None:
    job, policy = claimed(), Fixed(50, 0)
    for _ in range(50):
        decision = decide(job, Raised(ValueError("x" * 10_000)), policy)
        assert isinstance(decision, Again)
        job = claimed(decision.attempt, decision.meta)
    assert [past.attempt for past in Meta.read(job.meta).errors] == list(range(41, 51))
    assert len(job.meta) < 10_000


@pytest.mark.parametrize("end", [Returned, Raised])
def test_an_outcome_is_the_same_raised_and_returned(end: Any) -> None:
    assert decided(end(Cancel("changed my mind"))) == Cancelled("changed my mind")
    again = decided(end(Retry(2.5)), retry=None)
    assert isinstance(again, Again)
    assert (again.delay_ms, again.attempt) == (2500, 1)
    assert told(decided(end(Bury("address is gone")), retry=5))["reason"] == "address is gone"


def test_a_retry_without_a_delay_asks_the_policy() -> None:
    again = decided(Raised(Retry()), Fixed(1, 7))
    assert isinstance(again, Again)
    assert again.delay_ms == 7000
    assert told(decided(Raised(Retry()), None))["reason"] == "no runs left after 1"


@pytest.mark.parametrize("delay", [float("nan"), -1, float("inf"), "5", True])
def test_a_retry_with_no_length_of_time_is_buried_with_the_rule(delay: Any) -> None:
    assert told(decided(Raised(Retry(delay)), 5))["reason"].startswith("Retry(delay) must be ")


@pytest.mark.parametrize("error", [DecodeError("not JSON"), UnknownTask("nobody")])
def test_what_would_end_the_same_way_again_is_buried_at_once(error: Exception) -> None:
    record = told(decided(Raised(error), 5))
    assert record["message"] == str(error)
    assert record["reason"]


@pytest.mark.parametrize(
    "error",
    [
        StopIteration(), SystemExit(3), KeyboardInterrupt(), GeneratorExit(), asyncio.CancelledError(),
        BaseExceptionGroup("both", [ValueError(), SystemExit()]), RecursionError(), MemoryError(),
    ],
)  # fmt: skip
def test_whatever_a_handler_raises_is_a_failed_run(error: BaseException) -> None:
    assert isinstance(decided(Raised(error), Fixed(1, 0)), Again)
    assert isinstance(decided(Raised(error), None), Dead)


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (lambda _e, _a: 1 / 0, "ZeroDivisionError: division by zero"),
        (lambda _e, _a: -1, "the retry function's answer must be 0 to"),
        (lambda _e, _a: float("nan"), "the retry function's answer must be 0 to"),
        (lambda _e, _a: "soon", "the retry function's answer must be seconds"),
        (lambda: 1, "takes 0 positional arguments"),
    ],
)
def test_a_retry_function_that_fails_buries_the_job_with_the_first_error(answer: object, reason: str) -> None:
    record = told(decided(Raised(ERROR), answer))
    assert record["type"] == "ValueError"
    assert record["reason"].startswith("its retry function failed: ")
    assert reason in record["reason"]


def test_a_jobs_own_retry_goes_before_its_tasks() -> None:
    job = claimed(meta=Meta(retry=dump(Fixed(1, 9))).write())
    again = decided(Raised(ERROR), None, job)
    assert isinstance(again, Again)
    assert again.delay_ms == 9000
    assert isinstance(decided(Raised(ERROR), 5, claimed(meta=Meta(retry=dump(Never())).write())), Dead)


@pytest.mark.parametrize("meta", [b"{", b"[]", b'{"retry":3}', b'{"retry":{"kind":"os.system"}}', b"\xff"])
def test_a_broken_meta_leaves_the_tasks_policy(meta: bytes) -> None:
    assert isinstance(decided(Raised(ERROR), 5, claimed(meta=meta)), Again)


def test_a_task_nobody_here_knows_is_passed_on_uncharged_and_buried_after_its_time() -> None:
    job, now_ms, looks = claimed(attempt=2), 1_000_000, []
    while isinstance(
        decision := unknown_task(job, now_ms=now_ms, patience_ms=60_000, random=lambda: 1.0), Again
    ):
        assert decision.attempt == 2
        looks.append(now_ms - 1_000_000)
        job, now_ms = claimed(2, decision.meta), now_ms + decision.delay_ms
    assert looks == [0, 1000, 2000, 4000, 8000, 16_000, 26_000, 36_000, 46_000, 56_000]
    assert now_ms == 1_060_000
    record = told(decision)
    assert "no task named 'send_email' is registered" in record["message"]
    assert isinstance(decision, Dead)
    assert decision.attempt == 2


def test_a_message_that_nobody_takes_is_told_what_is_missing() -> None:
    message = Claimed("a1", b"0", "", b"{}", 0, b"", since_ms=0)
    record = told(unknown_task(message, now_ms=5, patience_ms=0))
    assert record["message"].startswith("no task takes messages in the workers of this queue: ")


def test_without_patience_an_unknown_task_is_buried_at_once() -> None:
    assert isinstance(unknown_task(claimed(), now_ms=5, patience_ms=0), Dead)


def test_a_task_that_became_known_starts_its_patience_anew() -> None:
    passed_on = unknown_task(claimed(), now_ms=5, patience_ms=60_000)
    assert isinstance(passed_on, Again)
    failed = decided(Raised(ERROR), 5, claimed(meta=passed_on.meta))
    assert isinstance(failed, Again)
    assert Meta.read(failed.meta).unknown_since_ms is None


def test_what_meta_does_not_know_survives() -> None:
    stored = b'{"traceparent":"00-ab","timeout_s":3.0,"rest":{"x":1}}'
    meta = Meta.read(stored)
    assert (meta.timeout_s, meta.rest) == (3.0, {"traceparent": "00-ab", "rest": {"x": 1}})
    assert codec.decode(meta.write()) == codec.decode(stored)
    again = decided(Raised(ERROR), 5, claimed(meta=stored))
    assert isinstance(again, Again)
    assert Meta.read(again.meta).rest == meta.rest


def test_an_empty_meta_takes_no_room() -> None:
    assert Meta().write() == b""
    assert Meta.read(b"") == Meta()


@pytest.mark.parametrize(
    "stored", [b"{", b"[]", b"3", b"null", b'{"timeout_s":"x"}', b'{"errors":[1]}', b"\xff"]
)
def test_a_meta_that_is_none_is_a_decode_error(stored: bytes) -> None:
    with pytest.raises(DecodeError):
        Meta.read(stored)
