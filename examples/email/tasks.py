"""The same as a task: a function that workers run.

    homing worker tasks:app
    homing enqueue send_email --app tasks:app recipient=ada@example.com subject=Hi body=Hello

or, from Python:

    from tasks import send_email
    job = send_email.enqueue("ada@example.com", "Hi", "Hello")
"""

from mail import is_refused, send

from homing import App

app = App()  # HOMING_URL or REDIS_URL; with neither, an embedded Valkey in ./.homing


def a_little_later(error: Exception, attempt: int) -> float | None:
    """Seconds until the next try: none when the server refused for good, else twice as long each time."""
    return None if is_refused(error) or attempt >= 6 else 0.1 * 2**attempt


@app.task(queue="emails", retry=a_little_later, timeout=30)
def send_email(recipient: str, subject: str, body: str) -> str:
    send(recipient, subject, body)
    return f"sent to {recipient}"
