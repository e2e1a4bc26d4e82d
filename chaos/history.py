"""What each process saw, in a file of its own that only it appends to: one write per line.

A line is `<CLOCK_MONOTONIC ns> <op> <words>`; all processes of one machine share that clock, so that the
files merge without an error. Nothing here goes through the server under test.

    hello <role> <pid> <tree>             who writes here; tree: the pid of a worker's supervisor
    try|ok|unknown|refused <from> <to>    an enqueue of the jobs numbered [from, to) begins, and how it ended
    ids <from> <id>…                      the ids that the library made for them
    start <n> <kind> <id> <token> <attempt> <worker>   a handler begins
    end <n> <id> <token> <how>            it ends: done, raised, interrupted
    later <n> <ms>                        a job that is about to be enqueued is to wait so long
    clock <ms>…                           from now on the server's clock is wrong by this, or by one of these
    answer <n> <right|wrong|none> <id>    what a producer got who waited for the result
    settled <decision> <id>…              outcomes that the server accepted
    gone <decision> <id>…                 outcomes that it refused
    thrown <count>                        outcomes that were thrown away with a lost lease
    lost <worker>                         a lease was lost
    fault <k> <name…> <pids, or - or *> | healed <k>   what the harness did to nobody, or to everybody
    marks <id> <crashes>                  crashes that the server charges this job with, seen by the harness
    phase <name>                          what the harness does
"""

import os
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path


class History:
    """The writing end of one process."""

    def __init__(self, folder: Path, role: str, tree: int = 0) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / f"{role}-{os.getpid()}-{time.monotonic_ns()}.log"
        self._fd = os.open(path, os.O_APPEND | os.O_CREAT | os.O_WRONLY, 0o644)
        self.write("hello", role, os.getpid(), tree)

    def write(self, op: str, *words: object) -> None:
        line = " ".join((str(time.monotonic_ns()), op, *map(str, words)))
        os.write(self._fd, line.encode() + b"\n")


@dataclass(slots=True)
class Run:
    """One execution of a handler."""

    start_ns: int
    pid: int
    kind: str
    id: str
    token: int
    attempt: int
    worker: str
    end_ns: int | None = None
    how: str = ""


@dataclass(slots=True)
class Accepted:
    """An outcome that the server took."""

    at_ns: int
    pid: int
    decision: str


@dataclass(slots=True)
class Fault:
    name: str
    begin_ns: int
    pids: frozenset[int] | None  # None: everybody
    end_ns: int | None = None

    def touches(self, pid: int) -> bool:
        return self.pids is None or pid in self.pids


@dataclass(slots=True)
class Account:
    """All histories of a run, merged."""

    tried_ns: dict[int, int] = field(default_factory=dict)  # job number -> first attempt to enqueue it
    ok_ns: dict[int, int] = field(default_factory=dict)  # job number -> when it was acknowledged
    enqueued: dict[int, str] = field(default_factory=dict)  # job number -> ok, unknown, refused
    made_ids: dict[int, str] = field(default_factory=dict)
    runs: dict[int, list[Run]] = field(default_factory=dict)  # in the order of their starts
    accepted: dict[str, list[Accepted]] = field(default_factory=dict)  # by id
    gone: dict[str, list[Accepted]] = field(default_factory=dict)  # by id
    answers: dict[int, tuple[str, str]] = field(default_factory=dict)
    delays_ms: dict[int, int] = field(default_factory=dict)  # job number -> how long it is to wait
    clocks_ms: list[tuple[int, list[int]]] = field(
        default_factory=list
    )  # (when, by what the server's is wrong)
    lost: list[tuple[int, int, str]] = field(default_factory=list)  # (when, pid, worker)
    faults: list[Fault] = field(default_factory=list)
    phases: list[tuple[int, str]] = field(default_factory=list)
    marks: list[tuple[int, str, int]] = field(default_factory=list)  # (when, id, crashes)
    trees: dict[int, int] = field(default_factory=dict)  # pid of a child -> pid of its supervisor
    thrown: int = 0  # outcomes that were thrown away with a lost lease
    torn: int = 0  # last lines that a kill cut off


