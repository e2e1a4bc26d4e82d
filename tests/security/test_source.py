"""What the source may not do, read from the source itself."""

import ast
import functools
import re
from collections import Counter
from pathlib import Path

import pytest

import homing
from homing.command import load
from homing.ids import ALPHABET, ID_LENGTH, new_id

SOURCE = Path(homing.__file__).parent
#: Modules whose loading runs or unpacks what was stored.
RUNS_ITS_INPUT = {
    "pickle",
    "cPickle",
    "dill",
    "cloudpickle",
    "marshal",
    "shelve",
    "jsonpickle",
    "yaml",
    "code",
    "codeop",
}
UNPACKS = {"zlib", "gzip", "bz2", "lzma", "zipfile", "tarfile", "zstandard", "lz4", "snappy"}
#: The places that import what the user's own program names.
IMPORTS_BY_NAME = {"discovery.py", "worker/isolated.py", "cli/main.py", "__init__.py"}
LUA = sorted(SOURCE.rglob("*.lua"))


@functools.cache
def trees() -> list[tuple[str, ast.Module]]:
    paths = sorted(SOURCE.rglob("*.py"))
    return [(str(path.relative_to(SOURCE)), ast.parse(path.read_text())) for path in paths]


def imports(tree: ast.Module) -> set[str]:
    found: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and [alias.name for alias in node.names] != ["crc32"]:
            found.add((node.module or "").partition(".")[0])
    return found


def calls(tree: ast.Module) -> set[str]:
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            function = node.func
            found.add(function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", ""))
    return found


def test_nothing_loads_what_could_run_or_swell() -> None:
    every = trees()
    assert len(every) > 80  # the search sees the package
    assert {name for name, tree in every if imports(tree) & (RUNS_ITS_INPUT | UNPACKS)} == set()
    assert {name for name, tree in every if calls(tree) & {"eval", "exec", "compile_command"}} == set()
    named = {name for name, tree in every if calls(tree) & {"import_module", "__import__", "run_path"}}
    assert named == IMPORTS_BY_NAME


def test_scripts_are_files_and_never_put_together_from_data() -> None:
    """Lua stands in `.lua` files alone, and what Python sends as a script is one of them."""
    says_lua = re.compile(r"redis\.p?call|KEYS\[\d|ARGV\[\d")
    for name, tree in trees():
        texts = {
            node.value
            for node in ast.walk(tree)
            if isinstance(node, ast.Constant) and isinstance(node.value, str)
        }
        documented = {
            ast.get_docstring(node, clean=False) for node in ast.walk(tree) if isinstance(node, ast.Module)
        }
        wrong = [text for text in texts - documented if says_lua.search(text)]
        # The one line that makes Redis 6.2 take a script on a full server: a constant.
        assert all(text.startswith("redis.call('EXPIRE', KEYS[1], 1)\n") for text in wrong), (name, wrong)


@pytest.mark.parametrize("path", LUA, ids=lambda path: "/".join(path.parts[-3:]))
def test_a_script_runs_no_text(path: Path) -> None:
    code = "\n".join(line.partition("--")[0] for line in path.read_text().splitlines())
    assert not re.search(r"\b(loadstring|load|dofile|require|setfenv|getfenv|debug)\s*[(.]", code)
    # A command's name is a constant; data are its arguments.
    assert re.findall(r"redis\.p?call\(\s*+(?!')", code) == []
    # Patterns are constants: data is only ever what they are looked for in.
    assert re.findall(r"string\.(?:match|find|gmatch|gsub)\([^,]+,\s*+(?!')", code) == []


def test_ids_cannot_be_guessed() -> None:
    """Of an id's 126 bits 74 are random: half of each is set, and no two ids of many share their tails."""
    ids = [new_id() for _ in range(20_000)]
    tails = [_number(one) & ((1 << 74) - 1) for one in ids]
    assert {len(one) for one in ids} == {ID_LENGTH}
    assert len(set(tails)) == len(ids)
    assert len({tail >> 38 for tail in tails}) > len(ids) - 5  # of 36 of those bits hardly any two are alike
    ones = Counter(bit for tail in tails for bit in range(74) if tail >> bit & 1)
    # 20,000 throws of a coin stray over 500 from 10,000 once in 10 ** 12 times.
    assert {bit for bit in range(74) if abs(ones[bit] - 10_000) > 500} == set()


def _number(text: str) -> int:
    value = 0
    for character in text:
        value = value << 6 | ALPHABET.index(character)
    return value


@pytest.mark.parametrize("engine", ["lists", "streams"])
def test_what_a_script_does_first_on_redis_6_2_touches_no_key_that_exists(engine: str) -> None:
    """There a script that must run on a full server begins with a write, on the prefix itself."""
    package = f"homing.engines.{engine}"
    found = {path.stem for path in LUA if path.parts[-3:-1] in {(engine, "lua"), ("shared", "both")}}
    names = {name for name in found if not name.startswith("_")}
    scripts = [load(package, name, lean=True) for name in sorted(names)]
    assert len(scripts) > 15
    assert {script.keys[0] for script in scripts} == {"prefix"}
    assert all(script.plain.startswith("redis.call('EXPIRE', KEYS[1], 1)\n") for script in scripts)
