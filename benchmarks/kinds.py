"""What a peer is made of, and the best row of a kind."""

from typing import Literal

from benchmarks.store import Store

Kind = Literal["python", "rust", "node"]
#: Each kind with what the tables call it.
KINDS: dict[Kind, str] = {"python": "pure Python", "rust": "with a Rust core", "node": "Node"}
_RUST, _NODE = ("mayu", "tarsk-redis", "ardiq"), ("BullMQ",)


def kind_of(queue: str) -> Kind | None:
    """None of homing itself and of the loops."""
    if queue in {"homing", "loop"}:
        return None
    return "rust" if queue in _RUST else "node" if queue in _NODE else "python"


def best_of(
    store: Store, scenario: str, figure: str, kind: str, better: Literal["more", "less"]
) -> tuple[str, float] | None:
    """The row of this kind of peer with the best median, and the median; None when nobody has one."""
    found = [
        (row, median)
        for row, cell in store.measured(scenario)
        if kind_of(store.rows[row].queue) == kind and (median := cell.median(figure)) is not None
    ]
    pick = max if better == "more" else min
    return pick(found, key=lambda each: each[1], default=None)
