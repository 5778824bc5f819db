"""One input into its folder: analysed, or found done; tables and what else was asked for."""

from __future__ import annotations

import hashlib
import json
import os
import time
from contextlib import ExitStack, closing
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import pyarrow.compute as pc
import pyarrow.parquet as pq

from emotrace.analysis.annotate import (
    ANNOTATED_IMAGE_FILE,
    ANNOTATED_VIDEO_FILE,
    AnnotatedVideoSink,
)
from emotrace.analysis.outcomes import InputOutcome, Status, describe_damage
from emotrace.analysis.pipeline import VideoAnalysis, finish_timeline
from emotrace.analysis.post_processing import fill_timeline
from emotrace.analysis.report import write_report
from emotrace.analysis.subtitles import write_webvtt
from emotrace.analysis.tables import (
    SEGMENTS_FILE,
    SUMMARY_FILE,
    TIMELINE_FILE,
    Timeline,
    TimelineTableWriter,
    to_openface,
    to_pyfeat,
)
from emotrace.analysis.thumbnails import take_thumbnails
from emotrace.bundle_spec import spec_to_json
from emotrace.errors import EmotraceError, OutputError
from emotrace.storage import atomic_path, ensure_folder, remove_abandoned_partials
from emotrace.version import __version__

if TYPE_CHECKING:
    from emotrace.analysis.progress import ProgressHook
    from emotrace.analysis.settings import AnalysisSettings
    from emotrace.bundle import Bundle
    from emotrace.faces import DetectorChoice

REPORT_FILE: Final = "report.html"
SUBTITLES_FILE: Final = "subtitles.vtt"
OPENFACE_FILE: Final = "openface.csv"
PYFEAT_FILE: Final = "pyfeat.csv"
FILLED_FILE: Final = "filled.parquet"
RESULT_FILES: Final = frozenset(
    {
        *(TIMELINE_FILE, SEGMENTS_FILE, SUMMARY_FILE, "timeline.csv", "segments.csv"),
        *(ANNOTATED_VIDEO_FILE, ANNOTATED_IMAGE_FILE, REPORT_FILE, SUBTITLES_FILE),
        *(OPENFACE_FILE, PYFEAT_FILE, FILLED_FILE, "filled.csv"),
    }
)
"""Every name that a file in an input's folder may get from here."""

_RUN_KEY: Final = "run"
_RAW_NAME: Final = ".raw-timeline.parquet"


@dataclass(frozen=True, slots=True, kw_only=True)
class OutputChoice:
    """What to write besides `timeline.parquet`, `segments.parquet` and `summary.json`."""

    csv: bool = False
    """`timeline.csv` and `segments.csv`."""
    video: bool = False
    """`annotated.mp4` (for a still image `annotated.png`): boxes, ids, bars; audio kept."""
    report: bool = False
    """`report.html`: one interactive page that needs no network."""
    subtitles: bool = False
    """`subtitles.vtt`: WebVTT for any player."""
    openface: bool = False
    """`openface.csv`: the table under OpenFace's column names."""
    pyfeat: bool = False
    """`pyfeat.csv`: the table under py-feat's column names."""
    filled: bool = False
    """`filled.parquet`: valence and arousal of each face in every frame, interpolated over gaps."""


