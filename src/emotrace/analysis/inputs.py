"""From what a user typed to the files that it means, and a folder's name for each of them."""

from __future__ import annotations

import glob
import os
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Final

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


def find_inputs(pattern: str | Path) -> list[Path]:
    """Return the files that one argument means: itself, a folder's media files, a glob's matches.

    Folders are searched through to the bottom, hidden files and earlier results left out.

    Returns:
        Paths in a stable order (by name). A file that is named itself is returned whether it exists
        or not: opening it says best what is wrong with it.

    Raises:
        InputError: A folder cannot be read or holds no media file, or a glob matches nothing.
    """
    path = Path(pattern)
    if path.is_dir():
        return _search_folder(path)
    if path.exists() or not glob.has_magic(str(pattern)):
        return [path]
    matches = sorted(
        Path(match)
        for match in glob.glob(str(pattern), recursive=True)  # noqa: PTH207 -- absolute patterns too
    )
    if not matches:
        raise InputError(
            f"expected files that match {str(pattern)!r}; found none; check the path, and put the "
            "pattern in quotes"
        )
    found: list[Path] = []
    for match in matches:
        if match.is_dir():
            # "**" matches folders as well as what is in them: only the files are meant.
            continue
        if not _is_result_folder(match.parent):
            found.append(match)
    if not found:
        raise InputError(f"expected files that match {str(pattern)!r}; it matches folders only")
    return found


def _search_folder(folder: Path) -> list[Path]:
    def refuse(error: OSError) -> None:
        raise InputError(
            f"expected a folder that can be read; got {error.filename}: {error.strerror}"
        ) from error

    found: list[Path] = []
    for parent, folders, files in os.walk(folder, onerror=refuse):
        if _is_result_folder(Path(parent)):
            folders.clear()
            continue
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        found += [
            Path(parent) / name
            for name in sorted(files)
            if not name.startswith(".") and Path(name).suffix.lower() in MEDIA_ENDINGS
        ]
    if not found:
        raise InputError(
            f"expected videos or images in {folder}; found none with a known ending "
            f"({', '.join(sorted(MEDIA_ENDINGS))})"
        )
    return found


def _is_result_folder(folder: Path) -> bool:
    return all((folder / name).is_file() for name in RESULT_MARKERS)


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
    taken: set[str] = set()
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
