"""All settings of an app, from code, environment and pyproject.toml; checked once, when they are loaded."""

import os
import re
from collections.abc import Mapping
from dataclasses import Field, dataclass, field, fields
from pathlib import Path
from typing import Annotated, Any, cast

from homing.errors import SettingsError, WrongKind
from homing.keys import check_prefix
from homing.limits import DURABILITIES, Durability, durability, seconds, whole
from homing.signing import SigningKeys

#: A lease has to outlast a few missed ticks.
LEASE_MIN_S = 5.0
#: Redis takes no larger value, whatever its own limit says.
PAYLOAD_LIMIT_BYTES = 256 << 20

_FLAGS = {
    "1": True,
    "true": True,
    "yes": True,
    "on": True,
    "0": False,
    "false": False,
    "no": False,
    "off": False,
}
_PASSWORD = re.compile(
    r"(?<=://)([^/@\s:]*):\S*@"
    r"|(?<=password=)[^&\s]*|(?<=://)[^/@\s:]+(?=@)"
    # A password that lost its host stands where a port does, and is not only digits.
    r"|(?<=://)(?P<user>[^/@\s:,\[\]]*):(?!\d{1,5}(?![\w%~!$*+;=-]))[^/@\s,?]+"
)


@dataclass(frozen=True, slots=True)
class Rule:
    """What a setting may be: `unit` is text, secret, path, seconds, level, flag, or what a whole number counts."""

    unit: str
    help: str
    minimum: float = 0
    maximum: float | None = None


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What an App, its clients and its workers go by. Times are seconds, as float or timedelta.

    `Settings.load(...)` reads them; made directly, a Settings holds just what it is given. Raises
    SettingsError that names the setting, where it came from and its rule.
    """

    url: Annotated[str | None, Rule("text", "the server; none: an embedded Valkey in `folder`")] = None
    folder: Annotated[Path, Rule("path", "where the embedded server keeps its data")] = Path(".homing")
    prefix: Annotated[str, Rule("text", "what the names of all keys begin with")] = "homing"
    app: Annotated[str | None, Rule("text", "the App that the commands use, as module:attribute")] = None
    deadline: Annotated[
        float, Rule("seconds", "how long one operation may take, retries included", minimum=0.01)
    ] = 5.0
    payload_max: Annotated[
        int, Rule("bytes", "the largest payload of one job, as JSON", minimum=64, maximum=PAYLOAD_LIMIT_BYTES)
    ] = 1 << 20
    durability: Annotated[
        Durability,
        Rule("level", f"how sure an enqueue or outcome must be before it counts: {', '.join(DURABILITIES)}"),
    ] = "memory"
    durability_replicas: Annotated[
        int, Rule("replicas", "how many must confirm what is `replicated`", minimum=1, maximum=100)
    ] = 1
    allow_eviction: Annotated[
        bool, Rule("flag", "whether workers start on a server that deletes jobs when it is full")
    ] = False

    signing_keys: Annotated[
        SigningKeys | None, Rule("secret", "jobs are signed with the first, and run if signed with any")
    ] = None

    lease: Annotated[
        float, Rule("seconds", "how long a silent worker keeps its jobs", minimum=LEASE_MIN_S)
    ] = 10.0
    id_ttl: Annotated[float, Rule("seconds", "how long an id you chose stays taken after its job ended")] = (
        3600.0
    )
    ids_max: Annotated[int, Rule("ids", "how many of those ids a queue remembers", minimum=1)] = 1_000_000
    result_ttl: Annotated[float, Rule("seconds", "how long a result is kept; 0: not at all")] = 600.0
    result_max: Annotated[int, Rule("results", "how many results a queue keeps")] = 10_000
    dead_ttl: Annotated[float, Rule("seconds", "how long dead letters are kept", minimum=1)] = 30 * 86_400.0
    dead_max: Annotated[int, Rule("jobs", "how many dead letters a queue keeps", minimum=1)] = 100_000
    facts_max: Annotated[int, Rule("jobs", "how many ended jobs a queue remembers, twice", minimum=1)] = (
        20_000
    )
    crash_max: Annotated[int, Rule("crashes", "after how many dead processes a job is buried", minimum=1)] = 3

    unknown_task_for: Annotated[
        float, Rule("seconds", "how long a job waits for a worker that knows its task")
    ] = 60.0
    stall: Annotated[float, Rule("seconds", "how long a worker's loop may stand still", minimum=1)] = 300.0
    grace: Annotated[
        float, Rule("seconds", "how long running jobs may go on after the first stop signal")
    ] = 30.0
    verify_every: Annotated[
        float, Rule("seconds", "about how often a page of each queue is verified; 0: never")
    ] = 5.0
    processes: Annotated[int, Rule("processes", "worker processes", minimum=1, maximum=1024)] = 1
    concurrency: Annotated[
        int, Rule("jobs", "async jobs at once in a process", minimum=1, maximum=10_000)
    ] = 100
    threads: Annotated[int, Rule("threads", "sync jobs at once in a process", minimum=1, maximum=1_000)] = 16

    _sources: Mapping[str, str] = field(default_factory=dict, repr=False, compare=False)

    def __post_init__(self) -> None:
        for one in _public():
            source = self._sources.get(one.name, "")
            name = f"{one.name} (from {source})" if source not in ("", "code", "default") else one.name
            object.__setattr__(self, one.name, _checked(one, getattr(self, one.name), name))

    @classmethod
    def load(cls, *, cwd: Path | None = None, **code: object) -> "Settings":
        """Each setting from the first that has it: `code`, `HOMING_<NAME>` in the environment (for `url`
        then `REDIS_URL`), `[tool.homing]` in the nearest pyproject.toml from `cwd` upwards, its default.

        None in `code` means not given. Relative folders of a pyproject.toml are relative to it.
        """
        names = [one.name for one in _public()]
        _refuse_unknown(code, names, "settings")
        file, table = _pyproject(cwd or Path.cwd())
        _refuse_unknown(table, names, f"[tool.homing] in {file}")
        values: dict[str, Any] = {}
        sources = dict.fromkeys(names, "default")
        for name in names:
            if (found := _in_environment(name)) is not None:
                values[name], sources[name] = found
            elif name in table:
                values[name], sources[name] = table[name], str(file)
            if code.get(name) is not None:
                values[name], sources[name] = code[name], "code"
        if file is not None and sources["folder"] == str(file) and isinstance(values["folder"], str):
            values["folder"] = file.parent / values["folder"]
        return cls(_sources=sources, **values)

    def sources(self) -> dict[str, str]:
        """Where each setting came from: `code`, the variable's name, the file's path or `default`."""
        said = {one.name: getattr(self, one.name) != one.default for one in _public()}
        return {
            name: self._sources.get(name, "code" if chosen else "default") for name, chosen in said.items()
        }

    def shown(self) -> dict[str, object]:
        """Each setting as it may be printed: passwords and secrets are masked."""
        values = {one.name: getattr(self, one.name) for one in _public()}
        keys = None if self.signing_keys is None else str(self.signing_keys)
        url = masked(self.url) if self.url else None
        return {**values, "url": url, "folder": str(self.folder), "signing_keys": keys}

    def for_queue(self) -> dict[str, int]:
        """The queue's own settings that somebody chose, as an engine takes them.

        Defaults are left out, so that a program that says nothing changes nothing.
        """
        chosen = {name for name, source in self.sources().items() if source != "default"}
        times = {f"{name}_ms": round(getattr(self, name) * 1000) for name in _QUEUE_TIMES if name in chosen}
        return times | {name: getattr(self, name) for name in _QUEUE_NUMBERS if name in chosen}

    def __repr__(self) -> str:
        changed = {name: value for name, value in self.shown().items() if self.sources()[name] != "default"}
        return f"Settings({', '.join(f'{name}={value!r}' for name, value in changed.items())})"


_QUEUE_TIMES = ("lease", "id_ttl", "result_ttl", "dead_ttl")
_QUEUE_NUMBERS = ("ids_max", "result_max", "dead_max", "facts_max", "crash_max")


def masked(text: str) -> str:
    """The text with the password of any URL in it replaced by ***."""
    return _PASSWORD.sub(_mask, text)


def _mask(found: "re.Match[str]") -> str:
    if found[1] is not None:
        return f"{found[1]}:***@"
    return "***" if found["user"] is None else f"{found['user']}:***"


def described() -> dict[str, tuple[str, str]]:
    """Each setting's unit and meaning, for help and docs."""
    return {one.name: (_rule(one).unit, _rule(one).help) for one in _public()}


