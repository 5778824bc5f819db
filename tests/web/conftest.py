"""A server in this process, and what may be uploaded to it."""

from __future__ import annotations

import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import cv2
import pytest
from fastapi.testclient import TestClient

from emotrace.web.app import ServerSettings, create_app
from tests.conftest import REPOSITORY

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

HERE = "http://127.0.0.1:8000"
HAAR = {"detector": "haar"}
"""Asks for the detector that every machine has."""


@contextmanager
def running(folder: Path, **settings: Any) -> Iterator[TestClient]:
    """Run a server on a folder, and a client of it."""
    app = create_app(ServerSettings(folder=folder, **settings))
    with TestClient(app, base_url=HERE) as client:
        yield client


@pytest.fixture
def client(tmp_path: Path) -> Iterator[TestClient]:
    with running(tmp_path / "jobs") as client:
        yield client


@pytest.fixture(scope="session")
def portrait() -> bytes:
    """A JPEG with one face."""
    return (REPOSITORY / "examples" / "astronaut.jpg").read_bytes()


@pytest.fixture(scope="session")
def blank_picture() -> bytes:
    """A JPEG without a face."""
    import numpy as np

    return cv2.imencode(".jpg", np.full((90, 120, 3), 90, np.uint8))[1].tobytes()


def upload(client: TestClient, path: Path, **options: Any) -> dict[str, Any]:
    """Upload a file, and return what the server says of its job."""
    query = {"name": path.name, **HAAR, **options}
    answer = client.post("/api/jobs", params=query, content=path.read_bytes())
    assert answer.status_code == 202, answer.text
    job: dict[str, Any] = answer.json()
    return job


def wait_for(
    client: TestClient, job_id: str, is_there: Callable[[dict[str, Any]], bool], seconds: float = 90
) -> dict[str, Any]:
    """Ask for a job until it is as wanted."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        job: dict[str, Any] = client.get(f"/api/jobs/{job_id}").json()
        if is_there(job):
            return job
        time.sleep(0.05)
    raise AssertionError(f"expected another job within {seconds} s; got {job}")


def is_over(job: dict[str, Any]) -> bool:
    return job["status"] not in ("waiting", "running")
