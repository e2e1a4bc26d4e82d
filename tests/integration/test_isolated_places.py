"""The process of an isolated task finds it wherever its worker did; where it cannot, the worker does not start."""

import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from homing import App, Job
from homing.cli.exits import USAGE
from homing.ids import new_id
from homing.job import State
from tests.integration.cli_session import PATIENCE_S, Said, Shell
from tests.servers import Server

LIB = """
def double(number: int) -> int:
    return 2 * number
"""
CORE = """
from homing import App
app = App()
"""
#: Declares the task far from its function and from its app.
JOBS = """
import core, lib
core.app.task(isolation="process", queue=QUEUE)(lib.double)
"""
FACTORY = """
from homing import App
import lib
def make():
    app = App()
    app.task(isolation="process", queue=QUEUE)(lib.double)
    return app
"""
WORK = """
async def work(app):
    await app.worker(burst=True).run()
"""
GUARDED = """
import asyncio
if __name__ == "__main__":
    asyncio.run(work(app))
"""


def double(number: int) -> int:
    return 2 * number


@dataclass(frozen=True, slots=True)
class Site:
    """A folder with modules, and a job that waits for their task `double`."""

    shell: Shell
    job: Job[int]

    def write(self, **modules: str) -> None:
        texts = {"lib": LIB, "core": CORE, "jobs": JOBS, "factory": FACTORY} | modules
        for name, text in texts.items():
            (self.shell.folder / f"{name}.py").write_text(text.replace("QUEUE", repr(self.job.queue)))

    def python(self, *arguments: str) -> Said:
        """Run Python there, to its end."""
        done = subprocess.run(
            [sys.executable, *arguments],
            cwd=self.shell.folder,
            env=self.shell.environment(),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=PATIENCE_S,
            check=False,
        )
        return Said(done.returncode, done.stdout, done.stderr)

    def worker(self, app: str) -> Said:
        return self.shell.homing("worker", app, "--burst")


@pytest.fixture
def site(tmp_path: Path, valkey: Server) -> Iterator[Site]:
    with App(valkey.url) as app:
        task = app.task(queue=f"cli-{new_id()}")(double)
        yield Site(Shell(tmp_path, valkey.url), task.enqueue(21))


NESTED = """
from core import app
def make():
    @app.task(name="double", isolation="process", queue=QUEUE)
    def inner(number: int) -> int:
        return 2 * number
make()
"""
#: The app's module ends with the import of its tasks, whose module begins with the import of the app.
CIRCLE = """
from homing import App
app = App()
from after import double
"""
AFTER = """
from tasks import app
@app.task(isolation="process", queue=QUEUE)
def double(number: int) -> int:
    return 2 * number
"""


@pytest.mark.parametrize(
    ("spec", "text"),
    [
        ("tasks:app", "from core import app\nimport jobs"),
        ("tasks", "from core import app\nimport jobs"),
        ("tasks:held.app", "import jobs\nclass held: app = jobs.core.app"),
        ("tasks:app", "import factory\napp = factory.make()"),
        ("tasks:app", NESTED),
        ("tasks:app", CIRCLE),
    ],
    ids=["elsewhere", "only-app", "held", "factory", "nested", "circle"],
)
def test_under_the_command_it_is_found_as_the_app_was(site: Site, spec: str, text: str) -> None:
    site.write(tasks=text, after=AFTER)
    assert site.worker(spec).code == 0
    assert site.job.result(timeout=0) == 42


TWICE = """
import lib
from homing import App, Fixed
app = App()
app.task(name="other", isolation="process", queue=QUEUE)(lib.double)
app.task(isolation="process", queue=QUEUE, retry=Fixed(times=1, delay=0.01))(lib.double)
"""


def test_each_of_two_tasks_of_one_function_has_its_own_retries(site: Site) -> None:
    site.write(lib="def double(number: int) -> int: return 1 // 0", tasks=TWICE)
    assert site.worker("tasks:app").code == 0
    record = site.job.record()
    assert (record.state, record.attempt) == (State.DEAD, 2)


def by_file(site: Site) -> Said:
    return site.python("main.py")


def by_module(site: Site) -> Said:
    return site.python("-m", "main")


CALLED = """
from core import app
import lib
app.task(isolation="process", queue=QUEUE)(lib.double)
"""
OWN = """
from core import app
@app.task(isolation="process", queue=QUEUE)
def double(number: int) -> int:
    return 2 * number
"""


