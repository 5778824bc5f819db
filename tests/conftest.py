"""Fixtures that every test may use."""

from __future__ import annotations

import importlib.util
import os
from pathlib import Path
from typing import TYPE_CHECKING

import hypothesis
import pytest

if TYPE_CHECKING:
    from types import ModuleType

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


def load_script(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def short_clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The demo's clip with each shot cut to 0.4 s: 10 frames a face, 10 without, 10 with."""
    script = load_script(REPOSITORY / "examples" / "make_demo_clip.py")
    path = tmp_path_factory.mktemp("house") / "clip.mp4"
    script.make_clip(path, [shot._replace(seconds=0.4) for shot in script.SHOTS])
    return path
