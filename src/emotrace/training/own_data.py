"""The data that a run learned from, opened again to score the run on it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from emotrace.errors import DatasetError, UsageError
from emotrace.training.known_people import known_behind, meet
from emotrace.training.zoo.data import load_data
from emotrace.training.zoo.sources import open_data

if TYPE_CHECKING:
    from emotrace.training.zoo.data import ZooData
    from emotrace.training.zoo.recipe import ZooRecipe
    from emotrace.training.zoo.run import TrainedNetwork
    from emotrace.training.zoo.sources import OpenData


def open_own_data(trained: TrainedNetwork, recipe: ZooRecipe) -> OpenData:
    """Open the data that a run learned from, as its own split divides it.

    Args:
        trained: What a run left.
        recipe: The run's own, but for where the data lies.

    Raises:
        DatasetError: It is not there, has changed since, or shows somebody on its validation or
            test side whom a network knows that the run builds on.
        UsageError: It holds another network's vectors.
    """
    data = open_data(recipe)
    everything = trained.record.everything
    if data.fingerprint != everything["data"]["sha256"]:
        raise DatasetError(
            f"expected the data that the run learned from at {data.path}; it has changed since; "
            "train again, or give data that it did not learn from"
        )
    require_same_extractor(trained, data)
    return meet(data, known_behind(everything, data.source), recipe.data)


def load_own_data(trained: TrainedNetwork, data: OpenData) -> ZooData:
    """Cut the data that a run learned from, for scoring.

    Raises:
        DatasetError: It has labels outside the set.
    """
    return load_data(
        trained.record.recipe,
        kind=trained.record.architecture.kind,
        heads=trained.network.heads,
        matched=trained.record.heads,
        opened=data,
    )


def require_same_extractor(trained: TrainedNetwork, data: OpenData) -> None:
    """Refuse vectors of another network than those that a run learned from.

    Raises:
        UsageError: Saying how to make the right ones.
    """
    made_by = (trained.record.everything["data"].get("extractor") or {}).get("extractor")
    given = getattr(data.source, "record", {}).get("extractor")
    if made_by is not None and given is not None and made_by != given:
        raise UsageError(
            f"expected vectors of the network that the run learned from; those in {data.path} are "
            "another's, or of other weights; make them with 'emotrace train features'"
        )
