"""Every layout, written and read again by its data set's reader, gives back the truth exactly."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from emotrace.datasets.catalogue import DATASETS, read_dataset
from emotrace.datasets.checks import check_dataset
from emotrace.datasets.media import iterate_frames
from emotrace.datasets.records import ClipRecord
from emotrace.errors import DatasetError, OutputError, UsageError
from emotrace.synth.layouts import LAYOUTS, LeftOut, WrittenClip, write_layout
from emotrace.synth.layouts.written import crop_square
from emotrace.synth.plans import SetSettings, plan_set
from tests.synth.layouts.standin import HEIGHT, WIDTH, Plan, make_clip, sample_clips

ALL = sorted(LAYOUTS)
LABEL_FILES = {
    "ckplus": ("Emotion/*/*/*.txt", "FACS/*/*/*.txt"),
    "affwild2": (
        "annotations/EXPR_Set/*/*.txt",
        "annotations/*A_Set/*/*.txt",
        "annotations/AU*/*/*",
    ),
    "recola": ("ratings_gold_standard/*/*.arff",),
    "fer2013": ("fer2013.csv",),
    "ferplus-csv": ("fer2013new.csv",),
    "manifest": ("manifest.csv",),
}


@pytest.fixture(scope="module", params=ALL)
def written(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> tuple[str, Path, list[WrittenClip], list[LeftOut]]:
    root = tmp_path_factory.mktemp(request.param)
    outcomes = write_layout(request.param, sample_clips(), root)
    clips = [outcome for outcome in outcomes if isinstance(outcome, WrittenClip)]
    left_out = [outcome for outcome in outcomes if isinstance(outcome, LeftOut)]
    return request.param, root, clips, left_out


Written = tuple[str, Path, list[WrittenClip], list[LeftOut]]


def test_every_layout_has_a_reader() -> None:
    assert set(LAYOUTS) <= set(DATASETS)
    # `ferplus.parquet` is a derived file, not a layout that anybody hands out.
    assert set(DATASETS) - set(LAYOUTS) == {"ferplus"}


def check_gives_back(record: ClipRecord, clip: WrittenClip) -> None:
    """Check that a record says exactly what was written."""
    assert (record.clip_id, record.subject, record.partition, record.emotion) == (
        clip.clip_id,
        clip.subject,
        clip.partition,
        clip.emotion,
    )
    assert record.frame_count in (clip.frame_count, None)
    labels = record.frame_labels
    if clip.labels is None:
        assert labels is None
        return
    assert labels is not None
    np.testing.assert_array_equal(labels.frame_index, clip.labels.frame_index)
    np.testing.assert_array_equal(labels.emotion, clip.labels.emotion)
    np.testing.assert_array_equal(labels.valence, clip.labels.valence)
    np.testing.assert_array_equal(labels.arousal, clip.labels.arousal)
    for ours, theirs in (
        (labels.action_units, clip.labels.action_units),
        (labels.action_unit_intensities, clip.labels.action_unit_intensities),
    ):
        for unit, values in theirs.items():
            np.testing.assert_array_equal(ours[unit], values, err_msg=f"unit {unit}")


def test_round_trip_gives_back_subjects_parts_and_every_label(written: Written) -> None:
    name, root, clips, _ = written
    records = {record.clip_id: record for record in read_dataset(name, root)}
    assert len(clips) >= 18
    assert set(records) == {clip.clip_id for clip in clips}
    for clip in clips:
        assert records[clip.clip_id].dataset == name
        check_gives_back(records[clip.clip_id], clip)


@pytest.mark.parametrize(("name", "people"), [*((name, 1) for name in ALL), ("affwild2", 2)])
def test_round_trip_of_drawn_faces(name: str, people: int, tmp_path: Path) -> None:
    """The same with the renderer's own clips, as `emotrace synth --layout` writes them."""
    settings = SetSettings(clips=4, people=people, seconds=0.24, width=160, height=120)
    outcomes = write_layout(name, plan_set(settings, layout=name), tmp_path)
    clips = {o.clip_id: o for o in outcomes if isinstance(o, WrittenClip)}
    assert clips
    records = read_dataset(name, tmp_path)
    assert {record.clip_id for record in records} == set(clips)
    for record in records:
        check_gives_back(record, clips[record.clip_id])
        assert sum(1 for _ in iterate_frames(record)) == clips[record.clip_id].frame_count


