"""The model card of the default bundle, filled with what was measured."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING, Any, Final

from emotrace.bundle_outputs import VOTES_PRIOR
from emotrace.training.calibration import FER2013_PRIOR
from emotrace.training.measures import KL_TO_CAST_VOTES, KL_WITHOUT_SINGLE_VOTES
from emotrace.training.result_tables import (
    ResultTable,
    confusion_table,
    flips_table,
    measures_table,
    precision_table,
    recall_table,
    robustness_table,
    scores_table,
)
from emotrace.training.seeds import seeds_table

if TYPE_CHECKING:
    from collections.abc import Mapping

    from emotrace.bundle_spec import BundleSpec

_WIDTH: Final = 100


def write_card(spec: BundleSpec) -> str:
    """Return the card as Markdown.

    Args:
        spec: With `results` filled in by `export_run`; with `results["seeds"]`, the spread over
            seeds is stated too.
    """
    sections = [
        _head(spec),
        _uses(),
        _data(spec),
        _scores(spec),
        _seeds(spec),
        _robustness(spec),
        _confidence(spec),
        _prior(spec),
        _not_face(spec),
        _limits(spec),
    ]
    return "\n\n".join(section for section in sections if section) + "\n"


def _head(spec: BundleSpec) -> str:
    cost = spec.results["cost"]
    text = f"""{spec.description}. {cost["parameters"]:,} parameters,
        {cost["multiply_adds"] / 1e6:.0f} million multiply-adds a face. Predicts the probabilities
        of eight expressions ({", ".join(spec.labels)}) for one face in one picture, and whether the
        picture shows a face. Valence and arousal are derived from the probabilities."""
    return f"# {spec.name} {spec.version}\n\n{_paragraph(text)}"


def _uses() -> str:
    wanted = """Describing how faces in video *look*, for research on expressions, media and
        interaction, with the people's consent, as an aid to a person who can look at the video
        too."""
    unwanted = """A predicted expression is a model's guess at how a face would be labelled by
        others. It is no readout of what a person feels, wants or is: people smile without joy and
        grieve with a still face, and cultures, ages and situations differ. Do not use it to judge
        people: not in hiring, policing, border control, insurance, credit or teaching. In the
        European Union, inferring emotions of people at work and in education is prohibited but for
        medical or safety reasons (Regulation (EU) 2024/1689, Article 5(1)(f))."""
    return "\n\n".join(
        (
            "## What it is for",
            _paragraph(wanted),
            "## What it is not for",
            _paragraph(unwanted),
        )
    )


def _data(spec: BundleSpec) -> str:
    run = spec.results["training"]
    teachers = run.get("teachers", [])
    taught = ""
    if teachers:
        others = f"{len(teachers)} other {'runs' if len(teachers) > 1 else 'run'}"
        taught = f""" Taught by {others} on the same pictures, whose answers made up
        {100 * run["recipe"]["teacher_share"]:g} % of each label."""
    if run.get("note"):
        taught += f" {run['note']}"
    text = f"""{spec.training_data}. The images were collected by web search, show mostly posed and
        spontaneous expressions of unknown people, carry no clear licence and were not collected
        with those people's consent. Who is in them (age, skin tone, culture) was not recorded, so
        it is not known for whom the model works less well. Labels: ten FER+ annotators' votes
        (Barsoum et al. 2016) and FER2013's single label (Goodfellow et al. 2013). From scratch,
        {run["epochs"]} epochs, seed {run["seed"]}; the weights are the moving average at the end,
        no epoch was chosen by results.{taught}"""
    return "\n\n".join(
        (
            "## What it was trained on",
            _paragraph(text),
            _paragraph(f"Licence: {spec.licence}."),
        )
    )


def _scores(spec: BundleSpec) -> str:
    results = _test(spec)
    divergences = ", ".join(
        f"{name} {scores[KL_WITHOUT_SINGLE_VOTES]:.3f}"
        for name, scores in results["priors"].items()
        if name not in {FER2013_PRIOR, VOTES_PRIOR}
    )
    count = results["priors"]["training"]["kl_divergence_n"]
    return "\n\n".join(
        (
            "## How well it does",
            _paragraph(
                "On the test split, through this bundle, which was fitted on the other splits. "
                "Some test images occur in training too: 'new' is without them. Two protocols are "
                "in use that must not be compared with each other; n tells them apart."
            ),
            *_tables(measures_table(results), scores_table(results)),
            _paragraph(
                "Divergence from the annotators' votes (Kullback-Leibler, nats, single votes "
                f"dropped as noise, n = {count:,}): {divergences}.{_cast_votes(results)}"
            ),
            *_tables(
                recall_table(results),
                recall_table(results, without_duplicates=True),
                precision_table(results),
                confusion_table(results, "default"),
                flips_table(results),
            ),
        )
    )


def _cast_votes(results: Mapping[str, Any]) -> str:
    if VOTES_PRIOR not in results["priors"]:
        return ""
    divergence = results["priors"][VOTES_PRIOR][KL_TO_CAST_VOTES]
    return (
        f" From the votes for the eight as they were cast, prior {VOTES_PRIOR}: {divergence:.3f}."
    )


def _seeds(spec: BundleSpec) -> str:
    seeds = spec.results.get("seeds")
    if seeds is None:
        return ""
    text = f"""The same recipe, trained from {seeds["runs"]} seeds: mean and standard deviation on
        the test split. Differences between two trainings that are smaller than this mean
        nothing."""
    return "\n\n".join(("## Another seed", _paragraph(text), seeds_table(seeds).to_markdown()))


def _robustness(spec: BundleSpec) -> str:
    if "robustness" not in spec.results["test"]:
        return ""
    table = robustness_table(spec.results["test"])
    text = """Test faces changed in one way at a time, each by a fixed set of random numbers. FER
        pictures are crops of 48 pixels already: what lies outside is the edge repeated, and each
        turn resamples them, which does not happen to a face cut from a video."""
    return (
        "\n\n".join(
            (
                "## Badly framed, lit or compressed faces",
                _paragraph(text),
                _paragraph(table.note),
                table.to_markdown(),
                *(
                    f"- {row['name']}: {row['what']}"
                    for row in spec.results["test"]["robustness"]["conditions"]
                ),
            )
        )
        .replace("\n\n- ", "\n- ")
        .replace("\n- ", "\n\n- ", 1)
    )


def _confidence(spec: BundleSpec) -> str:
    errors = ", ".join(
        f"{prior} {scores['argmax']['calibration_error']:.3f} (all faces) and "
        f"{scores['majority']['calibration_error']:.3f} (those with a majority)"
        for prior, scores in spec.results["test"]["priors"].items()
        if prior not in {FER2013_PRIOR, VOTES_PRIOR}
    )
    text = f"""The confidence is the largest of the eight probabilities. For each prior but
        `{VOTES_PRIOR}` they were scaled on validation (one temperature) so that, over all faces, it
        is the chance that most annotators chose that very expression. Expected calibration error on
        the test split: {errors}. Nobody knows how well it holds for other cameras and people than
        FER's: take it for an order rather than a promise there."""
    parts = ["## What the confidence means", _paragraph(text)]
    tested, validation = spec.results["test"].get("uncertain"), spec.results["validation"]
    if spec.uncertain_threshold is not None and tested is not None:
        parts.append(_paragraph(_threshold_text(spec.uncertain_threshold, validation, tested)))
    return "\n\n".join(parts)


