"""What the readers do with real oddities that synthetic layouts do not have."""

from __future__ import annotations

import pickle
from pathlib import Path

import cv2
import numpy as np
import pytest

from emotrace.datasets.affwild2 import read_affwild2
from emotrace.datasets.ckplus import read_ckplus
from emotrace.datasets.fer2013 import read_fer2013
from emotrace.datasets.ferplus_csv import HEADING, read_ferplus_csv
from emotrace.datasets.findings import Findings
from emotrace.datasets.jaffe import read_jaffe
from emotrace.datasets.media import iterate_frames, read_picture
from emotrace.datasets.oulu_casia import read_oulu_casia
from emotrace.datasets.ravdess import read_ravdess
from emotrace.datasets.recola import PARTITION, read_individual_ratings, read_recola
from emotrace.datasets.records import ImageRef
from emotrace.errors import DatasetError, UsageError
from emotrace.labels import CKPLUS_ACTION_UNITS


def touch(root: Path, *names: str) -> None:
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"")


def put(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def sequence(subject: str, number: str, count: int, first: int = 1) -> list[str]:
    return [
        f"cohn-kanade-images/{subject}/{number}/{subject}_{number}_{first + i:08d}.png"
        for i in range(count)
    ]


class TestCkPlus:
    def test_a_unit_that_was_not_graded_is_active_without_intensity(self, tmp_path: Path) -> None:
        touch(tmp_path, *sequence("S005", "001", 11))
        put(
            tmp_path / "FACS/S005/001/S005_001_00000011_facs.txt",
            "   9.0000000e+00   0.0000000e+00\n   1.7000000e+01   4.0000000e+00\n",
        )
        (record,) = read_ckplus(tmp_path)
        assert record.emotion is None
        labels = record.frame_labels
        assert labels is not None
        assert labels.frame_index.tolist() == [10]
        assert {u for u, v in labels.action_units.items() if v[0] == 1} == {9, 17}
        assert set(labels.action_units) == set(CKPLUS_ACTION_UNITS)
        assert np.isnan(labels.action_unit_intensities[9][0])
        assert labels.action_unit_intensities[17][0] == np.float32(0.8)

    def test_time_codes_instead_of_numbers(self, tmp_path: Path) -> None:
        touch(tmp_path, *sequence("S010", "001", 3, 1594227), *sequence("S010", "001", 2, 1594300))
        (record,) = read_ckplus(tmp_path)
        assert record.frame_count == 5
        assert record.picture_frame_index().tolist() == [0, 1, 2, 3, 4]

    def test_a_lost_picture_is_missed(self, tmp_path: Path) -> None:
        touch(tmp_path, *sequence("S005", "001", 5))
        (tmp_path / sequence("S005", "001", 5)[2]).unlink()
        with pytest.raises(DatasetError, match="number 00000003"):
            read_ckplus(tmp_path)

    def test_labels_must_belong_to_the_last_picture(self, tmp_path: Path) -> None:
        touch(tmp_path, *sequence("S005", "001", 5))
        label = tmp_path / "Emotion/S005/001/S005_001_00000004_emotion.txt"
        put(label, "   3.0000000e+00\n")
        with pytest.raises(DatasetError, match=r"S005_001_00000005_emotion\.txt"):
            read_ckplus(tmp_path)

    def test_labels_without_pictures_are_missed(self, tmp_path: Path) -> None:
        touch(tmp_path, *sequence("S005", "001", 5))
        put(tmp_path / "Emotion/S006/001/S006_001_00000004_emotion.txt", "   3.0000000e+00\n")
        with pytest.raises(DatasetError, match=r"S006_001_00000004_emotion\.txt"):
            read_ckplus(tmp_path)

    def test_all_damage_is_collected_on_request(self, tmp_path: Path) -> None:
        touch(tmp_path, *sequence("S005", "001", 2), *sequence("S005", "002", 2))
        touch(tmp_path, *sequence("S006", "001", 2))
        put(tmp_path / "Emotion/S005/001/S005_001_00000002_emotion.txt", "   9.0000000e+00\n")
        put(tmp_path / "Emotion/S005/002/S005_002_00000002_emotion.txt", "   3.0000000e+01\n")
        put(tmp_path / "Emotion/S006/001/S006_001_00000002_emotion.txt", "   7.0000000e+00\n")
        findings = Findings(keep_going=True)
        records = read_ckplus(tmp_path, findings=findings)
        assert [record.emotion for record in records] == ["surprise"]
        assert len(findings.problems) == 2
        assert "line 1: expected one code from 0 to 7" in findings.problems[0]


class TestAffWild2:
    def test_folders_and_headings_of_later_and_earlier_years(self, tmp_path: Path) -> None:
        later = tmp_path / "Third ABAW Annotations"
        put(
            later / "EXPR_Classification_Challenge/Train_Set/5-60-1920x1080-1.txt",
            "Neutral,Anger,Disgust,Fear,Happiness,Sadness,Surprise,Other\n4\n7\n-1\n",
        )
        put(
            later / "VA_Estimation_Challenge/Train_Set/5-60-1920x1080-1.txt",
            "valence,arousal\r\n0.602,0.389\r\n-5,-5\r\n",
        )
        put(
            later / "AU_Detection_Challenge/Validation_Set/video10_1_left.txt",
            "AU1,AU2,AU4,AU6,AU12,AU15,AU20,AU25\n0,0,0,0,1,0,0,-1\n",
        )
        touch(tmp_path, "batch1/5-60-1920x1080-1.mp4", "batch2/video10_1.mp4")
        first, second = read_affwild2(tmp_path)
        labels = first.frame_labels
        assert labels is not None
        assert labels.emotion.tolist() == [4, -1, -1]
        np.testing.assert_array_equal(labels.valence, np.array([0.602, np.nan, np.nan], np.float32))
        assert first.frame_rate == 60.0
        assert first.subject is None
        assert first.media == tmp_path / "batch1/5-60-1920x1080-1.mp4"
        assert second.media == tmp_path / "batch2/video10_1.mp4"
        assert first.session == "5-60-1920x1080"
        assert (second.session, second.condition, second.partition) == (
            "video10",
            "left",
            "validation",
        )
        assert second.frame_labels is not None
        assert second.frame_labels.action_units[12].tolist() == [1.0]
        assert np.isnan(second.frame_labels.action_units[25][0])
        assert [r.clip_id for r in read_affwild2(tmp_path, task="expression")] == [first.clip_id]

    @pytest.mark.parametrize(
        ("text", "message"),
        [
            (
                "valence,arousal\n0.6,1.2\n",
                "line 2: expected arousal, a number from -1 to 1, or -5",
            ),
            ("valence,arousal\n0.6,-4\n", "line 2"),
            ("valence,arousal\n0.6,0.1\n0.6\n", "line 3: expected 2 numbers, valence, arousal"),
            ("valence;arousal\n0.6,0.1\n", "line 1: expected the heading"),
            ("valence,arousal\n", "line 2: expected a label for each frame"),
            ("valence,arousal\n0.6,nan\n", "line 2"),
            ("valence,arousal\n0.6, 0.1\n", "line 2"),
        ],
    )
    def test_damaged_lines_are_named(self, tmp_path: Path, text: str, message: str) -> None:
        put(tmp_path / "annotations/VA_Set/Train_Set/video1.txt", text)
        touch(tmp_path, "videos/video1.mp4")
        with pytest.raises(DatasetError, match=r"video1\.txt") as caught:
            read_affwild2(tmp_path)
        assert message in str(caught.value)

    def test_pictures_after_the_last_label_are_noted(self, tmp_path: Path) -> None:
        put(tmp_path / "annotations/VA_Set/Train_Set/video1.txt", "valence,arousal\n0,0\n")
        touch(tmp_path, "cropped_aligned/video1/00001.jpg", "cropped_aligned/video1/00002.jpg")
        findings = Findings()
        assert len(read_affwild2(tmp_path, findings=findings)) == 1
        assert findings.notes == ["video1: 1 pictures after the last of 1 labelled frames"]

    def test_labels_without_media_are_refused(self, tmp_path: Path) -> None:
        put(tmp_path / "annotations/VA_Set/Train_Set/video1.txt", "valence,arousal\n0,0\n")
        with pytest.raises(DatasetError, match=r"expected the video video1\.mp4"):
            read_affwild2(tmp_path)
        (tmp_path / "cropped_aligned").mkdir()
        with pytest.raises(DatasetError, match=r"expected pictures 00001\.jpg"):
            read_affwild2(tmp_path)

    def test_a_video_in_two_parts_is_refused_unless_one_task_is_read(self, tmp_path: Path) -> None:
        put(tmp_path / "annotations/VA_Set/Train_Set/video1.txt", "valence,arousal\n0,0\n")
        put(
            tmp_path / "annotations/EXPR_Set/Validation_Set/video1.txt",
            "Neutral,Anger,Disgust,Fear,Happiness,Sadness,Surprise\n0\n",
        )
        touch(tmp_path, "video1.mp4")
        with pytest.raises(DatasetError, match="read one task alone"):
            read_affwild2(tmp_path)
        (record,) = read_affwild2(tmp_path, task="expression")
        assert record.partition == "validation"
        with pytest.raises(UsageError, match="expected task to be"):
            read_affwild2(tmp_path, task="VA")  # type: ignore[arg-type]


class TestRecola:
    HEADING = "time;FM1 ;FM2 ;FM3 ;FF1 ;FF2 ;FF3\n"

    def ratings(self, count: int) -> str:
        rows = [
            ";".join([f"{i * 0.04:.2f}", *(f"{0.01 * i + 0.1 * k:.2f}" for k in range(6))])
            for i in range(count)
        ]
        return self.HEADING + "\n".join(rows) + "\n"

    def test_the_authors_shape(self, tmp_path: Path) -> None:
        parent = tmp_path / "RECOLA-Annotation/emotional_behaviour"
        for dimension in ("arousal", "valence"):
            put(parent / dimension / "P16.csv", self.ratings(5))
        touch(tmp_path, "RECOLA-Video-recordings/P16.mp4")
        (record,) = read_recola(tmp_path)
        assert (record.clip_id, record.subject, record.partition) == ("P16", "P16", "train")
        assert record.frame_labels is not None
        assert record.frame_labels.timestamp_seconds is not None
        np.testing.assert_allclose(
            record.frame_labels.timestamp_seconds, [0, 0.04, 0.08, 0.12, 0.16]
        )
        # All agree on the course, so that the weighted estimate is the mean: 0.25 and 0.01 a row.
        np.testing.assert_allclose(
            record.frame_labels.valence, 0.25 + 0.01 * np.arange(5), atol=1e-6
        )
        (mean,) = read_recola(tmp_path, gold_standard="mean")
        assert mean.frame_labels is not None
        np.testing.assert_allclose(
            mean.frame_labels.arousal, record.frame_labels.arousal, atol=1e-6
        )

    @pytest.mark.parametrize(
        ("change", "message"),
        [
            (("0.08;", "0.09;"), "line 4: expected the time 0.08 s"),
            (
                ("0.08;0.02;", "0.08;0,02;"),
                "line 4: expected FM1, a number from -1 to 1; got '0,02'",
            ),
            (("0.08;0.02;", "0.08;0.02;0.02;"), "line 4: expected 6 numbers, FM1"),
            (("FM2 ", "FM4 "), "line 1: expected the heading"),
        ],
    )
    def test_damaged_csv(self, tmp_path: Path, change: tuple[str, str], message: str) -> None:
        put(tmp_path / "P16.csv", self.ratings(4).replace(*change, 1))
        with pytest.raises(DatasetError, match=r"P16\.csv") as caught:
            read_individual_ratings(tmp_path / "P16.csv")
        assert message in str(caught.value)

    def test_recordings_without_ratings(self, tmp_path: Path) -> None:
        parent = tmp_path / "RECOLA-Annotation/emotional_behaviour"
        for dimension in ("arousal", "valence"):
            put(parent / dimension / "P16.csv", self.ratings(3))
        touch(tmp_path, "RECOLA-Video-recordings/P16.mp4", "RECOLA-Video-recordings/P17.mp4")
        findings = Findings()
        first, second = read_recola(tmp_path, findings=findings)
        assert first.frame_labels is not None
        assert second.frame_labels is None
        assert findings.notes == ["no ratings of P17"]
        with pytest.raises(DatasetError, match=r"ratings of P16 .* in ratings_gold_standard"):
            read_recola(tmp_path, gold_standard="provided")
        touch(tmp_path, "recordings_video/test_1.mp4")
        assert len(read_recola(tmp_path)) == 3
        touch(tmp_path, "recordings_video/dev_1.mp4")
        with pytest.raises(DatasetError, match="expected ratings of dev_1"):
            read_recola(tmp_path)

    def test_parts_hold_46_people_once(self) -> None:
        everyone = [number for part in PARTITION.values() for number in part]
        assert [len(part) for part in PARTITION.values()] == [16, 15, 15]
        assert len(set(everyone)) == 46


class TestRavdess:
    def test_options(self, tmp_path: Path) -> None:
        touch(
            tmp_path,
            "Actor_01/02-01-01-01-01-01-01.mp4",
            "Actor_01/02-01-02-02-01-01-01.mp4",
            "Actor_01/01-01-03-01-01-01-01.mp4",
            "Video_Song_Actor_02/Actor_02/02-02-06-02-02-02-02.mp4",
        )
        records = read_ravdess(tmp_path)
        assert [(r.emotion, r.condition) for r in records] == [
            ("neutral", "speech/normal"),
            ("neutral", "speech/strong"),
        ]
        assert [r.clip_id[6:8] for r in read_ravdess(tmp_path, neutral="calm")] == ["02"]
        assert [r.clip_id[6:8] for r in read_ravdess(tmp_path, neutral="neutral")] == ["01"]
        (song,) = read_ravdess(tmp_path, channel="song")
        assert (song.emotion, song.subject, song.condition) == ("fear", "Actor_02", "song/strong")
        assert [r.emotion for r in read_ravdess(tmp_path, modality="audio-video")] == ["happiness"]
        with pytest.raises(UsageError, match="expected channel to be one of speech, song, both"):
            read_ravdess(tmp_path, channel="speach")  # type: ignore[arg-type]

    @pytest.mark.parametrize(
        ("name", "message"),
        [
            ("02-01-09-01-01-01-01.mp4", "expected the expression to be one of 01, 02"),
            ("02-01-03-01-01-01-02.mp4", "expected the actor to be one of 01; got 02"),
            ("02-01-01-02-01-01-01.mp4", "no strong neutral"),
            ("02-02-08-01-01-01-01.mp4", "no strong neutral, and no disgust or surprise in song"),
            ("02-01-03-01-01-01.mp4", "seven two-digit fields"),
        ],
    )
    def test_names_that_cannot_be(self, tmp_path: Path, name: str, message: str) -> None:
        touch(tmp_path, f"Actor_01/{name}")
        with pytest.raises(DatasetError, match="Actor_01") as caught:
            read_ravdess(tmp_path)
        assert message in str(caught.value)


class TestPictures:
    def test_oulu_casia_crops_and_gaps(self, tmp_path: Path) -> None:
        folder = "PreProcess_Img/VL_Acropped/Strong/P001/Anger"
        touch(tmp_path, f"{folder}/000.jpeg", f"{folder}/001.jpeg")
        (record,) = read_oulu_casia(tmp_path, images="cropped")
        assert (record.emotion, record.condition, record.frame_count) == ("anger", "VL/Strong", 2)
        with pytest.raises(DatasetError, match="VL/Strong"):
            read_oulu_casia(tmp_path)
        touch(tmp_path, f"{folder}/003.jpeg")
        with pytest.raises(DatasetError, match="none numbered 002"):
            read_oulu_casia(tmp_path, images="cropped")

    def test_hidden_files_of_other_systems_are_passed_over(self, tmp_path: Path) -> None:
        touch(tmp_path, "KA.AN1.39.tiff", "._KA.AN1.39.tiff", ".DS_Store")
        touch(tmp_path, *sequence("S005", "001", 2), "cohn-kanade-images/.DS_Store")
        label = "Emotion/S005/001/S005_001_00000002_emotion.txt"
        put(tmp_path / label, "   3.0000000e+00\n")
        touch(tmp_path, label.replace("001/S", "001/._S"))
        touch(tmp_path, "Actor_01/02-01-03-01-01-01-01.mp4", "Actor_01/._02-01-03-01-01-01-01.mp4")
        for read in (read_jaffe, read_ckplus, read_ravdess):
            assert len(read(tmp_path)) == 1

    def test_records_travel_between_processes(self, tmp_path: Path) -> None:
        pixels = " ".join(["9"] * 2304)
        put(tmp_path / "fer2013.csv", f"emotion,pixels,Usage\n0,{pixels},Training\n")
        (record,) = pickle.loads(pickle.dumps(read_fer2013(tmp_path)))  # noqa: S301 -- our own
        assert record.media.read()[0, 0] == 9

    @pytest.mark.parametrize("name", ["KX.AN1.39.tiff", "KA.AM1.39.tiff", "KA.AN.39.tiff"])
    def test_jaffe_names_that_cannot_be(self, tmp_path: Path, name: str) -> None:
        touch(tmp_path, f"jaffe/{name}")
        with pytest.raises(DatasetError, match=r"expected a name like KA\.AN1\.39\.tiff"):
            read_jaffe(tmp_path)

    def test_a_picture_that_is_none_is_named(self, tmp_path: Path) -> None:
        touch(tmp_path, "empty.png")
        put(tmp_path / "text.png", "no picture")
        for name in ("empty.png", "text.png", "nowhere.png"):
            with pytest.raises(DatasetError, match=name):
                read_picture(tmp_path / name)
        image = np.zeros((3, 4, 3), np.uint8)
        image[..., 0] = 200
        cv2.imwrite(str(tmp_path / "blue.png"), image)
        assert read_picture(tmp_path / "blue.png")[0, 0].tolist() == [0, 0, 200]


class TestFer:
    def rows(self, *rows: str) -> str:
        return "emotion,pixels,Usage\n" + "".join(f"{row}\n" for row in rows)

    def pixels(self, value: int = 7) -> str:
        return " ".join([str(value)] * 2303 + ["255"])

    def test_pictures_are_read_on_demand(self, tmp_path: Path) -> None:
        put(
            tmp_path / "fer2013.csv",
            self.rows(f"0,{self.pixels(7)},Training", f"6,{self.pixels(30)},PrivateTest"),
        )
        records = read_fer2013(tmp_path)
        assert [(r.emotion, r.partition) for r in records] == [
            ("anger", "train"),
            ("neutral", "test"),
        ]
        media = records[1].media
        assert isinstance(media, ImageRef)
        image = media.read()
        assert image.shape == (48, 48)
        assert (image[0, 0], image[-1, -1]) == (30, 255)
        (frame,) = iterate_frames(records[0])
        assert frame.image_rgb.shape == (48, 48, 3)

    @pytest.mark.parametrize(
        ("row", "message"),
        [
            ("7,{p},Training", "line 2"),
            ("0,{p},Trainin", "line 2"),
            ("0,{p} 3,Training", "2305 pixels"),
            ("0,,Training", "1 pixels"),
        ],
    )
    def test_damaged_rows_are_named(self, tmp_path: Path, row: str, message: str) -> None:
        put(tmp_path / "fer2013.csv", self.rows(row.format(p=self.pixels())))
        with pytest.raises(DatasetError, match=message):
            read_fer2013(tmp_path)

    @pytest.mark.parametrize("bad", ["256", "-1", "1x", ""])
    def test_damaged_pixels_are_found_on_reading(self, tmp_path: Path, bad: str) -> None:
        good = f"0,{self.pixels()},Training"
        put(tmp_path / "fer2013.csv", self.rows(good, good.replace(" 7 ", f" {bad} ", 1)))
        records = read_fer2013(tmp_path)
        media = records[1].media
        assert isinstance(media, ImageRef)
        with pytest.raises(DatasetError, match="line 3: expected 2304 pixels from 0 to 255"):
            media.read()

    def test_rows_without_a_name_are_left_out(self, tmp_path: Path) -> None:
        rows = [f"{code},{self.pixels()},Training" for code in (0, 1, 2)]
        put(tmp_path / "fer2013.csv", self.rows(*rows))
        votes = [
            "Training,fer0000000.png,4,0,0,1,3,2,0,0,0,0",
            "Training,,0,0,0,0,0,0,0,0,0,10",
            "Training,fer0000005.png,0,0,0,0,0,0,1,9,0,0",
        ]
        put(tmp_path / "fer2013new.csv", "\n".join([HEADING, *votes]) + "\n")
        records = read_ferplus_csv(tmp_path)
        assert [(r.clip_id, r.emotion) for r in records] == [
            ("fer0000000", None),  # 4 of 9 kept votes are no majority
            ("fer0000005", "contempt"),
        ]
        assert records[0].frame_labels is not None
        assert records[0].frame_labels.votes is not None
        assert records[0].frame_labels.votes.tolist() == [[3, 0, 2, 0, 0, 4, 1, 0, 0, 0]]
        argmax = read_ferplus_csv(tmp_path, protocol="argmax")
        assert [r.emotion for r in argmax] == ["neutral", "contempt"]
        put(tmp_path / "fer2013new.csv", "\n".join([HEADING, *votes[:2]]) + "\n")
        with pytest.raises(DatasetError, match="got 2 and 3"):
            read_ferplus_csv(tmp_path)
