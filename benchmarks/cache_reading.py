"""Measure how fast windows are read from a crop cache, and from the formats it might have had.

    python benchmarks/cache_reading.py --folder scratch/ --frames 10000 --size 96
    python benchmarks/cache_reading.py --folder scratch/ --processes 2 --save benchmarks/results

Two measurements:

- `cache`: a real cache (made by `emotrace.datasets.prepare` from generated pictures, 200 a clip),
  opened by each of `--processes` processes, which read random 16-frame windows for some seconds.
  Frames a second over all processes; what counts for training.
- `formats`: the same pictures in each format, one process: raw .npy and Arrow IPC by memory map,
  kept open and opened anew for every window; JPEG and PNG in Arrow, decoded.

The pictures are smooth with a little noise, as face crops are, so that JPEG and PNG have something
to compress. Everything is read from memory that the system keeps files in (the set is written just
before); `--cold` asks the system to forget the cache's files first (Linux).

A table goes to stdout, then all numbers as one JSON line; `--save FOLDER` keeps them in a file.
"""

from __future__ import annotations

import argparse
import datetime as dt
import json
import multiprocessing
import os
import platform
import shutil
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
import pyarrow as pa

from emotrace.datasets.cache import open_cache
from emotrace.datasets.cropping import CropSettings
from emotrace.datasets.prepare import PrepareSettings, prepare_dataset
from emotrace.datasets.records import ClipRecord
from emotrace.datasets.windows import WindowSettings
from emotrace.faces import CropGeometry

if TYPE_CHECKING:
    from collections.abc import Callable

CLIP_FRAMES = 200
WINDOW = 16
BATCH_WINDOWS = 8
"""Windows read in one call, as a training batch would."""
ARROW_BATCH = 64


def make_clip(seed: int, frames: int, size: int) -> np.ndarray:
    """Draw `(frames, size, size, 3)` uint8: smooth colours, a little noise that changes."""
    rng = np.random.default_rng(seed)
    coarse = rng.integers(0, 255, (8, 8, 3), np.uint8)
    base = cv2.resize(coarse, (size, size), interpolation=cv2.INTER_CUBIC).astype(np.int16)
    noise = rng.integers(-6, 7, (frames, size, size, 3), np.int16)
    return np.asarray(np.clip(base + noise, 0, 255), np.uint8)


# --- the cache -----------------------------------------------------------------------------------


def make_cache(folder: Path, clips: int, size: int) -> Path:
    """Prepare a cache of `clips` clips from generated pictures; return its folder."""
    records = []
    for seed in range(clips):
        path = folder / f"clip{seed}"
        path.mkdir(parents=True)
        pictures = make_clip(seed, CLIP_FRAMES, size)
        paths = []
        for number, picture in enumerate(pictures):
            paths.append(path / f"{number:04d}.png")
            cv2.imwrite(str(paths[-1]), picture, [cv2.IMWRITE_PNG_COMPRESSION, 1])
        records.append(
            ClipRecord(clip_id=path.name, dataset="generated", media=tuple(paths), frame_rate=25.0)
        )
    out = folder / "cache"
    settings = PrepareSettings(
        cropping=CropSettings(crop=CropGeometry(size_px=size), detector="none")
    )
    prepare_dataset(records, out, settings=settings)
    return out


def read_for_a_while(out: str, seed: int, seconds: float, barrier: Any, results: Any) -> None:
    """Read random windows; put how many frames and in what time into `results`."""
    cache = open_cache(out)
    windows = cache.windows(WindowSettings(length=WINDOW))
    rng = np.random.default_rng(seed)
    barrier.wait()
    start = time.perf_counter()
    frames = checksum = 0
    while time.perf_counter() - start < seconds:
        chosen = rng.choice(windows.first, BATCH_WINDOWS)
        crops = cache.read_windows(chosen, WINDOW)
        frames += crops.shape[0] * crops.shape[1]
        checksum += int(crops[0, 0, 0, 0, 0])
    results.put((frames, time.perf_counter() - start))


