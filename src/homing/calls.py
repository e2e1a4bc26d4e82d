"""One command on its way: what was tried, what came of it, whether it goes again."""

from typing import Any

from msgspec import Struct

from homing.command import Command
from homing.errors import HomingError
from homing.faults import Broken
from homing.target import Address

#: Redirections and missing scripts are followed at once so often; then a pause comes before each.
TURNS = 3


class Call(Struct, eq=False):
    """One command until it is answered."""

    command: Command[Any]
    #: Send the script's text in place of its hash.
    text: bool = False
    #: Where a cluster asked to send this one call.
    asking: Address | None = None
    #: Only ever there.
    pinned: Address | None = None
    turns: int = 0
    pause: bool = False
    #: An earlier copy may have run: its answer never came.
    again: bool = False
    done: bool = False
    reply: Any = None
    #: The reply that came without all of those to the commands behind it.
    torn: list[Any] | None = None
    #: Why it failed, or why it has not been answered yet.
    error: HomingError | None = None

    def fail(self, error: HomingError) -> None:
        """It is over; what it answered before still holds."""
        if self.torn is not None:
            self.answer(self.torn)
        else:
            self.done, self.error = True, error

    def answer(self, reply: Any) -> None:
        self.done, self.error, self.reply = True, None, reply

    def tear(self, replies: list[Any], broken: Broken | None) -> None:
        """The connection broke within its replies; the first one is definite when it came."""
        if replies:
            self.torn = [*replies, *[broken] * (1 + len(self.command.behind) - len(replies))]

    def turn(self) -> None:
        """Again, at once, unless it went round too often."""
        self.turns += 1
        self.pause = self.turns > TURNS

    def result(self) -> Any:
        if self.error is not None:
            raise self.error
        read_again = self.command.decode_again if self.again else None
        return (read_again or self.command.decode)(self.reply)
