"""Jobs in a folder: names that are safe, and nothing lost when a server stops."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emotrace.errors import InputError, OutputError, UsageError
from emotrace.web.jobs import Job, JobOptions, JobStore, check_options, safe_name

if TYPE_CHECKING:
    from pathlib import Path


def add(store: JobStore, name: str = "clip.mp4", content: bytes = b"pictures") -> Job:
    job_id, path = store.receive(name)
    path.write_bytes(content)
    return store.submit(job_id, path, JobOptions(prior="uniform"))


@given(st.text())
def test_any_name_becomes_one_safe_name(name: str) -> None:
    safe = safe_name(name)
    assert safe
    assert safe not in (".", "..")
    assert not set(safe) & set('/\\<>:"|?*\0\n\r')
    assert len(safe.encode()) <= 150
    assert safe_name(safe) == safe


@pytest.mark.parametrize(
    ("name", "safe"),
    [
        ("day 1.mp4", "day 1.mp4"),
        ("../../etc/passwd", "passwd"),
        ("C:\\a\\b.mov", "b.mov"),
        ("Gespräch, Ärger 😠.mp4", "Gespräch, Ärger 😠.mp4"),
        ("a\nb.mp4", "a_b.mp4"),
        ("", "upload"),
        ("/", "upload"),
        ("con.mp4", "_con.mp4"),
        ("a" * 149 + " b", "a" * 149),
        ("console.mp4", "console.mp4"),
        ("x" * 300 + ".mp4", "x" * 146 + ".mp4"),
    ],
)
def test_names_stay_as_near_as_may_be(name: str, safe: str) -> None:
    assert safe_name(name) == safe


def test_a_store_opened_again_has_its_jobs(tmp_path: Path) -> None:
    store = JobStore(tmp_path / "jobs")
    first, second, third = (add(store, f"{number}.mp4") for number in range(3))
    store.change(first.job_id, status="done", results="0", notices=("small",), shown="original")
    store.change(second.job_id, status="running")
    store.change(second.job_id, progress={"frames_done": 5})
    store.close()
    again = JobStore(tmp_path / "jobs")
    assert [job.job_id for job in again.all()] == [first.job_id, second.job_id, third.job_id]
    assert again.get(first.job_id) == store.get(first.job_id)
    # What ran when the server stopped has to run again.
    assert [job.status for job in again.all()] == ["done", "waiting", "waiting"]
    assert again.queue() == {second.job_id: 1, third.job_id: 2}
    running = again.get(second.job_id)
    assert running is not None
    assert (running.progress, running.options.prior) == (None, "uniform")


def test_an_upload_that_was_never_finished_goes(tmp_path: Path) -> None:
    store = JobStore(tmp_path)
    job_id, path = store.receive("clip.mp4")
    path.write_bytes(b"half")
    store.close()
    # A folder of somebody else's may look like one of ours.
    thesis = tmp_path / ("0" * 16) / "thesis.txt"
    thesis.parent.mkdir()
    thesis.write_text("x")
    assert JobStore(tmp_path).all() == []
    assert not (tmp_path / job_id).exists()
    assert thesis.exists()


@pytest.mark.parametrize("content", ["", "[]", '{"job_id": 3}', '{"options": {"x": 1}}'])
def test_what_is_no_job_is_left_alone(
    tmp_path: Path, content: str, caplog: pytest.LogCaptureFixture
) -> None:
    store = JobStore(tmp_path)
    job = add(store)
    (tmp_path / job.job_id / "job.json").write_text(content)
    (tmp_path / "notes").mkdir()
    store.close()
    assert JobStore(tmp_path).all() == []
    assert f"{job.job_id} is left alone" in caplog.text
    assert (tmp_path / job.job_id / "input" / "clip.mp4").read_bytes() == b"pictures"
    assert (tmp_path / "notes").is_dir()


def test_a_deleted_job_stays_deleted(tmp_path: Path) -> None:
    store = JobStore(tmp_path)
    job = add(store)
    store.forget(job.job_id)
    store.discard(job.job_id)
    assert store.get(job.job_id) is None
    # A late word of its process must not bring it back.
    assert store.change(job.job_id, status="done") is None
    assert list(tmp_path.iterdir()) == []


def test_only_results_are_handed_out(tmp_path: Path) -> None:
    store = JobStore(tmp_path)
    job = add(store)
    folder = store.results_root(job) / "clip"
    folder.mkdir(parents=True)
    for name in ("timeline.csv", "secret.txt", ".raw-timeline.parquet"):
        (folder / name).write_text("x")
    done = store.change(job.job_id, status="done", results="clip")
    assert done is not None
    assert list(store.result_files(done)) == ["timeline.csv"]
    for name in ("secret.txt", "../job.json", "../../input/clip.mp4", ""):
        with pytest.raises(InputError, match="expected one of the job's files"):
            store.result_file(done, name)


def test_a_job_is_for_its_owner_only(tmp_path: Path) -> None:
    job = add(JobStore(tmp_path))
    if os.name == "posix":
        assert (tmp_path / job.job_id).stat().st_mode & 0o077 == 0


def test_one_server_for_each_folder(tmp_path: Path) -> None:
    first = JobStore(tmp_path)
    job_id, _ = first.receive("clip.mp4")
    with pytest.raises(OutputError, match="another emotrace serves"):
        JobStore(tmp_path)
    assert (tmp_path / job_id).exists()
    first.close()
    JobStore(tmp_path).close()


def test_what_cannot_be_written_is_not_lost(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(*_: object) -> None:
        raise OutputError("the disk is full")

    store = JobStore(tmp_path)
    job = add(store)
    monkeypatch.setattr("emotrace.web.jobs.write_json", fail)
    changed = store.change(job.job_id, status="running")
    assert changed is not None
    assert store.get(job.job_id) == changed
    assert changed.status == "running"
    assert "the disk is full" in caplog.text


def test_a_folder_that_cannot_be_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(OutputError, match="it is a file"):
        JobStore(tmp_path / "file")


def test_a_job_file_is_plain_json(tmp_path: Path) -> None:
    store = JobStore(tmp_path)
    job = add(store)
    told = json.loads((tmp_path / job.job_id / "job.json").read_text())
    assert (told["name"], told["size_bytes"], told["status"]) == ("clip.mp4", 8, "waiting")
    assert Job.from_json(told) == job


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (JobOptions(prior="nobody's"), "expected prior to be one of default, uniform"),
        (JobOptions(detector="mine"), "expected detector to be one of auto, yunet, haar, lbp"),
        (JobOptions(detect_every=0), "expected detect_every of at least 1; got 0"),
    ],
)
def test_options_that_cannot_work_are_refused(options: JobOptions, words: str) -> None:
    with pytest.raises(UsageError, match=words):
        check_options(options, priors=("default", "uniform"))
