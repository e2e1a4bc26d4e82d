"""dramatiq: one process with 100 threads."""

import dramatiq
from dramatiq.brokers.redis import RedisBroker

from benchmarks.peers.witness import JOBS, TUNED, URL, work

options = {"heartbeat_timeout": 10_000, "maintenance_chance": 1_000_000} if TUNED else {}
broker = RedisBroker(url=URL, **options)
dramatiq.set_broker(broker)
sleep = dramatiq.actor(work, queue_name="work")

if __name__ == "__main__":
    for number in range(JOBS):
        sleep.send(number)
