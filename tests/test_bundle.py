"""Bundles: loading good and bad ones, priors by hand, and predictions that no batch changes."""

from __future__ import annotations

import dataclasses
import json
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from emotrace.bundle import (
    PACKAGED_FOLDER,
    Bundle,
    find_bundles,
    load_bundle,
    mix_expressions,
)
from emotrace.bundle_spec import (
    CARD_FILE,
    MODEL_FILE,
    SPEC_FILE,
    BundleSpec,
    ExpressionOutput,
    read_spec,
    spec_to_json,
)
from emotrace.errors import BundleError, UsageError
from emotrace.faces.crop import CropGeometry
from emotrace.labels import EMOTIONS

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

DEFAULT = PACKAGED_FOLDER / "default"


@pytest.fixture(scope="module")
def bundle() -> Bundle:
    return load_bundle()


@pytest.fixture
def copied(tmp_path: Path) -> Path:
    return Path(shutil.copytree(DEFAULT, tmp_path / "copied"))


def change_spec(folder: Path, change: Callable[[dict[str, Any]], object]) -> None:
    path = folder / SPEC_FILE
    raw = json.loads(path.read_text())
    change(raw)
    path.write_text(json.dumps(raw))


def noise_faces(count: int, seed: int = 0, side: int = 48) -> list[NDArray[np.uint8]]:
    generator = np.random.default_rng(seed)
    coarse = generator.integers(0, 256, (count, 6, 6, 3), dtype=np.uint8)
    return [cv2.resize(face, (side, side)).astype(np.uint8) for face in coarse]


# Loading.


def test_the_packaged_bundle_is_found_by_its_name_and_by_its_folder(bundle: Bundle) -> None:
    assert find_bundles()[0] == DEFAULT
    assert (bundle.name, bundle.labels, bundle.folder) == ("default", EMOTIONS, DEFAULT)
    assert load_bundle(DEFAULT).hash == load_bundle(str(DEFAULT)).hash == bundle.hash
    assert bundle.card.startswith("# default")


def test_the_packaged_bundle_holds_nothing_but_its_three_files() -> None:
    assert sorted(path.name for path in DEFAULT.iterdir()) == [CARD_FILE, MODEL_FILE, SPEC_FILE]


