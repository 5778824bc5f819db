"""Ask every network of the zoo what it is and costs, and keep that in `zoo_facts.json`.

    python -m emotrace.models.zoo_survey

Run it after a change to a network, to its options (their texts too) or to the zoo's table: a test
says when the file is behind.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from emotrace.models.architecture import example_shape
from emotrace.models.cost import SEQUENCE_KINDS, build_without_weights, cost_of
from emotrace.models.option_docs import describe_options
from emotrace.models.zoo import ARCHITECTURES
from emotrace.models.zoo_facts import FACTS_FILE

if TYPE_CHECKING:
    from emotrace.models.architecture import Architecture


def survey_network(architecture: Architecture) -> dict[str, Any]:
    """Return what `emotrace.models.zoo_facts.read_facts` says of a network, asked of itself."""
    options = architecture.options()
    shape: list[int | None] = list(example_shape(architecture, options))
    if architecture.kind in SEQUENCE_KINDS:
        shape[0] = None
    network = build_without_weights(architecture, options)
    cost = cost_of(network, architecture, options)
    return {
        "name": architecture.name,
        "paper": architecture.paper,
        "summary": architecture.summary,
        "takes": architecture.kind.value,
        "input_shape": shape,
        "heads": [
            {"name": head.name, "kind": head.kind.value, "size": head.size}
            for head in network.heads
        ],
        "parameters": cost.parameters,
        "published_parameters": architecture.published_parameters,
        "multiply_adds": cost.multiply_adds,
        "options": [
            {"name": field.name, "type": field.type, "default": field.default, "text": field.text}
            for field in describe_options(architecture.options)
        ],
    }


def survey_zoo() -> str:
    """Return the content of the file: one line for each thing that is known of a network."""
    networks = []
    for architecture in ARCHITECTURES:
        facts = survey_network(architecture)
        options = ",\n   ".join(json.dumps(option) for option in facts.pop("options"))
        lines = [f"  {json.dumps(name)}: {json.dumps(value)}" for name, value in facts.items()]
        lines.append(f'  "options": [\n   {options}\n  ]')
        networks.append(" {\n" + ",\n".join(lines) + "\n }")
    return "[\n" + ",\n".join(networks) + "\n]\n"


if __name__ == "__main__":
    FACTS_FILE.write_text(survey_zoo(), encoding="utf-8")
