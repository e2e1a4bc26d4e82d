"""Signed jobs: whoever has a key made this one, for this queue, with this payload and these options. Pure.

The signature stands in `meta` as `signature`; what `meta` held when it was made stands beside it, as a
text, in `signed`. Errors of past runs come and go in `meta` without breaking it.
"""

from typing import Any

import msgspec

from homing import codec
from homing.errors import DecodeError
from homing.job import Claimed, NewJob
from homing.meta import Meta
from homing.signing import SigningKeys

#: What of `meta` changes from run to run and decides nothing of what runs, and the signature itself.
_CHANGES = frozenset({"errors", "unknown_since_ms", "signature", "signed"})


class Seal:
    """Signs the jobs of one app, and says what is wrong with those that are not its own."""

    def __init__(self, keys: SigningKeys, prefix: str) -> None:
        self._keys = keys
        self._prefix = prefix

    @classmethod
    def of(cls, keys: SigningKeys | None, prefix: str) -> "Seal | None":
        """None without keys: nothing is signed then, and nothing verified."""
        return None if keys is None else cls(keys, prefix)

    def sign(self, queue: str, job: NewJob) -> NewJob:
        """The job with a signature in its meta."""
        signature = self._keys.sign(*self._parts(queue, job, job.meta))
        if not job.meta:
            meta = b'{"signature":"%b"}' % signature
        else:
            added = {"signed": job.meta.decode(), "signature": signature.decode()}
            meta = msgspec.json.encode({**codec.decode(job.meta), **added})
        return msgspec.structs.replace(job, meta=meta)

    def fault(self, queue: str, job: Claimed) -> str:
        """Why this job must not run, as the end of a sentence; empty when it may."""
        if job.fields is not None:
            return "it has no payload, and only a payload can be signed"
        try:
            meta = codec.decode(job.meta) if job.meta else {}
        except DecodeError as error:
            return f"its meta does not decode: {error}"
        if not isinstance(meta, dict):
            return "its meta is not an object"
        signature, signed = meta.get("signature"), meta.get("signed", "")
        if not isinstance(signature, str) or not isinstance(signed, str):
            return "it is not signed"
        if not self._keys.knows(signature):
            return f"it is signed with a key that is not in signing_keys: {signature.partition(':')[0]!r:.40}"
        if not self._keys.verifies(signature, *self._parts(queue, job, signed.encode())):
            return "its signature is of another queue, task, id, payload or options"
        if (signed or meta.keys() - _CHANGES) and not _same_options(job.meta, signed.encode()):
            return "its options in meta are not those that were signed"
        return ""

    def _parts(self, queue: str, job: NewJob | Claimed, options: bytes) -> tuple[bytes, ...]:
        where = f"{self._prefix}:{{{queue}}}"
        return where.encode(), job.task.encode(), job.id.encode(), job.payload, options


def _same_options(stored: bytes, signed: bytes) -> bool:
    """Whether two metas say the same, but for what changes; a foreign 5 is our 5.0."""
    try:
        return _options(stored) == _options(signed)
    except DecodeError:
        return False


def _options(meta: bytes) -> bytes:
    known = msgspec.to_builtins(Meta.read(meta))
    fields: dict[str, Any] = {**known.pop("rest", {}), **known}
    kept = {name: value for name, value in fields.items() if name not in _CHANGES}
    return msgspec.json.encode(kept, order="sorted")