def test_a_bundle_in_the_home_folder_is_found_but_hides_no_packaged_one(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("EMOTRACE_HOME", str(tmp_path))
    for name in ("mine", "default"):
        shutil.copytree(DEFAULT, tmp_path / "bundles" / name)
    (tmp_path / "bundles" / "no-bundle").mkdir()
    assert find_bundles() == [DEFAULT, tmp_path / "bundles" / "mine"]
    assert load_bundle("mine").folder == tmp_path / "bundles" / "mine"
    assert load_bundle("default").folder == DEFAULT


def test_an_unknown_name_lists_those_there_are() -> None:
    with pytest.raises(BundleError, match="got 'defualt'; this machine has: default"):
        load_bundle("defualt")


def test_a_folder_that_is_no_bundle_says_what_it_lacks(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match=r"expected a bundle in .*; it has no spec\.json"):
        load_bundle(tmp_path)


@pytest.mark.parametrize("missing", [CARD_FILE, MODEL_FILE])
def test_a_missing_file_is_named(copied: Path, missing: str) -> None:
    (copied / missing).unlink()
    with pytest.raises(BundleError, match=missing):
        load_bundle(copied)


def test_a_card_that_is_no_text_is_an_error(copied: Path) -> None:
    (copied / CARD_FILE).write_bytes(b"\xff\xfe\xff")
    with pytest.raises(BundleError, match=r"card\.md in the bundle"):
        load_bundle(copied)


def test_one_changed_byte_of_the_model_is_noticed(copied: Path) -> None:
    data = bytearray((copied / MODEL_FILE).read_bytes())
    data[len(data) // 2] ^= 1
    (copied / MODEL_FILE).write_bytes(data)
    with pytest.raises(BundleError, match=r"expected sha256 .* got .*; the bundle is damaged"):
        load_bundle(copied)


def test_a_model_that_is_none_is_an_error_in_one_line(copied: Path) -> None:
    import hashlib

    (copied / MODEL_FILE).write_bytes(b"no model")
    digest = hashlib.sha256(b"no model").hexdigest()
    change_spec(copied, lambda raw: raw.update(model_sha256=digest))
    with pytest.raises(BundleError, match="a model that onnxruntime can load") as told:
        load_bundle(copied)
    assert "\n" not in str(told.value)


def test_text_that_is_no_json_is_an_error(copied: Path) -> None:
    (copied / SPEC_FILE).write_text("{")
    with pytest.raises(BundleError, match=r"expected readable JSON in .*spec\.json"):
        load_bundle(copied)


@pytest.mark.parametrize(
    ("written", "got"), [("[]", "list"), ("{}", "None"), ('{"format": 3}', "3")]
)
def test_another_format_asks_for_an_update(copied: Path, written: str, got: str) -> None:
    (copied / SPEC_FILE).write_text(written)
    told = f"expected bundle format 1 or 2 in .*; got {got}; update"
    with pytest.raises(BundleError, match=told):
        load_bundle(copied)


OPTIONAL = {"temperatures", "face_threshold", "uncertain_threshold"}


def every_key(raw: dict[str, Any]) -> list[str]:
    return [name for name in raw if name not in OPTIONAL | {"format"}]


@pytest.mark.parametrize("name", every_key(json.loads((DEFAULT / SPEC_FILE).read_text())))
def test_a_spec_that_lacks_anything_is_incomplete(copied: Path, name: str) -> None:
    change_spec(copied, lambda raw: raw.pop(name))
    with pytest.raises(BundleError, match=rf"expected a complete spec in .*KeyError: '{name}'"):
        read_spec(copied)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda raw: raw["expression_outputs"].reverse(), "first expression output must cover"),
        (lambda raw: raw.update(expression_outputs=[]), "first expression output must cover"),
        (lambda raw: raw["expression_outputs"][1]["labels"].append("joy"), r"lacks: \['joy'\]"),
        (lambda raw: raw["input"].update(colour="blue"), "input colour must be .*, not 'blue'"),
        (lambda raw: raw["crop"].update(scale=0), "a crop with scale > 0"),
        (lambda raw: raw["crop"].pop("align"), "KeyError: 'align'"),
        (lambda raw: raw["priors"]["default"].pop("fear"), "KeyError: 'fear'"),
        (
            lambda raw: raw["priors"]["default"].update(fear=-0.1),
            "prior 'default' must be 0 or more",
        ),
        (
            lambda raw: raw["priors"].update(training=dict.fromkeys(EMOTIONS, 0)),
            "prior 'training' must be 0 or more, not all 0",
        ),
        (lambda raw: raw.update(priors=[]), "AttributeError"),
        (
            lambda raw: raw["expression_outputs"][0].update(temperature=0),
            "temperature of ferplus_logits must be above 0",
        ),
        (
            lambda raw: [output.update(weights={}) for output in raw["expression_outputs"]],
            "weights under prior 'training' must be 0 or more, not all 0",
        ),
        (
            lambda raw: raw["expression_outputs"][0]["weights"].update(uniform=-1),
            "weights under prior 'uniform'",
        ),
    ],
)
def test_a_spec_that_cannot_work_says_why(
    copied: Path, change: Callable[[dict[str, Any]], object], told: str
) -> None:
    change_spec(copied, change)
    with pytest.raises(BundleError, match=rf"expected a complete spec in .*{told}"):
        load_bundle(copied)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda raw: raw.update(face_output="is_face"), r"'is_face' of shape \(1,\)"),
        (
            lambda raw: raw.update(valence_arousal_output="face_logit"),
            r"'face_logit' of shape \(2,\)",
        ),
        (lambda raw: raw["input"].update(name="images"), r"'images' of shape \(1, 48, 48\)"),
        (lambda raw: raw["input"].update(size_px=64), r"'faces' of shape \(1, 64, 64\)"),
        (
            lambda raw: raw["expression_outputs"][0].update(
                name="fer2013_logits", weights={"custom": 1.0}
            ),
            r"'fer2013_logits' of shape \((8|7),\)",
        ),
    ],
)
def test_a_model_of_another_shape_than_its_spec_is_refused(
    copied: Path, change: Callable[[dict[str, Any]], object], told: str
) -> None:
    if "(8|7)" in told:  # both outputs are said to be the one with seven
        change_spec(copied, lambda raw: raw["expression_outputs"].pop(1))
    change_spec(copied, change)
    with pytest.raises(BundleError, match=rf"expected the model in .* to have {told} a picture"):
        load_bundle(copied)


