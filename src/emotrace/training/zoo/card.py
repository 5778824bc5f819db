"""The model card of a bundle made of any network of the zoo: what is known, and what is not."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from emotrace.bundle_memory import describe_memory
from emotrace.bundle_outputs import TRAINING_PRIOR

if TYPE_CHECKING:
    from collections.abc import Mapping

    from emotrace.bundle_spec import BundleSpec


def write_zoo_card(spec: BundleSpec, *, architecture: str, paper: str, parameters: int) -> str:
    """Return the card as Markdown.

    Args:
        spec: The bundle's, complete.
        architecture: Name of the zoo's row.
        paper: Where the architecture comes from.
        parameters: Trainable ones.
    """
    side = spec.input_size_px
    return f"""# {spec.name} {spec.version}

{spec.description}.

- Architecture: `{architecture}` ({paper}), {parameters:,} trainable parameters.
- Sees {spec.colour} crops of {side} x {side} pixels; in time: {describe_memory(spec.memory)}.
{_predicts(spec)}

## What it is for

Describing how faces in video *look*, for research on expressions, media and interaction, with the
people's consent, as an aid to a person who can look at the video too.

## What it is not for

A predicted expression is a model's guess at how a face would be labelled by others. It is no
readout of what a person feels, wants or is. Do not use it to judge people: not in hiring, policing,
border control, insurance, credit or teaching. In the European Union, inferring emotions of people
at work and in education is prohibited but for medical or safety reasons (Regulation (EU) 2024/1689,
Article 5(1)(f)).

## What it was trained on

{spec.training_data}

Licence: {spec.licence}

{_prior(spec)}

## How well it does

{_results(spec.results)}
"""


def _predicts(spec: BundleSpec) -> str:
    lines = []
    if spec.labels:
        lines.append(f"- Predicts expressions: {', '.join(spec.labels)}.")
    if spec.valence_arousal_output:
        lines.append("- Predicts valence and arousal.")
    lines += [
        f"- Predicts {item.name} ({item.kind.replace('_', '-')}): {', '.join(item.labels)}; from "
        "Python only, no table has columns for them."
        for item in spec.other_outputs
    ]
    return "\n".join(lines)


def _prior(spec: BundleSpec) -> str:
    if not spec.labels:
        return ""
    if TRAINING_PRIOR not in spec.priors:
        return (
            "How common each expression was in training is not stated, so that no other prior can "
            "be applied."
        )
    shares = ", ".join(
        f"{label} {share:.1%}"
        for label, share in zip(spec.labels, spec.priors[TRAINING_PRIOR], strict=True)
    )
    return f"Shares in training (the prior `training`, also the default): {shares}."


def _results(results: Mapping[str, Any]) -> str:
    measured = {name: value for name, value in results.items() if name != "cost"}
    if not measured:
        return "Nothing was measured on held-out data. Treat its answers as unknown in quality."
    return "Measured on held-out data:\n\n```json\n" + json.dumps(measured, indent=1) + "\n```"
