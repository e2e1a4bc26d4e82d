"""A worker that cannot start says why in one sentence, and does not try for ever."""

import pytest

from tests.integration.supervisor.conftest import Site


@pytest.fixture
def engine() -> str:
    """What happens at the start does not depend on the engine."""
    return "streams"


@pytest.mark.parametrize(
    ("app", "sentence", "code"),
    [
        ("taks:app", "Error: there is no module 'taks' here or on the path; did you mean tasks?", 2),
        ("tasks:ap", "Error: module 'tasks' has no 'ap'; did you mean app?", 2),
        ("tasks:os", "is of type module, not an App; name tasks:app", 2),
        ("tasks:", "names no app: write module:attr", 2),
    ],
)
def test_an_app_that_is_not_there_is_a_matter_of_usage(
    site: Site, app: str, sentence: str, code: int
) -> None:
    worker = site.worker(app=app)
    assert worker.code() == code
    assert sentence in worker.said()
    assert "Traceback" not in worker.said()


def test_a_module_alone_means_its_only_app(site: Site) -> None:
    job = site.put("sleep", 1, 0.0)
    assert site.worker(app="tasks", burst=True).code() == 0
    assert site.state(job) == "completed"


def test_a_queue_without_a_task_is_left_to_its_consumers_unless_it_is_named(site: Site) -> None:
    (site.folder / "mixed.py").write_text(
        (site.folder / "tasks.py").read_text() + "\noutbox = app.queue('outbox')\n"
    )
    outbox = site.app.queue("outbox")
    outbox.put("a letter")
    job = site.put("sleep", 1, 0.0)
    assert site.worker(app="mixed:app", burst=True).code() == 0
    assert (site.state(job), outbox.counts().waiting) == ("completed", 1)
    outbox.purge()
    worker = site.worker(app="mixed:app", queues=["outbox"], burst=True)
    assert worker.code() == 0
    assert "queues_without_a_task queues=['outbox'] tasks_are_in=['work']" in worker.said()


def test_an_app_whose_module_raises_shows_its_traceback_once(site: Site) -> None:
    (site.folder / "broken.py").write_text("import does_not_exist\n")
    worker = site.worker(app="broken:app", processes=4)
    assert worker.code() == 1
    assert worker.said().count("No module named 'does_not_exist'") == 1


def test_without_a_server_it_is_one_sentence_and_69(site: Site) -> None:
    (site.folder / "nowhere.py").write_text(
        "from homing import App\napp = App('redis://127.0.0.1:1', deadline=0.5)\n"
        "@app.task\ndef nothing() -> None: ...\n"
    )
    worker = site.worker(app="nowhere:app")
    assert worker.code() == 69
    assert "Traceback" not in worker.said()
    assert "127.0.0.1:1" in worker.said()


def test_a_queue_of_the_other_engine_is_refused_at_the_start(site: Site) -> None:
    (site.folder / "other.py").write_text(
        (site.folder / "tasks.py").read_text().replace("engine='streams'", "engine='lists'")
    )
    worker = site.worker(app="other:app")
    assert worker.code() == 1
    assert "made by the 'streams' engine" in worker.said()
    assert "Traceback" not in worker.said()
