"""The REST interface: a video's whole way, and what is refused on it."""

from __future__ import annotations

import csv
import io
import re
import shutil
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from fastapi.testclient import TestClient

from emotrace import OutputChoice, analyze_inputs
from emotrace.analysis.settings import AnalysisSettings
from emotrace.errors import BundleError, OutputError, UsageError
from emotrace.labels import EMOTIONS
from emotrace.web.app import PAGE_FOLDER, ServerSettings, create_app
from tests.video.recordings import Recording, steady
from tests.web.conftest import HAAR, HERE, is_over, running, upload, wait_for

if TYPE_CHECKING:
    from pathlib import Path

    from fastapi.testclient import TestClient


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory, short_clip: Path) -> Any:
    """A server that has analysed the short clip, the job, and the folder."""
    folder = tmp_path_factory.mktemp("served")
    with running(folder) as client:
        job = upload(client, short_clip)
        yield client, wait_for(client, job["id"], is_over), folder


def test_an_upload_gets_the_results_of_the_command_line(
    served: tuple[TestClient, dict[str, Any], Path], short_clip: Path, tmp_path: Path
) -> None:
    client, job, folder = served
    assert (job["status"], job["error"], job["show"]) == ("done", None, "original")
    names = [file["name"] for file in job["files"]]
    assert names[:4] == ["report.html", "timeline.csv", "segments.csv", "subtitles.vtt"]
    assert "annotated.mp4" not in names
    assert all(file["bytes"] > 0 and file["meaning"] for file in job["files"])
    report = analyze_inputs(
        [short_clip],
        tmp_path,
        settings=AnalysisSettings(detector="haar"),
        outputs=OutputChoice(csv=True),
    )
    (outcome,) = report.outcomes
    assert outcome.folder is not None
    url = f"/api/jobs/{job['id']}/files/timeline.csv"
    sent = client.get(url)
    assert sent.content == (outcome.folder / "timeline.csv").read_bytes()
    assert "attachment" in sent.headers["content-disposition"]
    assert "clip-timeline.csv" in sent.headers["content-disposition"]
    assert len(list(csv.reader(io.StringIO(sent.text)))) == 31
    assert (folder / job["id"] / "input" / "clip.mp4").read_bytes() == short_clip.read_bytes()


def test_the_timeline_is_that_of_the_table(
    served: tuple[TestClient, dict[str, Any], Path],
) -> None:
    client, job, folder = served
    told = client.get(f"/api/jobs/{job['id']}/timeline").json()
    table = pq.read_table(folder / job["id"] / "results" / "clip" / "timeline.parquet")
    rows = table.to_pandas()
    assert told["emotions"] == list(EMOTIONS)
    assert (told["width"], told["height"]) == (640, 360)
    assert told["timestamps"] == pytest.approx(rows.groupby("frame")["timestamp"].first().tolist())
    assert len(told["timestamps"]) == 30
    # A face, the patch without one, and after the cut somebody new.
    assert [face["face_id"] for face in told["faces"]] == [1, 2]
    assert told["cuts"] == pytest.approx([0.4, 0.8])
    for face in told["faces"]:
        mine = rows[rows["face_id"] == face["face_id"]]
        assert face["frames"] == mine["frame"].tolist()
        assert np.allclose(face["boxes"], mine[["x", "y", "w", "h"]], atol=0.051)
        assert np.allclose(face["probabilities"], mine[list(EMOTIONS)], atol=5.1e-4)
        assert np.allclose(face["valence"], mine["valence"], atol=5.1e-4)
        assert face["tracked"] == (mine["face_source"] == "tracked").tolist()
    (first, *_) = told["segments"]
    assert set(first) >= {"face_id", "start", "end", "emotion", "mean_confidence"}


def test_the_video_can_be_sought_in(
    served: tuple[TestClient, dict[str, Any], Path], short_clip: Path
) -> None:
    client, job, _ = served
    url = f"/api/jobs/{job['id']}/media"
    head = client.head(url)
    assert int(head.headers["content-length"]) == short_clip.stat().st_size
    part = client.get(url, headers={"range": "bytes=100-199"})
    assert part.status_code == 206
    assert part.content == short_clip.read_bytes()[100:200]
    assert part.headers["content-type"] == "video/mp4"
    assert client.get(url).content == short_clip.read_bytes()


def test_the_report_is_a_page_of_its_own(
    served: tuple[TestClient, dict[str, Any], Path],
) -> None:
    client, job, _ = served
    report = client.get(f"/api/jobs/{job['id']}/files/report.html")
    assert report.headers["content-type"].startswith("text/html")
    assert report.headers["content-security-policy"].startswith("sandbox allow-scripts")
    assert "attachment" not in report.headers.get("content-disposition", "")


def test_what_is_not_there_is_said(served: tuple[TestClient, dict[str, Any], Path]) -> None:
    client, job, _ = served
    for url, words in (
        ("/api/jobs/0123456789abcdef", "there is none of id '0123456789abcdef'"),
        (f"/api/jobs/{job['id']}/files/passwd", "expected one of the job's files"),
        (f"/api/jobs/{job['id']}/files/..%2f..%2fjob.json", ""),
        ("/api/nothing", "Not Found"),
    ):
        answer = client.get(url)
        assert answer.status_code == 404, url
        assert words in answer.json()["error"]


