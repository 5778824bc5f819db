"""What must hold for the repository as a whole: its files, its words, its face to the world."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
import subprocess
import sys
import tomllib
from functools import cache
from typing import TYPE_CHECKING, Any

import pytest

import emotrace
from tests.conftest import REPOSITORY

if TYPE_CHECKING:
    from pathlib import Path

LARGEST_FILE_BYTES = 8 * 2**20
APACHE_2_SHA256 = "cfc7749b96f63bd31c3c42b5c471bf756814053e847c10f3eb003417bc523d30"
"""Of the text that apache.org publishes, as Debian and many packages carry it."""

# Each pattern has one letter in brackets, so that this file does not match itself.
FOREIGN_WORDS = {
    "a path of one machine": r"(?<![\w.])/(?:wor[k]|op[t]/venvs|op[t]/pypi|hom[e]/\w+|roo[t])/",
    "a package registry's host": (
        r"pypi\.or[g]|pythonhosted\.or[g]|pytorch\.or[g]/whl|npmjs\.or[g]|anaconda\.or[g]|"
        r"jsdeliv[r]|unpk[g]\.com"
    ),
}
PUBLIC_NAMES = [
    "EMOTIONS",
    "AnalysisSettings",
    "Bundle",
    "Detection",
    "EmotraceError",
    "FaceResult",
    "Frame",
    "FrameResult",
    "LiveAnalysis",
    "OutputChoice",
    "Prediction",
    "Progress",
    "Segment",
    "Timeline",
    "TrackedFace",
    "analyze_inputs",
    "analyze_video",
    "load_bundle",
    "stream_video",
]
HEAVY_MODULES = (
    "av",
    "cv2",
    "lightning",
    "numpy",
    "onnxruntime",
    "pandas",
    "plotly",
    "pyarrow",
    "timm",
    "torch",
)


@cache
def repository_files() -> tuple[Path, ...]:
    """Every file that is, or is about to be, in the repository."""
    git = shutil.which("git")
    if git is None or not (REPOSITORY / ".git").exists():
        pytest.skip("not a git checkout: there is no list of the repository's files")
    listed = subprocess.run(
        [git, "ls-files", "--cached", "--others", "--exclude-standard", "-z"],
        cwd=REPOSITORY,
        capture_output=True,
        check=True,
    ).stdout.decode()
    paths = (REPOSITORY / name for name in listed.split("\0") if name)
    return tuple(path for path in paths if path.is_file())


def read_text(path: Path) -> str | None:
    """A file's text, or None where it is not text."""
    data = path.read_bytes()
    if b"\0" in data:
        return None
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        return None


# --- files ---------------------------------------------------------------------------------------


def test_no_file_is_large() -> None:
    large = {
        str(path.relative_to(REPOSITORY)): path.stat().st_size
        for path in repository_files()
        if path.stat().st_size > LARGEST_FILE_BYTES
    }
    assert large == {}


@pytest.mark.parametrize("what", FOREIGN_WORDS)
def test_no_text_names_what_only_one_machine_knows(what: str) -> None:
    pattern = re.compile(FOREIGN_WORDS[what])
    found = [
        f"{path.relative_to(REPOSITORY)}:{number}: {line.strip()[:100]}"
        for path in repository_files()
        for number, line in enumerate((read_text(path) or "").splitlines(), start=1)
        if pattern.search(line)
    ]
    assert found == []


def test_foreign_words_are_recognised() -> None:
    machine, registry = (re.compile(pattern) for pattern in FOREIGN_WORDS.values())
    assert machine.search("see /" + "work/main")
    assert not machine.search("docs/work/page.md")
    assert registry.search("https://pypi." + "org/simple")


def test_the_licence_is_apache_2_word_for_word() -> None:
    assert hashlib.sha256((REPOSITORY / "LICENSE").read_bytes()).hexdigest() == APACHE_2_SHA256
    assert project()["license"] == "Apache-2.0"


def test_nothing_that_tools_leave_behind_is_in_the_repository() -> None:
    rubbish = re.compile(r"__pycache__|\.pyc$|\.partial|\.egg-info|(^|/)\.venv|\.DS_Store")
    names = [path.relative_to(REPOSITORY).as_posix() for path in repository_files()]
    assert [name for name in names if rubbish.search(name)] == []


