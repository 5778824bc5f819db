"""The zoo: every architecture, a row each. A new one is one new file and one row here.

What the rows say of themselves is kept in a file, so that they can be listed without building them:
after a change run `python -m emotrace.models.zoo_survey`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from emotrace.models.abdullah2020_lstm import ABDULLAH2020_LSTM
from emotrace.models.abdullah2020_xception import ABDULLAH2020_XCEPTION
from emotrace.models.compact_networks import (
    COMPACT,
    COMPACT_GRU,
    COMPACT_GRU_ATTENTION,
    COMPACT_MULTITASK,
)
from emotrace.models.rangulov2020_cnn import RANGULOV2020_CNN
from emotrace.models.rangulov2020_joint import (
    RANGULOV2020_CNN_GRU1,
    RANGULOV2020_CNN_GRU3,
    RANGULOV2020_CNN_RNN,
)
from emotrace.models.rangulov2020_multitask import (
    RANGULOV2020_MULTITASK,
    RANGULOV2020_MULTITASK_GRU3,
)
from emotrace.models.rangulov2020_recurrent import (
    RANGULOV2020_GRU1,
    RANGULOV2020_GRU3,
    RANGULOV2020_RNN,
)
from emotrace.models.salinas2018_conv3d import SALINAS2018_CONV3D
from emotrace.models.salinas2018_early_fusion import SALINAS2018_EARLY_FUSION
from emotrace.models.salinas2018_late_fusion import SALINAS2018_LATE_FUSION
from emotrace.models.salinas2018_recurrent import SALINAS2018_RECURRENT
from emotrace.models.salinas2018_single_frame import SALINAS2018_SINGLE_FRAME
from emotrace.models.salinas2018_slow_fusion import SALINAS2018_SLOW_FUSION
from emotrace.models.timm_backbones import (
    TIMM_GRU,
    TIMM_IMAGE,
    TIMM_LSTM,
    TIMM_TCN,
    TIMM_TRANSFORMER,
)
from emotrace.models.tzirakis2021 import TZIRAKIS2021
from emotrace.models.vectors import (
    VECTORS_GRU,
    VECTORS_GRU_ATTENTION,
    VECTORS_LSTM,
    VECTORS_TCN,
    VECTORS_TRANSFORMER,
)
from emotrace.models.zoo_facts import unknown_network

if TYPE_CHECKING:
    from emotrace.models.architecture import Architecture

ARCHITECTURES: Final[tuple[Architecture, ...]] = (
    SALINAS2018_SINGLE_FRAME,
    SALINAS2018_EARLY_FUSION,
    SALINAS2018_LATE_FUSION,
    SALINAS2018_SLOW_FUSION,
    SALINAS2018_CONV3D,
    SALINAS2018_RECURRENT,
    RANGULOV2020_CNN,
    RANGULOV2020_RNN,
    RANGULOV2020_GRU1,
    RANGULOV2020_GRU3,
    RANGULOV2020_CNN_RNN,
    RANGULOV2020_CNN_GRU1,
    RANGULOV2020_CNN_GRU3,
    RANGULOV2020_MULTITASK,
    RANGULOV2020_MULTITASK_GRU3,
    TZIRAKIS2021,
    ABDULLAH2020_XCEPTION,
    ABDULLAH2020_LSTM,
    COMPACT,
    COMPACT_MULTITASK,
    COMPACT_GRU,
    COMPACT_GRU_ATTENTION,
    TIMM_IMAGE,
    TIMM_GRU,
    TIMM_LSTM,
    TIMM_TCN,
    TIMM_TRANSFORMER,
    VECTORS_GRU,
    VECTORS_LSTM,
    VECTORS_TCN,
    VECTORS_TRANSFORMER,
    VECTORS_GRU_ATTENTION,
)


def find_architecture(name: str) -> Architecture:
    """Return the row of a name.

    Raises:
        UsageError: There is none; the message suggests near ones.
    """
    for architecture in ARCHITECTURES:
        if architecture.name == name:
            return architecture
    raise unknown_network(name, [architecture.name for architecture in ARCHITECTURES])