def test_a_spec_comes_back_as_it_was_written(copied: Path) -> None:
    spec = read_spec(copied)
    written = spec_to_json(spec)
    assert written == json.loads((DEFAULT / SPEC_FILE).read_text())
    (copied / SPEC_FILE).write_text(json.dumps(written))
    assert read_spec(copied) == spec


def test_threads_below_one_are_a_usage_error() -> None:
    with pytest.raises(UsageError, match="threads of at least 1; got 0"):
        load_bundle(threads=0)


# Priors.


@pytest.mark.parametrize(
    ("prior", "told"),
    [
        ("balanced", "expected a prior out of training, default, .*uniform, .* got 'balanced'"),
        ({"anger": 1.0}, "missing: contempt, .*surprise; unknown: none"),
        ({**dict.fromkeys(EMOTIONS, 1.0), "joy": 1.0}, "missing: none; unknown: joy"),
        ({**dict.fromkeys(EMOTIONS, 1.0), "fear": -0.5}, "prior shares of 0 or more, not all 0"),
        (dict.fromkeys(EMOTIONS, 0.0), "prior shares of 0 or more, not all 0"),
        ({**dict.fromkeys(EMOTIONS, 1.0), "fear": float("nan")}, "prior shares of 0 or more"),
        ({**dict.fromkeys(EMOTIONS, 1.0), "fear": float("inf")}, "prior shares of 0 or more"),
    ],
)
def test_a_prior_that_does_not_fit_is_a_usage_error(
    prior: str | dict[str, float], told: str
) -> None:
    with pytest.raises(UsageError, match=told):
        load_bundle(prior=prior)


def test_every_named_prior_is_of_shares_that_sum_to_one() -> None:
    spec = read_spec(DEFAULT)
    for name in ("training", "default", "uniform"):
        loaded = load_bundle(prior=name)
        assert loaded.prior_name == name
        assert loaded.prior.sum() == pytest.approx(1)
        if name == "uniform":
            np.testing.assert_allclose(loaded.prior, 1 / 8)
        else:
            np.testing.assert_allclose(loaded.prior, spec.priors[name], atol=1e-6)


def test_own_shares_are_scaled_and_said_in_the_description() -> None:
    shares = {name: float(at + 1) for at, name in enumerate(reversed(EMOTIONS))}
    loaded = load_bundle(prior=shares)
    told = loaded.describe()
    assert json.loads(json.dumps(told)) == told
    assert told["prior"] == "custom"
    assert told["prior_shares"] == {name: round(share / 36, 6) for name, share in shares.items()}
    assert told["labels"] == list(EMOTIONS)
    assert told["sha256"] == loaded.hash


def test_a_prior_moves_probability_where_it_puts_its_shares() -> None:
    faces = noise_faces(4)
    even = load_bundle(prior="uniform").predict_crops(faces)
    fearful = load_bundle(prior={name: 100.0 if name == "fear" else 1.0 for name in EMOTIONS})
    at = EMOTIONS.index("fear")
    assert (fearful.predict_crops(faces)[:, at] > even[:, at]).all()


