"""What a paper's experiments are written in: data sets, scales, steps.

A plan is a value: it says what is to be done, and `emotrace.papers.workshop` does it. Every step
has a key, which is its place on disk too, and names the steps whose results it needs.
"""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal

from emotrace.errors import UsageError
from emotrace.training.plain_values import to_plain
from emotrace.training.zoo.recipe import DataSettings, ZooRecipe

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from emotrace.datasets.items import SideName
    from emotrace.datasets.prepare import PrepareSettings
    from emotrace.papers.report import Report
    from emotrace.papers.workshop import Results, Workshop
    from emotrace.synth.plans import SetSettings
    from emotrace.training.zoo.predictions import Over
    from emotrace.training.zoo.recipe import Protocol

ScaleName = Literal["smoke", "small", "full"]
Weights = Literal["best", "last"]
SCALES: Final[tuple[ScaleName, ...]] = ("smoke", "small", "full")

UNPLACED: Final = DataSettings(data=Path("unplaced"))
"""Stands in a recipe where the step that makes its data is named beside it."""

_KEY: Final = re.compile(r"[a-z0-9][a-z0-9-]*(/[a-z0-9][a-z0-9-]*)*")


@dataclass(frozen=True, kw_only=True)
class PaperDataset:
    """A data set that a paper uses."""

    name: str
    """In `--data NAME=ROOT`; of the catalogue, unless `layout` says otherwise."""
    layout: str = ""
    """The data set of the catalogue whose shape it has, where that is not `name` (RealEyes is
    private: a manifest takes its place)."""
    role: str = ""
    """What it is for, in a few words."""
    synthetic: Mapping[ScaleName, tuple[SetSettings, ...]] = field(default_factory=dict)
    """What `--synthetic` draws in its place, by scale; `full` draws what `small` does unless it is
    there."""

    @property
    def catalogue_name(self) -> str:
        """The name in `emotrace.datasets.catalogue.DATASETS`."""
        return self.layout or self.name

    def synthetic_sets(self, scale: ScaleName) -> tuple[SetSettings, ...]:
        """Return what is drawn at a scale."""
        return self.synthetic.get(scale) or self.synthetic.get("small", ())


@dataclass(frozen=True, kw_only=True)
class PaperWeights:
    """Weights of others that a paper begins with; `--data NAME=FILE` gives them."""

    name: str
    title: str
    role: str
    obtain: str
    """How to get them."""
    licence: str


@dataclass(frozen=True, kw_only=True)
class Step:
    """One thing to do, whose result is kept."""

    key: str
    """Lower-case words with dashes, in folders: `cnn/whole`. The run lies in `runs/KEY`."""

    def __post_init__(self) -> None:
        if not _KEY.fullmatch(self.key):
            raise UsageError(f"expected a key of lower-case words and dashes; got {self.key!r}")

    @property
    def needs(self) -> tuple[str, ...]:
        """Keys of the steps that come before."""
        return ()

    @property
    def spares(self) -> tuple[str, ...]:
        """Those of `needs` without which it is done all the same."""
        return ()

    def definition(self) -> dict[str, Any]:
        """Return everything that decides the result, as plain values."""
        plain: dict[str, Any] = to_plain(self)
        return {"kind": type(self).__name__, **plain}

    def fingerprint(self, others: Mapping[str, str]) -> str:
        """Return the SHA-256 of the definition and of the steps that it needs."""
        whole = {"step": self.definition(), "needs": [others[key] for key in self.needs]}
        return hashlib.sha256(json.dumps(whole, sort_keys=True).encode()).hexdigest()


@dataclass(frozen=True, kw_only=True)
class Source:
    """Clips of one data set."""

    dataset: str
    """A name out of the paper's data sets."""
    selections: tuple[str, ...] = ()
    """Names of `emotrace.datasets.selections`, applied in this order."""
    options: tuple[tuple[str, str], ...] = ()
    """Of the data set's own reader; a manifest in its place has none of them."""
    otherwise: tuple[tuple[str, ...], ...] = ()
    """Selections in the place of those, tried in turn where they leave nothing (every sequence is
    too short) or do not fit (a video's length is not known before decoding); the facts say so."""


@dataclass(frozen=True, kw_only=True)
class Preparation(Source, Step):
    """A crop cache of a data set, in `caches/KEY`; or of several, joined."""

    settings: PrepareSettings
    manifest_detector: str = ""
    """Finds faces in a manifest that takes the data set's place, where the data set itself holds
    face crops (its settings' detector is `none`); empty: the settings' own."""
    joined: tuple[Source, ...] = ()
    """Further data sets in the same cache, whose clips are called NAME/CLIP then; people of the
    same name count as one."""

    @property
    def sources(self) -> tuple[Source, ...]:
        """Where its clips come from."""
        own = Source(
            dataset=self.dataset,
            selections=self.selections,
            options=self.options,
            otherwise=self.otherwise,
        )
        return (own, *self.joined)


@dataclass(frozen=True, kw_only=True)
class StartingWeights(Step):
    """Weights of others for a training to begin with, in `weights/KEY.safetensors`."""

    weights: str
    """A name out of the paper's weights: the user's file, where there is one."""
    backbone: str = ""
    """timm's name of the network whose ImageNet weights are downloaded else; empty: none are."""


@dataclass(frozen=True, kw_only=True)
class Scoring:
    """How a trained network is measured."""

    key: str
    """Of the score among those of the run."""
    side: SideName = "test"
    over: Over = "auto"
    elsewhere: str = ""
    """A preparation whose whole cache is measured on instead: another data set."""
    post_process: bool = False
    """Fit tzirakis2021's chain on the validation side and apply it to `side` unchanged."""
    rows: Literal["every", "last"] = "every"
    """Frames that are scored: every one with a label, or each video's last (salinas2018)."""
    keeps_decisions: bool = False
    """Keep each video's class and what both votes say of it, to compare runs pair by pair."""


