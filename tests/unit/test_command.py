"""A script's header is its contract."""

import re
from importlib.resources import files
from pathlib import Path

import pytest

from homing.command import call, load, prepared
from homing.engines.engine import DATA_VERSION, SETTINGS
from homing.ids import ID_LENGTH
from homing.keys import Keys

LISTS, STREAMS = "homing.engines.lists", "homing.engines.streams"


def lua_folder(package: str) -> Path:
    return Path(str(files(package))) / "lua"


def verbs(package: str) -> list[Path]:
    """The scripts of an engine: its own, and those that both share."""
    both = Path(str(files("homing.engines"))) / "shared" / "both"
    return [*lua_folder(package).glob("[a-z]*.lua"), *both.glob("*.lua")]


def test_both_engines_bear_the_same_transitions() -> None:
    names = [sorted(path.name for path in verbs(package)) for package in (LISTS, STREAMS)]
    assert names[0] == names[1]
    assert len(names[0]) == len(set(names[0])) > 20


@pytest.mark.parametrize("package", [LISTS, STREAMS])
def test_every_script_loads_declares_the_prefix_first_and_says_what_it_returns(package: str) -> None:
    for path in verbs(package):
        script = load(package, path.stem)
        assert script.keys[0] == "prefix", path
        assert len(script.keys) > 1, "a lone missing key would be redirected while its slot migrates"
        assert "\n-- Returns " in path.read_text(), path


@pytest.mark.parametrize("package", [LISTS, STREAMS])
def test_both_engines_take_the_same_arguments(package: str) -> None:
    for path in verbs(LISTS):
        assert load(package, path.stem).args == load(LISTS, path.stem).args, path.stem


def test_a_missing_or_extra_argument_is_a_type_error() -> None:
    script, keys = load(LISTS, "job"), Keys("emails")
    with pytest.raises(TypeError, match="job takes"):
        call(script, keys, bytes)
    with pytest.raises(TypeError, match="job takes"):
        call(script, keys, bytes, id="a", limit=3)
    with pytest.raises(TypeError, match="no further"):
        call(script, keys, bytes, id="a", rest=["b"])


def test_a_script_is_prepared_for_its_own_arguments_in_their_order() -> None:
    script, keys = load(LISTS, "enqueue"), Keys("emails")
    called = call(script, keys, bytes, now_ms="", lane="a", number=1)
    assert prepared(script, keys, "now_ms", "lane", "number") == (script, called.keys)
    with pytest.raises(TypeError, match="enqueue takes"):
        prepared(script, keys, "lane", "now_ms", "number")
    with pytest.raises(TypeError, match="no key that ends in one"):
        prepared(load(LISTS, "claim"), keys, *load(LISTS, "claim").wanted)


def test_keys_come_from_the_names_in_the_header() -> None:
    command = call(load(LISTS, "claim"), Keys("emails"), bytes, now_ms="", worker="w1", limit=1, number=1)
    assert command.keys[:5] == (
        "homing:{emails}",
        "homing:{emails}:meta",
        "homing:{emails}:workers",
        "homing:{emails}:worker:w1",
        "homing:{emails}:active:w1",
    )


@pytest.mark.parametrize("package", [LISTS, STREAMS])
def test_a_script_brings_the_shared_functions_that_it_reaches_and_no_others(package: str) -> None:
    shared = Path(str(files("homing.engines"))) / "shared"
    makes = re.compile(r"^local function (\w+)", re.MULTILINE)
    for path in verbs(package):
        used = " ".join(re.findall(r"^-- USES (.*)", path.read_text(), re.MULTILINE)).split()
        sources = [shared / f"{name}.lua" for name in used] + list(lua_folder(package).glob("_*.lua"))
        known = {name for source in sources for name in makes.findall(source.read_text())}
        bare = re.sub(r"--.*", "", load(package, path.stem).plain)
        named, made = re.findall(r"\w+", bare), set(makes.findall(bare))
        assert known & set(named) <= made, path
        assert [name for name in made & known if named.count(name) == 1] == [], path


def test_a_lean_settle_is_let_through_by_a_full_server_and_the_plain_text_has_no_flag_line() -> None:
    assert load(LISTS, "settle").text.startswith("#!lua\n")
    assert load(LISTS, "settle", lean=True).text.startswith("#!lua flags=allow-oom\n")
    assert not load(LISTS, "settle", lean=True).plain.startswith("#!")


def test_the_scripts_defaults_are_the_documented_settings() -> None:
    shared = Path(str(files("homing.engines"))) / "shared"
    text = "\n".join(path.read_text() for folder in (shared, lua_folder(LISTS), lua_folder(STREAMS))
                     for path in folder.rglob("*.lua"))  # fmt: skip
    found = {default for default in re.findall(r"kept\[\d\] or (\d+)\)", text) if default != "0"}
    found |= set(re.findall(r"or (\d{5,})", text))
    assert {str(value) for value in SETTINGS.values()} == found
    assert f"DATA_VERSION = {DATA_VERSION}" in text
    assert f"ID_LENGTH = {ID_LENGTH}" in text
