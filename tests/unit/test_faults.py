"""What error replies mean, in the words of each server version."""

import ssl

import pytest

from homing.command import Command
from homing.errors import (
    ClaimRefused,
    HomingError,
    LeaseLost,
    NewerData,
    QueueFull,
    ServerAuth,
    ServerError,
    ServerLoading,
    ServerReadOnly,
    ServerTooOld,
    ServerUnreachable,
    WrongEngine,
    WrongType,
)
from homing.faults import PAUSE_MAX_S, PAUSE_S, Broken, Refusal, Step, judge, pause_s, split, undialled
from homing.target import Address

HERE = Address("h", 1)
CLAIM: Command[bytes] = Command(("claim",), (), (), bytes, "mails")
SHA = "a" * 40
RAN = f"ERR Error running script (call to f_{SHA}): "


@pytest.mark.parametrize(
    ("text", "code", "message"),
    [
        ("LEASELOST the lease was reclaimed", "LEASELOST", "the lease was reclaimed"),
        ("LEASELOST", "LEASELOST", ""),
        (f"LEASELOST gone script: {SHA}, on @user_script:3.", "LEASELOST", "gone"),
        ("LEASELOST gone script: on @user_script:2.", "LEASELOST", "gone"),
        (f"ERR user_script:3: LEASELOST gone script: {SHA}, on @user_script:3.", "LEASELOST", "gone"),
        (
            f"{RAN}@user_script:3: @user_script: 3: LEASELOST gone",
            "LEASELOST",
            "gone",
        ),
        (
            f"{RAN}@user_script:1: -OOM command not allowed when used memory > 'maxmemory'.",
            "OOM",
            "command not allowed when used memory > 'maxmemory'.",
        ),
        ("ERR unknown command 'X'", "ERR", "unknown command 'X'"),
        ("something without a code", "ERR", "something without a code"),
        ("", "ERR", ""),
    ],
)
def test_the_code_is_found_wherever_a_server_puts_it(text: str, code: str, message: str) -> None:
    assert split(text) == (code, message)


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("LEASELOST x", LeaseLost),
        ("WRONGENGINE x", WrongEngine),
        ("NEWERDATA x", NewerData),
        ("CLAIMREFUSED x", ClaimRefused),
        ("QUEUEFULL x", QueueFull),
        ("OOM command not allowed when used memory > 'maxmemory'.", QueueFull),
        ("WRONGTYPE Operation against a key holding the wrong kind of value", WrongType),
        ("NOAUTH Authentication required.", ServerAuth),
        ("WRONGPASS invalid username-password pair or user is disabled.", ServerAuth),
        ("NOPERM User x has no permissions to run the 'evalsha' command", ServerAuth),
        ("DENIED Redis is running in protected mode", ServerAuth),
        ("ERR ACL failure in script: User x has no permissions to run the 'get' command", ServerAuth),
        ("ERR The user executing the script can't run this command or subcommand", ServerAuth),
        ("ERR AUTH <password> called without any password configured", ServerAuth),
        ("ERR unknown command `EVALSHA`, with args beginning with:", ServerTooOld),
        ("ERR unknown command 'LMOVE', with args beginning with: ", ServerTooOld),
        (
            f"{RAN}@user_script:2: @user_script: 2: Unknown Redis command called from Lua script",
            ServerTooOld,
        ),
        ("MISCONF Errors writing to the AOF file: No space left on device", ServerError),
        ("ERR DB index is out of range", ServerError),
        ("ERR something else", ServerError),
    ],
)
def test_what_an_error_reply_says_is_raised_at_once(text: str, error: type[HomingError]) -> None:
    verdict = judge(Refusal(text), CLAIM, HERE)
    assert verdict.step is Step.FAIL
    assert type(verdict.error) is error


@pytest.mark.parametrize(
    ("text", "step", "error"),
    [
        ("LOADING Redis is loading the dataset in memory", Step.LATER, ServerLoading),
        ("TRYAGAIN Multiple keys request during rehashing of slot", Step.LATER, ServerUnreachable),
        ("BUSY Redis is busy running a script.", Step.LATER, ServerUnreachable),
        ("NOREPLICAS Not enough good replicas to write.", Step.LATER, ServerUnreachable),
        ("ERR max number of clients reached", Step.LATER, ServerUnreachable),
        ("CLUSTERDOWN The cluster is down", Step.DEMOTED, ServerUnreachable),
        ("READONLY You can't write against a read only replica.", Step.DEMOTED, ServerReadOnly),
        ("MASTERDOWN Link with MASTER is down", Step.DEMOTED, ServerReadOnly),
        (
            "UNBLOCKED force unblock from blocking operation, instance state changed",
            Step.DEMOTED,
            ServerReadOnly,
        ),
        ("NOSCRIPT No matching script. Please use EVAL.", Step.TEXT, ServerError),
        (
            "ERR Error compiling script (new function): user_script:1: unexpected symbol near '#'",
            Step.PLAIN,
            ServerError,
        ),
    ],
)
def test_what_will_pass_is_tried_again(text: str, step: Step, error: type[HomingError]) -> None:
    verdict = judge(Refusal(text), CLAIM, HERE)
    assert (verdict.step, type(verdict.error)) == (step, error)


