"""From what a user typed to the files that it means, and a folder's name for each of them."""

from __future__ import annotations

import glob
import os
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from emotrace.analysis.outcomes import BATCH_FILE
from emotrace.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Sequence

VIDEO_ENDINGS: Final = frozenset(
    {
        *(".3gp", ".avi", ".flv", ".gif", ".m2ts", ".m4v", ".mkv", ".mov", ".mp4", ".mpeg"),
        *(".mpg", ".mts", ".ogv", ".ts", ".webm", ".wmv"),
    }
)
IMAGE_ENDINGS: Final = frozenset(
    {".avif", ".bmp", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp"}
)
MEDIA_ENDINGS: Final = VIDEO_ENDINGS | IMAGE_ENDINGS
"""What a folder is searched for; a file that is named itself may have any ending."""

RESULT_MARKERS: Final = ("timeline.parquet", "segments.parquet")
"""A folder that holds these is a result of ours: its pictures are not inputs."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundInputs:
    """What one argument means."""

    paths: tuple[Path, ...]
    """In a stable order (by name)."""
    problems: tuple[tuple[Path, str], ...] = ()
    """Folders below the argument that cannot be searched, each with one line that says why."""


def find_inputs(pattern: str | Path) -> FoundInputs:
    """Find the files that one argument means: itself, a folder's media files, a glob's matches.

    Folders are searched through to the bottom, hidden files and earlier results left out.

    Returns:
        The files, and what could not be searched. A file that is named itself is among them whether
        it exists or not: opening it says best what is wrong with it.

    Raises:
        InputError: The argument itself cannot be looked at, is a folder that cannot be read or
            holds no media file, or is a glob that matches nothing.
    """
    path = Path(pattern)
    try:
        if path.is_dir():
            return _search_folder(path)
        is_there = path.exists()
    except OSError as error:
        raise InputError(_describe_refusal(path, error)) from error
    if is_there or not glob.has_magic(str(pattern)):
        return FoundInputs(paths=(path,))
    matches = sorted(
        Path(match)
        for match in glob.glob(str(pattern), recursive=True)  # noqa: PTH207 -- absolute patterns too
    )
    if not matches:
        raise InputError(
            f"expected files that match {str(pattern)!r}; found none; check the path, and put the "
            "pattern in quotes"
        )
    # "**" matches folders as well as what is in them: only the files are meant.
    found = [match for match in matches if not _is_folder(match)]
    found = [match for match in found if not _is_result_folder(match.parent)]
    if not found:
        raise InputError(
            f"expected files that match {str(pattern)!r}; it matches folders or earlier results "
            "only; name the folder itself, or widen the pattern"
        )
    return FoundInputs(paths=tuple(found))


def _search_folder(folder: Path) -> FoundInputs:
    problems: list[tuple[Path, str]] = []

    def take_note(error: OSError) -> None:
        refused = Path(error.filename or folder)
        if refused == folder:
            raise InputError(_describe_refusal(folder, error)) from error
        problems.append((refused, _describe_refusal(refused, error)))

    found: list[Path] = []
    for parent, folders, files in os.walk(folder, onerror=take_note):
        if _is_result_folder(Path(parent)):
            folders.clear()
            continue
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        found += [
            Path(parent) / name
            for name in sorted(files)
            if not name.startswith(".") and Path(name).suffix.lower() in MEDIA_ENDINGS
        ]
    if not found and not problems:
        raise InputError(
            f"expected videos or images in {folder}; found none with a known ending "
            f"({', '.join(sorted(MEDIA_ENDINGS))}); check the path, or name the files themselves"
        )
    return FoundInputs(paths=tuple(found), problems=tuple(problems))


def _describe_refusal(path: Path, error: OSError) -> str:
    return (
        f"expected a file or folder that can be read; got {path} ({error.strerror or error}); "
        "check its permissions and those of the folders above it"
    )


def _is_folder(path: Path) -> bool:
    try:
        return path.is_dir()
    except OSError:  # opening it will say what is wrong with it
        return False


def _is_result_folder(folder: Path) -> bool:
    try:
        return all((folder / name).is_file() for name in RESULT_MARKERS)
    except OSError:
        return False


def name_folders(paths: Sequence[Path]) -> dict[Path, str]:
    """Give each input a folder name of its own, as short as may be.

    That is its file name without the ending; inputs that would share it keep their endings; those
    that still would are preceded by as many of their parents as it takes, joined by two
    underscores. Names that differ only in case count as equal, as some file systems have it.

    >>> names = name_folders([Path("a/x.mp4"), Path("a/y.mp4"), Path("a/y.mov"), Path("b/y.mov")])
    >>> list(names.values())
    ['x', 'y.mp4', 'a__y.mov', 'b__y.mov']
    """
    absolute = {path: Path(os.path.abspath(path)) for path in paths}  # noqa: PTH100 -- keeps links

    def candidate(path: Path, level: int) -> str:
        if level == 0:
            return path.stem
        parents = [part for part in absolute[path].parts[:-1] if part != absolute[path].anchor]
        kept = parents[len(parents) - (level - 1) :] if level > 1 else []
        return "__".join([*kept, path.name])

    names: dict[Path, str] = {}
    remaining, level = list(dict.fromkeys(paths)), 0
    deepest = max((len(path.parts) for path in absolute.values()), default=0) + 1
    taken = {BATCH_FILE}  # lies beside the folders
    while remaining:
        counts = Counter(candidate(path, level).casefold() for path in remaining)
        unresolved: list[Path] = []
        for path in remaining:
            name = candidate(path, level)
            is_free = counts[name.casefold()] == 1 and name.casefold() not in taken
            if is_free or level > deepest:
                names[path] = name
            else:
                unresolved.append(path)
        taken |= {name.casefold() for name in names.values()}
        remaining, level = unresolved, level + 1
    return {path: names[path] for path in dict.fromkeys(paths)}