def test_a_form_will_do_as_well(client: TestClient, portrait: bytes) -> None:
    files = {"file": ("../me.jpg", portrait, "image/jpeg")}
    answer = client.post("/api/jobs", params=HAAR, files=files)
    assert answer.status_code == 202
    job = wait_for(client, answer.json()["id"], is_over)
    assert (job["status"], job["name"], job["show"]) == ("done", "me.jpg", "picture")
    shown = client.get(f"/api/jobs/{job['id']}/media")
    assert shown.headers["content-type"] == "image/png"
    told = client.get(f"/api/jobs/{job['id']}/timeline").json()
    assert (told["timestamps"], len(told["faces"])) == ([0.0], 1)


def test_what_browsers_do_not_play_is_drawn(client: TestClient, tmp_path: Path) -> None:
    path = Recording(times=steady(10), codec="mpeg4").write(tmp_path / "old.avi")
    job = wait_for(client, upload(client, path)["id"], is_over)
    assert (job["status"], job["show"]) == ("done", "annotated")
    media = client.get(f"/api/jobs/{job['id']}/media")
    assert media.headers["content-type"] == "video/mp4"
    assert media.content[4:8] == b"ftyp"
    assert client.get(f"/api/jobs/{job['id']}/timeline").json()["faces"] == []


def test_a_file_that_is_no_video_fails_alone(client: TestClient, tmp_path: Path) -> None:
    path = tmp_path / "notes [1]*.txt"
    path.write_text("no pictures here\n" * 40)
    job = wait_for(client, upload(client, path)["id"], is_over)
    assert job["status"] == "failed"
    assert "expected a video or picture; got notes [1]_.txt" in job["error"]
    assert str(tmp_path) not in job["error"]
    assert (job["files"], job["show"]) == ([], None)
    (listed,) = client.get("/api/jobs").json()["jobs"]
    assert listed == {key: value for key, value in job.items() if key != "files"}
    timeline = client.get(f"/api/jobs/{job['id']}/timeline")
    assert timeline.status_code == 404


def test_a_video_without_its_end_is_told(client: TestClient, tmp_path: Path) -> None:
    path = Recording(times=steady(60)).write(tmp_path / "cut.mkv")
    path.write_bytes(path.read_bytes()[: path.stat().st_size * 6 // 10])
    job = wait_for(client, upload(client, path)["id"], is_over)
    assert job["status"] == "damaged"
    assert "the end is missing" in job["error"]
    assert client.get(f"/api/jobs/{job['id']}/timeline").status_code == 200


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ({"prior": "mine"}, "expected prior to be one of default"),
        ({"detector": "dlib"}, "expected detector to be one of auto, yunet, haar, lbp"),
        ({"detect_every": "0"}, "expected detect_every of at least 1"),
        ({"detect_every": "often"}, "detect_every"),
        ({"detect-every": "5"}, "got 'detect-every'; did you mean 'detect_every'?"),
    ],
)
def test_a_wrong_wish_is_refused_before_the_work(
    client: TestClient, query: dict[str, str], words: str
) -> None:
    answer = client.post("/api/jobs", params={"name": "a.mp4", **query}, content=b"x")
    assert answer.status_code == 422
    assert words in answer.json()["error"]
    assert client.get("/api/jobs").json() == {"jobs": []}


def test_too_large_and_empty_uploads_leave_nothing(tmp_path: Path) -> None:
    with running(tmp_path / "jobs", max_upload_bytes=1000) as client:
        too_large = client.post("/api/jobs?name=a.mp4", content=b"x" * 1001)
        assert too_large.status_code == 413
        assert "expected a file of at most 1000 bytes" in too_large.json()["error"]
        # Without a stated length it is counted on the way.
        in_parts = client.post("/api/jobs?name=a.mp4", content=(b"x" * 300 for _ in range(5)))
        assert in_parts.status_code == 413
        assert client.post("/api/jobs?name=a.mp4", content=b"").status_code == 422
        wrong_form = client.post("/api/jobs", files={"video": ("a.mp4", b"x")})
        assert wrong_form.status_code == 422
        assert "one file named 'file'" in wrong_form.json()["error"]
        in_parts = client.post(
            "/api/jobs",
            headers={"content-type": "multipart/form-data; boundary=x"},
            content=(b"x" for _ in range(5)),
        )
        assert in_parts.status_code == 411
        assert list((tmp_path / "jobs").iterdir()) == []