def test_a_share_of_zero_rules_an_expression_out() -> None:
    prior = {name: 0.0 if name == "neutral" else 1.0 for name in EMOTIONS}
    found = load_bundle(prior=prior).predict_crops(noise_faces(4))
    assert (found[:, EMOTIONS.index("neutral")] < 1e-4).all()
    np.testing.assert_allclose(found.sum(axis=1), 1, rtol=1e-5)


THREE = ("contempt", "fear", "neutral")


def make_spec(weights: Sequence[dict[str, float]], temperatures: Sequence[float]) -> BundleSpec:
    label_sets = (THREE, ("neutral", "fear"))  # in another order than the bundle's, too
    return BundleSpec(
        name="made",
        version="1",
        description="",
        labels=THREE,
        temporal="none",
        crop=CropGeometry(),
        input_name="faces",
        input_size_px=48,
        expression_outputs=tuple(
            ExpressionOutput(name=name, labels=labels, temperature=temperature, weights=weight)
            for name, labels, temperature, weight in zip(
                "ab", label_sets, temperatures, weights, strict=False
            )
        ),
        face_output=None,
        valence_arousal_output=None,
        priors={},
        training_data="",
        licence="",
        model_sha256="",
    )


def test_one_output_is_the_softmax_of_logits_over_temperature_plus_log_prior() -> None:
    spec = make_spec([{"training": 1.0}], [0.5])
    prior = np.array([0.2, 0.3, 0.5])
    logits = np.log(np.array([[2.0, 1.0, 3.0]], np.float32))
    mixed = mix_expressions(spec, {"a": logits}, np.log(prior), "training")
    # exp(ln(k) / 0.5) = k ** 2, times the prior: 0.8, 0.3, 4.5 of 5.6.
    np.testing.assert_allclose(mixed, [[0.8 / 5.6, 0.3 / 5.6, 4.5 / 5.6]], rtol=1e-6)


def test_two_outputs_are_mixed_by_weight_and_the_first_fills_in_what_the_second_lacks() -> None:
    spec = make_spec([{"default": 0.25, "custom": 1.0}, {"default": 0.75}], [1, 1])
    logits = {
        "a": np.log(np.array([[5.0, 3.0, 2.0]], np.float32)),
        "b": np.log(np.array([[1.0, 4.0]], np.float32)),  # neutral, fear
    }
    flat = np.log(np.full(3, 1 / 3))
    # a: 0.5, 0.3, 0.2. b keeps a's 0.5 of contempt and shares the rest 4 (fear) to 1 (neutral).
    expected = 0.25 * np.array([0.5, 0.3, 0.2]) + 0.75 * np.array([0.5, 0.4, 0.1])
    np.testing.assert_allclose(
        mix_expressions(spec, logits, flat, "default"), [expected], rtol=1e-6
    )
    # A prior without weights of its own takes those of `custom`.
    np.testing.assert_allclose(
        mix_expressions(spec, logits, flat, "mine"), [[0.5, 0.3, 0.2]], rtol=1e-6
    )


@settings(deadline=None)
@given(st.integers(0, 2**32 - 1), st.floats(0, 1), st.floats(0.1, 5), st.floats(0.1, 500))
def test_mixtures_are_distributions_whatever_the_logits(
    seed: int, weight: float, temperature: float, spread: float
) -> None:
    generator = np.random.default_rng(seed)
    spec = make_spec([{"default": weight}, {"default": 1 - weight}], [temperature, 1])
    logits = {
        "a": generator.normal(0, spread, (5, 3)).astype(np.float32),
        "b": generator.normal(0, spread, (5, 2)).astype(np.float32),
    }
    mixed = mix_expressions(spec, logits, np.log(generator.dirichlet(np.ones(3))), "default")
    assert mixed.dtype == np.float32
    assert (mixed >= 0).all()
    np.testing.assert_allclose(mixed.sum(axis=1), 1, rtol=1e-5)


