"""The `emotrace` executable: choose the verb, turn every failure into one line and an exit code.

Nothing heavy is imported here: `emotrace --help` answers at once, and each verb's module is
imported when its verb is called.
"""

from __future__ import annotations

import sys
import traceback
from typing import TYPE_CHECKING

from emotrace.cli.signals import Terminated, exit_code_of, sigterm_interrupts
from emotrace.cli.terminal import discard_stdout, print_error, print_note
from emotrace.cli.verbs import Verb, VerbTable, run_verb
from emotrace.errors import EmotraceError, UsageError
from emotrace.version import __version__

if TYPE_CHECKING:
    from collections.abc import Sequence

EXIT_DONE = 0
EXIT_FAILED = 1
EXIT_USAGE = 2
EXIT_BROKEN_PIPE = 128 + 13  # SIGPIPE, which Windows does not have


def _run_analyze(argv: Sequence[str]) -> int:
    from emotrace.cli.analyze import run

    return run(argv)


def _run_bundles(argv: Sequence[str]) -> int:
    from emotrace.cli.bundles import run

    return run(argv)


def _run_compare(argv: Sequence[str]) -> int:
    from emotrace.cli.compare import run

    return run(argv)


def _run_datasets(argv: Sequence[str]) -> int:
    from emotrace.cli.datasets import run

    return run(argv)


def _run_doctor(argv: Sequence[str]) -> int:
    from emotrace.cli.doctor import run

    return run(argv)


def _run_evaluate(argv: Sequence[str]) -> int:
    from emotrace.cli.evaluate import run

    return run(argv)


def _run_export(argv: Sequence[str]) -> int:
    from emotrace.cli.export import run

    return run(argv)


def _run_models(argv: Sequence[str]) -> int:
    from emotrace.cli.models import run

    return run(argv)


def _run_prepare(argv: Sequence[str]) -> int:
    from emotrace.cli.prepare import run

    return run(argv)


def _run_reproduce(argv: Sequence[str]) -> int:
    from emotrace.cli.reproduce import run

    return run(argv)


def _run_serve(argv: Sequence[str]) -> int:
    from emotrace.cli.serve import run

    return run(argv)


def _run_synth(argv: Sequence[str]) -> int:
    from emotrace.cli.synth import run

    return run(argv)


def _run_train(argv: Sequence[str]) -> int:
    from emotrace.cli.train import run

    return run(argv)


VERBS = VerbTable(
    program="emotrace",
    description=(
        "Trace emotion through video: follow the faces, predict each one's expression\n"
        "over time. Predicted expressions are a model's guess at how a face looks; they\n"
        "do not say what a person feels."
    ),
    verbs={
        "analyze": Verb(
            summary="videos and pictures in, tables of predictions out", run=_run_analyze
        ),
        "serve": Verb(summary="the same on a web page; a live camera; REST", run=_run_serve),
        "bundles": Verb(summary="the trained models that this machine has", run=_run_bundles),
        "datasets": Verb(summary="the data sets it reads; what is there of one", run=_run_datasets),
        "models": Verb(summary="the networks it can train: input, size, cost", run=_run_models),
        "prepare": Verb(summary="a data set's faces, cut out once for training", run=_run_prepare),
        "train": Verb(summary="train a model", run=_run_train),
        "export": Verb(summary="make a bundle of a training run", run=_run_export),
        "evaluate": Verb(summary="score a bundle or a run on held-out faces", run=_run_evaluate),
        "compare": Verb(summary="runs and bundles side by side, tested", run=_run_compare),
        "reproduce": Verb(
            summary="a paper's experiments: its tables, ours beside theirs", run=_run_reproduce
        ),
        "synth": Verb(summary="face videos of which everything is known", run=_run_synth),
        "doctor": Verb(
            summary="what this machine has, what is missing, what to do", run=_run_doctor
        ),
    },
    examples=(
        "  emotrace analyze interview.mp4\n"
        "  emotrace analyze recordings/ -o results --csv --report\n"
        "  emotrace doctor\n"
    ),
)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line.

    Args:
        argv: The words after `emotrace`; those of the process unless given.

    Returns:
        The exit code: 0 done, 1 failed, 2 wrong usage, 130 interrupted, 143 terminated.
    """
    words = list(sys.argv[1:] if argv is None else argv)
    _survive_odd_encodings()
    try:
        with sigterm_interrupts():
            code = _dispatch(words)
        sys.stdout.flush()
    except BrokenPipeError:
        # Whoever read our output has closed it (`| head`). Python would complain again on exit.
        discard_stdout()
        return EXIT_BROKEN_PIPE
    except SystemExit as stop:
        return stop.code if isinstance(stop.code, int) else EXIT_DONE
    except KeyboardInterrupt as stop:
        is_told = isinstance(stop, Terminated)
        print_note(f"stopped: {'terminated' if is_told else 'interrupted from the keyboard'}")
        return exit_code_of(stop)
    except Exception as error:  # noqa: BLE001  # the last line of defence: one line for everything
        if "--debug" in words:
            traceback.print_exc()
        print_error(error if isinstance(error, EmotraceError) else _describe_unexpected(error))
        return EXIT_USAGE if isinstance(error, UsageError) else EXIT_FAILED
    return code


def _dispatch(words: Sequence[str]) -> int:
    if words and words[0] in ("--version", "-V", "version"):
        print(f"emotrace {__version__}")
        return EXIT_DONE
    # `emotrace --debug analyze ...` is as good as `emotrace analyze ... --debug`.
    if words and words[0] == "--debug":
        words = words[1:]
    return run_verb(VERBS, words, out=sys.stdout, err=sys.stderr)


def _describe_unexpected(error: Exception) -> str:
    kind = type(error).__name__
    if isinstance(error, ImportError) and not (error.name or "").startswith("emotrace"):
        package = error.name or "a package"
        return f"cannot import {package} ({error}); 'emotrace doctor' says what to do"
    return (
        f"unexpected {kind}: {error}; this is a bug in emotrace: "
        "run the command again with --debug and report what it prints"
    )


def _survive_odd_encodings() -> None:
    # A file name that the terminal's encoding cannot show must not end the run.
    for stream in (sys.stdout, sys.stderr):
        reconfigure = getattr(stream, "reconfigure", None)
        if reconfigure is not None:
            reconfigure(errors="backslashreplace")


if __name__ == "__main__":
    sys.exit(main())
