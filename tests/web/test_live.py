"""Single pictures and live views."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from starlette.websockets import WebSocketDisconnect

from emotrace.faces import DetectorChoice
from emotrace.faces.haar import HaarDetector
from emotrace.labels import EMOTIONS
from emotrace.web.pictures import MOST_PICTURE_BYTES, decode_picture
from tests.web.conftest import HERE, running

if TYPE_CHECKING:
    from pathlib import Path

    from fastapi.testclient import TestClient

ADDRESS = f"{HERE.replace('http', 'ws')}/api/live"
LIVE = f"{ADDRESS}?detector=haar"


def ask(view: Any, picture: bytes, timestamp: float | None = None) -> dict[str, Any]:
    if timestamp is not None:
        view.send_text(json.dumps({"timestamp": timestamp}))
    view.send_bytes(picture)
    answer: dict[str, Any] = json.loads(view.receive_text())
    return answer


def test_a_picture_gets_its_faces(client: TestClient, portrait: bytes) -> None:
    answer = client.post("/api/predict?detector=haar", content=portrait)
    assert answer.status_code == 200
    told = answer.json()
    (face,) = told["faces"]
    image = decode_picture(portrait)
    assert (told["height"], told["width"]) == image.shape[:2]
    assert set(face["probabilities"]) == set(EMOTIONS)
    assert sum(face["probabilities"].values()) == pytest.approx(1, abs=1e-3)
    assert face["emotion"] == max(face["probabilities"], key=face["probabilities"].get)
    assert face["emotion"] == "happiness"
    assert told["notices"] == []


def test_the_prior_is_the_callers(client: TestClient, portrait: bytes) -> None:
    shares = [
        client.post(f"/api/predict?detector=haar&prior={prior}", content=portrait).json()["faces"][
            0
        ]["probabilities"]["happiness"]
        for prior in ("training", "uniform")
    ]
    # More than an eighth of the faces that it learned from were happy.
    assert shares[0] > shares[1]
    refused = client.post("/api/predict?detector=haar&prior=mine", content=portrait)
    assert refused.status_code == 422
    assert "expected a prior out of" in refused.json()["error"]


@pytest.mark.parametrize(
    ("content", "status", "words"),
    [
        (b"", 422, "got 0 bytes"),
        (b"no picture", 422, "got something else"),
        (b"x" * (MOST_PICTURE_BYTES + 1), 413, "at most"),
    ],
)
def test_what_is_no_picture_is_refused(
    client: TestClient, content: bytes, status: int, words: str
) -> None:
    answer = client.post("/api/predict?detector=haar", content=content)
    assert answer.status_code == status
    assert words in answer.json()["error"]


def test_a_live_view_knows_who_is_who(
    client: TestClient, portrait: bytes, blank_picture: bytes
) -> None:
    with client.websocket_connect(LIVE) as view:
        first = ask(view, portrait, 10.0)
        second = ask(view, portrait, 10.1)
        nobody = ask(view, blank_picture, 10.2)
    assert (first["frame"], second["frame"], nobody["frame"]) == (0, 1, 2)
    assert [answer["timestamp"] for answer in (first, second, nobody)] == [10.0, 10.1, 10.2]
    assert [face["face_id"] for face in first["faces"]] == [1]
    assert [face["face_id"] for face in second["faces"]] == [1]
    assert nobody["faces"] == []
    assert "notices" in first
    assert "notices" not in second
    with client.websocket_connect(LIVE) as view:
        assert ask(view, portrait)["faces"][0]["face_id"] == 1  # views know nothing of each other


def test_a_live_view_goes_on_after_a_mistake(client: TestClient, portrait: bytes) -> None:
    with client.websocket_connect(LIVE) as view:
        assert "got something else" in ask(view, b"no picture")["error"]
        assert len(ask(view, portrait, 5.0)["faces"]) == 1
        assert "later than 5.000 s" in ask(view, portrait, 4.0)["error"]
        for text in ("five", '{"timestamp": 1%s}' % ("0" * 400), "[" * 100_000):
            view.send_text(text)
            assert "expected {" in json.loads(view.receive_text())["error"]
        view.send_text('{"timestamp": "7"}')
        assert "later than 5.000 s" in ask(view, portrait)["error"]
        assert len(ask(view, portrait, 6.0)["faces"]) == 1


def test_without_a_time_the_clock_decides(client: TestClient, portrait: bytes) -> None:
    with client.websocket_connect(LIVE) as view:
        times = [ask(view, portrait)["timestamp"] for _ in range(3)]
    assert 0 <= times[0] < times[1] < times[2] < 60


def test_there_are_only_so_many_live_views(tmp_path: Path, portrait: bytes) -> None:
    with running(tmp_path, most_live_views=1) as client, client.websocket_connect(LIVE) as one:
        ask(one, portrait)
        with client.websocket_connect(LIVE) as other, pytest.raises(WebSocketDisconnect) as told:
            other.receive_text()
        assert told.value.code == 1013
        assert "at most 1 live views" in told.value.reason
        assert ask(one, portrait)["frame"] == 1


@pytest.mark.parametrize(
    ("query", "words"), [("detector=dlib", "dlib"), ("detctor=haar", "did you mean 'detector'?")]
)
def test_a_wrong_wish_ends_a_live_view_with_a_word(
    client: TestClient, query: str, words: str
) -> None:
    with client.websocket_connect(f"{ADDRESS}?{query}") as view:
        assert words in json.loads(view.receive_text())["error"]
        with pytest.raises(WebSocketDisconnect) as told:
            view.receive_text()
        assert told.value.code == 1008


def test_auto_is_decided_once_in_a_while(
    tmp_path: Path, portrait: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []

    def choose(name: str) -> DetectorChoice:
        asked.append(name)
        return DetectorChoice(detector=HaarDetector(), notice="no YuNet here")

    monkeypatch.setattr("emotrace.web.live.choose_detector", choose)
    with running(tmp_path) as client:
        answers = [client.post("/api/predict", content=portrait).json() for _ in range(3)]
    assert asked == ["auto"]
    assert [answer["notices"] for answer in answers] == [["no YuNet here"]] * 3
    assert [len(answer["faces"]) for answer in answers] == [1, 1, 1]
