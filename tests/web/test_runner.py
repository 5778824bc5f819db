"""Jobs run one after another, may be stopped, and survive what happens to their process."""

from __future__ import annotations

import os
import re
import signal
import sys
import time
from typing import TYPE_CHECKING, Any

import pytest

from emotrace.errors import OutputError
from emotrace.web import runner as runner_module
from emotrace.web.jobs import JobOptions, JobStore
from emotrace.web.runner import JobRunner
from tests.video.recordings import Recording, steady
from tests.web.conftest import is_over, running, upload, wait_for

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from fastapi.testclient import TestClient

OUTCOME = (
    "{'outcome': {'status': 'done', 'error': None, 'notices': ['n'], 'run_notices': [], "
    "'results': None, 'shown': None}}"
)


def pretend(monkeypatch: pytest.MonkeyPatch, script: str) -> None:
    """Have a script in the place of the worker; it finds its request in `request`."""
    head = "import json, os, sys, time\nrequest = json.loads(sys.stdin.readline())\n"
    command = (sys.executable, "-c", head + script)
    monkeypatch.setattr(runner_module, "WORKER_COMMAND", command)


def add(store: JobStore, name: str) -> str:
    job_id, path = store.receive(name)
    path.write_bytes(b"x")
    return store.submit(job_id, path, JobOptions()).job_id


