"""Put the mails of an outbox into the queue: one message for each.

python producer.py [--engine lists|streams] [outbox.csv]
"""

import argparse
import csv
from pathlib import Path

from homing import App

#: A queue keeps the engine it was made with, so each engine has a queue of its own.
QUEUES = {"lists": "outbox", "streams": "outbox-streams"}
OUTBOX = Path(__file__).with_name("outbox.csv")


def main() -> None:
    parser = argparse.ArgumentParser(description="Put the mails of an outbox into the queue.")
    parser.add_argument("--engine", choices=QUEUES, default="lists")
    parser.add_argument("outbox", nargs="?", type=Path, default=OUTBOX)
    options = parser.parse_args()

    with App() as app, options.outbox.open(encoding="utf-8", newline="") as file:
        outbox = app.queue(QUEUES[options.engine], engine=options.engine)
        number = 0
        for mail in csv.DictReader(file):  # {"recipient": …, "subject": …, "body": …}
            outbox.put(mail)
            number += 1
    print(f"{number} mails are in the queue {outbox.name}.")


if __name__ == "__main__":
    main()