def read(folder: Path) -> Account:
    """Merge the histories of a folder. A line without its end is what a kill left: counted, not used."""
    account = Account()
    faults: dict[str, Fault] = {}
    for path in sorted(folder.glob("*.log")):
        _read_one(path, account, faults)
    account.faults = sorted(faults.values(), key=lambda fault: fault.begin_ns)
    for runs in account.runs.values():
        runs.sort(key=lambda run: run.start_ns)
    account.phases.sort()
    account.clocks_ms.sort()
    return account


def _lines(path: Path, account: Account) -> Iterator[list[str]]:
    with path.open(encoding="utf-8", errors="replace") as lines:
        for line in lines:
            if not line.endswith("\n"):
                account.torn += 1
                return
            yield line.split()


#: A worse word about an enqueue never replaces a better one: it was tried again until it went well.
_RANK = {"refused": 0, "unknown": 1, "ok": 2}


def _read_one(path: Path, account: Account, faults: dict[str, Fault]) -> None:
    pid, open_runs = 0, dict[tuple[str, str], Run]()
    for words in _lines(path, account):
        at_ns, op, rest = int(words[0]), words[1], words[2:]
        match op:
            case "start":
                n = int(rest[0])
                run = Run(at_ns, pid, rest[1], rest[2], int(rest[3]), int(rest[4]), rest[5])
                account.runs.setdefault(n, []).append(run)
                open_runs[rest[2], rest[3]] = run
            case "end":
                ended = open_runs.pop((rest[1], rest[2]))
                ended.end_ns, ended.how = at_ns, rest[3]
            case "settled" | "gone":
                into = account.accepted if op == "settled" else account.gone
                for job_id in rest[1:]:
                    into.setdefault(job_id, []).append(Accepted(at_ns, pid, rest[0]))
            case "try":
                for n in range(int(rest[0]), int(rest[1])):
                    account.tried_ns.setdefault(n, at_ns)
                    account.enqueued.setdefault(n, "unknown")
            case "ok" | "unknown" | "refused":
                for n in range(int(rest[0]), int(rest[1])):
                    if _RANK[op] >= _RANK[account.enqueued.get(n, "refused")] or op == "refused":
                        account.enqueued[n] = op
                    if op == "ok":
                        account.ok_ns.setdefault(n, at_ns)
            case _:
                pid = _read_rare(account, faults, pid, at_ns, op, rest)


def _read_rare(
    account: Account, faults: dict[str, Fault], pid: int, at_ns: int, op: str, rest: list[str]
) -> int:
    """Lines that come seldom; returns the pid of who writes."""
    match op:
        case "hello":
            account.trees[int(rest[1])] = int(rest[2])
            return int(rest[1])
        case "ids":
            for n, job_id in enumerate(rest[1:], int(rest[0])):
                account.made_ids[n] = job_id
        case "later":
            account.delays_ms[int(rest[0])] = int(rest[1])
        case "clock":
            account.clocks_ms.append((at_ns, [int(each) for each in rest]))
        case "answer":
            account.answers[int(rest[0])] = (rest[1], rest[2])
        case "thrown":
            account.thrown += int(rest[0])
        case "lost":
            account.lost.append((at_ns, pid, rest[0]))
        case "fault":
            *name, whom = rest[1:]
            named = () if whom == "-" else map(int, whom.split(","))
            faults[rest[0]] = Fault(" ".join(name), at_ns, None if whom == "*" else frozenset(named))
        case "healed":
            faults[rest[0]].end_ns = at_ns
        case "marks":
            account.marks.append((at_ns, rest[0], int(rest[1])))
        case "phase":
            account.phases.append((at_ns, rest[0]))
        case _:
            raise ValueError(f"no op of a history is called {op!r}")
    return pid
