"""The mutation gate of the chaos harness has what it plays: patches that apply, and rows that are there."""

import hashlib
from pathlib import Path

import pytest

from chaos import gate, proxy
from chaos.gate import ALL, PATCHES, PLAYED, ROOT
from chaos.rows import BY_NAME
from homing.command import load


def test_each_patch_is_played_in_a_row_that_has_a_size() -> None:
    assert {one.patch for one in ALL} == set(PATCHES.glob("*.patch"))
    assert {one.row for one in ALL} == set(PLAYED) <= set(BY_NAME)


def _sums(source: Path) -> dict[str, str]:
    return {
        str(path.relative_to(source)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in (source / "homing").rglob("*")
        if path.suffix in {".py", ".lua"}
    }


def test_each_patch_changes_a_copy_of_the_package_and_nothing_else(tmp_path: Path) -> None:
    before = _sums(ROOT / "src")
    for one in ALL:
        assert _sums(gate.broken(one.patch, tmp_path / one.name)).items() - before.items(), one.name
    assert _sums(ROOT / "src") == before


def test_a_patch_that_does_not_apply_any_more_is_an_error(tmp_path: Path) -> None:
    patch = tmp_path / "old.patch"
    patch.write_text(ALL[0].patch.read_text().replace("table.put", "chair.put"))
    with pytest.raises(RuntimeError, match=r"old.patch does not apply any more"):
        gate.broken(patch, tmp_path / "copy")


def test_a_road_knows_the_scripts_of_a_broken_build(tmp_path: Path) -> None:
    source = gate.broken(gate.BY_PATCH["enqueue-without-lanes"].patch, tmp_path / "copy")
    names = proxy.named((str(source),))
    assert sorted(set(names.values())) == sorted(set(proxy.named(()).values()))
    assert load("homing.engines.lists", "enqueue").sha.encode() not in names
    assert load("homing.engines.lists", "settle").sha.encode() in names
