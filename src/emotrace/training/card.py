"""The model card of the default bundle, filled with what was measured."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from emotrace.bundle_spec import BundleSpec


_TABLE_HEAD: Final = (
    "| labels | n | prior | accuracy (95 % interval) | average recall | macro F1 "
    "| calibration error |"
)


def write_card(spec: BundleSpec, run: dict[str, Any]) -> str:
    """Return the card as Markdown.

    Args:
        spec: With `results` filled in by `export_run`.
        run: What `run.json` says of the training.
    """
    priors = spec.results["test"]["priors"]
    cost = spec.results["cost"]
    recipe = run["recipe"]
    return f"""# {spec.name} {spec.version}

{spec.description}. {cost["parameters"]:,} parameters, {cost["multiply_adds"] / 1e6:.0f} million
multiply-adds a face. Predicts the probabilities of eight expressions ({", ".join(spec.labels)}) for
one face in one picture, and whether the picture shows a face. Valence and arousal are derived from
the probabilities.

## What it is for

Describing how faces in video *look*, for research on expressions, media and interaction, with the
people's consent, as an aid to a person who can look at the video too.

## What it is not for

A predicted expression is a model's guess at how a face would be labelled by others. It is no
readout of what a person feels, wants or is: people smile without joy and grieve with a still face,
and cultures, ages and situations differ. Do not use it to judge people: not in hiring, policing,
border control, insurance, credit or teaching. In the European Union, inferring emotions of people
at work and in education is prohibited but for medical or safety reasons (Regulation (EU) 2024/1689,
Article 5(1)(f)).

## What it was trained on

{spec.training_data}. The images were collected by web search, show mostly posed and spontaneous
expressions of unknown people, carry no clear licence and were not collected with those people's
consent. Who is in them (age, skin tone, culture) was not recorded, so it is not known for whom the
model works less well. Labels: ten FER+ annotators' votes (Barsoum et al. 2016) and FER2013's single
label (Goodfellow et al. 2013). From scratch, {
        recipe["epochs"] * recipe["cycles"] + recipe["refine_epochs"]
    } epochs, seed {recipe["seed"]}; the
weights are the moving average at the end, no epoch was chosen by results.

Licence: {spec.licence}.

## How well it does

On the test split, scored once, through this bundle. Two protocols are in use that must not be
compared with each other; n tells them apart.

{_table(priors)}

Recall of each expression (majority protocol):

{_recall_table(priors)}

Without the test images that are pixel-identical to a training image (n = {
        priors["training"]["majority"]["without_duplicates"]["n"]
    }, majority protocol, training prior): accuracy {
        _percent(priors["training"]["majority"]["without_duplicates"]["accuracy"])
    }.

## The prior

The training data holds {
        _percent(spec.priors["training"][spec.labels.index("neutral")])
    } neutral and
{
        _percent(spec.priors["training"][spec.labels.index("disgust")])
    } disgust. A model that takes this for
the way of the world calls most rare expressions that it meets elsewhere neutral. So how common each
expression is taken to be is a setting: `training` fits data like the training data, `uniform`
treats all alike, `default` lies between (the power of the training prior that is best on validation
in the mean of accuracy and average recall). Every summary names the one that was used.

## Limits

Faces of under about 20 pixels, profiles, covered mouths and strong side light are guessed at.
Single pictures only: it does not know how a face looks at rest. Contempt and disgust are the least
reliable.
"""


def _percent(value: float) -> str:
    return f"{100 * value:.1f} %"


def _table(priors: dict[str, Any]) -> str:
    names = {
        "majority": "FER+ majority",
        "argmax": "FER+ argmax",
        "fer2013": "FER2013 labels",
    }
    lines = [
        _TABLE_HEAD,
        "|---|---|---|---|---|---|---|",
    ]
    for protocol, title in names.items():
        for prior, scores in priors.items():
            score = scores[protocol]
            low, high = score["accuracy_interval_95"]
            lines.append(
                f"| {title} | {score['n']:,} | {prior} | {_percent(score['accuracy'])} "
                f"({100 * low:.1f} to {100 * high:.1f}) | "
                f"{_percent(score['unweighted_average_recall'])} | "
                f"{_percent(score['macro_f1'])} | {score['calibration_error']:.3f} |"
            )
    return "\n".join(lines)


def _recall_table(priors: dict[str, Any]) -> str:
    emotions = list(priors["training"]["majority"]["recall"])
    lines = [
        "| prior | " + " | ".join(emotions) + " |",
        "|---|" + "---|" * len(emotions),
    ]
    for prior, scores in priors.items():
        recalls = scores["majority"]["recall"]
        lines.append(
            f"| {prior} | " + " | ".join(_percent(recalls[name]) for name in emotions) + " |"
        )
    return "\n".join(lines)
