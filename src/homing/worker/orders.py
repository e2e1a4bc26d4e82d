"""What supervisor and child say to each other: one JSON line each, over a socket that only they hold."""

from collections.abc import Iterator

import msgspec

from homing.target import Target
from homing.worker.page import Joined

#: How both write their logs.
LOG_FORMAT = "%(asctime)s %(process)d %(levelname)s %(message)s"

#: How a child ends; the first six are the command's own exit codes.
DONE, FAILED, USAGE, NO_SERVER, HANDED_BACK, UNFIT = 0, 1, 2, 69, 75, 78
#: A handler was stuck: the child ended itself, its jobs are settled or handed back.
CONDEMNED = 86


class Start(msgspec.Struct, omit_defaults=True):
    """What a child is to be."""

    app: str
    parent: int  # pid of the supervisor
    queues: list[str] | None = None
    concurrency: int | None = None
    threads: int | None = None
    grace_s: float | None = None
    burst: bool = False
    solo: bool = False
    first: bool = False  # of its supervisor: it looks at the server
    log_level: int = 20


class Hello(msgspec.Struct, tag="hello"):
    """The child has its app: where its server is, and what its settings say."""

    target: Target
    prefix: str
    folder: str | None  # of the embedded server
    deadline_s: float
    stall_s: float
    grace_s: float
    verify_every_s: float = 0.0


class Ready(msgspec.Struct, tag="ready"):
    """The child has registered, and works."""

    queues: list[str]


class Join(msgspec.Struct, tag="join"):
    member: Joined


class Leave(msgspec.Struct, tag="leave"):
    index: int


class Bye(msgspec.Struct, tag="bye"):
    """The child ends because it wants to. An exit code alone does not tell: a handler may exit, too."""

    code: int


Said = Hello | Ready | Join | Leave | Bye

_encoder = msgspec.json.Encoder()
_said = msgspec.json.Decoder(Said)
_start = msgspec.json.Decoder(Start)


def line(message: Said | Start) -> bytes:
    return _encoder.encode(message) + b"\n"


def read_start(text: bytes) -> Start:
    return _start.decode(text)


class Lines:
    """Cuts what arrives into messages; the rest of a torn line waits for its end."""

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, received: bytes) -> Iterator[Said]:
        *lines, self._rest = (self._rest + received).split(b"\n")
        for text in lines:
            yield _said.decode(text)
