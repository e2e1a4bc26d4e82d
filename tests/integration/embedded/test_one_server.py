"""Everybody who joins a folder uses one server."""

import statistics
import time
from pathlib import Path

import pytest

from homing import embedded, keeper
from tests.integration.embedded.processes import (
    DEADLINE_S,
    GONE_S,
    Users,
    client,
    ends,
    kept,
    line,
    servers_of,
)
from tests.integration.waiting import wait_for


def test_the_first_user_starts_a_server_that_only_this_folder_can_reach(folder: Path) -> None:
    with embedded.join(folder) as member, client(member) as server:
        assert member.url == f"unix://{folder}/valkey.sock"
        wanted = {
            "appendonly": "yes",
            "appendfsync": "everysec",
            "dir": str(folder),
            "maxmemory-policy": "noeviction",
            "port": "0",
            "save": "",
            "loglevel": "warning",
        }
        assert {name: server.config_get(name)[name] for name in wanted} == wanted
        assert (folder / "valkey.sock").stat().st_mode & 0o777 == 0o700
        assert folder.stat().st_mode & 0o777 == 0o700
        written = [path for path in folder.rglob("*") if path.is_file() and path.name != ".gitignore"]
        assert [path for path in written if path.stat().st_mode & 0o077] == []
        assert (folder / ".gitignore").read_text() == "*\n"


def test_joins_of_one_process_are_users_of_one_server(folder: Path) -> None:
    first, second = embedded.join(folder), embedded.join(folder)
    server = kept(folder)
    assert (first.url, servers_of(folder)) == (second.url, [server[1]])
    first.close()
    first.close()
    assert not ends(server[1], 2 * keeper.LINGER_S), "the second user still needs it"
    assert keeper.answer(second.address) == b"+PONG\r\n"
    second.close()
    assert ends(server[1], GONE_S)
    assert ends(server[0], GONE_S)


def test_a_user_that_comes_soon_after_the_last_one_left_finds_the_server_still_there(folder: Path) -> None:
    embedded.join(folder).close()
    server = kept(folder)
    with embedded.join(folder):
        assert kept(folder) == server
        assert not ends(server[1], 3 * keeper.LINGER_S)


def test_without_a_folder_it_is_dot_homing_here(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder.parent)
    with embedded.join() as member:
        assert member.folder == folder


def test_twenty_processes_that_join_at_once_share_one_server(folder: Path, users: Users) -> None:
    crowd = [users() for _ in range(20)]
    assert {line(user) for user in crowd} == {f"unix://{folder}/valkey.sock"}
    assert servers_of(folder) == [kept(folder)[1]]


def test_a_later_join_takes_milliseconds(folder: Path) -> None:
    with embedded.join(folder):
        taken = []
        for _ in range(9):
            began = time.perf_counter()
            embedded.join(folder).close()
            taken.append(time.perf_counter() - began)
        assert statistics.median(taken) < 0.020


def keeper_with(folder: Path, line: str, instead: str) -> Path:
    """A copy of the keeper's program with another text in place of this line."""
    copy = folder.parent / "keeper.py"
    text = Path(keeper.__file__).read_text()
    assert text.count(line) == 1
    copy.write_text(text.replace(line, instead))
    return copy


#: Where the keeper has started its server; there the slow one waits until it is told to go on.
STARTED = "    if dies_with_us is None:\n        guard("
WAIT = '    while not os.path.exists("go"):\n        time.sleep(LOOK_S)\n'


def test_whom_the_server_answers_finds_its_process_id_however_slow_its_keeper_is(
    folder: Path, users: Users, monkeypatch: pytest.MonkeyPatch
) -> None:
    slow = keeper_with(folder, STARTED, WAIT + STARTED)
    monkeypatch.setattr(keeper, "__file__", str(slow))
    users(STORM, slow, 0)
    try:
        wait_for(lambda: keeper.answer(str(folder / keeper.SOCKET)), DEADLINE_S)
        with embedded.join(folder):
            assert servers_of(folder) == [kept(folder)[1]]
    finally:
        (folder / "go").touch()


STORM = """
import random, sys, time
from pathlib import Path
from homing import embedded, keeper
keeper.__file__ = sys.argv[2]
for _ in range(20):
    with embedded.join(Path(sys.argv[1]), deadline=30) as member:
        said = keeper.answer(member.address)
        assert said == b"+PONG\\r\\n", said
        print((member.folder / "pid").read_text().split()[1], flush=True)
    time.sleep(random.uniform(0, float(sys.argv[3])))
"""


@pytest.mark.parametrize(("processes", "linger_s", "pause_s"), [(8, keeper.LINGER_S, 0.0), (4, 0.0, 0.02)])
def test_in_a_storm_of_joins_and_leaves_there_is_always_one_server(
    processes: int, linger_s: float, pause_s: float, folder: Path, users: Users
) -> None:
    program = keeper_with(folder, "LINGER_S = 0.5\n", f"LINGER_S = {linger_s}\n")
    storm = [users(STORM, program, pause_s) for _ in range(processes)]
    most = 0
    while any(user.poll() is None for user in storm):
        most = max(most, len(servers_of(folder)))
    served = [user.communicate()[0].split() for user in storm]
    assert [user.returncode for user in storm] == [0] * processes
    assert [len(each) for each in served] == [20] * processes
    assert most == 1
    if not linger_s:
        assert len({server for each in served for server in each}) > 1, "it never stopped: nothing was tried"