def measure_cache(out: Path, processes: int, seconds: float) -> float:
    """Return the frames a second that `processes` processes read together."""
    context = multiprocessing.get_context("spawn")
    barrier, results = context.Barrier(processes), context.Queue()
    readers = [
        context.Process(target=read_for_a_while, args=(str(out), seed, seconds, barrier, results))
        for seed in range(processes)
    ]
    for reader in readers:
        reader.start()
    rates: list[float] = []
    for _ in readers:
        frames, took = results.get()
        rates.append(frames / took)
    for reader in readers:
        reader.join()
    return sum(rates)


def forget(folder: Path) -> None:
    """Ask the system to drop a folder's files from its memory."""
    for path in folder.rglob("*"):
        if path.is_file():
            with path.open("rb") as file:
                os.fsync(file.fileno())
                os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


# --- formats -------------------------------------------------------------------------------------


def write_formats(folder: Path, clips: int, size: int) -> dict[str, int]:
    """Write every clip in every format; return bytes by format."""
    folder.mkdir()
    encodings = {"jpeg": (".jpg", [cv2.IMWRITE_JPEG_QUALITY, 95]), "png": (".png", [])}
    binary = pa.schema([("pixels", pa.binary())])
    fixed = pa.schema([("pixels", pa.binary(size * size * 3))])
    for seed in range(clips):
        pictures = make_clip(seed, CLIP_FRAMES, size)
        np.save(folder / f"{seed}.npy", pictures)
        with pa.ipc.new_file(str(folder / f"{seed}.arrow"), fixed) as writer:
            for start in range(0, CLIP_FRAMES, ARROW_BATCH):
                part = np.ascontiguousarray(pictures[start : start + ARROW_BATCH])
                column = pa.FixedSizeBinaryArray.from_buffers(
                    pa.binary(size * size * 3), len(part), [None, pa.py_buffer(part)]
                )
                writer.write_batch(pa.record_batch([column], schema=fixed))
        for name, (ending, parameters) in encodings.items():
            blobs = [cv2.imencode(ending, image, parameters)[1].tobytes() for image in pictures]
            with pa.ipc.new_file(str(folder / f"{seed}.{name}"), binary) as writer:
                writer.write_batch(pa.record_batch([pa.array(blobs, pa.binary())], schema=binary))
    return {
        ending: sum(path.stat().st_size for path in folder.glob(f"*.{ending}"))
        for ending in ("npy", "arrow", *encodings)
    }


def arrow_views(path: Path, size: int) -> list[np.ndarray]:
    """Map an Arrow file and view each batch's pixels without copying."""
    reader = pa.ipc.open_file(pa.memory_map(str(path)))
    views = []
    for number in range(reader.num_record_batches):
        column = reader.get_batch(number).column("pixels")
        pixels = np.frombuffer(column.buffers()[1], np.uint8)[: len(column) * size * size * 3]
        views.append(pixels.reshape(-1, size, size, 3))
    return views


def read_views(views: list[np.ndarray], start: int, out: np.ndarray) -> None:
    """Copy a window that may reach over the edge of a batch."""
    done = 0
    while done < WINDOW:
        batch, offset = divmod(start + done, ARROW_BATCH)
        count = min(WINDOW - done, ARROW_BATCH - offset)
        out[done : done + count] = views[batch][offset : offset + count]
        done += count


