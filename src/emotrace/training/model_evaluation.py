"""All that `emotrace evaluate` measures of a run or a bundle on a crop cache."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from emotrace.errors import UsageError
from emotrace.training.affect_chains import fit_affect_chain, score_affect_chain
from emotrace.training.model_predictions import predict_models
from emotrace.training.run_comparison import compare_models
from emotrace.training.zoo.evaluation import score_predictions
from emotrace.training.zoo.run import load_trained

if TYPE_CHECKING:
    from pathlib import Path

    from emotrace.training.model_predictions import RunLoader, ScoringRequest
    from emotrace.training.zoo.evaluation import Unit


def evaluate_model(
    model: str | Path,
    request: ScoringRequest,
    *,
    against: str | Path | None = None,
    post_process: bool = False,
    unit: Unit = "auto",
    repeats: int = 1000,
    load_run: RunLoader = load_trained,
) -> dict[str, Any]:
    """Score a run or a bundle.

    Args:
        model: The folder of a run, or the name or folder of a bundle.
        request: On what.
        against: Another one, for paired differences on the same frames.
        post_process: Fit tzirakis2021's chain on the validation side and score the test side with
            it, too.
        unit: What is drawn for intervals.
        repeats: Bootstrap draws.
        load_run: Makes a network of a run's folder.

    Returns:
        JSON-ready: `model`, `scores`, `post_processing` and `against` (None where not asked for),
        `notices`.

    Raises:
        UsageError: Post-processing without a validation side of its own; and as `predict_models`
            says.
        DatasetError, TrainingError, BundleError: As `predict_models` says.
    """
    if post_process and request.side != "test":
        raise UsageError(
            "expected post-processing to be fitted on the validation side and scored on the test "
            f"side; got the side {request.side!r}; leave --split and --whole away, or name a "
            "--protocol that has both"
        )
    names = [model] if against is None else [model, against]
    said = predict_models(names, request, load_run=load_run)
    processing = None
    if post_process:
        validation = predict_models([model], replace(request, side="validation"), load_run=load_run)
        chain = fit_affect_chain(validation[0].predictions)
        processing = score_affect_chain(said[0].predictions, chain, unit=unit, repeats=repeats)
    compared = None
    if against is not None:
        compared = compare_models(said, unit=unit, repeats=repeats)
    return {
        "model": said[0].to_json(),
        "scores": score_predictions(said[0].predictions, unit=unit, repeats=repeats),
        "post_processing": processing,
        "against": compared,
        "notices": list(said[0].notices),
    }
