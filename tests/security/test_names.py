"""Names that would change a key, a slot, a command or a script: refused at every door, or carried as they are."""

from collections.abc import Callable
from typing import Any

import pytest

from homing import App
from homing.cli.main import run
from homing.errors import SettingsError
from homing.job import State
from tests.foreign import NEIGHBOURS, Site, nothing_happens

BAD = [
    "",
    " ",
    "a b",
    "a}{b",
    "}",
    "{}",
    "q:{x}y}",
    "*",
    "?",
    "[a]",
    "a\\b",
    "../",
    "a/b",
    "a\nb",
    "a\r\nFLUSHALL",
    "a\x00b",
    "é",
    "🐦",
    "\u202ea",
    "\ud800",
    "'; redis.call('FLUSHALL') --",
    '"',
    "]]",
    "x" * 10_240,
]
DOORS: dict[str, Callable[[App, str], Any]] = {
    "app.queue": lambda app, name: app.queue(name),
    "app.queue.put": lambda app, name: app.queue(name).put(1),
    "app.job": lambda app, name: app.job(name, "id"),
    "app.job(id)": lambda app, name: app.job("work", name),
    "options(queue)": lambda app, name: app.tasks["good"].options(queue=name),
    "options(id)": lambda app, name: app.tasks["good"].options(id=name),
    "put(id)": lambda app, name: app.queue("work").put(1, id=name),
    "remove": lambda app, name: app.queue("work").remove(name),
    "cancel": lambda app, name: app.queue("work").cancel(name),
    "replay": lambda app, name: app.queue("work").replay([name]),
    "purge": lambda app, name: app.queue(name).purge(State.WAITING),
    "task(name)": lambda app, name: app.task(name=name)(_function),
    "task(queue)": lambda app, name: app.task(queue=name)(_function),
    "worker(queues)": lambda app, name: app.worker(queues=[name]),
    "App(prefix)": lambda app, name: App(app.settings.url, prefix=name),
}


#: No name reaches an engine, so one of them stands for both.
one_engine = pytest.mark.parametrize("engine", ["streams"], indirect=True)


def _function() -> None:
    """Does nothing."""


@one_engine
@pytest.mark.parametrize("door", DOORS)
def test_a_name_that_is_no_name_is_refused_at_every_door(site: Site, door: str) -> None:
    site.app.queue("work").put(0)
    for name in BAD:
        with nothing_happens(site.app, site.raw), pytest.raises(SettingsError) as refused:
            DOORS[door](site.app, name)
        assert isinstance(refused.value, ValueError)
        assert len(str(refused.value)) < 500
        assert "A-Z a-z 0-9 _ . : -" in str(refused.value) or "a text that is not empty" in str(refused.value)


@one_engine
@pytest.mark.parametrize("door", DOORS)
def test_a_name_that_is_no_text_is_a_type_error(site: Site, door: str) -> None:
    for name in (b"work", 5, True, ["work"], 1.5, object()):
        with nothing_happens(site.app, site.raw), pytest.raises(TypeError, match="must be a"):
            DOORS[door](site.app, name)  # type: ignore[arg-type]  # on purpose


@one_engine
@pytest.mark.parametrize(
    "words",
    [
        ("jobs", "*"),
        ("queue", "purge", "*", "--yes"),
        ("job", "show", "a}{b/id"),
        ("dead", "list", "{x}"),
        ("queues", "--prefix", "a{b"),
    ],
)
def test_the_command_refuses_them_too(
    site: Site, words: tuple[str, ...], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOMING_URL", site.app.settings.url or "")
    code, said = run(words), capsys.readouterr()
    assert (code, said.out) == (2, "")
    assert "is not allowed" in said.err


def test_purging_one_queue_touches_no_other(site: Site) -> None:
    mine, others = (
        site.app.queue("a"),
        [site.app.queue(name) for name in ("a.b", "a:b", "ab", "A", "a-", "b")],
    )
    for queue in (mine, *others):
        queue.put_many(range(3))
    assert mine.purge(State.WAITING) == 3
    assert [queue.counts().waiting for queue in (mine, *others)] == [0, 3, 3, 3, 3, 3, 3]


#: What ends a string, a comment, a script or a protocol line somewhere.
ODD = [
    "'",
    '"',
    "]]",
    "--",
    "--[[",
    "\\",
    "\\'",
    "${x}",
    "{{7*7}}",
    "%s%n",
    "%d",
    "\r\nFLUSHALL\r\n",
    "\x00",
    "*3\r\n$3\r\n",
]


def test_data_is_carried_as_it_is(site: Site) -> None:
    seen: list[object] = []

    @site.app.task(queue=site.name)
    async def echo(text: str, **named: str) -> str:
        seen.append((text, named))
        return text

    jobs = echo.enqueue_many(echo.call(odd, x=odd) for odd in ODD)
    for number, odd in enumerate(ODD):
        site.put(f"plain-{number}", task=odd, payload="[[],{}]")
    dead = site.drain()
    assert seen == [(odd, {"x": odd}) for odd in ODD]
    assert [job.result(timeout=2) for job in jobs] == ODD
    assert [dead[f"plain-{number}"].task for number in range(len(ODD))] == ODD


def test_a_foreign_id_harms_nothing(site: Site) -> None:
    """Another program may write any id: on a stream it gets one of ours, in a list it is the key's own name."""
    for number, odd in enumerate(ODD, NEIGHBOURS):
        site.put(odd, task="good", payload=f"[[{number}],{{}}]")
    assert site.drain(*range(NEIGHBOURS, NEIGHBOURS + len(ODD))) == {}