def wait_until(is_so: Callable[[], bool], seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while not is_so():
        assert time.monotonic() < end
        time.sleep(0.01)


def wait_until_over(store: JobStore, *job_ids: str) -> list[Any]:
    end = time.monotonic() + 30
    while time.monotonic() < end:
        jobs = [store.get(job_id) for job_id in job_ids]
        if all(job is None or not job.is_open for job in jobs):
            return jobs
        time.sleep(0.02)
    raise AssertionError(f"expected the jobs to end; got {jobs}")


def run_jobs(store: JobStore, *job_ids: str, **settings: int) -> list[Any]:
    """Run a store's jobs until these are over, and return them."""
    runner = JobRunner(store, bundle="default", **settings)
    runner.start()
    jobs = wait_until_over(store, *job_ids)
    runner.stop()
    return jobs


def test_jobs_run_in_turn_with_what_was_asked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    note = tmp_path / "order.txt"
    pretend(
        monkeypatch,
        f"open({str(note)!r}, 'a').write(os.path.basename(request['path']) + ' ' "
        f"+ str(request['threads']) + '\\n')\nprint('a library says hello')\n"
        f"print(json.dumps({OUTCOME}))",
    )
    store = JobStore(tmp_path / "jobs")
    ids = [add(store, f"{number}.mp4") for number in range(3)]
    jobs = run_jobs(store, *ids, threads=4)
    assert [job.status for job in jobs] == ["done"] * 3
    assert jobs[0].notices == ("n",)
    assert note.read_text() == "0.mp4 4\n1.mp4 4\n2.mp4 4\n"


def test_jobs_at_the_same_time_share_the_threads(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Each waits for the other's mark: one after another they would never end.
    pretend(
        monkeypatch,
        f"marks = {str(tmp_path)!r}\n"
        "open(os.path.join(marks, f\"{os.path.basename(request['path'])}.mark\"), 'w')\n"
        "while sum(n.endswith('.mark') for n in os.listdir(marks)) < 2: time.sleep(0.01)\n"
        f"assert request['threads'] == 2\nprint(json.dumps({OUTCOME}))",
    )
    store = JobStore(tmp_path / "jobs")
    ids = [add(store, "a.mp4"), add(store, "b.mp4")]
    jobs = run_jobs(store, *ids, at_once=2, threads=4)
    assert [job.status for job in jobs] == ["done", "done"]


@pytest.mark.parametrize(
    ("script", "words"),
    [
        ("sys.exit('no memory left')", r"ended with exit code 1 .*\(no memory left\)"),
        pytest.param(
            "os.kill(os.getpid(), 9)",
            "was ended by signal 9",
            marks=pytest.mark.skipif(os.name == "nt", reason="no such signal there"),
        ),
        ("print('{}')", "ended with exit code 0 before it had an outcome"),
    ],
)
def test_a_process_that_dies_takes_nothing_with_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: str, words: str
) -> None:
    pretend(monkeypatch, f"if 'bad' in request['path']: {script}\nprint(json.dumps({OUTCOME}))")
    store = JobStore(tmp_path / "jobs")
    ids = [add(store, "bad.mp4"), add(store, "good.mp4")]
    if script.startswith("print"):
        pretend(monkeypatch, script)
    bad, good = run_jobs(store, *ids)
    assert bad.status == "failed"
    assert re.search(words, bad.error)
    if not script.startswith("print"):
        assert good.status == "done"


def test_a_server_that_stops_takes_its_jobs_up_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mark = tmp_path / "pid"
    pretend(
        monkeypatch,
        f"open({str(mark)!r}, 'w').write(str(os.getpid()))\nprint('{{\"progress\": {{}}}}', "
        "flush=True)\ntime.sleep(60)",
    )
    store = JobStore(tmp_path / "jobs")
    job_id = add(store, "a.mp4")
    first = JobRunner(store, bundle="default")
    first.start()
    wait_until(lambda: mark.exists() and mark.read_text() != "")
    first.stop()
    store.close()
    with pytest.raises(ProcessLookupError):
        os.kill(int(mark.read_text()), 0)
    again = JobStore(tmp_path / "jobs")
    (job,) = again.all()
    assert (job.status, job.progress) == ("waiting", None)
    pretend(monkeypatch, f"print(json.dumps({OUTCOME}))")
    second = JobRunner(again, bundle="default")
    second.start()
    (done,) = wait_until_over(again, job_id)
    second.stop()
    assert done.status == "done"


@pytest.mark.skipif(os.name == "nt", reason="no such signal there")
def test_a_service_that_is_stopped_as_a_whole_loses_no_job(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mark = tmp_path / "pid"
    pretend(monkeypatch, f"open({str(mark)!r}, 'w').write(str(os.getpid()))\ntime.sleep(60)")
    store = JobStore(tmp_path / "jobs")
    job_id = add(store, "a.mp4")
    runner = JobRunner(store, bundle="default")
    runner.start()
    wait_until(lambda: mark.exists() and mark.read_text() != "")
    # The process gets the signal first; the server comes to its end a little later.
    os.kill(int(mark.read_text()), signal.SIGTERM)
    time.sleep(0.5)
    runner.stop()
    job = store.get(job_id)
    assert job is not None
    assert (job.status, job.error) == ("waiting", None)


def test_a_disk_that_is_full_stops_no_other_job(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pretend(monkeypatch, f"print(json.dumps({OUTCOME}))")
    store = JobStore(tmp_path / "jobs")
    ids = [add(store, "a.mp4"), add(store, "b.mp4")]

    def fail(*_: object) -> None:
        raise OutputError("the disk is full")

    monkeypatch.setattr("emotrace.web.jobs.write_json", fail)
    jobs = run_jobs(store, *ids)
    assert [job.status for job in jobs] == ["done", "done"]


def test_a_process_that_does_not_listen_is_killed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mark = tmp_path / "ready"
    pretend(
        monkeypatch,
        "import signal\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
        f"open({str(mark)!r}, 'w')\ntime.sleep(60)",
    )
    monkeypatch.setattr(runner_module, "_PATIENCE_SECONDS", 0.2)
    store = JobStore(tmp_path / "jobs")
    job_id = add(store, "a.mp4")
    runner = JobRunner(store, bundle="default")
    runner.start()
    wait_until(mark.exists)
    started = time.monotonic()
    store.forget(job_id)
    runner.cancel(job_id)
    store.discard(job_id)
    runner.stop()
    assert time.monotonic() - started < 10
    assert store.all() == []


def test_a_running_video_can_be_deleted(tmp_path: Path, short_clip: Path) -> None:
    long = Recording(times=steady(3000)).write(tmp_path / "long.mp4")
    with running(tmp_path / "jobs") as client:
        first, second = upload(client, long), upload(client, short_clip)
        running_job = wait_for(client, first["id"], lambda job: bool(job["progress"]))
        assert running_job["status"] == "running"
        assert running_job["progress"]["frames_expected"] == 3000
        assert client.get(f"/api/jobs/{second['id']}").json()["position"] == 1
        timeline = client.get(f"/api/jobs/{first['id']}/timeline")
        assert timeline.status_code == 409
        assert client.delete(f"/api/jobs/{first['id']}").status_code == 204
        assert client.get(f"/api/jobs/{first['id']}").status_code == 404
        assert not (tmp_path / "jobs" / first["id"]).exists()
        assert wait_for(client, second["id"], is_over)["status"] == "done"


@pytest.mark.skipif(os.name == "nt", reason="a process there cannot be told to stop so")
def test_a_killed_worker_is_told_and_the_next_runs(
    client: TestClient, tmp_path: Path, short_clip: Path
) -> None:
    long = Recording(times=steady(3000)).write(tmp_path / "long.mp4")
    first, second = upload(client, long), upload(client, short_clip)
    wait_for(client, first["id"], lambda job: bool(job["progress"]))
    desk = client.app.state.desk  # type: ignore[attr-defined]
    os.kill(desk.runner._processes[first["id"]].pid, signal.SIGKILL)
    failed = wait_for(client, first["id"], is_over)
    assert failed["status"] == "failed"
    assert "was ended by signal 9" in failed["error"]
    assert wait_for(client, second["id"], is_over)["status"] == "done"
