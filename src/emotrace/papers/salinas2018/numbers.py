"""What salinas2018 prints, and the keys of the steps that find the same here."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from emotrace.papers.cells import Vote

CLASSES: Final = ("anger", "disgust", "fear", "happiness", "sadness", "surprise")
NETWORKS: Final[dict[str, str]] = {
    "single-frame": "Single Frame",
    "early-fusion": "Early Fusion",
    "late-fusion": "Late Fusion",
    "slow-fusion": "Slow Fusion",
    "conv3d": "3D Convolution",
    "recurrent": "Recurrent Neural Network",
}
BLOCKS: Final[dict[str, str]] = {"ckplus": "CK+", "oulu-casia": "Oulu-CASIA"}

PARAMETERS: Final = "parameters"
WHOLE_FRAMES: Final = "whole-frames"
ALL_FACES: Final = "faces/all"
FINAL: Final = "final"

PUBLISHED_PARAMETERS: Final[dict[str, int]] = {
    "single-frame": 24_760_392,
    "early-fusion": 25_074_024,
    "late-fusion": 28_954_696,
    "slow-fusion": 26_355_878,
    "conv3d": 26_050_694,
    "recurrent": 3_763_390,
}
"""Table I."""
PUBLISHED_SECONDS: Final[dict[str, tuple[float, float]]] = {
    "single-frame": (673.05, 1675.67),
    "early-fusion": (1176.95, 2486.60),
    "late-fusion": (1282.78, 2708.49),
    "slow-fusion": (1327.79, 2815.70),
    "conv3d": (2240.34, 4908.47),
    "recurrent": (2088.28, 4427.15),
}
"""Table VIII: of training for a held-out person, CK+ and Oulu-CASIA."""
PUBLISHED_FINAL: Final = "66.67%"
PUBLISHED_SEQUENCES: Final = {"ckplus": "198", "oulu-casia": "445", "all": "1567 + 18"}


@dataclass(frozen=True, kw_only=True)
class AccuracyRow:
    """A row of Tables II to VII."""

    table: str
    network: str
    vote: Vote | None
    """None: the network sees the end of a sequence once."""
    theirs: tuple[str, str]
    """CK+, Oulu-CASIA."""

    @property
    def title(self) -> str:
        """What the row is called."""
        names = {
            None: "",
            "maximum_probability": ", maximum probability",
            "summed_probabilities": ", summed probabilities",
        }
        return f"{NETWORKS[self.network]}{names[self.vote]}"


ACCURACIES: Final = (
    AccuracyRow(
        table="II",
        network="single-frame",
        vote="maximum_probability",
        theirs=("0.379", "0.560"),
    ),
    AccuracyRow(
        table="II",
        network="single-frame",
        vote="summed_probabilities",
        theirs=("0.383", "0.562"),
    ),
    AccuracyRow(table="III", network="early-fusion", vote=None, theirs=("0.470", "0.575")),
    AccuracyRow(table="IV", network="late-fusion", vote=None, theirs=("0.563", "0.665")),
    AccuracyRow(table="V", network="slow-fusion", vote=None, theirs=("0.492", "0.618")),
    AccuracyRow(
        table="VI", network="conv3d", vote="summed_probabilities", theirs=("0.462", "0.375")
    ),
    AccuracyRow(
        table="VI", network="conv3d", vote="maximum_probability", theirs=("0.427", "0.348")
    ),
    AccuracyRow(table="VII", network="recurrent", vote=None, theirs=("0.29", "0.28")),
)


def faces_key(dataset: str) -> str:
    """Return the key of a data set's face crops."""
    return f"faces/{dataset}"


def run_key(network: str, dataset: str) -> str:
    """Return the key of a network's folds on a data set."""
    return f"{network}/{dataset}"
