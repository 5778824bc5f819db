"""Post-processing of predicted valence and arousal: fill gaps, then filter, centre, scale, shift.

| module | holds |
|---|---|
| `chain` | `PostProcessing`: tzirakis2021's chain with its parameters frozen, and its use |
| `search` | `fit_chain`: which steps to keep and with which parameters, on validation data |
| `files` | `AffectPostProcessing`: a chain each for valence and arousal, kept as JSON |
| `timing` | rangulov2020's interpolation over gaps; uneven times onto an even grid |
| `timeline` | the chain on the table that `emotrace analyze` writes |
| `median` | the median filter, of one size and of all sizes at once |

`docs/post-processing.md` is the page for users. The votes of salinas2018 are in
`emotrace.analysis.votes`.
"""

from __future__ import annotations

from emotrace.analysis.post_processing.chain import FittedStep, PostProcessing
from emotrace.analysis.post_processing.files import AffectPostProcessing
from emotrace.analysis.post_processing.search import ChainSettings, fit_chain
from emotrace.analysis.post_processing.timeline import apply_to_timeline, fill_timeline
from emotrace.analysis.post_processing.timing import fill_gaps, resample_evenly

__all__ = [
    "AffectPostProcessing",
    "ChainSettings",
    "FittedStep",
    "PostProcessing",
    "apply_to_timeline",
    "fill_gaps",
    "fill_timeline",
    "fit_chain",
    "resample_evenly",
]