def test_a_disk_that_fills_up_leaves_nothing(
    client: TestClient, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise OutputError("the disk is full")

    monkeypatch.setattr("emotrace.web.jobs.write_json", fail)
    for answer in (
        client.post("/api/jobs?name=a.mp4", content=b"x"),
        client.post("/api/jobs", files={"file": ("a.mp4", b"x")}),
    ):
        assert answer.status_code == 507
        assert "the disk is full" in answer.json()["error"]
    assert list((tmp_path / "jobs").iterdir()) == []


def test_a_wrong_method_is_told_the_right_ones(client: TestClient) -> None:
    answer = client.put("/api/jobs")
    assert answer.status_code == 405
    assert answer.headers["allow"] in ("GET", "POST")


def test_a_full_disk_is_said_before_the_upload(
    client: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Usage:
        free = 1000

    monkeypatch.setattr(shutil, "disk_usage", lambda _: Usage)
    answer = client.post("/api/jobs?name=a.mp4", content=b"x")
    assert answer.status_code == 507
    assert "expected room for the upload" in answer.json()["error"]


def test_the_server_tells_about_itself(client: TestClient) -> None:
    told = client.get("/api/info").json()
    assert told["bundle"]["name"] == "default"
    assert told["priors"][0] == "default"
    assert {"training", "uniform"} <= set(told["priors"])
    assert sorted(told["display_order"]) == sorted(told["emotions"]) == sorted(told["colors"])


def test_the_page_and_its_parts_are_there(client: TestClient) -> None:
    page = client.get("/")
    assert page.status_code == client.head("/").status_code == 200
    assert "emotrace" in page.text
    waiting = re.findall(r'="(page/[^"]+)"', page.text)
    assert len(waiting) >= 2
    known = set(waiting)
    while waiting:
        name = waiting.pop()
        part = client.get(f"/{name}")
        assert part.status_code == 200, name
        assert part.headers["cache-control"] == "no-cache"
        found = {f"page/{other}" for other in re.findall(r'from "\./([^"]+)"', part.text)}
        waiting += found - known
        known |= found
    # Nothing lies about that the page does not use, and nothing else is handed out.
    assert known == {f"page/{path.name}" for path in PAGE_FOLDER.iterdir()} - {"page/index.html"}
    assert client.get("/page/..%2fapp.py").status_code == 404


def test_settings_that_cannot_work_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="expected jobs_at_once of at least 1; got 0"):
        ServerSettings(folder=tmp_path, jobs_at_once=0)
    for name in ("lab.example:8443", "https://lab.example", "lab.example/emotrace"):
        with pytest.raises(UsageError, match="expected names without a port"):
            ServerSettings(folder=tmp_path, names=(name,))
    with pytest.raises(BundleError), running(tmp_path, bundle="nobody"):
        pass


def test_what_nobody_thought_of_is_still_json(tmp_path: Path) -> None:
    app = create_app(ServerSettings(folder=tmp_path))
    app.add_api_route("/api/broken", lambda: 1 // 0)
    with TestClient(app, base_url=HERE, raise_server_exceptions=False) as client:
        answer = client.get("/api/broken")
    assert answer.status_code == 500
    assert "unexpected ZeroDivisionError" in answer.json()["error"]


def test_the_interface_is_told_to_generators_of_clients(client: TestClient) -> None:
    told = client.get("/api/openapi.json").json()
    assert {"/api/jobs", "/api/predict", "/api/jobs/{job_id}/timeline"} <= set(told["paths"])
    calls = [call for path in told["paths"].values() for call in path.values()]
    names = [call["operationId"] for call in calls]
    assert "add_job" in names
    assert len(names) == len(set(names))
    for call in calls:
        refused = call["responses"]["422"]["content"]["application/json"]["schema"]
        assert refused == {"$ref": "#/components/schemas/Refusal"}
    upload_body = told["paths"]["/api/jobs"]["post"]["requestBody"]["content"]
    assert set(upload_body) == {"application/octet-stream", "multipart/form-data"}
    media = told["paths"]["/api/jobs/{job_id}/media"]["get"]["responses"]["200"]
    assert "application/json" not in media.get("content", {})


def test_what_has_been_damaged_or_deleted_since_is_said(
    client: TestClient, portrait: bytes, tmp_path: Path
) -> None:
    (tmp_path / "me.jpg").write_bytes(portrait)
    job = wait_for(client, upload(client, tmp_path / "me.jpg")["id"], is_over)
    folder = tmp_path / "jobs" / job["id"] / "results" / "me"
    (folder / "timeline.parquet").write_bytes(b"nothing")
    damaged = client.get(f"/api/jobs/{job['id']}/timeline")
    assert damaged.status_code == 500
    assert "expected whole results of me.jpg; they are damaged" in damaged.json()["error"]
    assert str(tmp_path) not in damaged.text
    (folder / "annotated.png").unlink()
    assert client.get(f"/api/jobs/{job['id']}/media").status_code == 404


def test_a_form_holds_the_file_and_nothing_else(client: TestClient) -> None:
    answer = client.post("/api/jobs", files={"file": ("a.mp4", b"x")}, data={"prior": "uniform"})
    assert answer.status_code == 422
    assert "options in the address; got" in answer.json()["error"]
    picture = client.post("/api/predict", files={"file": ("a.jpg", b"x")})
    assert "expected the picture as the body; got a form" in picture.json()["error"]
