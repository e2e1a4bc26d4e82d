"""Bytes of server memory per waiting job of 200 bytes (its task's name and its payload), as MEMORY USAGE of its keys tells.

    python benchmarks/memory.py [--jobs 10000] [--engine streams] [--url URL]

Without a URL it starts a server of its own in a temporary folder. `all` is what the server's used
memory grew by, the names of keys and the table of all keys with them.
"""

import argparse
import sys
import tempfile
from collections import Counter
from pathlib import Path

from homing.client import Client
from homing.command import Command
from homing.embedded import join
from homing.engines import make
from homing.engines.engine import EngineName
from homing.ids import new_id
from homing.job import NewJob
from homing.keys import Keys
from homing.target import Target

#: A task's arguments as JSON; with the task's name it makes 200 bytes.
PAYLOAD = b'[["' + b"x" * 181 + b'"],{}]'


def used(client: Client) -> int:
    told: bytes = client.run(Command(("INFO",), (), ("memory",), bytes))
    return next(int(line[12:]) for line in told.splitlines() if line.startswith(b"used_memory:"))


def measure(client: Client, engine: EngineName, jobs: int) -> None:
    verbs = make(engine, Keys(f"memory-{engine}"))
    client.run(verbs.open())
    before = used(client)
    for start in range(0, jobs, 1_000):
        batch = [
            NewJob(id=new_id(), task="send_email", payload=PAYLOAD) for _ in range(min(1_000, jobs - start))
        ]
        client.run(verbs.enqueue(batch, lane="memory", number=start + 1))
    grew = used(client) - before
    names: list[bytes] = client.run(Command(("KEYS",), (), (f"homing:{{memory-{engine}}}:*",), list))
    asked: list[Command[int]] = [
        Command(("MEMORY", "USAGE"), (name.decode(),), ("SAMPLES", 0), int) for name in names
    ]
    sizes: Counter[str] = Counter()
    for start in range(0, len(asked), 1_000):
        some = asked[start : start + 1_000]
        for one, size in zip(some, client.run_many(some), strict=True):
            assert isinstance(size, int), size
            sizes[one.keys[0].split("}:")[1].split(":")[0]] += size
    told = ", ".join(f"{kind} {size / jobs:,.1f}" for kind, size in sizes.most_common(3))
    print(f"{engine}: {sum(sizes.values()) / jobs:,.1f} bytes a job ({told}); all {grew / jobs:,.1f}")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--jobs", type=int, default=10_000)
    parser.add_argument("--engine", choices=["lists", "streams"], action="append")
    parser.add_argument("--url")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        membership = None if options.url else join(Path(folder))
        client = Client(Target.parse(options.url or (membership.url if membership else "")))
        try:
            for engine in options.engine or ("streams", "lists"):
                measure(client, engine, options.jobs)
        finally:
            client.close()
            if membership is not None:
                membership.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