def test_the_mixtures_temperature_sharpens_and_changes_no_top_label() -> None:
    plain = make_spec([{"default": 1.0, "custom": 1.0}], [1])
    spec = dataclasses.replace(plain, temperatures={"default": 0.5, "custom": 2.0})
    logits = {"a": np.log(np.array([[5.0, 3.0, 2.0]], np.float32))}
    flat = np.log(np.full(3, 1 / 3))
    np.testing.assert_allclose(
        mix_expressions(spec, logits, flat, "default"), np.array([[25, 9, 4]]) / 38, rtol=1e-6
    )
    # A prior without one of its own takes that of `custom`; none at all leaves the mixture alone.
    roots = np.sqrt([[5, 3, 2]])
    np.testing.assert_allclose(
        mix_expressions(spec, logits, flat, "mine"), roots / roots.sum(), rtol=1e-6
    )
    np.testing.assert_allclose(
        mix_expressions(plain, logits, flat, "default"), [[0.5, 0.3, 0.2]], rtol=1e-6
    )


def test_a_temperature_near_nothing_gives_certainty_not_nan() -> None:
    spec = dataclasses.replace(make_spec([{"default": 1.0}], [1]), temperatures={"default": 1e-3})
    logits = {"a": np.array([[0.0, 1.0, 0.5], [2.0, 0.0, 0.0]], np.float32)}
    mixed = mix_expressions(spec, logits, np.log(np.full(3, 1 / 3)), "default")
    np.testing.assert_allclose(mixed, [[0, 1, 0], [1, 0, 0]], atol=1e-6)


def test_the_model_runs_once_for_several_priors(bundle: Bundle) -> None:
    crops = [np.full((48, 48, 3), level, np.uint8) for level in (0, 90, 200)]
    outputs = bundle.score_pixels(bundle.prepare(crops))
    for prior in ("training", "uniform"):
        loaded = load_bundle(prior=prior)
        np.testing.assert_array_equal(
            loaded.interpret(outputs).probabilities, loaded.predict_crops(crops)
        )


def test_a_spec_without_expressions_cannot_be_mixed() -> None:
    spec = dataclasses.replace(make_spec([{}], [1]), expression_outputs=())
    with pytest.raises(BundleError, match="expected an expression output in the spec of made"):
        mix_expressions(spec, {}, np.zeros(3), "default")


# Predicting.


def test_no_crops_give_no_rows(bundle: Bundle) -> None:
    assert bundle.predict_crops([]).shape == (0, 8)
    found = bundle.predict([])
    assert found.probabilities.dtype == np.float32
    assert found.face_probabilities is not None
    assert found.face_probabilities.shape == (0,)
    assert found.valence_arousal is None


@pytest.mark.parametrize("shape", [(1, 1, 3), (48, 48, 3), (7, 200, 3), (300, 20, 3), (96, 96, 3)])
def test_crops_of_any_size_give_distributions(bundle: Bundle, shape: tuple[int, ...]) -> None:
    image = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    found = bundle.predict([image, image[:, ::-1]])
    assert found.probabilities.shape == (2, 8)
    np.testing.assert_allclose(found.probabilities.sum(axis=1), 1, rtol=1e-5)
    assert found.face_probabilities is not None
    assert ((found.face_probabilities >= 0) & (found.face_probabilities <= 1)).all()


def test_crops_of_different_sizes_may_come_together(bundle: Bundle) -> None:
    crops = [noise_faces(1, side=side)[0] for side in (20, 48, 96, 131)]
    together = bundle.predict_crops(crops)
    for crop, row in zip(crops, together, strict=True):
        np.testing.assert_array_equal(bundle.predict_crops([crop])[0], row)


