"""`pytest --faulty 0.01`: the whole suite while a share of all flights meets a rare error.

A test that says `@pytest.mark.exact_answers("why")` loses no replies: a copy of a command truthfully tells what the
copy did, not what the first one had done. One that says `@pytest.mark.exact_traffic("why")` is left alone: it
counts, orders or breaks the round trips themselves. The end of the report tells how many errors there were.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

import pytest

from tests.faulty.hook import KINDS, UNRUN, Faults, installed

COUNTED: "pytest.StashKey[Counter[str]]" = pytest.StashKey()


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("homing")
    group.addoption("--faulty", type=float, default=0.0, metavar="SHARE", help="of flights meet a rare error")
    group.addoption("--faulty-seed", default="1", help="which ones")


def pytest_configure(config: pytest.Config) -> None:
    config.stash[COUNTED] = Counter()
    for mark in (
        "exact_traffic(reason): with --faulty, this test meets no errors but its own",
        "exact_answers(reason): with --faulty, no reply to this test is lost: a copy tells what it did itself",
    ):
        config.addinivalue_line("markers", mark)


def kinds_for(node: pytest.Item) -> Sequence[str]:
    """The errors that a test may meet, as its marks say."""
    if node.get_closest_marker("exact_traffic"):
        return ()
    return UNRUN if node.get_closest_marker("exact_answers") else KINDS


@pytest.fixture(autouse=True)
def rare_errors(request: pytest.FixtureRequest) -> Iterator[None]:
    """With `--faulty`, the errors of this test: the same for the same seed."""
    share = request.config.getoption("faulty")
    kinds = kinds_for(request.node)
    if not share or not kinds:
        yield
        return
    faults = Faults(share, f"{request.config.getoption('faulty_seed')} {request.node.nodeid}", kinds)
    with installed(faults):
        yield
    counted = request.config.stash[COUNTED]
    counted.update(faults.count)


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    output: dict[str, Any] | None = getattr(session.config, "workeroutput", None)
    if output is not None:  # a process of xdist tells its controller
        counted = session.config.stash[COUNTED]
        output["faults"] = dict(counted)


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any, error: object) -> None:
    config: pytest.Config = node.config
    counted = config.stash[COUNTED]
    counted.update(getattr(node, "workeroutput", {}).get("faults", {}))


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    if config.getoption("faulty"):
        count = config.stash[COUNTED]
        kinds = ", ".join(f"{kind} {number}" for kind, number in sorted(count.items()))
        terminalreporter.write_line(f"rare errors: {count.total()} ({kinds})")