def _public() -> list[Field[Any]]:
    return [one for one in fields(Settings) if not one.name.startswith("_")]


def _rule(one: Field[Any]) -> Rule:
    return cast("Rule", one.type.__metadata__[0])  # type: ignore[union-attr]  # that of its Annotated


def _checked(one: Field[Any], value: object, name: str) -> object:
    """The setting as its type, or SettingsError with its rule."""
    rule = _rule(one)
    if value is None and one.default is None:
        return None
    if rule.unit == "path":
        if isinstance(value, str | Path) and str(value).strip():
            return Path(value).expanduser()
        raise WrongKind(f"{name} must be the path of a folder, not {value!r:.200}")
    if rule.unit == "text":
        if not isinstance(value, str) or not value.strip():
            raise WrongKind(f"{name} must be a text that is not empty, not {masked(repr(value)):.200}")
        return check_prefix(value) if one.name == "prefix" else value.strip()
    if rule.unit == "flag":
        if isinstance(value, bool):
            return value
        raise WrongKind(f"{name} must be true or false, not {value!r:.200}")
    if rule.unit == "level":
        return durability(value, name)
    if rule.unit == "secret":
        return SigningKeys.parse(value, name)
    if rule.unit == "seconds":
        number = seconds(value, name)
        if number < rule.minimum:
            raise SettingsError(f"{name} must be at least {rule.minimum:g} seconds, not {value!r:.200}")
        return number
    return whole(value, name, minimum=int(rule.minimum), maximum=int(rule.maximum or 1 << 53))


