"""Disable each write of each Lua script in turn: some conformance test must fail.

A mutant is a copy of the package in which one call of a write command does nothing and
answers as if it had worked. `make mutants` prints the survivors, each with the reason why no
test can see it, and ends with `caught N of M`; it fails when fewer than 95 % were caught.

A write on a line marked `-- server: NAME` is for that server, and tested on it.
"""

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from queue import SimpleQueue

ROOT = Path(__file__).resolve().parent.parent
ENGINES = ROOT / "src" / "homing" / "engines"
PROCESSES = 2
TOTAL_S, ONE_S = 30 * 60.0, 240.0
ENOUGH = 0.95
USUAL_SERVER = "valkey-9.1"

# XREADGROUP reads and writes at once; without it nothing is delivered at all.
_WRITE = re.compile(
    r"redis\.p?call\((?='(?:HSET|HSETNX|HDEL|HINCRBY|ZADD|ZREM|LPUSH|RPUSH|LREM|LTRIM|LMOVE|LPOP|RPOP|XADD|XDEL"
    r"|XACK|XCLAIM|XGROUP|DEL|UNLINK|RENAME|EXPIRE|PEXPIRE|SET|SADD|SREM)')"
)
_SERVER = re.compile(r"-- server: (\S+)")

#: Answers as the command would, had it worked, and changes nothing.
_NOTHING = """\
local function nothing_done(command, key, a, b, ...)
  if command == 'LMOVE' then return redis.call('LINDEX', key, b == 'RIGHT' and -1 or 0) end
  if command == 'LPOP' then return redis.call('LINDEX', key, 0) end
  if command == 'RPOP' and a then return redis.call('LRANGE', key, -a, -1) end
  if command == 'RPOP' then return redis.call('LINDEX', key, -1) end
  if command == 'XADD' then return '1-1' end
  if command == 'SET' or command == 'RENAME' or command == 'LTRIM' then return { ok = 'OK' } end
  if command == 'XGROUP' then return { ok = 'OK' } end
  if command ~= 'XCLAIM' then return 1 end
  local claimed, words = {}, { ... }
  for i = 2, #words do
    if words[#words] ~= 'JUSTID' then
      claimed[#claimed + 1] = redis.call('XRANGE', key, words[i], words[i])[1]
    elseif i < #words then
      claimed[#claimed + 1] = words[i]
    end
  end
  return claimed
end
"""

#: Why no test can see that a write is missing: (file, line) -> reason.
EXPLAINED: dict[tuple[str, str], str] = {
    (
        "shared/finish.lua",
        "redis.call('UNLINK', finished .. ':old')",
    ): "the rename behind it replaces the older facts anyway, but frees them within the script",
}


@dataclass(frozen=True)
class Mutant:
    """One write: where it stands, and what the file is without it."""

    file: str  # from engines/ on
    line: int
    text: str
    code: str

    @property
    def engines(self) -> list[str]:
        folder = self.file.split("/")[0]
        return ["lists", "streams"] if folder == "shared" else [folder]

    @property
    def server(self) -> str:
        marked = _SERVER.search(self.text)
        return marked[1] if marked else USUAL_SERVER

    @property
    def reason(self) -> str:
        return EXPLAINED.get((self.file, self.text), "")


def mutants_of(path: Path) -> Iterator[Mutant]:
    text = path.read_text()
    code_starts = len(text) - len(re.sub(r"\A(?:--.*\n)+", "", text))
    for write in _WRITE.finditer(text):
        line = text.count("\n", 0, write.start())
        yield Mutant(
            file=str(path.relative_to(ENGINES)),
            line=line + 1,
            text=text.splitlines()[line].strip(),
            code=text[:code_starts]
            + _NOTHING
            + text[code_starts : write.start()]
            + "nothing_done("
            + text[write.end() :],
        )


def all_mutants() -> list[Mutant]:
    scripts = [*ENGINES.glob("shared/**/*.lua"), *ENGINES.glob("*/lua/*.lua")]
    return [mutant for path in sorted(scripts) for mutant in mutants_of(path)]


