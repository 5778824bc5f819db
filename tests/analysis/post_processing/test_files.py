from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from emotrace.analysis.post_processing import AffectPostProcessing, PostProcessing, fit_chain
from emotrace.errors import InputError, OutputError
from tests.analysis.post_processing.recordings import RATE_HZ, make_recordings

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(scope="module")
def fitted() -> AffectPostProcessing:
    chain = fit_chain(*make_recordings(count=2, frames=120, lag=5), RATE_HZ)
    return AffectPostProcessing(valence=chain, arousal=PostProcessing(rate_hz=30.0, bias=-0.25))


def test_a_file_gives_back_the_same_to_the_last_bit(
    fitted: AffectPostProcessing, tmp_path: Path
) -> None:
    path = fitted.save(tmp_path / "chain.json")
    assert AffectPostProcessing.load(path) == fitted
    assert AffectPostProcessing.load(str(path)).valence == fitted.valence
    one = AffectPostProcessing(arousal=fitted.arousal)
    assert AffectPostProcessing.load(one.save(path)) == one


def test_the_longer_look_ahead_counts() -> None:
    slow = PostProcessing(rate_hz=25.0, median_seconds=1.0)
    assert AffectPostProcessing(valence=slow).look_ahead_seconds == pytest.approx(0.48)
    assert AffectPostProcessing().look_ahead_seconds == 0


def damaged(value: Any, path: tuple[Any, ...], new: Any) -> Any:
    """`value` with one place changed, or removed where `new` is ..."""
    at = value
    for key in path[:-1]:
        at = at[key]
    if new is ...:
        del at[path[-1]]
    else:
        at[path[-1]] = new
    return value


@pytest.mark.parametrize(
    ("path", "new", "message"),
    [
        (("format",), "something", "expected an object with format"),
        (("version",), 2, "post-processing of version 1; got 2; fit it again"),
        (("valence",), [], "expected valence to hold"),
        (("valence", "bias"), ..., "expected valence to hold .*wrong or missing: bias"),
        (("valence", "extra"), 1, "wrong or missing: extra"),
        (("valence", "bias"), "much", "expected a number as valence.bias; got 'much'"),
        (("valence", "scale"), True, "expected a number as valence.scale; got True"),
        (("arousal", "rate_hz"), None, "expected a number as arousal.rate_hz; got nothing"),
        (("arousal", "median_seconds"), -1, "arousal: expected median_seconds above 0"),
        (("valence", "steps"), 3, "expected a list as valence.steps; got 3"),
        (("valence", "steps", 0, "name"), "magic", "expected a step of the chain"),
        (("valence", "steps", 0, "ccc_with"), None, "expected two CCCs"),
        (("valence", "steps", 0, "value"), ..., "wrong or missing: value"),
    ],
)
def test_a_file_of_another_form_is_refused_and_named(
    fitted: AffectPostProcessing, tmp_path: Path, path: tuple[Any, ...], new: Any, message: str
) -> None:
    file = tmp_path / "chain.json"
    plain = json.loads(json.dumps(fitted.to_json()))
    file.write_text(json.dumps(damaged(plain, path, new)))
    with pytest.raises(InputError, match=message) as caught:
        AffectPostProcessing.load(file)
    assert str(file) in str(caught.value)


def test_files_that_cannot_be_read_or_written(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"could not read .*missing\.json"):
        AffectPostProcessing.load(tmp_path / "missing.json")
    (tmp_path / "text.json").write_text("not JSON")
    with pytest.raises(InputError, match=r"could not read .*text\.json"):
        AffectPostProcessing.load(tmp_path / "text.json")
    with pytest.raises(OutputError):
        AffectPostProcessing().save(tmp_path / "nowhere" / "chain.json")
