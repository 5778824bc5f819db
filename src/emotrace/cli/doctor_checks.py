"""What `emotrace doctor` looks at. Each check stands alone: what fails in one spoils no other."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Final

from emotrace.cli.doctor_finding import Finding, one_line
from emotrace.cli.doctor_packages import OPENCV_FIX, check_packages, requirements, version_of
from emotrace.runtime import import_onnxruntime
from emotrace.storage import HOME_VARIABLE, home_folder

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

OLDEST_PYTHON: Final = (3, 11)
INPUT_CODECS: Final = ("h264", "hevc", "vp9", "av1", "mpeg4", "mjpeg", "gif", "png")
REINSTALL: Final = "pip install --force-reinstall emotrace"


def examine() -> list[Finding]:
    """Run all checks and return what they found, in a fixed order; never raises."""
    findings: list[Finding] = []
    for group, check in _CHECKS:
        try:
            findings += check()
        except Exception as error:  # noqa: BLE001  # a broken part is what a doctor is called for
            findings.append(
                Finding(
                    group=group,
                    name=group,
                    status="problem",
                    detail=f"cannot be checked: {one_line(error)}",
                    fix="mend the problems above first; then run emotrace doctor again",
                    blocks_analyze=group != "extras",
                )
            )
    return findings


def check_machine() -> Iterator[Finding]:
    """Report the system, Python, cores and memory."""
    has_python = sys.version_info >= OLDEST_PYTHON
    wanted = ".".join(map(str, OLDEST_PYTHON))
    yield Finding(
        group="machine",
        name="Python",
        status="ok" if has_python else "problem",
        detail=f"{platform.python_version()} ({sys.executable})",
        fix=None if has_python else f"install Python {wanted} or newer",
        blocks_analyze=not has_python,
    )
    yield Finding(group="machine", name="system", status="ok", detail=platform.platform())
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    memory = _memory_bytes()
    size = f"{memory / 2**30:.1f} GiB of memory" if memory else "memory unknown"
    yield Finding(
        group="machine", name="size", status="ok", detail=f"{cores} processor cores, {size}"
    )


def check_codecs() -> Iterator[Finding]:
    """Report which kinds of video can be read and written."""
    import av

    known = av.codecs_available
    missing = [name for name in INPUT_CODECS if name not in known]
    yield Finding(
        group="video",
        name="reading",
        status="problem" if missing else "ok",
        detail=f"no decoder for {', '.join(missing)}" if missing else ", ".join(INPUT_CODECS),
        fix="pip install --force-reinstall av" if missing else None,
    )
    has_h264 = "libx264" in known
    yield Finding(
        group="video",
        name="writing",
        status="ok" if has_h264 else "missing",
        detail="H.264 (libx264)"
        if has_h264
        else "no H.264 encoder: analyze --video writes MPEG-4, which browsers do not play",
        fix=None if has_h264 else "pip install --force-reinstall av",
    )


def check_detectors() -> Iterator[Finding]:
    """Report which face detectors can be used, and where their files lie."""
    from emotrace.errors import EmotraceError
    from emotrace.faces.choose import DETECTORS, choose_detector
    from emotrace.faces.download import is_available

    usable = []
    for name, entry in DETECTORS.items():
        fix = "emotrace bundles download " + name
        if entry.file is not None and not is_available(entry.file):
            path = home_folder() / entry.file.name
            is_damaged = path.is_file()
            yield Finding(
                group="detectors",
                name=name,
                status="problem" if is_damaged else "missing",
                detail=f"{path} is damaged" if is_damaged else f"{path} is not there",
                fix=f"delete {path}; {fix}" if is_damaged else fix,
            )
            continue
        try:
            choose_detector(name)
        except EmotraceError as error:
            yield Finding(
                group="detectors",
                name=name,
                status="problem",
                detail=one_line(error),
                fix=OPENCV_FIX,
            )
            continue
        usable.append(name)
        where = f"{home_folder() / entry.file.name}, verified" if entry.file else "inside OpenCV"
        yield Finding(group="detectors", name=name, status="ok", detail=where)
    if not usable:
        yield Finding(
            group="detectors",
            name="any",
            status="problem",
            detail="no face detector can be used",
            fix="emotrace bundles download yunet",
            blocks_analyze=True,
        )


def check_home() -> Iterator[Finding]:
    """Report where downloaded files are kept and whether that can be written to."""
    folder = home_folder()
    origin = "set by " + HOME_VARIABLE if os.environ.get(HOME_VARIABLE) else "the default"
    # A doctor leaves nothing behind: where the folder is missing, its nearest parent is tried.
    nearest = next(place for place in (folder, *folder.parents) if place.exists())
    try:
        with tempfile.TemporaryFile(dir=nearest):
            pass
    except OSError as error:
        yield Finding(
            group="detectors",
            name="folder",
            status="problem",
            detail=f"{folder} ({origin}) cannot be written to: {error.strerror or error}",
            fix=f"set {HOME_VARIABLE} to a folder that can be written to",
        )
        return
    yield Finding(
        group="detectors", name="folder", status="ok", detail=f"{folder} ({origin}), writable"
    )


def check_bundles() -> Iterator[Finding]:
    """Verify every bundle and let each predict a blank picture."""
    import numpy as np

    from emotrace.bundle import DEFAULT_BUNDLE, find_bundles, load_bundle
    from emotrace.errors import EmotraceError

    folders = find_bundles()
    for folder in folders:
        try:
            bundle = load_bundle(folder)
            bundle.predict_crops([np.full((64, 64, 3), 128, np.uint8)])
        except EmotraceError as error:
            yield Finding(
                group="bundles",
                name=folder.name,
                status="problem",
                detail=one_line(error),
                fix=REINSTALL,
                blocks_analyze=folder.name == DEFAULT_BUNDLE,
            )
            continue
        yield Finding(
            group="bundles",
            name=folder.name,
            status="ok",
            detail=f"version {bundle.spec.version}, verified (sha256 {bundle.hash[:12]}...), "
            "predicts a test picture",
        )
    if DEFAULT_BUNDLE not in [folder.name for folder in folders]:
        yield Finding(
            group="bundles",
            name=DEFAULT_BUNDLE,
            status="problem",
            detail="not there; analyze uses it unless told otherwise",
            fix=REINSTALL,
            blocks_analyze=True,
        )


def check_analysis() -> Iterator[Finding]:
    """Write a tiny video and analyse it: every part that `emotrace analyze` needs, once."""
    import numpy as np

    from emotrace.analysis.pipeline import analyze_video
    from emotrace.faces.download import YUNET_FILE, is_available
    from emotrace.video.writer import VideoWriter

    frames = 5
    # Not "auto": that may wait for a network.
    detector = "yunet" if is_available(YUNET_FILE) else "haar"
    with tempfile.TemporaryDirectory(prefix="emotrace-doctor-") as folder:
        path = Path(folder) / "test.mp4"
        with VideoWriter(path, width=128, height=96) as writer:
            for index in range(frames):
                writer.write(np.full((96, 128, 3), index * 40, np.uint8), index / 25)
        decoded = analyze_video(path, detector=detector).facts.frame_count
    is_whole = decoded == frames
    yield Finding(
        group="self-test",
        name="analyze",
        status="ok" if is_whole else "problem",
        detail=f"wrote a video of {frames} frames, analysed {decoded} with {detector}",
        fix=None if is_whole else "pip install --force-reinstall av",
        blocks_analyze=not is_whole,
    )


def check_extras() -> Iterator[Finding]:
    """Report the optional parts of emotrace, and what onnxruntime could compute on."""
    extras = importlib.metadata.metadata("emotrace").get_all("Provides-Extra") or []
    for extra in extras:
        if extra == "dev":  # for work on emotrace itself
            continue
        missing = [item.name for item in requirements(extra=extra) if not version_of(item.name)]
        yield Finding(
            group="extras",
            name=extra,
            status="missing" if missing else "ok",
            detail=f"not installed: {', '.join(missing)}" if missing else "installed",
            fix=f'pip install "emotrace[{extra}]"' if missing else None,
        )
    onnxruntime = import_onnxruntime()
    providers = [
        name.removesuffix("ExecutionProvider") for name in onnxruntime.get_available_providers()
    ]
    yield Finding(
        group="extras",
        name="onnxruntime",
        status="ok",
        detail=f"offers {', '.join(providers)}; emotrace computes on the CPU",
    )


_CHECKS: Final[tuple[tuple[str, Callable[[], Iterator[Finding]]], ...]] = (
    ("machine", check_machine),
    ("packages", check_packages),
    ("video", check_codecs),
    ("detectors", check_home),
    ("detectors", check_detectors),
    ("bundles", check_bundles),
    ("extras", check_extras),
    ("self-test", check_analysis),
)


def _memory_bytes() -> int | None:
    """Return the machine's memory, or None where Python has no way to ask (Windows)."""
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, OSError, ValueError):
        return None