@dataclass(frozen=True, slots=True, eq=False)
class InputRunner:
    """Analyses one input after another with the same bundle, detector and settings."""

    bundle: Bundle
    choice: DetectorChoice
    settings: AnalysisSettings
    outputs: OutputChoice
    overwrite: bool

    def run(self, path: Path, folder: Path, hook: ProgressHook | None) -> InputOutcome:
        """Analyse an input into a folder of its own; a failure is an outcome, not an error.

        Args:
            path: A video, GIF or still image.
            folder: Where its results go; made where missing.
            hook: Is told how far it has come.
        """
        started = time.perf_counter()
        try:
            is_new, summary = self._analyze(path, folder, hook)
        except (EmotraceError, OSError) as error:
            # An OSError is the system's word on this input or its folder (a disk that went away).
            message = " ".join(str(error).split())
            return InputOutcome(
                path=path,
                status="failed",
                error=message,
                seconds=time.perf_counter() - started,
            )
        problem = describe_damage(path, summary)
        whole: Status = "done" if is_new else "skipped"
        return InputOutcome(
            path=path,
            status=whole if problem is None else "damaged",
            was_there=not is_new,
            folder=folder,
            summary=summary,
            error=problem,
            seconds=time.perf_counter() - started,
        )

    def _analyze(
        self, path: Path, folder: Path, hook: ProgressHook | None
    ) -> tuple[bool, dict[str, Any]]:
        """Return whether the input was analysed now, and its summary."""
        analysis = VideoAnalysis(
            path,
            detector=self.choice.detector,
            bundle=self.bundle,
            settings=self.settings,
            progress=hook,
        )
        with closing(analysis):
            if self.choice.notice is not None:
                analysis.notices += (self.choice.notice,)
            remove_abandoned_partials(folder)
            fingerprint = self._fingerprint(path)
            earlier = _read_summary(folder)
            if earlier is not None and not self.overwrite:
                if self._is_complete(folder, earlier, fingerprint):
                    return False, earlier
                _refuse_other_input(folder, earlier, path)
            is_new_folder = not folder.exists()
            ensure_folder(folder)
            try:
                timeline = self._stream_to_disk(analysis, folder)
                self._write_extras(analysis, timeline, folder)
                timeline.summary[_RUN_KEY] = {
                    "fingerprint": fingerprint,
                    "outputs": asdict(self.outputs),
                }
                timeline.save(folder, csv=self.outputs.csv)
            except BaseException:
                if is_new_folder and not any(folder.iterdir()):
                    folder.rmdir()
                raise
            return True, timeline.summary

    def _stream_to_disk(self, analysis: VideoAnalysis, folder: Path) -> Timeline:
        """Run the pipeline into the raw table (and the annotated video), with flat memory."""
        raw = folder / _RAW_NAME
        # The old summary speaks of other results from the first new file on.
        (folder / SUMMARY_FILE).unlink(missing_ok=True)
        try:
            with ExitStack() as stack:
                table = stack.enter_context(TimelineTableWriter(raw))
                if self.outputs.video:
                    sink = stack.enter_context(
                        AnnotatedVideoSink(
                            folder,
                            source=analysis.path,
                            uncertain_below=self.bundle.uncertain_threshold,
                        )
                    )
                    frames = stack.enter_context(closing(analysis.frames_and_results()))
                    for frame, result in frames:
                        sink.write(frame, result)
                        table.write(result)
                else:
                    results = stack.enter_context(closing(analysis.results()))
                    for result in results:
                        table.write(result)
            return finish_timeline(analysis, pq.read_table(raw))
        finally:
            raw.unlink(missing_ok=True)

    def _write_extras(self, analysis: VideoAnalysis, timeline: Timeline, folder: Path) -> None:
        outputs = self.outputs
        segments = timeline.segments() if outputs.report or outputs.subtitles else []
        if outputs.subtitles:
            write_webvtt(folder / SUBTITLES_FILE, segments)
        if outputs.report:
            thumbnails = take_thumbnails(
                analysis.path, timeline.table, segments, analysis.detector.canonical
            )
            write_report(
                folder / REPORT_FILE,
                table=timeline.table,
                segments=segments,
                summary=timeline.summary,
                thumbnails=thumbnails,
                bundle_card=self.bundle.card,
            )
        if outputs.openface:
            with atomic_path(folder / OPENFACE_FILE) as partial:
                to_openface(timeline.table).to_csv(partial, index=False)
        if outputs.pyfeat:
            with atomic_path(folder / PYFEAT_FILE) as partial:
                frame = to_pyfeat(timeline.table, input_path=str(analysis.path))
                frame.to_csv(partial, index=False)
        if outputs.filled:
            self._write_filled(analysis, timeline, folder)

    def _write_filled(self, analysis: VideoAnalysis, timeline: Timeline, folder: Path) -> None:
        cuts = analysis.cut_timestamps_seconds
        table = fill_timeline(timeline.table, cut_timestamps_seconds=cuts)
        filled = int(pc.sum(table["is_filled"]).as_py() or 0)
        timeline.summary["filled"] = {"rows": table.num_rows, "filled_rows": filled}
        with atomic_path(folder / FILLED_FILE) as partial:
            pq.write_table(table, partial)
        if self.outputs.csv:
            with atomic_path((folder / FILLED_FILE).with_suffix(".csv")) as partial:
                table.to_pandas().to_csv(partial, index=False)

    def _fingerprint(self, path: Path) -> str:
        """Name what decides the outcome: the file, the model, the settings, the software."""
        state, processing = path.stat(), self.settings.post_processing
        parts = {
            "path": os.path.abspath(path),  # noqa: PTH100 -- keeps links apart
            "bytes": state.st_size,
            "changed_ns": state.st_mtime_ns,
            "bundle": self.bundle.hash,
            # All that makes predictions of the model's outputs; what was measured makes none.
            "spec": {k: v for k, v in spec_to_json(self.bundle.spec).items() if k != "results"},
            "prior": self.bundle.prior_name,
            "prior_shares": [round(float(share), 9) for share in self.bundle.prior],
            "detector": self.choice.detector.name,
            "detect_every": self.settings.detect_every,
            "search_every": self.settings.search_every,
            "keep_rejected": self.settings.keep_rejected,
            "segmentation": asdict(self.settings.segmentation),
            "baseline": self.settings.baseline and asdict(self.settings.baseline),
            "post_processing": processing and processing.to_json(),
            "emotrace": __version__,
        }
        return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()

    def _is_complete(self, folder: Path, earlier: dict[str, Any], fingerprint: str) -> bool:
        run = earlier.get(_RUN_KEY)
        if not isinstance(run, dict) or run.get("fingerprint") != fingerprint:
            return False
        had = run.get("outputs")
        wanted = [name for name, is_wanted in asdict(self.outputs).items() if is_wanted]
        return (
            isinstance(had, dict)
            and all(had.get(name) for name in wanted)
            and (folder / TIMELINE_FILE).is_file()
        )


def _read_summary(folder: Path) -> dict[str, Any] | None:
    try:
        value = json.loads((folder / SUMMARY_FILE).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return value if isinstance(value, dict) else None


def _refuse_other_input(folder: Path, earlier: dict[str, Any], path: Path) -> None:
    """Keep the results of another input of the same name from being replaced unawares."""
    other = earlier.get("input", {}).get("path")
    if other is not None and Path(other).resolve() != path.resolve():
        raise OutputError(
            f"expected {folder} to be free or to hold results of {path}; "
            f"it holds those of {other}; choose another folder with -o, or give --overwrite"
        )
