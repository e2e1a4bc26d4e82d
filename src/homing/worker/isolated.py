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
from types import ModuleType
from typing import Any, NamedTuple

from homing.current import CURRENT, Tenure
from homing.errors import UnknownTask
from homing.job import Claimed
from homing.meta import Meta
from homing.policy import Never, Raised, Returned, decide
from homing.worker import kin
from homing.worker.frames import HEAD, Answer, Order, frame, read_order
from homing.worker.stepping import refuse_generator

#: A program's own file runs under this name here, so that its `if __name__ == "__main__"` does not.
MAIN = "__homing_main__"


def main(fd: int, leash: int) -> None:
    kin.die_with(os.getppid())
    os.set_inheritable(fd, False)
    kin.guard_group(leash)
    pipe = socket.socket(fileno=fd)
    orders: queue.SimpleQueue[Order] = queue.SimpleQueue()
    threading.Thread(target=_receive, args=(pipe, orders), daemon=True).start()
    while True:
        answer = frame(Answer.of(run(orders.get())))
        try:
            pipe.sendall(answer)
        except OSError:  # the worker is gone, and has no use for it
            return


def run(order: Order) -> Any:
    """Run one job to its decision. Never raises but for what ends this process."""
    retry: Any = Never()
    try:
        task = find(order)
        retry = getattr(task, "retry", None) or Never()
        value = _call(order, task)
        end: Returned | Raised = Returned(value)
    except BaseException as error:  # the border to user code
        end = Raised(error)
    return decide(order.job, end, retry, result_max_bytes=order.result_max_bytes)


def find(order: Order) -> Any:
    """The task an order names, as its module has it. Raises UnknownTask when it has not."""
    sys.path[:] = order.path + [each for each in sys.path if each not in order.path]
    if order.main:
        if MAIN not in sys.modules:
            sys.modules[MAIN] = made = type(sys)(MAIN)
            made.__dict__.update(runpy.run_path(order.main, run_name=MAIN))
        module = sys.modules[MAIN]
    else:
        module = importlib.import_module(order.module)
    found: Any = module
    for name in order.qualname.split("."):
        found = getattr(found, name, None)
    task = found if hasattr(found, "signature") else _made_without_at(module, order.qualname)
    if task is None:
        raise UnknownTask(
            f"{order.module}.{order.qualname} is no task after importing its module: an isolated task "
            "must be defined at the top of a module that can be imported"
        )
    return task


def _made_without_at(module: ModuleType, qualname: str) -> Any:
    """The task made of this function by a plain call, `app.task(isolation="process")(function)`."""
    for value in list(vars(module).values()):
        tasks = getattr(value, "tasks", None)  # of an App
        for task in tasks.values() if isinstance(tasks, dict) else ():
            function = getattr(task, "function", None)
            if (getattr(function, "__module__", ""), getattr(function, "__qualname__", "")) == (
                module.__name__,
                qualname,
            ):
                return task
    return None


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


def _receive(pipe: socket.socket, orders: "queue.SimpleQueue[Order]") -> None:
    """Take orders; when the worker is gone, end this process with all it started."""
    reader = pipe.makefile("rb")
    while len(head := reader.read(HEAD)) == HEAD:
        body = reader.read(int.from_bytes(head, "big"))
        orders.put(read_order(body))
    kin.kill_own_group()


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
