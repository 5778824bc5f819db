"""A paper that nobody wrote: every kind of step, as small as can be."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from emotrace.datasets.cropping import CropSettings
from emotrace.datasets.prepare import PrepareSettings
from emotrace.faces import CropGeometry
from emotrace.models.zoo import find_architecture
from emotrace.papers.cells import class_score, confusion_of
from emotrace.papers.charts import draw_confusion, draw_curves, read_curve
from emotrace.papers.plan import (
    UNPLACED,
    Comparison,
    Computation,
    CrossValidation,
    Paper,
    PaperDataset,
    Preparation,
    Scoring,
    Training,
    Vectors,
)
from emotrace.papers.report import Claim, Picture, Report, Section, Table, Theirs
from emotrace.synth.plans import SetSettings
from emotrace.training.targets import TargetSettings
from emotrace.training.zoo.recipe import DataSettings, ZooRecipe

if TYPE_CHECKING:
    from emotrace.papers.plan import ScaleName, Step
    from emotrace.papers.workshop import Results, Workshop

CLASSES = ("anger", "disgust", "fear", "happiness", "neutral", "sadness", "surprise")
CROPS = PrepareSettings(
    cropping=CropSettings(crop=CropGeometry(size_px=24), color="grey", detector="haar"),
    workers=1,
)


def recipe(seed: int = 0, **data: Any) -> ZooRecipe:
    row = find_architecture("rangulov2020-cnn")
    return ZooRecipe(
        architecture=row.name,
        options=row.options(
            classes=len(CLASSES), input_size_px=24, filters=(8, 8, 16), dense_width=16
        ),
        data=DataSettings(data=UNPLACED.data, **data),
        targets=TargetSettings(class_names=CLASSES, ignore_other_labels=True),
        epochs=1,
        batch_size=8,
        seed=seed,
    )


def count_clips(workshop: Workshop) -> dict[str, Any]:
    return {"clips": workshop.facts("faces")["clip_count"]}


def plan(scale: ScaleName) -> tuple[Step, ...]:
    del scale
    holdout: dict[str, Any] = {"protocol": "holdout", "validation_share": 0.25, "test_share": 0.25}
    return (
        Preparation(
            key="faces",
            dataset="ckplus",
            settings=CROPS,
            selections=("no-contempt", "first-and-three-peak-frames"),
        ),
        Preparation(key="stills", dataset="jaffe", settings=CROPS),
        Computation(key="counts", of=("faces",), compute=count_clips),
        Training(
            key="cnn/one",
            data="faces",
            recipe=recipe(**holdout),
            scores=(Scoring(key="test"), Scoring(key="jaffe", elsewhere="stills")),
        ),
        Training(key="cnn/two", data="faces", recipe=recipe(seed=1, **holdout)),
        Comparison(key="one-against-two", first="cnn/one", second="cnn/two"),
        CrossValidation(
            key="folds", data="faces", recipe=recipe(protocol="k-fold", folds=3), folds=2
        ),
        Vectors(key="vectors", run="cnn/one", data="faces"),
    )


def report(results: Results) -> Report:
    items: list[Table | Picture] = [
        Table(
            title="Table I: accuracy",
            columns=("data", "paper", "here"),
            rows=(
                ("CK+", Theirs(text="95%"), class_score(results, "cnn/one", counted="pictures")),
                ("JAFFE", Theirs(text="50%"), class_score(results, "cnn/one", score="jaffe")),
                ("folds", "", class_score(results, "folds", measure="macro_f1")),
            ),
        )
    ]
    matrix = confusion_of(results, "cnn/one")
    if matrix is not None:
        drawn = results["cnn/one"].origin == "synthetic"
        folder = results.folder
        curve = read_curve(folder / "runs/cnn/one", "loss")
        for name, figure in (
            ("confusion", draw_confusion(matrix, title="CK+", is_synthetic=drawn)),
            (
                "curve",
                draw_curves({"loss": curve}, title="CK+", ylabel="loss", is_synthetic=drawn),
            ),
        ):
            file = results.save_figure(name, figure)
            items.append(Picture(title=name, file=file, caption="A figure.", origin="synthetic"))
    claim = Claim(
        statement="It learns", theirs="95%", ours="here", verdict="undecided", origin="synthetic"
    )
    return Report(sections=(Section(title="Results", items=tuple(items)),), claims=(claim,))


TOY = Paper(
    name="toy",
    title="A toy",
    citation="Nobody (2000)",
    datasets=(
        PaperDataset(
            name="ckplus",
            role="training",
            synthetic={
                "smoke": (SetSettings(clips=24, subjects=6, seconds=0.4, width=160, height=160),)
            },
        ),
        PaperDataset(
            name="jaffe",
            role="another data set",
            synthetic={"smoke": (SetSettings(clips=7, width=160, height=160),)},
        ),
    ),
    plan=plan,
    report=report,
    scales={"smoke": "tiny", "small": "small", "full": "all"},
)
