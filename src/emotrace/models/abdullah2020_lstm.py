"""One LSTM layer and dropout over the features of a video's frames.

Source: abdullah2020, section III-C: "a single LSTM layer followed by a Dropout", 7 classes of
RAVDESS, on the vectors that `emotrace.models.abdullah2020_xception` gives of each frame.

Where the text is silent or this differs: the LSTM's width (256) and the share that is dropped (0.5)
are ours. The paper classifies a whole video; here there are logits after each frame, of which the
last is the video's.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from emotrace.models.abdullah2020_xception import DENSE_WIDTH, PAPER
from emotrace.models.architecture import Architecture, InputKind
from emotrace.models.composition import VectorSequenceNetwork
from emotrace.models.multi_task import TaskOptions
from emotrace.models.option_checks import expect_positive, expect_probability
from emotrace.models.temporal_recurrent import LstmLayers


@dataclass(frozen=True, kw_only=True)
class LstmOptions(TaskOptions):
    """The shape of abdullah2020's network for sequences."""

    classes: int = 7
    """Expressions to tell apart, where `expression` or `emotions` is among the heads."""
    features: int = DENSE_WIDTH
    """Values of a frame."""
    width: int = 256
    """Units of the LSTM."""
    dropout: float = 0.5
    """Of what the LSTM gives."""

    def __post_init__(self) -> None:
        """Refuse what cannot be built.

        Raises:
            UsageError: Naming the field, what was expected and what was got.
        """
        super().__post_init__()
        expect_positive(self, "features", "width")
        expect_probability(self, "dropout")


def build_lstm(options: LstmOptions) -> VectorSequenceNetwork:
    """Build the LSTM, dropout and the classifier."""
    temporal = LstmLayers(options.features, options.width, layers=1)
    return VectorSequenceNetwork(temporal, options, dropout=options.dropout)


ABDULLAH2020_LSTM: Final = Architecture(
    name="abdullah2020-lstm",
    paper=f"{PAPER}, section III-C",
    summary="one LSTM layer and dropout over the features of a video's frames",
    kind=InputKind.VECTOR_SEQUENCE,
    options=LstmOptions,
    build=build_lstm,
)