def _threshold_text(
    threshold: float, validation: Mapping[str, Any], tested: Mapping[str, Any]
) -> str:
    everyone, agreed = tested["argmax"], tested["majority"]
    kept, sure = tested["kept_by_expression"], validation["sure"]
    least = min(kept, key=lambda name: float(kept[name]))
    text = f"""Below a confidence of {threshold:.2f} a prediction counts as uncertain: there it was
        more often wrong than right on validation under the default prior (Chow's rule, an uncertain
        label half as bad as a wrong one; {_percent(validation["uncertain"]["coverage"])} of the
        faces were kept). On the test split it keeps {_percent(everyone["coverage"])} of all faces;
        {_percent(everyone["accuracy"])} of those are right, of the dropped ones
        {_percent(everyone["accuracy_of_dropped"])}. Of the faces with a majority it keeps
        {_percent(agreed["coverage"])}, and {_percent(agreed["accuracy"])} of those are right. Of
        {least} it keeps least: {_percent(kept[least])}."""
    if sure is not None:
        text += f""" Whoever needs nine in ten right takes {sure["threshold"]:.2f}, which kept
            {_percent(sure["coverage"])} on validation."""
    return text


def _prior(spec: BundleSpec) -> str:
    shares = dict(zip(spec.labels, spec.priors["training"], strict=True))
    text = f"""The training data holds {_percent(shares["neutral"])} neutral and
        {_percent(shares["disgust"])} disgust. A model that takes this for the way of the world
        calls most rare expressions that it meets elsewhere neutral. So how common each expression
        is taken to be is a setting: `training` fits data like the training data, `uniform` treats
        all alike, `default` lies between (the most balanced power of the training prior
        that is within half a point of the best on validation, in the mean of accuracy and average
        recall). Under the last two the answers of both label sets are mixed half and half. Every
        summary names the prior that was used. The rules that choose powers read validation only,
        and were last changed after a look at test."""
    shares_text = "The shares that each prior takes the expressions to have, in %:"
    parts = ["## The prior", _paragraph(text), shares_text, _prior_table(spec)]
    if FER2013_PRIOR in spec.priors:
        parts.append(
            _paragraph(
                f"`{FER2013_PRIOR}` is for comparing with other work on FER2013: the answer of "
                "that data set's labels alone, which know no contempt and disagree with FER+ most "
                "on the rare expressions."
            )
        )
    if VOTES_PRIOR in spec.priors:
        parts.append(
            _paragraph(
                f"Under `{VOTES_PRIOR}` the probabilities answer another question: of FER+'s "
                "annotators who would choose one of the eight, what share would choose each, "
                "single votes included. They are softer, the confidence is then no chance of being "
                "right, and nothing is called uncertain."
            )
        )
    return "\n\n".join(parts)


