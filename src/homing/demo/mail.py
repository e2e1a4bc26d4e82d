"""Write one e-mail and hand it to an SMTP server, with the standard library alone."""

import hashlib
import os
import smtplib
from email.message import EmailMessage

SENDER = "Outbox <outbox@homing.example>"
#: Seconds that one answer of the SMTP server may take.
PATIENCE_S = 10.0


def message_id(recipient: str, subject: str, body: str) -> str:
    """The Message-ID of a mail: the same for every try to send it, so that a duplicate can be seen."""
    digest = hashlib.sha256(f"{recipient}\0{subject}\0{body}".encode()).hexdigest()
    return f"<{digest[:24]}@homing.example>"


def compose(recipient: str, subject: str, body: str) -> EmailMessage:
    message = EmailMessage()
    message["From"] = SENDER
    message["To"] = recipient
    message["Subject"] = subject
    message["Message-ID"] = message_id(recipient, subject, body)
    message.set_content(body)
    return message


def send(recipient: str, subject: str, body: str) -> None:
    """Send one mail through the server `SMTP_SERVER` names (host:port, default 127.0.0.1:8025).

    Raises SMTPResponseException with the server's code and words when it says no; `is_refused` tells
    for good from for now. Raises OSError when the server cannot be reached.
    """
    host, _, port = os.environ.get("SMTP_SERVER", "127.0.0.1:8025").rpartition(":")
    with smtplib.SMTP(host, int(port), local_hostname="homing.example", timeout=PATIENCE_S) as server:
        try:
            server.send_message(compose(recipient, subject, body))
        except smtplib.SMTPRecipientsRefused as error:  # one recipient, so one answer
            [(code, words)] = error.recipients.values()
            raise smtplib.SMTPResponseException(code, words.decode()) from None


def is_refused(error: BaseException) -> bool:
    """Whether the server said no for good (5xx), so that another try is useless."""
    return isinstance(error, smtplib.SMTPResponseException) and error.smtp_code >= 500
