"""The folder in which a paper's steps are done, and what they have given so far.

```
OUT/
  reproduction.json        what was asked for; another order is refused here
  data/NAME/               synthetic data, in the data set's own layout
  caches/KEY/  vectors/KEY/  runs/KEY/
  results/KEY.json         one for each step that is done, with the fingerprint of its definition
  figures/*.png
  report.html  report.md  report.json
```
"""

from __future__ import annotations

import io
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, Literal

from emotrace.errors import TrainingError, UsageError
from emotrace.storage import atomic_path, ensure_folder
from emotrace.training.zoo.recipe import MachineSettings
from emotrace.training.zoo.run import load_trained
from emotrace.version import __version__

if TYPE_CHECKING:
    from pathlib import Path

    from matplotlib.figure import Figure

    from emotrace.papers.plan import Paper, ScaleName
    from emotrace.papers.report import Origin
    from emotrace.training.zoo.run import TrainedNetwork

ORDER_FILE: Final = "reproduction.json"
_ORDER_FORMAT: Final = 1
_FIGURE_COLORS: Final = 255

Outcome = Literal["done", "failed", "skipped"]


@dataclass(frozen=True, kw_only=True)
class Order:
    """What a user asked for."""

    paper: Paper
    scale: ScaleName
    out: Path
    data: Mapping[str, Path] = field(default_factory=dict)
    """Name to root, of the paper's data sets."""
    synthetic: bool = False
    """Draw those data sets that are not given."""
    seed: int = 0
    """Added to every recipe's and every drawing's."""
    machine: MachineSettings = field(default_factory=MachineSettings)

    def to_json(self) -> dict[str, Any]:
        """Return what must stay the same for a folder to be taken up again."""
        return {
            "format": _ORDER_FORMAT,
            "paper": self.paper.name,
            "scale": self.scale,
            "data": {name: str(root.resolve()) for name, root in sorted(self.data.items())},
            "synthetic": self.synthetic,
            "seed": self.seed,
        }


@dataclass(frozen=True, kw_only=True)
class StepResult:
    """What came of a step."""

    key: str
    outcome: Outcome
    facts: Mapping[str, Any] = field(default_factory=dict)
    """Plain values; what they are follows from the kind of the step."""
    reason: str = ""
    """Why it is not done."""
    origin: Origin = "real"
    seconds: float = 0.0
    fingerprint: str = ""

    def to_json(self) -> dict[str, Any]:
        """Return plain values."""
        return {
            "key": self.key,
            "outcome": self.outcome,
            "reason": self.reason,
            "origin": self.origin,
            "seconds": round(self.seconds, 3),
            "fingerprint": self.fingerprint,
            "emotrace": __version__,
            "facts": dict(self.facts),
        }


class Results(Mapping[str, StepResult]):
    """The results of a plan by key; asking for one that is not there gives a skipped one."""

    def __init__(self, found: Mapping[str, StepResult], *, folder: Path, order: Order) -> None:
        self._found = dict(found)
        self.folder = folder
        self.order = order

    def __getitem__(self, key: str) -> StepResult:
        """Return a step's result, which may be that it was not done."""
        return self._found.get(key) or StepResult(key=key, outcome="skipped", reason="not planned")

    def __iter__(self) -> Iterator[str]:
        """Go through the keys in the order of the plan."""
        return iter(self._found)

    def __len__(self) -> int:
        """Count the steps."""
        return len(self._found)

    def save_figure(self, name: str, figure: Figure) -> str:
        """Write a figure as PNG; returns its place below the folder."""
        from PIL import Image

        folder = ensure_folder(self.folder / "figures")
        drawn = io.BytesIO()
        figure.savefig(drawn, format="png", dpi=110)
        # A palette makes a chart a third as large: pages are kept, with their figures inside.
        small = Image.open(drawn).convert("RGB").quantize(_FIGURE_COLORS)
        with atomic_path(folder / f"{name}.png") as partial:
            small.save(partial, format="PNG", optimize=True)
        return f"figures/{name}.png"

    def is_done(self, *keys: str) -> bool:
        """Say whether all of these are done."""
        return all(self[key].outcome == "done" for key in keys)