@pytest.mark.parametrize(
    ("text", "step", "address"),
    [
        ("MOVED 3999 127.0.0.1:6381", Step.MOVED, Address("127.0.0.1", 6381)),
        ("MOVED 3999 :6381", Step.MOVED, Address("h", 6381)),
        ("MOVED 3999 ::1:6381", Step.MOVED, Address("::1", 6381)),
        ("ASK 3999 other:6381", Step.ASK, Address("other", 6381)),
    ],
)
def test_a_redirection_names_slot_and_server(text: str, step: Step, address: Address) -> None:
    verdict = judge(Refusal(text), CLAIM, HERE)
    assert (verdict.step, verdict.slot, verdict.address) == (step, 3999, address)
    assert "connect with redis+cluster://h:1" in str(verdict.error)


def test_a_key_of_the_wrong_type_is_said_with_where_to_look() -> None:
    plain = Refusal("WRONGTYPE Operation against a key holding the wrong kind of value")
    said = str(judge(plain, Command(("X",), ("homing:{mails}:meta",), (), bytes, "mails"), HERE).error)
    assert "the TYPE of the keys homing:{mails}:*, and rename what is not homing's" in said
    assert said.endswith("(queue 'mails')")
    assert "keys homing:queues," in str(
        judge(plain, Command(("X",), ("homing:queues",), (), bytes), HERE).error
    )


def test_a_server_that_is_no_sentinel_or_no_cluster_is_said_to_be_none() -> None:
    unknown = Refusal("ERR unknown command 'SENTINEL', with args beginning with: 'x'")
    verdict = judge(unknown, Command(("SENTINEL", "x"), (), (), bytes), HERE)
    assert type(verdict.error) is ServerError
    assert "h:1 is no sentinel" in str(verdict.error)
    assert "connect with redis://h:1" in str(verdict.error)
    disabled = Refusal("ERR This instance has cluster support disabled")
    verdict = judge(disabled, Command(("CLUSTER", "SLOTS"), (), (), bytes), HERE)
    assert "h:1 is no node of a cluster" in str(verdict.error)
    assert "connect with redis://h:1" in str(verdict.error)


def test_a_message_names_the_queue_once() -> None:
    assert str(judge(Refusal("LEASELOST gone"), CLAIM, HERE).error) == "gone (queue 'mails')"
    assert str(judge(Refusal("LEASELOST 'mails' is gone"), CLAIM, HERE).error) == "'mails' is gone"
    full = judge(Refusal("OOM command not allowed when used memory > 'maxmemory'."), CLAIM, HERE).error
    assert str(full) == "the server is full: raise its maxmemory, or try later (queue 'mails')"


def test_a_denial_names_the_server_and_the_command() -> None:
    said = str(judge(Refusal("NOPERM this user has no permissions"), CLAIM, HERE).error)
    assert said == "h:1 denies claim: this user has no permissions"
    assert "h:1 wants a password (claim was refused)" in str(judge(Refusal("NOAUTH x"), CLAIM, HERE).error)


def test_pauses_start_short_grow_and_differ() -> None:
    assert all(PAUSE_S / 2 <= pause_s(0) <= PAUSE_S for _ in range(100))
    assert all(PAUSE_MAX_S / 2 <= pause_s(9_999) <= PAUSE_MAX_S for _ in range(100))
    assert len({pause_s(3) for _ in range(100)}) > 90


def test_a_failed_tls_handshake_is_final_and_a_refused_connection_is_not() -> None:
    outer = ConnectionError("Error 1 connecting")
    outer.__context__ = ssl.SSLCertVerificationError(1, "[SSL: CERTIFICATE_VERIFY_FAILED]")
    final = undialled(outer, HERE, tls=True)
    assert isinstance(final, ServerError)
    assert "no TLS with h:1" in str(final)
    refused = ConnectionError("Error 111 connecting to h:1. Connection refused.")
    refused.__context__ = ConnectionRefusedError(111, "Connection refused")
    broken = undialled(refused, HERE, tls=False)
    assert isinstance(broken, Broken)
    assert (broken.reason, broken.sent) == ("Connection refused", False)