@dataclass(frozen=True, kw_only=True)
class Training(Step):
    """A run of `emotrace train`, in `runs/KEY`, and its scores."""

    data: str
    """The preparation or the vectors that it learns from."""
    recipe: ZooRecipe
    """Its `data.data` is filled in."""
    start: str = ""
    """A training whose best weights it begins with, or weights of others."""
    start_is_optional: bool = False
    """Begin with fresh weights where those of `start` cannot be had; the facts say which it was."""
    scores: tuple[Scoring, ...] = (Scoring(key="test"),)
    weights: Weights = "best"
    """Which are scored: of the best epoch by validation, or of the last epoch."""

    @property
    def needs(self) -> tuple[str, ...]:
        """The data, the run to begin with, and data to be measured on."""
        elsewhere = tuple(score.elsewhere for score in self.scores if score.elsewhere)
        return tuple(name for name in (self.data, self.start, *elsewhere) if name)

    @property
    def spares(self) -> tuple[str, ...]:
        """The weights to begin with, where fresh ones will do."""
        return (self.start,) if self.start and self.start_is_optional else ()


@dataclass(frozen=True, kw_only=True)
class CrossValidation(Step):
    """A training for each fold of a protocol, in `runs/KEY/fold-001` and so on; scored together."""

    data: str
    recipe: ZooRecipe
    """Its `data.protocol` must have folds; `data.fold` is filled in."""
    otherwise: Protocol | None = None
    """The protocol where the recipe's does not fit the data: RAVDESS' actor folds know its actors
    only, and a manifest in its place has other people."""
    folds: int = 0
    """So many of them, from the first; 0 for all."""
    scores: tuple[Scoring, ...] = (Scoring(key="test"),)
    weights: Weights = "best"
    """Which are scored: of the best epoch by validation, or of the last epoch."""

    @property
    def needs(self) -> tuple[str, ...]:
        """The data."""
        return (self.data,)


@dataclass(frozen=True, kw_only=True)
class Vectors(Step):
    """What a trained network's extractor makes of a cache's crops, in `vectors/KEY`."""

    run: str
    data: str

    @property
    def needs(self) -> tuple[str, ...]:
        """The run and the crops."""
        return (self.run, self.data)


@dataclass(frozen=True, kw_only=True)
class Comparison(Step):
    """Two trainings on the frames that both were measured on, paired."""

    first: str
    second: str
    side: SideName = "test"
    over: Over = "auto"
    post_process: bool = False
    """Each after its own chain, fitted on the validation side, as `Scoring` has it."""

    @property
    def needs(self) -> tuple[str, ...]:
        """Both runs."""
        return (self.first, self.second)


@dataclass(frozen=True, kw_only=True)
class Computation(Step):
    """Anything else that a paper shows: counts, histograms, a search."""

    of: tuple[str, ...]
    """Keys of the steps that it reads."""
    compute: Callable[[Workshop], dict[str, Any]]
    """A module-level function: it gives plain values, and may draw figures."""
    settings: Mapping[str, Any] = field(default_factory=dict)
    """What decides the result besides the code; plain values."""

    @property
    def needs(self) -> tuple[str, ...]:
        """What it reads."""
        return self.of

    def definition(self) -> dict[str, Any]:
        """Name the function: code has no plain value."""
        return {
            "kind": "Computation",
            "key": self.key,
            "of": list(self.of),
            "compute": f"{self.compute.__module__}.{self.compute.__qualname__}",
            "settings": dict(self.settings),
        }


@dataclass(frozen=True, kw_only=True)
class Paper:
    """A paper and everything that it did."""

    name: str
    title: str
    citation: str
    datasets: tuple[PaperDataset, ...]
    plan: Callable[[ScaleName], tuple[Step, ...]]
    """The steps at a scale, in an order in which each comes after what it needs."""
    report: Callable[[Results], Report]
    """The page from what the steps gave; steps may be missing."""
    scales: Mapping[ScaleName, str]
    """What each scale leaves out or makes smaller, in a sentence."""
    weights: tuple[PaperWeights, ...] = ()
    """Weights of others that a user may give."""

    def dataset(self, name: str) -> PaperDataset:
        """Return one of its data sets.

        Raises:
            UsageError: It uses none of that name.
        """
        for one in self.datasets:
            if one.name == name:
                return one
        listed = ", ".join(one.name for one in self.datasets)
        raise UsageError(f"expected a data set of {self.name} out of {listed}; got {name!r}")

    def require_name(self, name: str) -> None:
        """Refuse a name that is none of what the paper takes.

        Raises:
            UsageError: It is none of its data sets and weights.
        """
        if all(one.name != name for one in self.weights):
            self.dataset(name)


def place(recipe: ZooRecipe, data: Path, **changes: Any) -> ZooRecipe:
    """Return a recipe that learns from `data`; `changes` go to its data settings."""
    return replace(recipe, data=replace(recipe.data, data=data, **changes))


def check_plan(steps: tuple[Step, ...]) -> None:
    """Refuse a plan that cannot be done in its order.

    Raises:
        UsageError: A key comes twice, or a step needs one that does not come before it.
    """
    known: set[str] = set()
    for step in steps:
        if step.key in known:
            raise UsageError(f"expected every step's key once; got {step.key!r} twice")
        for key in step.needs:
            if key not in known:
                raise UsageError(f"expected {key!r} before {step.key!r}, which needs it")
        known.add(step.key)
