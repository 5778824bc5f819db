"""Names of abdullah2020's steps, and the numbers that it claims."""

from __future__ import annotations

from typing import Final

STILLS: Final = "fer2013"
FACES: Final = "ravdess"
XCEPTION: Final = "xception"
FEATURES: Final = "features"
LSTM_RANDOM: Final = tuple(f"lstm/random-{number}" for number in range(1, 6))
"""The first is the paper's split."""
LSTM_ACTORS: Final = "lstm/actors"
SINGLE_RANDOM: Final = "single-frame/random"
SINGLE_ACTORS: Final = "single-frame/actors"
ANSWERS_RANDOM: Final = "answers/random"
ANSWERS_ACTORS: Final = "answers/actors"
LEAK: Final = "difference/random-actors"
TIME_RANDOM: Final = "difference/sequence-single-random"
TIME_ACTORS: Final = "difference/sequence-single-actors"

FER2013_CLAIM: Final = 0.80
VALIDATION_CLAIM: Final = 0.65
TEST_CLAIM: Final = 0.61
"""Section V's accuracies."""