def test_truth_is_that_of_the_clips(written: Written) -> None:
    """The truth that a layout states is the synthetic clips' own, rounded and no more."""
    name, _, clips, left_out = written
    sources = {clip.clip_id: clip for clip in sample_clips()}
    assert {clip.source_id for clip in clips} | {item.source_id for item in left_out} == set(
        sources
    )
    subjects: dict[str, str] = {}
    for clip in clips:
        source = sources[clip.source_id]
        assert clip.emotion in (source.emotion, None)
        if clip.subject is not None and name != "recola":
            assert subjects.setdefault(source.subject, clip.subject) == clip.subject
        if clip.labels is None or np.isnan(clip.labels.valence).all():
            continue
        if clip.clip_id.endswith("_left"):  # of the two, the second person
            continue
        faces = [
            next((face for face in frame.faces if face.subject == source.subject), None)
            for frame in source.frames()
        ]
        for frame, valence, arousal in zip(
            clip.labels.frame_index, clip.labels.valence, clip.labels.arousal, strict=True
        ):
            face = faces[frame]
            if face is None:
                assert np.isnan(valence) or name == "recola"
            else:
                assert abs(valence - face.valence) <= 0.0005001
                assert abs(arousal - face.arousal) <= 0.0005001
    assert len(set(subjects.values())) == len(subjects)


def test_pictures_decode_and_are_as_many_as_stated(written: Written) -> None:
    name, root, clips, _ = written
    counts = {clip.clip_id: clip.frame_count for clip in clips}
    for record in read_dataset(name, root):
        frames = list(iterate_frames(record))
        assert len(frames) == counts[record.clip_id]
        # The stand-in's face is brighter in red than in blue, in grey brighter than the ground.
        assert frames[-1].image_rgb.max() > 125


def test_check_finds_nothing_damaged(written: Written) -> None:
    name, root, clips, _ = written
    check = check_dataset(name, root, decode=True)
    assert not check.problems
    assert check.clip_count == len(clips)
    assert check.picture_count == sum(clip.frame_count for clip in clips)
    assert sum(check.clip_emotions.values()) == len(clips)


def test_another_folder_is_refused_with_what_was_looked_for(
    written: Written, tmp_path: Path
) -> None:
    name = written[0]
    (tmp_path / "holiday.mp4").write_bytes(b"")
    with pytest.raises(DatasetError, match="expected") as caught:
        read_dataset(name, tmp_path)
    message = str(caught.value)
    assert "\n" not in message
    assert str(tmp_path) in message
    assert DATASETS[name].layout.split("/")[0].split(",")[0].split(" ")[0].split("_0")[0] in message
    with pytest.raises(DatasetError, match="expected"):
        read_dataset(name, tmp_path / "nowhere")


def _fingerprint(records: list[ClipRecord]) -> object:
    def values(array: NDArray[np.generic] | None) -> object:
        return None if array is None else array.tobytes()

    return [
        (
            record.clip_id,
            record.subject,
            record.session,
            record.condition,
            record.partition,
            record.emotion,
            record.frame_rate,
            str(record.media),
            None
            if (labels := record.frame_labels) is None
            else (
                *map(values, (labels.frame_index, labels.timestamp_seconds, labels.emotion)),
                *map(values, (labels.valence, labels.arousal, labels.votes)),
                {unit: values(item) for unit, item in labels.action_units.items()},
                {unit: values(item) for unit, item in labels.action_unit_intensities.items()},
            ),
        )
        for record in records
    ]