def measure_formats(folder: Path, clips: int, size: int, seconds: float) -> dict[str, float]:
    """Return the frames a second of each format in this process."""
    out = np.empty((WINDOW, size, size, 3), np.uint8)
    maps = [np.load(folder / f"{seed}.npy", mmap_mode="r") for seed in range(clips)]
    views = [arrow_views(folder / f"{seed}.arrow", size) for seed in range(clips)]
    encoded = {
        name: [
            pa.ipc.open_file(pa.memory_map(str(folder / f"{seed}.{name}"))).read_all()["pixels"]
            for seed in range(clips)
        ]
        for name in ("jpeg", "png")
    }

    def npy(clip: int, start: int) -> None:
        out[:] = maps[clip][start : start + WINDOW]

    def npy_anew(clip: int, start: int) -> None:
        out[:] = np.load(folder / f"{clip}.npy", mmap_mode="r")[start : start + WINDOW]

    def arrow(clip: int, start: int) -> None:
        read_views(views[clip], start, out)

    def arrow_anew(clip: int, start: int) -> None:
        read_views(arrow_views(folder / f"{clip}.arrow", size), start, out)

    def decoded(name: str) -> Callable[[int, int], None]:
        def read(clip: int, start: int) -> None:
            column = encoded[name][clip]
            for step in range(WINDOW):
                blob = np.frombuffer(column[start + step].as_buffer(), np.uint8)
                out[step] = np.asarray(cv2.imdecode(blob, cv2.IMREAD_COLOR))

        return read

    return {
        name: rate_of(read, clips, seconds)
        for name, read in {
            "npy, map kept open": npy,
            "npy, mapped for every window": npy_anew,
            "Arrow IPC, map kept open": arrow,
            "Arrow IPC, mapped for every window": arrow_anew,
            "JPEG (quality 95) in Arrow, decoded": decoded("jpeg"),
            "PNG in Arrow, decoded": decoded("png"),
        }.items()
    }


def rate_of(read: Callable[[int, int], None], clips: int, seconds: float) -> float:
    """Return frames a second over random windows; the best of three rounds."""
    rng = np.random.default_rng(0)
    best = 0.0
    for _ in range(3):
        count, start = 0, time.perf_counter()
        while time.perf_counter() - start < seconds / 3:
            read(int(rng.integers(clips)), int(rng.integers(CLIP_FRAMES - WINDOW + 1)))
            count += WINDOW
        best = max(best, count / (time.perf_counter() - start))
    return best


def main() -> None:
    """Measure, print, save."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--folder", type=Path, help="where to write (default: a temporary one)")
    parser.add_argument("--frames", type=int, default=10_000)
    parser.add_argument("--size", type=int, default=96, help="width and height in pixels")
    parser.add_argument("--processes", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--seconds", type=float, default=3.0, help="for each measurement")
    parser.add_argument("--cold", action="store_true", help="forget the cache's files first")
    parser.add_argument("--save", type=Path, metavar="FOLDER")
    arguments = parser.parse_args()
    cv2.setNumThreads(1)
    clips = max(1, arguments.frames // CLIP_FRAMES)
    scratch = Path(tempfile.mkdtemp(dir=arguments.folder))
    try:
        out = make_cache(scratch / "data", clips, arguments.size)
        cache_bytes = sum(path.stat().st_size for path in out.rglob("*") if path.is_file())
        rates = {}
        for processes in arguments.processes:
            if arguments.cold:
                forget(out)
            rates[processes] = measure_cache(out, processes, arguments.seconds)
        format_bytes = write_formats(scratch / "formats", clips, arguments.size)
        formats = measure_formats(scratch / "formats", clips, arguments.size, arguments.seconds)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    print(f"{clips * CLIP_FRAMES} frames of {arguments.size} px, windows of {WINDOW}")
    for processes, rate in rates.items():
        print(f"  cache, {processes} process(es): {rate:>12,.0f} frames/s")
    for name, rate in formats.items():
        print(f"  {name}: {rate:>12,.0f} frames/s")
    print(f"  MB: { ({name: round(size / 1e6) for name, size in format_bytes.items()}) }")
    result = {
        "date": dt.datetime.now(dt.UTC).date().isoformat(),
        "machine": {
            "processor": platform.processor() or platform.machine(),
            "cores": os.cpu_count(),
            "load": os.getloadavg()[0] if hasattr(os, "getloadavg") else None,
            "python": platform.python_version(),
        },
        "frames": clips * CLIP_FRAMES,
        "size_px": arguments.size,
        "window": WINDOW,
        "cold": arguments.cold,
        "cache_bytes": cache_bytes,
        "cache_frames_per_second": rates,
        "format_frames_per_second": formats,
        "format_bytes": format_bytes,
    }
    print(json.dumps(result))
    if arguments.save is not None:
        arguments.save.mkdir(parents=True, exist_ok=True)
        target = arguments.save / f"cache_reading_{result['date']}.json"
        target.write_text(json.dumps(result, indent=1) + "\n", "utf-8")


if __name__ == "__main__":
    main()
