"""How the demo shows its progress: plain lines anywhere, a bar where rich is installed and looked at."""

import time
from typing import TYPE_CHECKING, Protocol

from homing.demo.result import Progress

if TYPE_CHECKING:
    from rich.progress import Progress as Bars

#: Seconds between two plain lines of progress.
LINE_EVERY_S = 0.5


class Screen(Protocol):
    def begin(self, engine: str, mails: int) -> None:
        """An engine's delivery starts."""

    def show(self, progress: Progress) -> None:
        """How far it is, as often as known."""

    def say(self, sentence: str) -> None:
        """Something happened."""

    def end(self) -> None:
        """The delivery is over; also called after an error."""


class Lines:
    """One line now and then, with the seconds since the start."""

    def __init__(self) -> None:
        self._engine = ""
        self._start = time.monotonic()
        self._shown = 0.0

    def begin(self, engine: str, mails: int) -> None:
        self._engine = engine
        print(f"{self._clock()}  {engine:<8} {mails} mails are in the outbox", flush=True)

    def show(self, progress: Progress) -> None:
        if time.monotonic() - self._shown < LINE_EVERY_S:
            return
        self._shown = time.monotonic()
        print(f"{self._clock()}  {self._engine:<8} {progress}", flush=True)

    def say(self, sentence: str) -> None:
        print(f"{self._clock()}  {self._engine:<8} {sentence}", flush=True)

    def end(self) -> None:
        self._shown = 0.0

    def _clock(self) -> str:
        return f"{time.monotonic() - self._start:5.1f} s"


class Drawn:
    """A bar for each engine, drawn by rich; what happens is printed above it."""

    def __init__(self) -> None:
        self._engine = ""
        self._bars: Bars | None = None

    def begin(self, engine: str, mails: int) -> None:
        from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

        self._engine = engine
        self._bars = Progress(
            TextColumn(f"{engine:<8}"),
            BarColumn(bar_width=30),
            TextColumn("{task.description}"),
            TimeElapsedColumn(),
        )
        self._bars.add_task("", total=mails)
        self._bars.start()

    def show(self, progress: Progress) -> None:
        if self._bars is not None:
            [bar] = self._bars.task_ids
            self._bars.update(bar, completed=progress.sent + progress.dead, description=str(progress))

    def say(self, sentence: str) -> None:
        if self._bars is not None:
            self._bars.console.print(f"{self._engine:<8} {sentence}", markup=False, highlight=False)

    def end(self) -> None:
        if self._bars is not None:
            self._bars.stop()
            self._bars = None