@pytest.mark.parametrize("name", sorted(LABEL_FILES))
def test_one_changed_character_never_passes_unseen(name: str, tmp_path: Path) -> None:
    """Wherever a character changes, the reader refuses, naming the file, or its labels change."""
    clips = [
        make_clip(Plan(clip_id="one", subject="ada", emotion="fear", frame_count=4)),
        make_clip(
            Plan(clip_id="two", subject="ben", emotion="sadness", frame_count=4, hidden=(1,))
        ),
    ]
    write_layout(name, clips, tmp_path)
    before = _fingerprint(read_dataset(name, tmp_path))
    generator = np.random.default_rng(4)
    for pattern in LABEL_FILES[name]:
        path = next(iter(sorted(tmp_path.glob(pattern))))
        text = path.read_text()
        said: list[str] = []
        places = np.arange(len(text) - 1)  # the last line end means nothing
        if len(text) > 250:
            places = np.r_[places[:120], generator.choice(places[120:], 80, replace=False)]
        for place in places.tolist():
            new = generator.choice([c for c in "0123456789.,;-+e_xQ" if c != text[place]])
            if name == "fer2013" and _is_pixel(text, place):
                continue  # pictures are checked when they are read
            if text.startswith("@relation") and place <= text.find("\n"):
                continue  # the relation's name stands for nothing, and differs between years
            path.write_text(text[:place] + new + text[place + 1 :])
            try:
                after = _fingerprint(read_dataset(name, tmp_path))
            except DatasetError as error:
                said.append(str(error))
            else:
                where = (path.name, place, text[max(0, place - 20) : place + 20])
                assert after != before, where
        path.write_text(text)
        assert all(path.stem in message and "\n" not in message for message in said)
        assert len(said) > 5


def _is_pixel(text: str, place: int) -> bool:
    start = text.rfind("\n", 0, place) + 1
    line = text[start : text.find("\n", place)]
    return "," in line and line.find(",") < place - start < line.rfind(",") and start > 0


def test_a_folder_with_leftovers_is_not_written_to(tmp_path: Path) -> None:
    (tmp_path / "old.txt").write_text("x")
    with pytest.raises(OutputError, match="empty folder"):
        write_layout("jaffe", sample_clips(), tmp_path)
    with pytest.raises(UsageError, match="expected a layout out of ckplus"):
        write_layout("jaffa", sample_clips(), tmp_path)


def test_writing_is_deterministic(tmp_path: Path) -> None:
    for name in ("ckplus", "affwild2", "ferplus-csv"):
        contents = []
        for run in ("a", "b"):
            root = tmp_path / name / run
            write_layout(name, sample_clips()[:3], root)
            files = sorted(path for path in root.rglob("*") if path.is_file())
            contents.append([(path.relative_to(root), path.read_bytes()) for path in files])
        assert contents[0] == contents[1]


def test_crop_square_is_centred_on_the_face() -> None:
    image = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    image[20:30, 40:50] = 255
    crop = crop_square(image, (40.0, 20.0, 10.0, 10.0), size_px=40, scale=2.0)
    rows, columns = np.nonzero(crop[:, :, 0] > 127)
    assert abs(rows.mean() - 19.5) <= 0.51
    assert abs(columns.mean() - 19.5) <= 0.51
    assert abs(len(rows) - 400) <= 45


def test_outcomes_are_told_as_they_come(tmp_path: Path) -> None:
    told: list[str] = []
    outcomes = write_layout(
        "jaffe",
        sample_clips()[:4],
        tmp_path,
        on_outcome=lambda outcome: told.append(outcome.source_id),
    )
    assert told == [outcome.source_id for outcome in outcomes]


