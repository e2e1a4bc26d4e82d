"""The process of isolated tasks: `python -m homing.worker.isolated FD LEASH` runs one job at a time.

Orders come in and answers go out over the inherited socket FD. It dies with its worker, by the end
of that socket and on Linux by PR_SET_PDEATHSIG too; what it started, by the end of the pipe LEASH.
"""

import asyncio
import importlib
import inspect
import os
import queue
import runpy
import socket
import sys
import threading
from contextvars import copy_context
from typing import Any, NamedTuple

from homing import codec
from homing.current import CURRENT, Tenure
from homing.errors import UnknownTask
from homing.job import Claimed
from homing.meta import Meta
from homing.policy import Never, Raised, Returned, decide
from homing.worker import kin
from homing.worker.frames import HEAD, Answer, Look, Order, Sought, frame, read_order
from homing.worker.stepping import refuse_generator

#: A program's own file runs under this name here, so that its `if __name__ == "__main__"` does not.
MAIN = "__homing_main__"


def main(fd: int, leash: int) -> None:
    kin.die_with(os.getppid())
    os.set_inheritable(fd, False)
    kin.guard_group(leash)
    pipe = socket.socket(fileno=fd)
    orders: queue.SimpleQueue[Order | Look] = queue.SimpleQueue()
    threading.Thread(target=_receive, args=(pipe, orders), daemon=True).start()
    while True:
        order = orders.get()
        answer = frame(missing(order) if isinstance(order, Look) else run(order))
        try:
            pipe.sendall(answer)
        except OSError:  # the worker is gone, and has no use for it
            return


def run(order: Order) -> Answer:
    """Run one job to its decision. Never raises but for what ends this process."""
    try:
        task = find(order.task, order.path)
    except BaseException as error:  # what an import raises says nothing of the job
        return Answer("unknown", reason=_why(order.task, error))
    retry: Any = getattr(task, "retry", None) or Never()
    try:
        end: Returned | Raised = Returned(_call(order, task))
    except BaseException as error:  # the border to user code
        end = Raised(error)
    return Answer.of(decide(order.job, end, retry, result_max_bytes=order.result_max_bytes))


def missing(look: Look) -> list[tuple[str, str]]:
    """Those of the tasks that this process does not find, each with why."""
    lacking = []
    for task in look.tasks:
        try:
            find(task, look.path)
        except BaseException as error:
            lacking.append((task.name, _why(task, error)))
    return lacking


def find(sought: Sought, path: list[str]) -> Any:
    """The task, as the import of its module makes it here. Raises UnknownTask, or what the import raised."""
    sys.path[:] = path + [each for each in sys.path if each not in path]
    if sought.file:
        _run_file(sought.file)
    else:
        importlib.import_module(sought.module)
    for module, attribute in sought.places:
        found: Any = sys.modules.get(module)
        for name in attribute.split("."):
            found = getattr(found, name, None)
        tasks = getattr(found, "tasks", None)  # of an App
        task = tasks.get(sought.name) if isinstance(tasks, dict) else found
        if hasattr(task, "signature") and getattr(task, "name", None) == sought.name:
            return task
    raise UnknownTask("does not declare it")


def _run_file(file: str) -> None:
    if MAIN not in sys.modules:
        made = type(sys)(MAIN)
        made.__dict__.update(runpy.run_path(file, run_name=MAIN))
        sys.modules[MAIN] = made


def _why(sought: Sought, error: BaseException) -> str:
    said = codec.safe_message(error, 500)
    if not isinstance(error, UnknownTask):
        said = f"raises {codec.type_name(error)}: {said}"
    return f"importing {sought.file or sought.module} again {said}"


class _Delivery(NamedTuple):
    lease: Tenure
    job: Claimed


def _call(order: Order, task: Any) -> object:
    job = order.job
    Meta.read(job.meta)
    signature = task.signature
    args, kwargs = signature.decode(job.payload) if job.task else signature.message(job.payload, job.fields)
    context = copy_context()
    context.run(CURRENT.set, _Delivery(Tenure(order.queue, order.worker), job))
    value = context.run(task.function, *args, **kwargs)
    if inspect.iscoroutine(value):
        value = context.run(asyncio.run, value)
    refuse_generator(value)
    return value


def _receive(pipe: socket.socket, orders: "queue.SimpleQueue[Order | Look]") -> None:
    """Take orders; when the worker is gone, end this process with all it started."""
    reader = pipe.makefile("rb")
    while len(head := reader.read(HEAD)) == HEAD:
        body = reader.read(int.from_bytes(head, "big"))
        orders.put(read_order(body))
    kin.kill_own_group()


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
