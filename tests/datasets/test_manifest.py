"""The manifest: every column, several annotators, and what is refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from emotrace.datasets.manifest import read_manifest
from emotrace.errors import DatasetError
from emotrace.labels import EMOTIONS

HEAD = "media,clip,subject,partition,frame_rate,frame,annotator,emotion,valence,au12\n"


def put(root: Path, text: str) -> Path:
    for name in ("a.mp4", "b.png", "pictures/2.png", "pictures/1.png"):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(b"")
    (root / "manifest.csv").write_text(text)
    return root


def test_several_annotators_become_one(tmp_path: Path) -> None:
    rows = [
        ("r1", 0, "fear", 0.1, 1),
        ("r2", 0, "fear", 0.3, 1),
        ("r3", 0, "anger", 0.2, 0),
        ("r1", 4, "fear", 0.5, 0),
        ("r2", 4, "anger", 0.7, 1),
        ("r3", 4, "unknown", 0.6, ""),
    ]
    text = HEAD + "".join(f"a.mp4,x,ann,test,25,{f},{r},{e},{v},{u}\n" for r, f, e, v, u in rows)
    (record,) = read_manifest(put(tmp_path, text))
    assert (record.clip_id, record.subject, record.partition, record.frame_rate) == (
        "x",
        "ann",
        "test",
        25.0,
    )
    assert record.emotion is None
    labels = record.frame_labels
    assert labels is not None
    assert labels.frame_index.tolist() == [0, 4]
    assert labels.timestamp_seconds is not None
    np.testing.assert_allclose(labels.timestamp_seconds, [0, 0.16])
    assert labels.emotion.tolist() == [EMOTIONS.index("fear"), -1]
    assert labels.votes is not None
    assert labels.votes.sum(axis=1).tolist() == [3, 3]
    np.testing.assert_allclose(labels.valence, [0.2, 0.6], atol=1e-6)  # all agree on the course
    np.testing.assert_array_equal(labels.action_units[12], [1, np.nan])


def test_winner_takes_all_where_asked_for(tmp_path: Path) -> None:
    votes = ["fear", "fear", "anger", "sadness", "disgust"]
    text = "media,annotator,emotion\n" + "".join(f"b.png,r{i},{e}\n" for i, e in enumerate(votes))
    assert read_manifest(put(tmp_path, text))[0].emotion is None
    assert read_manifest(tmp_path, votes="winner-takes-all")[0].emotion == "fear"


def test_media_of_every_kind(tmp_path: Path) -> None:
    text = "media,emotion\na.mp4,fear\nb.png,anger\npictures,contempt\n"
    video, picture, folder = read_manifest(put(tmp_path, text))
    assert video.media == tmp_path / "a.mp4"
    assert picture.media == (tmp_path / "b.png",)
    assert folder.media == (tmp_path / "pictures/1.png", tmp_path / "pictures/2.png")
    assert [r.clip_id for r in (video, picture, folder)] == ["a.mp4", "b.png", "pictures"]


def test_parquet_says_the_same_as_csv(tmp_path: Path) -> None:
    text = HEAD + "a.mp4,x,ann,train,25.0,0,,fear,0.25,1\na.mp4,x,ann,train,25.0,1,,anger,,0\n"
    (of_csv,) = read_manifest(put(tmp_path, text) / "manifest.csv")
    table = pd.read_csv(tmp_path / "manifest.csv")
    table = table.drop(columns="annotator").astype({"frame": "int64"})
    table.to_parquet(tmp_path / "manifest.parquet")
    (of_parquet,) = read_manifest(tmp_path)  # the folder's Parquet comes first
    assert of_csv.frame_labels is not None
    assert of_parquet.frame_labels is not None
    np.testing.assert_array_equal(of_csv.frame_labels.valence, of_parquet.frame_labels.valence)
    np.testing.assert_array_equal(of_csv.frame_labels.emotion, of_parquet.frame_labels.emotion)
    assert np.isnan(of_parquet.frame_labels.valence[1])
    assert of_parquet.frame_labels.votes is None


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("media,valense\na.mp4,0.1\n", "line 1: expected columns out of media"),
        ("clip,emotion\nx,fear\n", "expected a column media"),
        ("media,emotion\na.mp4,Fear\n", "line 2: expected emotion, one of anger"),
        ("media,emotion\nc.mp4,fear\n", "line 2: expected a video, a picture or a folder"),
        ("media,emotion\n,fear\n", "line 2: expected a path"),
        ("media,emotion\na.mp4\n", "line 2: expected 2 columns"),
        ("media,emotion\na.mp4,fear\na.mp4,anger\n", "line 3: expected one label of the clip"),
        ("media,frame,valence\na.mp4,0,1.5\n", "line 2: expected valence, a number from -1 to 1"),
        ("media,frame,valence\na.mp4,0.5,0\n", "line 2: expected frame, a whole number"),
        ("media,valence\na.mp4,0.5\n", "line 2: expected a frame number beside valence"),
        ("media,frame,au4\na.mp4,0,0.5\n", "line 2: expected au4, 0 or 1"),
        ("media,partition\na.mp4,dev\n", "line 2: expected one of train, validation, test"),
        (
            "media,clip,subject,frame\na.mp4,x,ann,0\na.mp4,x,bob,1\n",
            "line 3: expected subject 'ann'",
        ),
        ("media,frame,timestamp\na.mp4,0,1.0\na.mp4,1,0.5\n", "line 2: expected a timestamp"),
        ("media,frame_rate\na.mp4,fast\n", "line 2: expected frame_rate"),
    ],
)
def test_wrong_rows_are_named(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(DatasetError, match=r"manifest\.csv") as caught:
        read_manifest(put(tmp_path, text))
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_missing_table_says_what_was_looked_for(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match=r"manifest\.parquet, manifest\.csv"):
        read_manifest(tmp_path)
    (tmp_path / "manifest.csv").write_bytes(b"media\n\xff\xfe\n")
    with pytest.raises(DatasetError, match="comma-separated text"):
        read_manifest(tmp_path)
    (tmp_path / "manifest.parquet").write_bytes(b"PAR")
    with pytest.raises(DatasetError, match="Parquet table"):
        read_manifest(tmp_path)


def test_a_folder_without_a_manifest_says_to_write_one(tmp_path: Path) -> None:
    (tmp_path / "a.mp4").touch()
    with pytest.raises(DatasetError, match=r"found a\.mp4; write manifest\.csv there, .*docs/data"):
        read_manifest(tmp_path)