class Workshop:
    """Places below the folder, and the results so far.

    Raises:
        UsageError: The folder holds another order.
        OutputError: It cannot be written to.
    """

    def __init__(self, order: Order) -> None:
        self.order = order
        self.folder = ensure_folder(order.out)
        self.found: dict[str, StepResult] = {}
        self._keep_order()

    @property
    def results(self) -> Results:
        """What there is so far."""
        return Results(self.found, folder=self.folder, order=self.order)

    def cache(self, key: str) -> Path:
        """Return where a preparation's cache lies."""
        return self.folder / "caches" / key

    def vectors(self, key: str) -> Path:
        """Return where vectors lie."""
        return self.folder / "vectors" / key

    def run(self, key: str) -> Path:
        """Return the folder of a training."""
        return self.folder / "runs" / key

    def weights(self, key: str) -> Path:
        """Return the file of weights of others."""
        return self.folder / "weights" / f"{key}.safetensors"

    def start_of(self, key: str) -> Path:
        """Return where a training finds the weights of a step."""
        weights = self.weights(key)
        return weights if weights.is_file() else self.run(key)

    def data_of(self, key: str) -> Path:
        """Return the cache or the vectors of a step."""
        vectors = self.vectors(key)
        return vectors if vectors.is_dir() else self.cache(key)

    def drawn_data(self, name: str) -> Path:
        """Return where a synthetic data set lies."""
        return self.folder / "data" / name

    def trained(self, key: str) -> TrainedNetwork:
        """Load the network of a training.

        Raises:
            TrainingError: It is not there.
        """
        return load_trained(self.run(key))

    def facts(self, key: str) -> Mapping[str, Any]:
        """Return what a step gave that another needs.

        Raises:
            TrainingError: It was not done.
        """
        result = self.results[key]
        if result.outcome != "done":
            raise TrainingError(f"expected {key!r} to be done; it was {result.outcome}")
        return result.facts

    def save_figure(self, name: str, figure: Figure) -> str:
        """Write a figure as PNG; returns its place below the folder."""
        return self.results.save_figure(name, figure)

    def kept(self, key: str, fingerprint: str) -> StepResult | None:
        """Return a step's result from an earlier call, if it is done and of the same definition.

        Raises:
            UsageError: It is done, and its definition is another now.
        """
        path = self._result_file(key)
        try:
            record = json.loads(path.read_text("utf-8"))
        except FileNotFoundError:
            return None
        except (OSError, ValueError) as error:
            raise UsageError(
                f"expected a readable {path}; got: {error}; delete it to have the step done again"
            ) from error
        if record["outcome"] != "done":
            return None
        if record["fingerprint"] != fingerprint:
            raise UsageError(
                f"expected {path} to be of the same experiment; its settings are others now (made "
                f"by emotrace {record.get('emotrace')}); choose another folder, or delete "
                f"{path} and {self.run(key)} to have it done again"
            )
        return StepResult(
            key=key,
            outcome="done",
            facts=record["facts"],
            origin=record["origin"],
            seconds=record["seconds"],
            fingerprint=fingerprint,
        )

    def keep(self, result: StepResult) -> None:
        """Take note of a result, on disk too."""
        self.found[result.key] = result
        path = self._result_file(result.key)
        ensure_folder(path.parent)
        with atomic_path(path) as partial:
            partial.write_text(json.dumps(result.to_json(), indent=1) + "\n", "utf-8")

    def _result_file(self, key: str) -> Path:
        return self.folder / "results" / f"{key}.json"

    def _keep_order(self) -> None:
        path = self.folder / ORDER_FILE
        wanted = self.order.to_json()
        if path.exists():
            try:
                before = json.loads(path.read_text("utf-8"))
            except (OSError, ValueError) as error:
                raise UsageError(f"expected a readable {path}; got: {error}") from error
            other = [name for name in wanted if not _is_kept(name, before.get(name), wanted[name])]
            if other:
                raise UsageError(
                    f"expected the reproduction that {self.folder} was begun for; it has other "
                    f"{', '.join(other)} ({before.get(other[0])!r} there, {wanted[other[0]]!r} "
                    "now); give the same, or choose another folder"
                )
        elif any(self.folder.iterdir()):
            raise UsageError(
                f"expected a new or empty folder, or one of an earlier reproduction; "
                f"{self.folder} holds other files; choose another"
            )
        with atomic_path(path) as partial:
            partial.write_text(json.dumps(wanted, indent=2) + "\n", "utf-8")


def _is_kept(name: str, before: Any, now: Any) -> bool:
    """Say whether a folder may be taken up again: data that was lacking may have been found."""
    if name != "data" or not isinstance(before, dict):
        return bool(before == now)
    return all(now.get(dataset) == root for dataset, root in before.items())
