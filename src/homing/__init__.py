"""homing: every job comes home."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from homing import errors as errors
    from homing.app import App as App
    from homing.current import CurrentJob as CurrentJob
    from homing.current import current_job as current_job
    from homing.errors import HomingError as HomingError
    from homing.handle import Job as Job
    from homing.job import Bury as Bury
    from homing.job import Cancel as Cancel
    from homing.job import Retry as Retry
    from homing.job import State as State
    from homing.message import Message as Message
    from homing.queue import Queue as Queue
    from homing.retries import Backoff as Backoff
    from homing.retries import Fixed as Fixed
    from homing.retries import Linear as Linear
    from homing.settings import Settings as Settings
    from homing.task import Task as Task

#: Each public name and the module it is loaded from when it is first used.
_HOMES = {
    "App": "app",
    "Backoff": "retries",
    "Bury": "job",
    "Cancel": "job",
    "CurrentJob": "current",
    "Fixed": "retries",
    "HomingError": "errors",
    "Job": "handle",
    "Linear": "retries",
    "Message": "message",
    "Queue": "queue",
    "Retry": "job",
    "Settings": "settings",
    "State": "job",
    "Task": "task",
    "current_job": "current",
}

__version__ = "0.1.0"
__all__ = [
    "App", "Backoff", "Bury", "Cancel", "CurrentJob", "Fixed", "HomingError", "Job", "Linear", "Message",
    "Queue", "Retry", "Settings", "State", "Task", "current_job", "errors",
]  # fmt: skip


def __getattr__(name: str) -> Any:
    from importlib import import_module

    if name == "errors":
        return import_module("homing.errors")
    if name not in _HOMES:
        raise AttributeError(f"module 'homing' has no attribute {name!r}")
    value = getattr(import_module(f"homing.{_HOMES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return [*__all__, "__version__"]
