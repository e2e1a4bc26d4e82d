"""Who may use the embedded server, and where its folder may be."""

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from homing import embedded, keeper
from homing.errors import ServerError, ServerUnreachable
from tests.integration.embedded.processes import DEADLINE_S, GONE_S, USER, Users, client, ends, kept, line


def test_a_forked_child_uses_the_server_on_and_its_end_is_not_the_parents(folder: Path, users: Users) -> None:
    parent = users("""
import os, sys
from pathlib import Path
from homing import embedded
member = embedded.join(Path(sys.argv[1]))
for stays in (False, True):
    child = os.fork()
    if not child and stays:
        sys.stdin.read()
    if not child:
        member.close()
        os._exit(0)
    if not stays:
        os.waitpid(child, 0)
print(child, flush=True)
os._exit(0)
""")
    child = int(line(parent))
    assert parent.wait(DEADLINE_S) == 0
    _, server = kept(folder)
    assert not ends(server, 2 * keeper.LINGER_S), "the child still uses it"
    os.kill(child, signal.SIGKILL)
    assert ends(server, GONE_S)


def test_the_keeper_takes_nothing_of_its_first_user_along(folder: Path, users: Users) -> None:
    for trap in ("signal", "socket", "homing", "site", "sitecustomize"):
        (folder.parent / f"{trap}.py").write_text("raise SystemExit('a file of the user was imported')\n")
    program = f"""
import os, signal, sys
sys.path.remove("")
os.chdir(os.path.dirname(sys.argv[1]))
os.environ["PYTHONPATH"] = os.getcwd()
signal.signal(signal.SIGCHLD, signal.SIG_IGN)
signal.pthread_sigmask(signal.SIG_BLOCK, {{signal.SIGTERM}})
os.set_inheritable(os.open("/etc/passwd", os.O_RDONLY), True)
{USER}"""
    user = users(program)
    line(user)
    for pid in kept(folder):
        opened = {link.readlink() for link in Path(f"/proc/{pid}/fd").iterdir()}
        assert not [
            path
            for path in opened
            if path.is_absolute() and path.parts[1] != "dev" and folder not in path.parents
        ]
        assert folder / "lock" in opened, "nobody may start a second server while this process lives"
        assert os.getsid(pid) not in {os.getsid(0), os.getsid(user.pid)}
        assert Path(f"/proc/{pid}/cwd").readlink() == folder
        assert int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1]) != user.pid
    pids = kept(folder)
    os.kill(pids[0], signal.SIGTERM)
    assert all(ends(pid, GONE_S) for pid in pids), "the first user's signal mask was theirs too"


def test_a_deleted_folder_is_made_anew_and_the_old_server_goes(folder: Path) -> None:
    with embedded.join(folder) as member:
        _, old = kept(folder)
        shutil.rmtree(folder)
        member.revive()
        assert ends(old, GONE_S), "its last user went to the new folder"
        assert not ends(kept(folder)[1], 2 * keeper.LINGER_S)
        assert keeper.answer(member.address) == b"+PONG\r\n"


def test_a_membership_that_was_left_is_not_revived(folder: Path) -> None:
    member = embedded.join(folder)
    member.close()
    with pytest.raises(ServerUnreachable, match="was left; join it again"):
        member.revive()


def test_importing_it_is_light() -> None:
    program = (
        "import sys, homing.embedded; print(sorted({'redis', 'subprocess', 'asyncio'} & set(sys.modules)))"
    )
    said = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert said.stdout == "[]\n"


def test_a_long_path_is_reached_through_the_runtime_directory(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    deep = folder.joinpath(*["a-rather-long-name-of-a-folder"] * 4)
    for runtime in ("one", "two"):
        (folder.parent / runtime).mkdir()
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(folder.parent / "one"))
    with embedded.join(deep) as member, client(member) as server:
        assert server.ping()
        assert len(member.address) <= embedded.SOCKET_BYTES
        place = folder.parent / "one" / f"homing-{os.getuid()}"
        assert member.address.startswith(f"{place}/")
        assert place.stat().st_mode & 0o777 == 0o700
        # Another session of the user has another runtime directory, and finds the same server.
        monkeypatch.setenv("XDG_RUNTIME_DIR", str(folder.parent / "two"))
        with embedded.join(deep) as another, client(another) as same:
            assert another.address != member.address
            assert same.info("server")["process_id"] == server.info("server")["process_id"]
        _, pid = kept(deep)
    assert ends(pid, GONE_S)


def test_a_runtime_directory_that_others_may_write_to_is_refused(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(folder.parent))
    place = folder.parent / f"homing-{os.getuid()}"
    place.mkdir()
    place.chmod(0o777)
    with pytest.raises(ServerError, match="not yours alone"):
        embedded.join(folder.joinpath(*["a-rather-long-name-of-a-folder"] * 4))


def test_any_name_of_a_folder_will_do(folder: Path) -> None:
    odd = folder / 'Post & "Brief" #1?50% ü\n'
    with embedded.join(odd) as member, client(member) as server:
        assert server.config_get("dir")["dir"] == str(odd)
        _, pid = kept(odd)
    assert ends(pid, GONE_S)