@pytest.mark.parametrize("run", [by_file, by_module])
@pytest.mark.parametrize(
    "text",
    [
        "import jobs\nfrom core import app",
        "import jobs\napp = jobs.core.app",
        CALLED,
        OWN,
        "import factory\napp = factory.make()",
    ],
    ids=["elsewhere", "not-its-app", "called", "own", "factory"],
)
def test_in_a_program_it_is_found_by_the_import_that_declared_it(
    site: Site, run: Callable[[Site], Said], text: str
) -> None:
    site.write(main=text + WORK + GUARDED)
    assert run(site).code == 0
    assert site.job.result(timeout=0) == 42


NOT_FOUND = "task 'double' (lib.double) has isolation='process', and a process of its own does not find it: "
REMEDY = (
    "make the app and declare the task at the top of a module that any process can import, "
    'not in a function or under `if __name__ == "__main__"`'
)


UNDER_MAIN = """
import asyncio, core
if __name__ == "__main__":
    import lib
    core.app.task(name="double", isolation="process", queue=QUEUE)(lib.double)
    asyncio.run(work(core.app))
"""
IN_A_FUNCTION = """
import asyncio, factory
async def main():
    await work(factory.make())
if __name__ == "__main__":
    asyncio.run(main())
"""
UNGUARDED = """
import asyncio
from core import app
import lib
app.task(isolation="process", queue=QUEUE)(lib.double)
asyncio.run(work(app))
"""
IN_A_THREAD = """
import threading
from core import app
import lib
def declare():
    app.task(isolation="process", queue=QUEUE)(lib.double)
thread = threading.Thread(target=declare)
thread.start()
thread.join()
"""
ENDS = """
import os
if "ONCE" in os.environ:
    os._exit(3)
os.environ["ONCE"] = "1"
"""


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (UNDER_MAIN, "main.py again does not declare it"),
        (IN_A_FUNCTION, "no module holds its app"),
        (UNGUARDED, 'program\'s file: start it under `if __name__ == "__main__"`'),
        (IN_A_THREAD + GUARDED, "importing core again does not declare it"),
        (ENDS + CALLED + GUARDED, "the process of isolated tasks exited with 3"),
    ],
    ids=["under-main", "function", "unguarded", "thread", "ends"],
)
def test_a_worker_in_a_program_that_cannot_be_imported_again_refuses_to_start(
    site: Site, text: str, why: str
) -> None:
    site.write(main=WORK + text)
    said = site.python("main.py")
    assert said.code == 1
    last = said.err.strip().rpartition("\n")[2]
    assert last.startswith(f"homing.errors.SettingsError: {NOT_FOUND}")
    assert last.endswith(f"{why}; {REMEDY}")
    assert site.job.state is State.WAITING


def test_a_program_without_a_file_refuses_to_start(site: Site) -> None:
    site.write(start=WORK)
    text = UNGUARDED.replace("QUEUE", repr(site.job.queue))
    said = site.python("-c", f"from start import work\n{text}")
    assert said.err.strip().endswith(
        f"it is declared at a prompt, in a notebook or by `python -c`; {REMEDY}"
    ), said.err
    assert site.job.state is State.WAITING


RAISES = """
import os
if "ONCE" in os.environ:
    1 / 0
os.environ["ONCE"] = "1"
"""


def test_a_worker_whose_app_cannot_be_imported_again_says_so_and_is_2(site: Site) -> None:
    site.write(tasks=RAISES + CALLED)
    said = site.worker("tasks:app")
    assert said.code == USAGE
    [error] = [line for line in said.err.splitlines() if line.startswith("Error: ")]
    assert (
        error
        == f"Error: {NOT_FOUND}importing tasks again raises ZeroDivisionError: division by zero; {REMEDY}"
    )
    assert site.job.state is State.WAITING


def test_what_comes_from_another_queue_and_is_not_found_goes_to_other_workers_uncharged(site: Site) -> None:
    """Nothing of this queue is isolated, so nothing was looked for when the worker started."""
    site.write(tasks=(RAISES + CALLED).replace("QUEUE", '"cli-other"'))
    options = ("--burst", "--queue", site.job.queue)
    said = site.shell.homing("worker", "tasks:app", *options, more={"HOMING_UNKNOWN_TASK_FOR": "1.5"})
    assert (said.code, said.err.count("task_unknown") >= 2) == (0, True)
    record = site.job.record()
    assert (record.state, record.attempt) == (State.DEAD, 0)
    assert record.error is not None
    assert b"UnknownTask" in record.error
    assert b"ZeroDivisionError: division by zero" in record.error
