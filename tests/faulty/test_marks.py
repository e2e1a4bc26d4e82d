"""The marks of a test say which of the rare errors it meets: seen on a test that counts what ran."""

import os
import re

import pytest

from tests.faulty.hook import KINDS, UNRUN
from tests.servers import Server, as_anybody

pytestmark = pytest.mark.exact_traffic("the test that it plays meets the errors, and this one must not")

COUNTS = """
import pytest
from homing.client import Client
from homing.target import Target
from tests.integration.client.scripts import count

{mark}
def test_each_runs_once():
    client = Client(Target.parse({url!r}), deadline=60)
    answers = [client.run(count({key!r})) for _ in range(150)]
    client.close()
    assert answers == list(range(1, 151))
"""


@pytest.mark.parametrize(
    ("mark", "kinds", "outcome"),
    [
        ("", KINDS, {"failed": 1}),
        ("@pytest.mark.exact_answers('it counts')", UNRUN, {"passed": 1}),
        ("@pytest.mark.exact_traffic('it counts')", (), {"passed": 1}),
    ],
    ids=["none", "exact_answers", "exact_traffic"],
)
def test_a_mark_keeps_away_what_it_names_and_nothing_else(
    pytester: pytest.Pytester, valkey: Server, mark: str, kinds: tuple[str, ...], outcome: dict[str, int]
) -> None:
    key = f"homing:{{marks}}:{os.urandom(6).hex()}"
    pytester.makepyfile(COUNTS.format(mark=mark, url=as_anybody(valkey.url), key=key))
    played = pytester.runpytest_inprocess(
        "-p",
        "tests.faulty.plugin",
        "-p",
        "no:asyncio",
        "-p",
        "no:valkey",
        "--strict-markers",
        "--faulty",
        "0.3",
    )
    played.assert_outcomes(**outcome)
    [told] = [line for line in played.outlines if line.startswith("rare errors:")]
    assert set(re.findall(r"(\w+) [1-9]\d*(?=[,)])", told)) == set(kinds)