class Workshop:
    """A copy of the package, in which one file at a time is changed, and the tests that run on it."""

    def __init__(self, folder: Path, tests: list[str]) -> None:
        self.tests = tests
        self.source = folder / "src"
        shutil.copytree(ROOT / "src", self.source, ignore=shutil.ignore_patterns("__pycache__"))
        self.environment = {**os.environ, "PYTHONPATH": str(self.source)}
        where = self._run([sys.executable, "-c", "import homing; print(homing.__file__)"], 60).stdout.strip()
        if not Path(where).is_relative_to(self.source):
            raise SystemExit(f"mutants: the tests would run on {where}, not on the copy in {self.source}")

    def _run(self, words: list[str], timeout_s: float) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            words,
            cwd=ROOT,
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=timeout_s,
            check=False,
        )

    def passes(self, engines: list[str], server: str) -> tuple[bool, str]:
        """Whether the conformance tests of these engines pass; and the end of what they say."""
        words = [sys.executable, "-m", "pytest", *self.tests, "-x", "-q", "--no-header", "--tb=line"]
        words += ["-p", "no:cacheprovider", "--client=sync", f"--server={server}"]
        words += [f"--engine={engine}" for engine in engines]
        try:
            ran = self._run(words, ONE_S)
        except subprocess.TimeoutExpired:
            return False, f"no end after {ONE_S:.0f} s"
        if ran.returncode not in {0, 1}:
            raise SystemExit(f"mutants: the tests did not run: {ran.stdout[-2_000:]}{ran.stderr[-2_000:]}")
        failed = re.search(r"^FAILED (\S+)|^ERROR (\S+)", ran.stdout, re.MULTILINE)
        return ran.returncode == 0, (failed[1] or failed[2]) if failed else ran.stdout[-300:].strip()

    def catches(self, mutant: Mutant) -> tuple[bool, str]:
        file = self.source / "homing" / "engines" / mutant.file
        whole = file.read_text()
        file.write_text(mutant.code)
        try:
            passed, said = self.passes(mutant.engines, mutant.server)
        finally:
            file.write_text(whole)
        return not passed, said


def ready(workshop: Workshop, server: str) -> bool:
    """Whether the server is installed here; SystemExit when the tests fail on it as it is."""
    passed, said = workshop.passes(["lists", "streams"], server)
    if not passed:
        raise SystemExit(f"mutants: the tests fail on {server} as it is: {said}")
    return " passed" in said


def judge(mutants: list[Mutant], tests: list[str], *, verbose: bool) -> dict[Mutant, bool]:
    """Which mutants were caught; those that the time did not suffice for were not.

    Mutants for a server that is not installed here are left out.
    """
    end = time.monotonic() + TOTAL_S
    idle: SimpleQueue[Workshop] = SimpleQueue()

    def one(mutant: Mutant) -> bool:
        if time.monotonic() > end:
            return False
        workshop = idle.get()
        try:
            caught, said = workshop.catches(mutant)
        finally:
            idle.put(workshop)
        if verbose:
            print(
                f"{'caught' if caught else 'ALIVE'}: {mutant.file}:{mutant.line}\n    {mutant.text}\n    {said}"
            )
        return caught

    with tempfile.TemporaryDirectory(prefix="homing-mutants-") as folder:
        workshops = [Workshop(Path(folder) / str(number), tests) for number in range(PROCESSES)]
        servers = {server: ready(workshops[0], server) for server in {mutant.server for mutant in mutants}}
        for workshop in workshops:
            idle.put(workshop)
        tried = [mutant for mutant in mutants if servers[mutant.server]]
        for mutant in mutants:
            if not servers[mutant.server]:
                print(
                    f"left out, there is no {mutant.server} here: {mutant.file}:{mutant.line}\n    {mutant.text}"
                )
        with ThreadPoolExecutor(PROCESSES) as pool:
            return dict(zip(tried, pool.map(one, tried), strict=True))


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--only", default="", help="only files whose path has this in it")
    parser.add_argument(
        "--tests", action="append", help="only these tests: quicker, but others may see what these do not"
    )
    parser.add_argument("--verbose", action="store_true", help="say for each mutant what caught it")
    options = parser.parse_args()
    mutants = [mutant for mutant in all_mutants() if options.only in mutant.file]
    began = time.monotonic()
    print(f"{len(mutants)} writes, each disabled in turn", flush=True)
    caught = judge(mutants, options.tests or ["tests/conformance"], verbose=options.verbose)
    survivors = [mutant for mutant, seen in caught.items() if not seen]
    for mutant in survivors:
        print(
            f"survived: {mutant.file}:{mutant.line}\n    {mutant.text}\n    {mutant.reason or 'NOT EXPLAINED'}"
        )
    for file, text in EXPLAINED.keys() - {(mutant.file, mutant.text) for mutant in all_mutants()}:
        print(f"explained, but not there any more: {file}: {text}")
    print(f"in {(time.monotonic() - began) / 60:.1f} minutes")
    number = len(caught) - len(survivors)
    print(f"caught {number} of {len(caught)}")
    return 0 if number >= ENOUGH * len(caught) else 1


if __name__ == "__main__":
    sys.exit(main())
