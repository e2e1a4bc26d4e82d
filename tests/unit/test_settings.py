"""Settings: who says them, in which order, and what is refused."""

import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import pytest

from homing.errors import SettingsError
from homing.settings import Settings, described, masked


@pytest.fixture(autouse=True)
def nobody_says_anything(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [*(f"HOMING_{name.upper()}" for name in described()), "REDIS_URL"]:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)


def pyproject(folder: Path, text: str) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "pyproject.toml").write_text(text)
    return folder / "pyproject.toml"


def test_with_nothing_said_the_defaults_hold() -> None:
    settings = Settings.load()
    assert settings == Settings()
    assert (settings.url, settings.folder, settings.prefix) == (None, Path(".homing"), "homing")
    assert (settings.deadline, settings.lease, settings.payload_max) == (5.0, 10.0, 1_048_576)
    assert (settings.processes, settings.concurrency, settings.threads) == (1, 100, 16)
    assert set(settings.sources().values()) == {"default"}


def test_code_goes_before_environment_before_file_before_default(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = pyproject(tmp_path, "[tool.homing]\nthreads = 2\nconcurrency = 2\nprocesses = 2\n")
    monkeypatch.setenv("HOMING_CONCURRENCY", "3")
    monkeypatch.setenv("HOMING_PROCESSES", "3")
    settings = Settings.load(processes=4)
    assert (settings.threads, settings.concurrency, settings.processes) == (2, 3, 4)
    sources = settings.sources()
    assert (sources["threads"], sources["concurrency"], sources["processes"], sources["lease"]) == (
        str(file), "HOMING_CONCURRENCY", "code", "default",
    )  # fmt: skip


def test_none_in_code_is_not_given(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOMING_URL", "redis://h/0")
    assert Settings.load(url=None).url == "redis://h/0"


def test_redis_url_stands_in_for_homing_url(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REDIS_URL", "redis://second/0")
    assert Settings.load().sources()["url"] == "REDIS_URL"
    monkeypatch.setenv("HOMING_URL", "redis://first/0")
    assert Settings.load().url == "redis://first/0"


def test_an_empty_variable_is_not_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOMING_LEASE", "")
    assert Settings.load().lease == 10.0


def test_the_nearest_pyproject_upwards_speaks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pyproject(tmp_path, "[tool.homing]\nthreads = 2\n")
    inner = tmp_path / "a" / "b"
    inner.mkdir(parents=True)
    monkeypatch.chdir(inner)
    assert Settings.load().threads == 2
    pyproject(tmp_path / "a", "[project]\nname = 'other'\n")
    assert Settings.load().threads == 16
    assert Settings.load(cwd=tmp_path).threads == 2


def test_a_folder_of_a_pyproject_stands_beside_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pyproject(tmp_path, "[tool.homing]\nfolder = 'var/queue'\n")
    (tmp_path / "src").mkdir()
    monkeypatch.chdir(tmp_path / "src")
    assert Settings.load().folder == tmp_path / "var" / "queue"


def test_times_may_be_timedeltas() -> None:
    assert Settings.load(lease=timedelta(minutes=1)).lease == 60.0


@pytest.mark.parametrize(
    ("said", "sentence"),
    [
        ({"lease": 1}, "lease must be at least 5 seconds, not 1"),
        ({"lease": float("nan")}, "lease must be 0 to 315,360,000 seconds, not nan"),
        ({"lease": True}, "lease must be seconds as a number"),
        ({"deadline": 0}, "deadline must be at least 0.01 seconds, not 0"),
        ({"stall": "300"}, "write stall=300"),
        ({"result_ttl": -1}, "result_ttl must be 0 to"),
        ({"concurrency": 0}, "concurrency must be 1 to 10000, not 0"),
        ({"concurrency": 10**6}, "concurrency must be 1 to 10000, not 1000000"),
        ({"concurrency": 2.0}, "concurrency must be a whole number, not float 2.0"),
        ({"threads": -1}, "threads must be 1 to 1000, not -1"),
        ({"payload_max": 1 << 40}, "payload_max must be 64 to 268435456"),
        ({"prefix": "a{b"}, "prefix 'a{b' is not allowed"),
        ({"prefix": ""}, "prefix must be a text that is not empty"),
        ({"url": 5}, "url must be a text that is not empty, not 5"),
        ({"url": " "}, "url must be a text that is not empty"),
        ({"folder": 5}, "folder must be the path of a folder, not 5"),
        ({"durability": "disk"}, "durability must be one of memory, replicated, fsynced, not 'disk'"),
        ({"durability_replicas": 0}, "durability_replicas must be 1 to 100, not 0"),
        ({"folder": ""}, "folder must be the path of a folder"),
        ({"leese": 10}, "'leese' is not a setting (settings): did you mean lease?"),
        ({"zzz": 10}, "'zzz' is not a setting (settings): there are: url, folder, "),
    ],
)
def test_a_setting_that_breaks_its_rule_is_refused(said: dict[str, object], sentence: str) -> None:
    with pytest.raises(SettingsError) as refused:
        Settings.load(**said)  # type: ignore[arg-type]
    assert sentence in str(refused.value)


@pytest.mark.parametrize(
    ("variable", "text", "sentence"),
    [
        ("HOMING_LEASE", "1", "lease (from HOMING_LEASE) must be at least 5 seconds"),
        ("HOMING_LEASE", "ten", "lease (from HOMING_LEASE) must be seconds as a number, not 'ten'"),
        ("HOMING_LEASE", "nan", "lease (from HOMING_LEASE) must be 0 to"),
        ("HOMING_THREADS", "2.5", "threads (from HOMING_THREADS) must be a whole number, not '2.5'"),
        ("HOMING_PREFIX", "a b", "prefix 'a b' is not allowed"),
    ],
)
def test_a_variable_that_breaks_its_rule_is_named(
    variable: str, text: str, sentence: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(variable, text)
    with pytest.raises(SettingsError) as refused:
        Settings.load()
    assert sentence in str(refused.value)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("[tool.homing]\nleese = 10\n", "'leese' is not a setting ([tool.homing] in "),
        ("[tool.homing]\nthreads = '2'\n", "pyproject.toml) must be a whole number, not str '2'"),
        ("[tool.homing\nthreads = 2\n", "pyproject.toml is not valid TOML: "),
        ("[tool]\nhoming = 3\n", "must be a table of settings"),
    ],
)
def test_a_file_that_breaks_a_rule_is_named(text: str, sentence: str, tmp_path: Path) -> None:
    pyproject(tmp_path, text)
    with pytest.raises(SettingsError) as refused:
        Settings.load()
    assert sentence in str(refused.value)


def test_only_what_somebody_chose_is_said_to_a_queue(monkeypatch: pytest.MonkeyPatch) -> None:
    assert Settings.load().for_queue() == {}
    monkeypatch.setenv("HOMING_RESULT_TTL", "1.5")
    assert Settings.load(lease=20, dead_max=7).for_queue() == {
        "lease_ms": 20_000, "result_ttl_ms": 1_500, "dead_max": 7,
    }  # fmt: skip


def test_settings_made_directly_know_what_was_chosen() -> None:
    assert Settings().for_queue() == {}
    assert Settings(lease=20).for_queue() == {"lease_ms": 20_000}
    assert Settings(lease=20).sources()["lease"] == "code"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("redis://user:s3cret@host:6379/0", "redis://user:***@host:6379/0"),
        ("rediss://:s3cret@host", "rediss://:***@host"),
        ("cannot reach redis://u:p@ss@host/0, retrying", "cannot reach redis://u:***@host/0, retrying"),
        ("redis://u:a/b:c@host", "redis://u:***@host"),
        ("unix:///tmp/x.sock?db=1&password=s3cret", "unix:///tmp/x.sock?db=1&password=***"),
        ("redis://host/0", "redis://host/0"),
        ("unix:///tmp/a@b.sock", "unix:///tmp/a@b.sock"),
        ("mail a@b.c: hello", "mail a@b.c: hello"),
    ],
)
def test_a_password_is_masked(text: str, shown: str) -> None:
    assert masked(text) == shown


def test_a_password_never_shows_in_a_repr_or_an_error() -> None:
    settings = Settings.load(url="redis://user:s3cret@host/0")
    assert "s3cret" not in repr(settings) + str(settings.shown())
    assert "host" in repr(settings)


def test_every_setting_is_described_with_its_unit() -> None:
    assert all(unit and text for unit, text in described().values())
    assert described()["lease"] == ("seconds", "how long a silent worker keeps its jobs")


def test_nothing_reads_the_environment_or_redis_at_import() -> None:
    program = (
        "import os, sys, logging, msgspec, inspect, random, traceback, pathlib\n"
        "class Refuse(dict):\n"
        "    def get(self, *name): raise AssertionError(name)\n"
        "    __getitem__ = __contains__ = get\n"
        "os.environ = Refuse()\n"
        "import homing.events, homing.ids, homing.policy, homing.settings, homing.signature\n"
        "assert not {'redis', 'asyncio', 'tomllib', 'difflib'} & set(sys.modules)\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True, timeout=30)