def test_details_of_the_files_on_disk(tmp_path: Path) -> None:
    """The very bytes that the real sets have, as far as their documentation shows them."""
    clip = make_clip(Plan(clip_id="one", subject="ada", emotion="disgust", frame_count=5))
    for name in ALL:
        write_layout(name, [clip], tmp_path / name)
    emotion = tmp_path / "ckplus/Emotion/S001/001/S001_001_00000003_emotion.txt"
    assert emotion.read_text() == "   3.0000000e+00\n"
    assert (tmp_path / "ckplus/cohn-kanade-images/S001/001/S001_001_00000003.png").is_file()
    assert not (tmp_path / "ckplus/cohn-kanade-images/S001/001/S001_001_00000004.png").exists()
    facs = (tmp_path / "ckplus/FACS/S001/001/S001_001_00000003_facs.txt").read_text()
    assert facs.splitlines()[0].startswith("   1.0000000e+00   ")
    assert (tmp_path / "jaffe/KA.DI1.1.tiff").is_file()
    folder = tmp_path / "oulu-casia/OriginalImg/VL/Strong/P001/Disgust"
    assert sorted(path.name for path in folder.iterdir()) == ["000.jpeg", "001.jpeg", "002.jpeg"]
    annotations = tmp_path / "affwild2/annotations"
    lines = (annotations / "EXPR_Set/Train_Set/1-25-96x64.txt").read_text().splitlines()
    assert lines[:2] == ["Neutral,Anger,Disgust,Fear,Happiness,Sadness,Surprise,Other", "2"]
    units = (annotations / "AU_Set/Train_Set/1-25-96x64.txt").read_text().splitlines()
    assert units[0] == "AU1,AU2,AU4,AU6,AU7,AU10,AU12,AU15,AU23,AU24,AU25,AU26"
    assert units[1].split(",")[5] == "-1"  # the stand-in knows no AU10
    ratings = (tmp_path / "recola/ratings_individual/arousal/train_1.csv").read_text()
    assert ratings.splitlines()[0] == "time;FM1 ;FM2 ;FM3 ;FF1 ;FF2 ;FF3"
    assert [line.split(";")[0] for line in ratings.splitlines()[1:4]] == ["0.00", "0.04", "0.08"]
    gold = (tmp_path / "recola/ratings_gold_standard/arousal/train_1.arff").read_text().splitlines()
    assert gold[9].startswith("train_1,0.00,")  # the challenge's own script skips nine lines
    assert (tmp_path / "ravdess/Actor_01/02-01-07-01-01-01-01.mp4").is_file()
    pixels = (tmp_path / "fer2013/fer2013.csv").read_text().splitlines()
    assert pixels[0] == "emotion,pixels,Usage"
    assert pixels[1].startswith("1,")
    assert pixels[1].endswith(",Training")
    votes = (tmp_path / "ferplus-csv/fer2013new.csv").read_text().splitlines()
    emotions = "neutral,happiness,surprise,sadness,anger,disgust,fear,contempt"
    assert votes[0] == f"Usage,Image name,{emotions},unknown,NF"
    assert votes[1:] == ["Training,fer0000000.png,1,0,0,0,0,8,0,0,1,0"]


def test_missing_labels_have_the_codes_of_aff_wild2(tmp_path: Path) -> None:
    clip = make_clip(Plan(clip_id="gap", subject="ada", emotion="fear", frame_count=4, hidden=(1,)))
    write_layout("affwild2", [clip], tmp_path)
    lines = {
        task: (tmp_path / f"annotations/{task}/Train_Set/1-25-96x64.txt").read_text().splitlines()
        for task in ("EXPR_Set", "VA_Set", "AU_Set")
    }
    assert lines["EXPR_Set"][2] == "-1"
    assert lines["VA_Set"][2] == "-5,-5"
    assert set(lines["AU_Set"][2].split(",")) == {"-1"}
    crops = sorted(path.name for path in (tmp_path / "cropped_aligned/1-25-96x64").iterdir())
    assert crops == ["00001.jpg", "00003.jpg", "00004.jpg"]
    (record,) = read_dataset("affwild2", tmp_path)
    np.testing.assert_array_equal(record.picture_frame_index(), [0, 2, 3])


def test_two_people_of_one_video_share_a_session(tmp_path: Path) -> None:
    clip = make_clip(Plan(clip_id="pair", subject="ada", emotion="fear", second="ben"))
    write_layout("affwild2", [clip], tmp_path)
    records = read_dataset("affwild2", tmp_path)
    assert [record.clip_id for record in records] == ["1-25-96x64_left", "1-25-96x64_right"]
    assert {record.session for record in records} == {"1-25-96x64"}
    assert [record.condition for record in records] == ["left", "right"]
    assert dataclasses.replace(records[0], clip_id="x").frame_count == 9
