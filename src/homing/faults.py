"""What a server's error replies and a broken connection mean, and what to do next. No I/O.

An error reply is a definite answer: the command is over. A broken connection is not:
whether the command ran is unknown, unless nothing of it had been sent.
"""

import random
import re
import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import Any

from homing.command import Command
from homing.errors import (
    ClaimRefused,
    HomingError,
    LeaseLost,
    NewerData,
    QueueFull,
    ServerAuth,
    ServerError,
    ServerLoading,
    ServerReadOnly,
    ServerTooOld,
    ServerUnreachable,
    WrongEngine,
    WrongType,
)
from homing.target import Address

_NO_TLS = ("WRONG_VERSION_NUMBER", "RECORD_LAYER_FAILURE")
_HANGS_UP = (ssl.SSLEOFError, ssl.SSLZeroReturnError)
#: The first pause before a command is sent again, and the longest.
PAUSE_S, PAUSE_MAX_S = 0.02, 0.5
FLOOR = "Redis 6.2 or Valkey 7.2"

# 6.2:  ERR Error running script (call to f_<sha>): @user_script:3: CODE message
# 7.0+: CODE message script: <sha>, on @user_script:3.      and: ERR user_script:3: CODE message script: …
_BEFORE = re.compile(
    r"(?:ERR )?(?:Error running script \(call to f_[0-9a-f]{40}\): )?(?:@?user_script: ?\d+: )+-?"
)
_BEHIND = re.compile(r" script: (?:[0-9a-f]{40}, )?on @?user_script:\d+\.?$")
_CODE = re.compile(r"[A-Z][A-Z0-9_]*")
_NO_SHEBANG = re.compile(r"user_script:1: unexpected symbol near '#'")
_NO_COMMAND = re.compile(
    r"unknown (?:redis |valkey )?(?:sub)?command|unknown \S+ command called from", re.IGNORECASE
)
_DENIED_IN_SCRIPT = re.compile(
    r"ACL failure in script|can't run this command or subcommand|can't access at least one"
)


class Refusal(Exception):
    """An error reply as it came."""

    @property
    def text(self) -> str:
        return str(self.args[0])


@dataclass(eq=False)
class Broken(Exception):
    """The connection failed. `sent`: something had been sent, so what became of it is unknown.

    `replies` are those that had come whole: they are definite.
    """

    reason: str
    sent: bool = True
    replies: list[Any] = field(default_factory=list)


class Step(Enum):
    """What follows an error reply."""

    FAIL = auto()  # the command is over
    TEXT = auto()  # the server does not know the script: send its text
    PLAIN = auto()  # the server knows no `#!lua` line: send the text without it, from now on
    MOVED = auto()  # this slot lives elsewhere
    ASK = auto()  # this one command goes elsewhere
    LATER = auto()  # nothing happened: again after a pause
    DEMOTED = auto()  # LATER, and this server is no primary: look for it again


@dataclass(frozen=True, slots=True)
class Verdict:
    step: Step
    error: HomingError
    slot: int = 0
    address: Address | None = None


def pause_s(tries: int) -> float:
    """Seconds before try number `tries` + 1, with jitter."""
    return float(min(PAUSE_MAX_S, PAUSE_S * 2 ** min(tries, 10)) * random.uniform(0.5, 1.0))


def undialled(error: BaseException, where: Address, *, tls: bool) -> Broken | ServerError:
    """Why no connection came about. A TLS handshake that fails will fail again: that is final."""
    cause: BaseException | None = error
    reason = error
    while cause is not None:
        if isinstance(cause, ssl.SSLError) and not isinstance(cause, _HANGS_UP):
            why = getattr(cause, "reason", None) or str(cause)
            hint = "is it a TLS port?" if why in _NO_TLS else "see the ssl_ options of the URL"
            return ServerError(f"no TLS with {where}: {why}; {hint}")
        reason = cause if isinstance(cause, OSError) else reason
        cause = cause.__cause__ or cause.__context__
    # A plain port waits for the rest of a handshake that it takes for a command.
    hint = " (is it a TLS port?)" if tls and isinstance(reason, TimeoutError) else ""
    return Broken(reason_of(reason) + hint, sent=False)


def reason_of(error: BaseException) -> str:
    """A few words on why a connection failed."""
    if isinstance(error, TimeoutError):
        return "no answer in time"
    return getattr(error, "strerror", None) or str(error) or type(error).__name__


def not_redis(where: Address, error: Exception) -> ServerError:
    return ServerError(f"{where} is not a Redis server, or it wants TLS (rediss://): {error}")


def split(text: str) -> tuple[str, str]:
    """The code and the message of an error reply, also of one that came out of a script."""
    text = _BEHIND.sub("", text)
    inner = _BEFORE.match(text)
    if inner is not None:
        text = text[inner.end() :]
    code, _, message = text.partition(" ")
    return (code, message.strip()) if _CODE.fullmatch(code) else ("ERR", text)


def is_full(refusal: Refusal) -> bool:
    """The server itself refused to run the command, for want of memory."""
    return split(refusal.text)[0] == "OOM"


