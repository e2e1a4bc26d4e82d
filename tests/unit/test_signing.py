"""Signing keys: what is signed byte for byte, which key signs, and that no secret is ever shown."""

import hashlib
import hmac
import pickle
import traceback

import pytest

from homing import App, Settings
from homing.errors import SettingsError
from homing.job import Claimed, NewJob
from homing.seal import Seal
from homing.signing import SigningKeys

OLD, NEW = "old:0123456789abcdef-old", "new:fedcba9876543210-new"
JOB = NewJob(id="a1", task="send_email", payload=b'[["a@example.com"],{}]')


def seal(keys: str = NEW, prefix: str = "homing") -> Seal:
    return Seal(SigningKeys.parse(keys), prefix)


def claimed(job: NewJob) -> Claimed:
    return Claimed(job.id, b"0", job.task, job.payload, 0, job.meta, 0)


def test_the_bytes_that_are_signed_are_these() -> None:
    """The example of docs/security.md, made with nothing but the standard library."""
    signed = b'homing 1\n3:new,15:homing:{emails},10:send_email,2:a1,22:[["a@example.com"],{}],0:,'
    digest = hmac.new(b"fedcba9876543210-new", signed, hashlib.sha256).hexdigest()
    assert digest == "b5ddc8698c2de9ba746e408535bc23477aac17643bef4204dc224295f2bffa13"
    assert seal().sign("emails", JOB).meta == f'{{"signature":"new:{digest}"}}'.encode()


def test_options_are_signed_as_the_text_they_were() -> None:
    options = b'{"retry":{"kind":"delays","delays":[1.0]},"timeout_s":5.0}'
    job = NewJob(id="a1", task="t", payload=b"[[],{}]", meta=options)
    made = seal().sign("q", job)
    meta = __import__("json").loads(made.meta)
    assert meta.pop("signed") == options.decode()
    assert meta.pop("signature").startswith("new:")
    assert meta == {"retry": {"kind": "delays", "delays": [1.0]}, "timeout_s": 5.0}
    assert seal().fault("q", claimed(made)) == ""


def test_the_first_key_signs_and_all_verify() -> None:
    made_before = seal(OLD).sign("emails", JOB)
    rotating = seal(f"{NEW},{OLD}")
    made_now = rotating.sign("emails", JOB)
    assert b"new:" in made_now.meta
    assert [rotating.fault("emails", claimed(job)) for job in (made_before, made_now)] == ["", ""]
    assert "not in signing_keys: 'old'" in seal(NEW).fault("emails", claimed(made_before))


@pytest.mark.parametrize(
    ("other", "queue", "prefix"),
    [
        (NewJob(id="a2", task="send_email", payload=JOB.payload), "emails", "homing"),
        (NewJob(id="a1", task="send_emai", payload=b"l" + JOB.payload), "emails", "homing"),
        (NewJob(id="a1", task="send_email", payload=JOB.payload + b" "), "emails", "homing"),
        (JOB, "email", "homing"),
        (JOB, "emails", "homing2"),
    ],
)
def test_a_signature_is_of_one_job_of_one_queue(other: NewJob, queue: str, prefix: str) -> None:
    made = seal().sign("emails", JOB)
    moved = claimed(NewJob(id=other.id, task=other.task, payload=other.payload, meta=made.meta))
    assert (
        seal(prefix=prefix).fault(queue, moved)
        == "its signature is of another queue, task, id, payload or options"
    )


@pytest.mark.parametrize(
    ("meta", "says"),
    [
        (b"", "it is not signed"),
        (b"{}", "it is not signed"),
        (b"[]", "its meta is not an object"),
        (b"\xff", "its meta does not decode"),
        (b'{"signature":5}', "it is not signed"),
        (b'{"signature":""}', "not in signing_keys: ''"),
        (b'{"signature":"new"}', "its signature is of another"),
        (b'{"signature":"new:"}', "its signature is of another"),
        ('{"signature":"new:é"}'.encode(), "its signature is of another"),
        (b'{"signature":"new:00","signed":7}', "it is not signed"),
        (b'{"signature":"no\\u0000ne:x"}', "not in signing_keys"),
    ],
)
def test_what_is_no_signature_is_none(meta: bytes, says: str) -> None:
    assert says in seal().fault("emails", claimed(NewJob(id="a1", payload=b"1", meta=meta)))


def test_an_option_that_was_not_signed_is_found() -> None:
    made = seal().sign("emails", JOB)
    for added in (
        b'{"timeout_s":0,',
        b'{"retry":null,"timeout_s":1,',
        b'{"expires":1,',
        b'{"signed":"{}","x":1,',
    ):
        changed = NewJob(id=JOB.id, task=JOB.task, payload=JOB.payload, meta=added + made.meta[1:])
        assert seal().fault("emails", claimed(changed)) != ""


def test_a_foreign_number_is_the_same_number_after_a_retry() -> None:
    """What another program wrote as 5, homing writes back as 5.0."""
    options = b'{"timeout_s": 5, "retry": {"times": 2, "kind": "backoff"}}'
    made = seal().sign("q", NewJob(id="a1", payload=b"1", meta=options))
    from homing.meta import Meta

    again = NewJob(id="a1", payload=b"1", meta=Meta.read(made.meta).after(1, ValueError("x")).write())
    assert (b'"timeout_s":5.0' in again.meta, seal().fault("q", claimed(again))) == (True, "")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("secret-without-an-id", "number 1 is no key"),
        ("a b:0123456789abcdef", "number 1 is no key"),
        ("new:0123456789abcdef,,", "number 2 is no key"),
        (":0123456789abcdef", "number 1 is no key"),
        ("new:short-secret", "the secret of key 'new' has fewer than 16 bytes"),
        ("new:", "fewer than 16 bytes: python -c"),
        (f"{NEW},{NEW}", "two keys are called 'new'"),
        ("", "is no key"),
        (7, "must be a text, not int"),
        (b"new:0123456789abcdef", "must be a text, not bytes"),
    ],
)
def test_what_is_no_key_is_refused_and_not_shown(text: object, says: str) -> None:
    with pytest.raises(SettingsError) as refused:
        SigningKeys.parse(text)
    assert says in str(refused.value)
    assert "0123456789" not in str(refused.value)
    assert "short-secret" not in str(refused.value)


def test_no_secret_is_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOMING_SIGNING_KEYS", f" {NEW} , {OLD}\n")
    settings = Settings.load()
    app = App("redis://localhost")
    shown = f"{settings!r} {settings} {settings.shown()} {settings.signing_keys!r} {settings.signing_keys} {app!r} {vars(app)}"
    assert "new:***,old:***" in shown
    assert "fedcba" not in shown
    assert "0123456789" not in shown
    assert settings.sources()["signing_keys"] == "HOMING_SIGNING_KEYS"
    monkeypatch.setenv("HOMING_SIGNING_KEYS", "fedcba9876543210-without-an-id")
    with pytest.raises(SettingsError, match="from HOMING_SIGNING_KEYS") as refused:
        Settings.load()
    assert "fedcba" not in "".join(traceback.format_exception(refused.value))
    with pytest.raises(TypeError, match="not pickled"):
        pickle.dumps(settings.signing_keys)


def test_keys_from_code_go_before_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOMING_SIGNING_KEYS", OLD)
    assert Settings.load(signing_keys=NEW).signing_keys == SigningKeys.parse(NEW)
    assert Settings.load().signing_keys == SigningKeys.parse(OLD) != SigningKeys.parse(NEW)


def test_without_keys_nothing_is_signed() -> None:
    assert Seal.of(None, "homing") is None
    assert App("redis://localhost").settings.signing_keys is None
