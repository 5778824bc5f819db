"""A chain each for valence and arousal, kept as one JSON file."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, Final, Self, get_args

from emotrace.analysis.post_processing.chain import FittedStep, PostProcessing, StepName
from emotrace.errors import InputError, UsageError
from emotrace.storage import atomic_path

FORMAT: Final = "emotrace post-processing"
VERSION: Final = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class AffectPostProcessing:
    """What is done to predicted valence and to predicted arousal; None leaves one as it is.

    >>> both = AffectPostProcessing(valence=PostProcessing(rate_hz=25.0, bias=0.1))
    >>> AffectPostProcessing.from_json(both.to_json()) == both
    True
    """

    valence: PostProcessing | None = None
    arousal: PostProcessing | None = None
    fitted_on: str = ""
    """Whose predictions of which recordings it was fitted on, in plain words; empty: not said."""

    @property
    def look_ahead_seconds(self) -> float:
        """The longer look-ahead of the two; see `PostProcessing.look_ahead_seconds`."""
        chains = (self.valence, self.arousal)
        return max((chain.look_ahead_seconds for chain in chains if chain), default=0.0)

    def to_json(self) -> dict[str, Any]:
        """Return plain values that `from_json` turns back into an equal one."""
        return {
            "format": FORMAT,
            "version": VERSION,
            "valence": _plain(self.valence),
            "arousal": _plain(self.arousal),
            "fitted_on": self.fitted_on,
        }

    @classmethod
    def from_json(cls, value: Any) -> Self:
        """Read what `to_json` gave.

        Raises:
            InputError: It is of another form; the message says what is wrong.
        """
        if not isinstance(value, dict) or value.get("format") != FORMAT:
            raise InputError(f"expected an object with format {FORMAT!r}; got {_short(value)}")
        if value.get("version") != VERSION:
            raise InputError(
                f"expected post-processing of version {VERSION}; got {value.get('version')!r}; "
                "fit it again with this version of emotrace"
            )
        return cls(
            valence=_chain_from(value.get("valence"), "valence"),
            arousal=_chain_from(value.get("arousal"), "arousal"),
            fitted_on=str(value.get("fitted_on", "")),
        )

    def save(self, path: str | Path) -> Path:
        """Write it as JSON and return the path.

        Raises:
            OutputError: The file cannot be written.
        """
        path = Path(path)
        text = json.dumps(self.to_json(), indent=2, allow_nan=False)
        with atomic_path(path) as partial:
            partial.write_text(text + "\n", encoding="utf-8")
        return path

    @classmethod
    def load(cls, path: str | Path) -> Self:
        """Read what `save` wrote.

        Raises:
            InputError: The file cannot be read or is of another form; the message names it.
        """
        try:
            return cls.from_json(json.loads(Path(path).read_text(encoding="utf-8")))
        except (OSError, ValueError) as error:
            raise InputError(
                f"expected a JSON file of post-processing; could not read {path}: {error}"
            ) from error
        except InputError as error:
            raise InputError(f"{path}: {error}") from error


def _plain(chain: PostProcessing | None) -> dict[str, Any] | None:
    if chain is None:
        return None
    return {**asdict(chain), "steps": [asdict(step) for step in chain.steps]}


def _chain_from(value: Any, where: str) -> PostProcessing | None:
    if value is None:
        return None
    known = {field.name for field in fields(PostProcessing)}
    _check_keys(value, known, where)
    numbers = {key: _number(value[key], f"{where}.{key}") for key in known - {"steps"}}
    for key in ("rate_hz", "scale_about"):
        if numbers[key] is None:
            raise InputError(f"expected a number as {where}.{key}; got nothing")
    if not isinstance(value["steps"], list):
        raise InputError(f"expected a list as {where}.steps; got {_short(value['steps'])}")
    steps = tuple(_step_from(step, f"{where}.steps") for step in value["steps"])
    try:
        return PostProcessing(**numbers, steps=steps)  # type: ignore[arg-type]
    except UsageError as error:
        raise InputError(f"{where}: {error}") from error


def _step_from(value: Any, where: str) -> FittedStep:
    _check_keys(value, {field.name for field in fields(FittedStep)}, where)
    name, is_kept = value["name"], value["is_kept"]
    if name not in get_args(StepName) or not isinstance(is_kept, bool):
        raise InputError(f"expected a step of the chain in {where}; got {_short(value)}")
    before, after = (_number(value[key], where) for key in ("ccc_before", "ccc_with"))
    if before is None or after is None:
        raise InputError(f"expected two CCCs in {where}; got {_short(value)}")
    tried = _number(value["value"], where)
    return FittedStep(name=name, is_kept=is_kept, value=tried, ccc_before=before, ccc_with=after)


def _check_keys(value: Any, known: set[str], where: str) -> None:
    got = set(value) if isinstance(value, dict) else None
    if got != known:
        wrong = _short(value) if got is None else ", ".join(sorted(got ^ known))
        raise InputError(
            f"expected {where} to hold {', '.join(sorted(known))}; wrong or missing: {wrong}"
        )


def _number(value: Any, where: str) -> float | None:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise InputError(f"expected a number as {where}; got {_short(value)}")
    return float(value)


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