def _prior_table(spec: BundleSpec) -> str:
    rows = tuple(
        (f"`{name}`", *(f"{100 * share:.1f}" for share in shares))
        for name, shares in spec.priors.items()
        if name != VOTES_PRIOR  # which has no say on how common anything is
    )
    return ResultTable(title="Priors", head=("prior", *spec.labels), rows=rows).to_markdown()


def _not_face(spec: BundleSpec) -> str:
    tested = spec.results["test"].get("not_face")
    if spec.face_threshold is None or tested is None:
        return ""
    text = f"""Detectors find faces where there are none. A crop whose face probability is below
        {spec.face_threshold:.3f} is taken for such a false alarm; of the {tested["n"]:,} test
        faces, {_percent(tested["faces_rejected"], digits=2)} fall below it."""
    head = spec.results.get("face_head", {})
    if "not_faces_refused" in head:
        text += f""" Of {head["not_faces"]:,.0f} pictures without a face that took no part in the
            fit, {_percent(head["not_faces_refused"])} do."""
    if head.get("learnt_from"):
        learnt = ", ".join(f"{count:,} {what}" for what, count in head["learnt_from"].items())
        text += f""" It learned what is no face from {learnt}; no face of any footage was
            used."""
    text += """ `analyze` asks it of what Haar and LBP find. YuNet's faces it does not ask about:
        YuNet has next to no false alarms, and true faces would be lost in crowds."""
    return "\n\n".join(("## Is it a face at all?", _paragraph(text)))


def _limits(spec: BundleSpec) -> str:
    recalls = spec.results["test"]["priors"]["default"]["majority"]["recall"]
    worst = sorted(recalls, key=lambda name: float(recalls[name]))[:2]
    named = " and ".join(f"{name} ({_percent(recalls[name])} found)" for name in worst)
    text = f"""Faces of under about 20 pixels, profiles, covered mouths and strong side light are
        guessed at. Single pictures only: it does not know how a face looks at rest. Least reliable
        are {named}; the test split holds few of the rare expressions, so their numbers are rough.
        Nothing here says how it does for children, for old people or for any tone of skin."""
    return "\n\n".join(("## Limits", _paragraph(text)))


def _test(spec: BundleSpec) -> dict[str, Any]:
    return {**spec.results["test"], "cost": spec.results["cost"]}


def _tables(*tables: ResultTable) -> list[str]:
    parts = []
    for table in tables:
        parts += [f"### {table.title}", _paragraph(table.note), table.to_markdown()]
    return parts


def _paragraph(text: str) -> str:
    return textwrap.fill(
        " ".join(text.split()), _WIDTH, break_long_words=False, break_on_hyphens=False
    )


def _percent(share: float | None, *, digits: int = 1) -> str:
    return "none" if share is None else f"{100 * share:.{digits}f} %"
