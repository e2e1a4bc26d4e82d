"""huey: one process with 100 threads."""

from huey import RedisHuey

from benchmarks.peers.witness import JOBS, TUNED, URL, work

huey = RedisHuey("work", url=URL)
sleep = huey.task(retries=3 if TUNED else 0, name="sleep")(work)

if __name__ == "__main__":
    for number in range(JOBS):
        sleep(number)
