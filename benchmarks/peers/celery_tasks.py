"""celery: the prefork pool with 100 processes."""

from celery import Celery

from benchmarks.peers.witness import JOBS, TUNED, URL, work

app = Celery("recovery", broker=URL)
app.conf.broker_connection_retry_on_startup = True
if TUNED:
    app.conf.task_acks_late = True
    app.conf.task_reject_on_worker_lost = True
    app.conf.worker_prefetch_multiplier = 1
    app.conf.broker_transport_options = {"visibility_timeout": 30}  # with 10 all runs twice before the kill
sleep = app.task(work, name="sleep")

if __name__ == "__main__":
    for number in range(JOBS):
        sleep.delay(number)
