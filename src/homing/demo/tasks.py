"""The demo's app: one task, which sends one mail. Each engine has an outbox of its own."""

from homing import App
from homing.demo.mail import is_refused, send

TRIES = 8

app = App()
for name in ("lists", "streams"):
    app.queue(f"outbox-{name}", engine="lists" if name == "lists" else "streams")


def a_little_later(error: Exception, attempt: int) -> float | None:
    """Seconds until the next try: none when the server refused for good, else a little more each time."""
    return None if is_refused(error) or attempt >= TRIES else 0.2 * attempt


@app.task(queue="outbox-streams", retry=a_little_later, timeout=30)
def send_email(recipient: str, subject: str, body: str) -> None:
    send(recipient, subject, body)
