"""Fixtures that every test may use."""

from __future__ import annotations

import os
from pathlib import Path

import hypothesis
import pytest

# Two busy cores make single examples slow by chance; how long a test takes is not its subject.
hypothesis.settings.register_profile("emotrace", deadline=None)
hypothesis.settings.load_profile("emotrace")

REPOSITORY = Path(__file__).resolve().parents[1]


def find_shared_folder() -> Path | None:
    """The folder with real clips, data and detector files, where there is one."""
    candidate = Path(os.environ.get("EMOTRACE_SHARED", REPOSITORY.parent / "shared"))
    return candidate if (candidate / "clips").is_dir() else None


@pytest.fixture(scope="session")
def shared_folder() -> Path:
    folder = find_shared_folder()
    if folder is None:
        pytest.skip("no shared folder with real clips beside the checkout (set EMOTRACE_SHARED)")
    return folder


@pytest.fixture(scope="session")
def clips_folder(shared_folder: Path) -> Path:
    return shared_folder / "clips"


@pytest.fixture(autouse=True)
def _own_home(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """No test reads or writes the user's own download folder."""
    monkeypatch.setenv("EMOTRACE_HOME", str(tmp_path_factory.getbasetemp() / "emotrace-home"))


@pytest.fixture
def yunet_home(shared_folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """`EMOTRACE_HOME` set to a folder that holds the real detector files under their own names."""
    folder = shared_folder / "models"
    monkeypatch.setenv("EMOTRACE_HOME", str(folder))
    return folder
