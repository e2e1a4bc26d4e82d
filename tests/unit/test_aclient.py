"""The client of one loop: whose connection it is that came too late."""

import asyncio
import time

import pytest

from homing.aclient import AsyncClient
from homing.target import Address, Target


class Wire:
    closed = False

    def close(self) -> None:
        self.closed = True


async def test_a_connection_that_came_as_its_call_was_cancelled_is_closed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    client, wire = AsyncClient(Target.parse("redis://127.0.0.1:1")), Wire()

    async def dial(address: Address, by: float) -> Wire:
        return wire

    monkeypatch.setattr(client, "_dial", dial)
    call = asyncio.create_task(client._wire(Address("127.0.0.1", 1), time.monotonic() + 60))
    for _ in range(2):  # the call begins; the connection is there
        await asyncio.sleep(0)
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call
    assert wire.closed
