"""The file of facts about the zoo: as true as if the networks were asked."""

from __future__ import annotations

from emotrace.models.zoo import ARCHITECTURES
from emotrace.models.zoo_facts import FACTS_FILE, find_facts, read_facts
from emotrace.models.zoo_survey import survey_zoo

HOW = "zoo_facts.json is behind the networks; run: python -m emotrace.models.zoo_survey"


def test_the_file_says_what_the_networks_say() -> None:
    # By line, so that a failure shows which fact of which network differs.
    kept = FACTS_FILE.read_text(encoding="utf-8").splitlines()
    assert kept == survey_zoo().splitlines(), HOW


def test_every_network_is_found_by_name() -> None:
    names = [row.name for row in ARCHITECTURES]
    assert [facts["name"] for facts in read_facts()] == names
    assert [find_facts(name)["name"] for name in names] == names