@pytest.mark.parametrize(
    "image",
    [
        np.zeros((48, 48, 3), np.float32),
        np.zeros((48, 48), np.uint8),
        np.zeros((48, 48, 4), np.uint8),
        np.zeros((0, 48, 3), np.uint8),
    ],
)
def test_another_kind_of_picture_is_a_usage_error_that_names_it(
    bundle: Bundle, image: NDArray[Any]
) -> None:
    with pytest.raises(
        UsageError, match=r"expected crop 1 to be \(height, width, 3\) uint8"
    ) as told:
        bundle.predict_crops([noise_faces(1)[0], image])
    assert str(image.shape) in str(told.value)


def test_a_face_is_predicted_the_same_bit_for_bit_in_a_batch_of_any_size(bundle: Bundle) -> None:
    faces = noise_faces(64, seed=5)
    whole = bundle.predict(faces)
    assert whole.face_probabilities is not None
    for size in (1, 7):
        parts = [bundle.predict(faces[at : at + size]) for at in range(0, 64, size)]
        np.testing.assert_array_equal(
            np.concatenate([part.probabilities for part in parts]), whole.probabilities
        )
        np.testing.assert_array_equal(
            np.concatenate([part.face_probabilities for part in parts if part is not None]),
            whole.face_probabilities,
        )


def test_the_number_of_threads_changes_nothing(bundle: Bundle) -> None:
    faces = noise_faces(7, seed=6)
    two = load_bundle(threads=2).predict_crops(faces)
    np.testing.assert_array_equal(two, bundle.predict_crops(faces))


def test_pictures_are_prepared_as_the_spec_says(bundle: Bundle) -> None:
    """Grey by ITU-R BT.601, in [0, 1], at the size of the input."""
    image = noise_faces(1, seed=7)[0]
    grey = (image.astype(np.float64) @ [0.299, 0.587, 0.114]).round()
    pixels = (grey / 255).astype(np.float32)[None, None]
    np.testing.assert_allclose(
        bundle.predict_pixels(pixels).probabilities, bundle.predict_crops([image]), atol=0.02
    )
    flat = np.full((130, 61, 3), 77, np.uint8)
    np.testing.assert_array_equal(
        bundle.predict_crops([flat]),
        bundle.predict_pixels(np.full((1, 1, 48, 48), 77 / 255, np.float32)).probabilities,
    )


def test_a_view_of_an_array_is_read_as_its_copy(bundle: Bundle) -> None:
    image = noise_faces(1, seed=8, side=60)[0]
    np.testing.assert_array_equal(
        bundle.predict_crops([image[::-1, ::2, ::-1]]),
        bundle.predict_crops([image[::-1, ::2, ::-1].copy()]),
    )


class ExtremeSession:
    """Stands in for onnxruntime: logits that overflow a plain logistic function."""

    def run(self, names: list[str], _: object) -> list[NDArray[np.float32]]:
        width = {"ferplus_logits": 8, "fer2013_logits": 7}
        face = np.array([-1e4, 0, 1e4], np.float32)
        return [np.zeros((3, width[n]), np.float32) if n in width else face for n in names]


def test_extreme_scores_are_certainties_not_warnings() -> None:
    loaded = load_bundle()
    loaded._session = ExtremeSession()
    found = loaded.predict_pixels(np.zeros((3, 1, 48, 48), np.float32))
    assert found.face_probabilities is not None
    assert found.face_probabilities.tolist() == [0, 0.5, 1]
    assert found.face_probabilities.dtype == np.float32


@pytest.mark.shared
@pytest.mark.slow
def test_the_packaged_bundle_does_what_its_spec_claims(shared_folder: Path) -> None:
    from emotrace.training.evaluation import evaluate_ferplus

    claimed = read_spec(DEFAULT).results["test"]["priors"]
    found = evaluate_ferplus("default", shared_folder)["priors"]
    for prior, protocols in claimed.items():
        for protocol in ("majority", "argmax", "fer2013"):
            ours, theirs = found[prior][protocol], protocols[protocol]
            assert ours["n"] == theirs["n"]
            for measure in ("accuracy", "unweighted_average_recall", "macro_f1"):
                assert ours[measure] == pytest.approx(theirs[measure], abs=0.001), (prior, measure)
