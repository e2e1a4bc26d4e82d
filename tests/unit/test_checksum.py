"""The checksum of a job, as other programs may make it too."""

import zlib

from homing.checksum import checksum


def test_it_is_the_crc_of_task_line_end_and_payload() -> None:
    assert checksum("send_email", b'[["a@b.c"],{}]') == b"%08x" % zlib.crc32(b'send_email\n[["a@b.c"],{}]')
    assert checksum("", b"null") == b"%08x" % zlib.crc32(b"\nnull")
    assert len(checksum("", b"")) == 8


def test_every_single_bit_of_payload_and_task_shows() -> None:
    payload, task = b'[["a@b.c"],{}]', "send"
    seen = {checksum(task, payload)}
    for at in range(len(payload) * 8):
        flipped = bytearray(payload)
        flipped[at // 8] ^= 1 << at % 8
        seen.add(checksum(task, bytes(flipped)))
    for at in range(len(task) * 7):
        name = bytearray(task.encode())
        name[at // 7] ^= 1 << at % 7
        seen.add(checksum(name.decode(), payload))
    assert len(seen) == 1 + len(payload) * 8 + len(task) * 7


def test_what_moves_between_task_and_payload_shows() -> None:
    assert checksum("ab", b"c") != checksum("a", b"bc")
