"""What the networks of the zoo are and cost, kept in a file so that nothing need be built.

Building all networks takes torch and seconds; `zoo_facts.json` holds what they said when it was
written (`emotrace.models.zoo_survey`), and a test holds it against what they say now. Nothing here
imports torch.
"""

from __future__ import annotations

import difflib
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from emotrace.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

FACTS_FILE: Final = Path(__file__).with_name("zoo_facts.json")


def read_facts() -> list[dict[str, Any]]:
    """Return the facts of every network, in the order of the zoo's table.

    Each has `name`, `paper`, `summary`, `takes` (the value of an `InputKind`), `input_shape`
    (without the batch; None for any number of steps), `heads`, `parameters` (trainable),
    `published_parameters`, `multiply_adds` (`emotrace.models.cost` says what counts) and `options`,
    all with the default options.
    """
    facts: list[dict[str, Any]] = json.loads(FACTS_FILE.read_text(encoding="utf-8"))
    return facts


def find_facts(name: str) -> dict[str, Any]:
    """Return the facts of one network.

    Raises:
        UsageError: There is none of that name; the message suggests near ones.
    """
    rows = read_facts()
    for row in rows:
        if row["name"] == name:
            return row
    raise unknown_network(name, [row["name"] for row in rows])


def unknown_network(name: str, names: Sequence[str]) -> UsageError:
    """Return the error for a name that is none of `names`."""
    near = difflib.get_close_matches(name, names, n=3)
    hint = f"did you mean {' or '.join(near)}?" if near else f"there are: {', '.join(names)}"
    return UsageError(f"expected the name of an architecture; got {name!r}; {hint}")