def judge(refusal: Refusal, command: Command[Any], where: Address) -> Verdict:
    """What an error reply to a command means, and what to do next."""
    code, message = split(refusal.text)
    if code in _REDIRECTS:
        slot, _, host_port = message.partition(" ")
        error = ServerError(
            f"{where} is one node of a cluster: connect with redis+cluster://{where} instead of redis://"
        )
        return Verdict(_REDIRECTS[code], error, int(slot), _address(host_port, where))
    if code == "NOSCRIPT":
        return Verdict(Step.TEXT, ServerError(f"{where} keeps forgetting the script {command.name}"))
    if _NO_SHEBANG.search(message):
        return Verdict(Step.PLAIN, ServerError(f"{where} refuses the script {command.name}: {message}"))
    if code in _ANSWERS:
        says = _SAYS[code] if not message or message.startswith(_PLAIN_ANSWERS) else message
        says = says.format(keys=_keys_of(command)) if says is _SAYS[code] else says
        return Verdict(Step.FAIL, _ANSWERS[code](_named(says, command)))
    if message.startswith("max number of clients"):
        return Verdict(
            Step.LATER, ServerUnreachable(f"{where} has as many connections as its maxclients allows")
        )
    if code in _PASSING:
        step, kind, says = _PASSING[code]
        return Verdict(step, kind(says.format(where=where)))
    return Verdict(Step.FAIL, _final(code, message, command, where))


def _final(code: str, message: str, command: Command[Any], where: Address) -> HomingError:
    if code in _DENIALS or _DENIED_IN_SCRIPT.search(message):
        says = _DENIALS.get(code, "{where} denies {name}: {message}")
        return ServerAuth(says.format(where=where, name=command.name, message=message))
    if "cluster support disabled" in message:
        return ServerError(
            f"{where} is no node of a cluster (it has cluster support disabled): connect with redis://{where}"
        )
    if command.name == "SENTINEL" and _NO_COMMAND.search(message):
        return ServerError(
            f"{where} is no sentinel: name the sentinels (port 26379), or connect with redis://{where}"
        )
    if _NO_COMMAND.search(message):
        return ServerTooOld(
            f"homing needs {FLOOR} with Lua scripts; {where} cannot run {command.name}: {message}"
        )
    if code == "MISCONF":
        return ServerError(
            f"{where} takes no writes because it cannot save its data; see its disk: {message}"
        )
    if message.startswith(("DB index", "invalid DB index")):
        return ServerError(f"{where} has no such database: {message}")
    if message.startswith("AUTH "):
        return ServerAuth(f"{where} refuses the password: {message}")
    return ServerError(_named(f"{where} refuses {command.name}: {code} {message}", command))


def _named(message: str, command: Command[Any]) -> str:
    if not command.queue or repr(command.queue) in message:
        return message
    return f"{message} (queue {command.queue!r})"


def _keys_of(command: Command[Any]) -> str:
    """A pattern for the keys that a command works on: all of a queue's, or its own."""
    key = next(iter(command.keys), "")
    base, brace, _ = key.partition("}")
    return f"{base}}}:*" if brace else key


def _address(host_port: str, where: Address) -> Address | None:
    """`host:port` of a redirection; without a host it is the one that was asked."""
    host, _, port = host_port.rpartition(":")
    return Address(host.strip("[]") or where.host, int(port)) if port.isdigit() else None


_REDIRECTS: Mapping[str, Step] = {"MOVED": Step.MOVED, "ASK": Step.ASK}

#: Codes of our scripts, and of the server where they say the same.
_ANSWERS: Mapping[str, type[HomingError]] = {
    "LEASELOST": LeaseLost,
    "WRONGENGINE": WrongEngine,
    "NEWERDATA": NewerData,
    "CLAIMREFUSED": ClaimRefused,
    "QUEUEFULL": QueueFull,
    "OOM": QueueFull,
    "WRONGTYPE": WrongType,
}
#: What the server itself says with these codes; ours say more.
_PLAIN_ANSWERS = ("command not allowed when used memory", "Operation against a key holding")
_SAYS: Mapping[str, str] = {
    "LEASELOST": "the worker's lease was reclaimed",
    "WRONGENGINE": "the queue was made by the other engine",
    "NEWERDATA": "the queue was written by a newer homing; upgrade this one",
    "CLAIMREFUSED": "a claim with a higher number came first",
    "QUEUEFULL": "the queue is full",
    "OOM": "the server is full: raise its maxmemory, or try later",
    "WRONGTYPE": "a key of the queue holds another type than homing wrote, something else uses its name: "
    "ask for the TYPE of the keys {keys}, and rename what is not homing's, or use another prefix",
}
_DENIALS: Mapping[str, str] = {
    "NOAUTH": "{where} wants a password ({name} was refused): redis://:password@host:port",
    "WRONGPASS": "{where} refuses the user or the password",
    "NOPERM": "{where} denies {name}: {message}",
    "DENIED": "{where} refuses {name}: {message}",
}
_PASSING: Mapping[str, tuple[Step, type[HomingError], str]] = {
    "LOADING": (Step.LATER, ServerLoading, "{where} is still loading its data; try again shortly"),
    "READONLY": (Step.DEMOTED, ServerReadOnly, "{where} is a read-only replica; connect to the primary"),
    "MASTERDOWN": (Step.DEMOTED, ServerReadOnly, "{where} is a replica that has lost its primary"),
    "UNBLOCKED": (Step.DEMOTED, ServerReadOnly, "{where} stopped being a primary"),
    "TRYAGAIN": (
        Step.LATER,
        ServerUnreachable,
        "the queue is moving between nodes of the cluster at {where}",
    ),
    "CLUSTERDOWN": (Step.DEMOTED, ServerUnreachable, "the cluster at {where} is down"),
    "BUSY": (Step.LATER, ServerUnreachable, "{where} is busy with a long script of somebody"),
    "NOREPLICAS": (Step.LATER, ServerUnreachable, "{where} has not the replicas it wants for a write"),
}
