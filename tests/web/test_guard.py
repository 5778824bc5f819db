"""Other web sites cannot use the server through its user's browser."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING

import pytest
from starlette.websockets import WebSocketDisconnect

from tests.web.conftest import HERE, running
from tests.web.test_live import ADDRESS

if TYPE_CHECKING:
    from pathlib import Path

    from fastapi.testclient import TestClient


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:8000", "", "127.0.0.1.evil.example"]
)
def test_a_name_that_is_not_the_servers_is_refused(client: TestClient, host: str) -> None:
    answer = client.get("/api/jobs", headers={"host": host})
    assert answer.status_code == 403
    assert "expected a request to one of" in answer.json()["error"]


@pytest.mark.parametrize("host", ["localhost:8000", "127.0.0.1", "[::1]:8000", "LOCALHOST"])
def test_its_own_names_are_answered(client: TestClient, host: str) -> None:
    assert client.get("/api/jobs", headers={"host": host}).status_code == 200


@pytest.mark.parametrize("origin", ["http://evil.example", "http://127.0.0.1:9000", "null"])
def test_pages_of_others_cannot_send(client: TestClient, origin: str) -> None:
    answer = client.post("/api/jobs", content=b"x", headers={"origin": origin})
    assert answer.status_code == 403
    assert client.get("/api/jobs").json() == {"jobs": []}
    with (
        pytest.raises(WebSocketDisconnect) as told,
        client.websocket_connect(ADDRESS, headers={"origin": origin}),
    ):
        pass
    assert told.value.code == 1008


def test_its_own_page_can(client: TestClient, portrait: bytes) -> None:
    headers = {"origin": HERE}
    answer = client.post("/api/predict?detector=haar", content=portrait, headers=headers)
    assert answer.status_code == 200


def test_a_server_for_the_network_takes_addresses_and_its_own_names(tmp_path: Path) -> None:
    with running(tmp_path, host="0.0.0.0", names=("Lab.example",)) as client:  # noqa: S104
        for host in ("192.168.1.5:8000", "[fe80::1]:8000", "lab.example", socket.gethostname()):
            assert client.get("/api/jobs", headers={"host": host}).status_code == 200, host
        # A name of somebody else's may have been made to point here.
        for headers in (
            {"host": "evil.example"},
            {"host": "lab.example", "origin": "http://evil.example"},
            {"host": "192.168.1.5", "origin": "http://["},
            {"host": "192.168.1.5:8000", "origin": "http://192.168.1.5:3000"},
            {"host": "192.168.1.5", "origin": "http://192.168.1.6"},
        ):
            assert client.get("/api/jobs", headers=headers).status_code == 403


def test_a_proxy_may_stand_before_a_local_server(tmp_path: Path) -> None:
    with running(tmp_path, names=("lab.example",)) as client:
        for headers in (
            {"host": "lab.example", "origin": "https://lab.example"},
            {"host": "127.0.0.1:8000", "origin": "https://lab.example"},
        ):
            assert client.get("/api/jobs", headers=headers).status_code == 200
        assert client.get("/api/jobs", headers={"host": "other.example"}).status_code == 403


@pytest.mark.parametrize("host", ["127.0.0.2", "Localhost", "::1"])
def test_what_is_local_is_told_by_its_address(tmp_path: Path, host: str) -> None:
    with running(tmp_path, host=host) as client:
        assert client.get("/api/jobs", headers={"host": "192.168.1.5"}).status_code == 403
        own = f"[{host}]" if ":" in host else host
        assert client.get("/api/jobs", headers={"host": f"{own}:8000"}).status_code == 200


def test_answers_forbid_what_the_page_does_not_need(client: TestClient) -> None:
    headers = client.get("/").headers
    assert "default-src 'self'" in headers["content-security-policy"]
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["cross-origin-resource-policy"] == "same-origin"
    refused = client.get("/", headers={"host": "evil.example"})
    assert refused.headers["x-content-type-options"] == "nosniff"
