"""The doctor's look at the packages that emotrace depends on."""

from __future__ import annotations

import importlib.metadata
import subprocess
import sys
from typing import TYPE_CHECKING, Final

from emotrace.cli.doctor_finding import Finding, one_line
from emotrace.version import __version__

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from packaging.requirements import Requirement

IMPORT_TIMEOUT_SECONDS: Final = 120.0
"""The first import after an install compiles; on a slow disk that takes a minute."""
NATIVE_MODULES: Final = ("numpy", "cv2", "av", "onnxruntime", "pyarrow", "pandas")
"""Dependencies in machine code, by import name: those that can be installed and not work."""
OPENCV_DISTRIBUTIONS: Final = (
    "opencv-python-headless",
    "opencv-python",
    "opencv-contrib-python-headless",
    "opencv-contrib-python",
)
"""All install the same module `cv2`, over one another."""
VARIANTS: Final = {
    "opencv-python-headless": OPENCV_DISTRIBUTIONS,
    "onnxruntime": ("onnxruntime", "onnxruntime-gpu"),
}
"""Distributions that bring the same module as one of our dependencies, ours first."""
OPENCV_FIX: Final = (
    f"pip uninstall -y {' '.join(OPENCV_DISTRIBUTIONS)} && "
    'pip install "opencv-python-headless>=4.10,<5"'
)

_IMPORT_PROBE: Final = """
import importlib, os, sys
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")  # see emotrace.runtime
for name in sys.argv[1:]:
    try:
        importlib.import_module(name)
        print(name, "ok", flush=True)
    except BaseException as error:
        print(name, type(error).__name__ + ":", *str(error).split(), flush=True)
"""


def check_packages() -> Iterator[Finding]:
    """Report whether each dependency is there, new enough, and can be imported."""
    yield Finding(group="packages", name="emotrace", status="ok", detail=__version__)
    for requirement in requirements(extra=None):
        yield check_requirement(requirement)
    for module, complaint in import_complaints(NATIVE_MODULES).items():
        fix = OPENCV_FIX if module == "cv2" else f"pip install --force-reinstall {module}"
        yield Finding(
            group="packages",
            name=f"import {module}",
            status="problem",
            detail=complaint,
            fix=fix,
            blocks_analyze=True,
        )


def requirements(*, extra: str | None) -> list[Requirement]:
    """Return what the installed emotrace depends on: always, or only for an extra."""
    from packaging.requirements import Requirement

    parsed = [Requirement(line) for line in importlib.metadata.requires("emotrace") or ()]
    return [
        item
        for item in parsed
        if (item.marker is None or item.marker.evaluate({"extra": extra or ""}))
        and (extra is None or "extra" in str(item.marker))
    ]


def check_requirement(requirement: Requirement) -> Finding:
    """Report whether a dependency is installed in a version that emotrace works with."""
    variants = VARIANTS.get(requirement.name, (requirement.name,))
    found = {name: version for name in variants if (version := version_of(name)) is not None}
    name, version = next(iter(found.items()), (requirement.name, ""))
    is_opencv = requirement.name in OPENCV_DISTRIBUTIONS
    if not found:
        detail = f"not installed; expected {requirement.specifier or 'any version'}"
    elif len(found) > 1 and is_opencv:
        detail = f"{' and '.join(found)} are installed, one over the other"
    elif not requirement.specifier.contains(version, prereleases=True):
        detail = f"{version}; expected {requirement.specifier}"
    else:
        return Finding(group="packages", name=name, status="ok", detail=version)
    return Finding(
        group="packages",
        name=name,
        status="problem",
        detail=detail,
        fix=OPENCV_FIX if is_opencv else f'pip install "{requirement}"',
        # Whether a version that is not ours works all the same is for the self-test to say.
        blocks_analyze=not found,
    )


def import_complaints(modules: Sequence[str]) -> dict[str, str]:
    """Import modules in another process and return what went wrong, by module.

    In another process, because a wheel built for another processor does not raise: it kills.
    """
    complaints: dict[str, str] = {}
    waiting = list(modules)
    while waiting:
        try:
            done = subprocess.run(
                [sys.executable, "-c", _IMPORT_PROBE, *waiting],
                capture_output=True,
                text=True,
                timeout=IMPORT_TIMEOUT_SECONDS,
                check=False,
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            complaints[waiting[0]] = f"cannot be tried: {one_line(error)}"
            return complaints
        for line in done.stdout.splitlines():
            name, _, said = line.partition(" ")
            if name in waiting:  # a module may print on import
                waiting.remove(name)
                if said != "ok":
                    complaints[name] = f"fails: {said}"
        if waiting:
            culprit = waiting.pop(0)
            complaints[culprit] = f"kills Python (exit status {done.returncode})"
    return complaints


def version_of(distribution: str) -> str | None:
    """Return the version of an installed distribution, or None."""
    try:
        return importlib.metadata.version(distribution)
    except importlib.metadata.PackageNotFoundError:
        return None