def _in_environment(name: str) -> tuple[object, str] | None:
    """The value of a setting in the environment and the variable it stood in; empty is not set."""
    variables = [f"HOMING_{name.upper()}"] + (["REDIS_URL"] if name == "url" else [])
    for variable in variables:
        if text := os.environ.get(variable, "").strip():
            return _parsed(name, text, variable), variable
    return None


def _parsed(name: str, text: str, variable: str) -> object:
    kind = next(_rule(one).unit for one in _public() if one.name == name)
    if kind in ("text", "secret", "path", "level"):
        return text
    if kind == "flag":
        return _FLAGS.get(text.lower(), text)
    try:
        return float(text) if kind == "seconds" else int(text)
    except ValueError:
        what = "seconds as a number" if kind == "seconds" else "a whole number"
        raise SettingsError(f"{name} (from {variable}) must be {what}, not {text!r:.200}") from None


def _pyproject(start: Path) -> tuple[Path | None, dict[str, object]]:
    """The nearest pyproject.toml upwards that has a [tool.homing], and that table."""
    for folder in (start.resolve(), *start.resolve().parents):
        file = folder / "pyproject.toml"
        try:
            text = file.read_bytes()
        except OSError:  # there is none, or it is not ours to read
            continue
        if b"homing" not in text:
            return None, {}
        import tomllib  # costs milliseconds that most programs need not spend

        try:
            table = tomllib.loads(text.decode()).get("tool", {}).get("homing")
        except ValueError as error:
            raise SettingsError(f"{file} is not valid TOML: {error}") from error
        if table is not None and not isinstance(table, dict):
            raise SettingsError(f"[tool.homing] in {file} must be a table of settings")
        return (file, table) if table else (None, {})
    return None, {}


def _refuse_unknown(given: Mapping[str, object], known: list[str], where: str) -> None:
    unknown = next((name for name in given if name not in known), None)
    if unknown is None:
        return
    import difflib  # only on the way to an error

    near = difflib.get_close_matches(unknown, known, n=1)
    hint = f"did you mean {near[0]}?" if near else f"there are: {', '.join(known)}"
    raise SettingsError(f"{unknown!r:.100} is not a setting ({where}): {hint}")
