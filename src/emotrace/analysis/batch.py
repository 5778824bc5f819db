"""Many inputs: a folder of results for each, one bad input never stops the rest, runs resume."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from emotrace.analysis.inputs import find_inputs, name_folders
from emotrace.analysis.one_input import InputRunner, OutputChoice
from emotrace.analysis.outcomes import (
    BatchObserver,
    BatchReport,
    InputOutcome,
    SilentObserver,
    write_batch_file,
)
from emotrace.analysis.processes import RunnerRecipe, Task, run_in_processes
from emotrace.analysis.settings import AnalysisSettings
from emotrace.bundle import DEFAULT_BUNDLE, Bundle, PriorChoice, load_bundle
from emotrace.errors import InputError, UsageError
from emotrace.faces import choose_detector
from emotrace.storage import ensure_folder, remove_abandoned_partials

if TYPE_CHECKING:
    from collections.abc import Sequence


def analyze_inputs(
    inputs: Sequence[str | Path],
    out_folder: str | Path,
    *,
    bundle: str | Path | Bundle = DEFAULT_BUNDLE,
    prior: PriorChoice = "default",
    settings: AnalysisSettings | None = None,
    outputs: OutputChoice | None = None,
    overwrite: bool = False,
    jobs: int = 1,
    observer: BatchObserver | None = None,
) -> BatchReport:
    """Analyse files, folders and globs into `out_folder`, one folder an input.

    An input that cannot be analysed is reported and the others go on. Of one whose end is missing
    the part that is there is analysed, and what is missing is its error. An input whose results are
    there already, from the same file with the same settings, is skipped, so a run that was stopped
    is taken up again by the same call.

    Args:
        inputs: Files, folders (searched to the bottom) and globs.
        out_folder: Made where missing.
        bundle: See `load_bundle`.
        prior: See `load_bundle`.
        settings: See `AnalysisSettings`.
        outputs: What to write besides the tables.
        overwrite: Analyse again what is there already.
        jobs: Inputs to analyse at the same time, each in a process of its own with its share of
            `settings.threads`. The results of whole files are the same. As the processes import the
            script that calls, a script of yours needs `if __name__ == "__main__":` above the call.
        observer: Is told what happens, in the calling thread; with several jobs, of several inputs
            in turn.

    Returns:
        What became of each input; also written to `batch.json` in `out_folder`, where the entries
        of earlier runs for other inputs stay.

    Raises:
        OutputError: `out_folder` cannot be written to.
        BundleError, DownloadError, UsageError: The bundle or the detector cannot be had at all, or
            `jobs` is below 1, or above 1 with a bundle that is loaded already.
    """
    settings, outputs = settings or AnalysisSettings(), outputs or OutputChoice()
    if jobs < 1 or (jobs > 1 and isinstance(bundle, Bundle)):
        raise UsageError(
            f"expected jobs of at least 1, and a bundle's name or folder for more; got {jobs}"
        )
    out_folder = ensure_folder(Path(out_folder))
    remove_abandoned_partials(out_folder)
    if not isinstance(bundle, Bundle):
        # With several jobs for a trial only: one error now is better than one from each process.
        loaded = load_bundle(bundle, prior=prior, threads=settings.thread_count)
    else:
        loaded = bundle
    # One detector for all inputs: its file is sought once, and its notice said once.
    choice = choose_detector(settings.detector)
    tasks, outcomes = _find_tasks(inputs, out_folder)
    total, watch = len(tasks) + len(outcomes), observer or SilentObserver()
    for position, outcome in outcomes.items():
        watch.on_start(outcome.path, position, total)
        watch.on_done(outcome)
    jobs = min(jobs, len(tasks))
    if jobs > 1 and not isinstance(bundle, Bundle):
        recipe = RunnerRecipe(
            bundle=bundle,
            prior=prior,
            settings=replace(settings, threads=settings.threads_for_each(jobs)),
            detector=choice.detector.name,
            detector_notice=choice.notice,
            outputs=outputs,
            overwrite=overwrite,
        )
        outcomes |= run_in_processes(tasks, recipe, jobs=jobs, total=total, observer=watch)
    else:
        runner = InputRunner(loaded, choice, settings, outputs, overwrite)
        for task in tasks:
            watch.on_start(task.path, task.position, total)
            outcome = runner.run(task.path, task.folder, partial(watch.on_progress, task.path))
            outcomes[task.position] = outcome
            watch.on_done(outcome)
    report = BatchReport(outcomes=tuple(outcomes[position] for position in range(total)))
    write_batch_file(out_folder, report)
    return report


def _find_tasks(
    inputs: Sequence[str | Path], out_folder: Path
) -> tuple[list[Task], dict[int, InputOutcome]]:
    """Return what is to be done, and by its place among all inputs what cannot be."""
    found: list[tuple[Path, str | None]] = []
    for pattern in inputs:
        try:
            meant = find_inputs(pattern)
            found += [(path, None) for path in meant.paths]
            found += meant.problems
        except InputError as error:
            found.append((Path(pattern), str(error)))
    found = list(dict.fromkeys(found))
    names = name_folders([path for path, problem in found if problem is None])
    tasks: list[Task] = []
    failed: dict[int, InputOutcome] = {}
    for position, (path, problem) in enumerate(found):
        if problem is None:
            tasks.append(Task(position=position, path=path, folder=out_folder / names[path]))
        else:
            failed[position] = InputOutcome(path=path, status="failed", error=problem)
    return tasks, failed
