"""The first story of the product: an outbox of e-mails, as tasks, as messages, and from other programs."""

import asyncio
import threading

from homing import App, Fixed
from homing.engines.engine import EngineName
from homing.job import Counts
from tests.servers import Server

MAILS = [
    {"recipient": f"user{number}@example.com", "subject": f"Nº {number}", "body": "Grüße,\n„homing“"}
    for number in range(40)
]


class PostOffice:
    """Takes mails; answers 451 to the first try of some, and 550 to some for ever."""

    def __init__(self) -> None:
        self.sent: list[str] = []
        self._moody = {"user3@example.com", "user7@example.com"}
        self._lock = threading.Lock()

    def send(self, recipient: str, subject: str, body: str) -> None:
        with self._lock:
            if recipient == "user13@example.com":
                raise ValueError("550 no such user")
            if recipient in self._moody:
                self._moody.remove(recipient)
                raise ConnectionError("451 try again later")
            self.sent.append(recipient)


ALL = sorted(mail["recipient"] for mail in MAILS if mail["recipient"] != "user13@example.com")


def test_an_outbox_of_messages_is_consumed_by_two_programs(app: App, engine: EngineName) -> None:
    office, outbox = PostOffice(), app.queue("outbox", engine=engine)
    outbox.put_many(MAILS)

    def consume() -> None:
        for job in outbox.consume(burst=True, retry=Fixed(times=1, delay=0.05)):
            with job:
                office.send(**job.payload)

    programs = [threading.Thread(target=consume) for _ in range(2)]
    for program in programs:
        program.start()
    for program in programs:
        program.join()
    assert sorted(office.sent) == ALL
    assert (outbox.counts(), outbox.verify()) == (Counts(finished=39, dead=1), [])
    [dead] = outbox.dead()
    assert b"550 no such user" in dead.error


async def test_an_outbox_of_tasks_is_run_by_a_worker(app: App, engine: EngineName) -> None:
    office = PostOffice()

    @app.task(queue="outbox", engine=engine, retry=Fixed(times=1, delay=0.05))
    def send_email(recipient: str, subject: str, body: str) -> None:
        office.send(recipient, subject, body)

    await asyncio.gather(*[send_email.aenqueue(**mail) for mail in MAILS])
    await app.worker(burst=True).run()
    assert sorted(office.sent) == ALL
    outbox = app.queue("outbox")
    assert (await outbox.acounts(), await outbox.averify()) == (Counts(finished=39, dead=1), [])


async def test_a_task_takes_the_messages_of_its_queue(app: App, engine: EngineName) -> None:
    office = PostOffice()

    @app.task(queue="outbox", engine=engine, messages=True, retry=Fixed(times=1, delay=0.05))
    def send_email(recipient: str, subject: str, body: str) -> None:
        office.send(recipient, subject, body)

    await app.queue("outbox").aput_many(MAILS)
    await app.worker(burst=True).run()
    assert sorted(office.sent) == ALL


async def test_any_redis_client_can_enqueue(app: App, valkey: Server) -> None:
    """`XADD` names a task; `HSET` and `LPUSH` make a message of plain fields."""
    office = PostOffice()

    @app.task(queue="by-stream", engine="streams")
    def send_email(recipient: str, subject: str, body: str) -> None:
        office.send(recipient, subject, body)

    @app.task(queue="by-list", engine="lists", messages=True)
    def send_fields(recipient: str, subject: str, body: str) -> None:
        office.send(recipient, subject, body)

    base = app.queue("by-stream").keys.base
    with valkey.redis() as plain:
        plain.xadd(f"{base}:stream:0", {"task": "send_email", "args": '["a@example.com", "hi", "…"]'})
        by_list = app.queue("by-list").keys
        plain.hset(by_list.job("1"), mapping={"recipient": "b@example.com", "subject": "hi", "body": "…"})
        plain.lpush(by_list.waiting(0), "1")
    await app.worker(burst=True).run()
    assert sorted(office.sent) == ["a@example.com", "b@example.com"]