# --- version and dependencies --------------------------------------------------------------------


def project() -> dict[str, Any]:
    table: dict[str, Any] = tomllib.loads((REPOSITORY / "pyproject.toml").read_text("utf-8"))
    value: dict[str, Any] = table["project"]
    return value


def test_the_version_is_the_same_everywhere() -> None:
    top = re.search(r"^## (\S+)", (REPOSITORY / "CHANGELOG.md").read_text("utf-8"), re.MULTILINE)
    assert top is not None
    assert top[1] == emotrace.__version__ == project()["version"]


def test_constraints_pin_every_direct_dependency_but_torch() -> None:
    groups = [project()["dependencies"], *project()["optional-dependencies"].values()]
    direct = {re.split(r"[^\w.-]", text)[0].lower() for group in groups for text in group}
    lines = (REPOSITORY / "constraints.txt").read_text("utf-8").splitlines()
    pins = [line for line in lines if line and not line.startswith("#")]
    assert all(re.fullmatch(r"[a-z0-9-]+==[0-9][0-9a-z.]*", pin) for pin in pins), pins
    # Which build of torch fits depends on the machine.
    assert {pin.split("==")[0] for pin in pins} == direct - {"emotrace", "torch", "torchvision"}


# --- the public face -----------------------------------------------------------------------------


def test_public_names_are_pinned() -> None:
    assert emotrace.__all__ == PUBLIC_NAMES


@pytest.mark.parametrize("name", PUBLIC_NAMES)
def test_public_names_are_there_and_explained(name: str) -> None:
    value = getattr(emotrace, name)
    assert name == "EMOTIONS" or value.__doc__


def test_unknown_names_are_refused() -> None:
    with pytest.raises(AttributeError, match="no attribute 'analyse_video'"):
        _ = emotrace.analyse_video


def test_importing_is_quick_and_loads_nothing_heavy() -> None:
    code = (
        "import json, sys, time; start = time.perf_counter(); import emotrace; "
        "took = time.perf_counter() - start; print(json.dumps([took, sorted(sys.modules)]))"
    )
    times = []
    for _ in range(3):
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True)
        took, modules = json.loads(done.stdout)
        times.append(took)
        assert not set(HEAVY_MODULES) & set(modules)
    assert min(times) < 0.2


def test_help_loads_neither_torch_nor_onnxruntime() -> None:
    code = (
        "import sys; from emotrace.cli.app import main; main(['analyze', '--help']); "
        "sys.stderr.write(' '.join(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "--report" in done.stdout
    assert not {"torch", "onnxruntime", "cv2"} & set(done.stderr.split())


# --- make and continuous integration -------------------------------------------------------------


def makefile_goals() -> set[str]:
    text = (REPOSITORY / "Makefile").read_text("utf-8")
    return set(re.findall(r"^([a-z]+):.*## ", text, re.MULTILINE))


@pytest.mark.skipif(shutil.which("make") is None, reason="make is not installed")
def test_make_alone_lists_every_goal() -> None:
    done = subprocess.run(
        ["make", "--no-print-directory"], cwd=REPOSITORY, capture_output=True, text=True, check=True
    )
    assert {f"make {goal}" for goal in makefile_goals()} <= {
        line.strip()[:17].strip() for line in done.stdout.splitlines()
    }


@pytest.mark.skipif(shutil.which("make") is None, reason="make is not installed")
def test_the_demo_takes_a_video_with_an_awkward_name() -> None:
    done = subprocess.run(
        ["make", "--dry-run", "demo", "VIDEO=it's my video.mp4"],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        check=True,
    )
    assignment = re.search(r"video=.*?;", done.stdout)
    assert assignment is not None
    said = subprocess.run(
        ["sh", "-c", f'{assignment[0]} printf %s "$video"'], capture_output=True, check=True
    ).stdout
    assert said == b"it's my video.mp4"


def test_continuous_integration_runs_tests_and_checks() -> None:
    script = REPOSITORY / ".ci" / "run"
    assert script.stat().st_mode & 0o111
    subprocess.run(["bash", "-n", str(script)], check=True)
    text = script.read_text("utf-8")
    assert "make test" in text
    assert "make check" in text
