"""Take mails from the queue, first in, first out, and send them. Start as many of these as you like.

    python consumer.py [--engine lists|streams] [--burst]

Kill it whenever you want: what it had taken and not sent goes to another consumer.
"""

import argparse

from mail import is_refused, send
from producer import QUEUES

from homing import App


def a_little_later(error: Exception, attempt: int) -> float | None:
    """Seconds until the next try: none when the server refused for good, else twice as long each time."""
    return None if is_refused(error) or attempt >= 6 else 0.1 * 2**attempt


def main() -> None:
    parser = argparse.ArgumentParser(description="Send the mails of the queue.")
    parser.add_argument("--engine", choices=QUEUES, default="lists")
    parser.add_argument("--burst", action="store_true", help="end when every mail has an end")
    options = parser.parse_args()

    with App() as app:
        outbox = app.queue(QUEUES[options.engine], engine=options.engine)
        for job in outbox.consume(burst=options.burst, retry=a_little_later):  # blocks while there are none
            with job:  # sent: done and cleaned up; an exception: again later, or to the dead letters
                send(**job.payload)
                print(f"sent {job.id} to {job.payload['recipient']}", flush=True)


if __name__ == "__main__":
    main()
