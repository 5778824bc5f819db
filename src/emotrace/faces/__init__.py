"""Finding faces, cutting them out, and following them through a video."""

from emotrace.faces.choose import (
    DETECTORS,
    DetectorChoice,
    DetectorEntry,
    DetectorName,
    choose_detector,
    make_detector,
)
from emotrace.faces.crop import (
    BoxMapping,
    CropGeometry,
    FaceSquare,
    canonical_square,
    extract_crop,
    eye_line_degrees,
)
from emotrace.faces.detector import Detector
from emotrace.faces.download import (
    DETECTOR_FILES,
    DownloadableFile,
    FetchSettings,
    ensure_file,
    is_available,
)
from emotrace.faces.flow import FlowSettings
from emotrace.faces.follower import FaceFollower
from emotrace.faces.haar import HaarDetector, HaarSettings
from emotrace.faces.lbp import LbpDetector, LbpSettings
from emotrace.faces.search import FaceSearch, RegionalDetector
from emotrace.faces.tracker import FaceTracker, TrackerSettings
from emotrace.faces.yunet import YuNetDetector, YuNetSettings

__all__ = [
    "DETECTORS",
    "DETECTOR_FILES",
    "BoxMapping",
    "CropGeometry",
    "Detector",
    "DetectorChoice",
    "DetectorEntry",
    "DetectorName",
    "DownloadableFile",
    "FaceFollower",
    "FaceSearch",
    "FaceSquare",
    "FaceTracker",
    "FetchSettings",
    "FlowSettings",
    "HaarDetector",
    "HaarSettings",
    "LbpDetector",
    "LbpSettings",
    "RegionalDetector",
    "TrackerSettings",
    "YuNetDetector",
    "YuNetSettings",
    "canonical_square",
    "choose_detector",
    "ensure_file",
    "extract_crop",
    "eye_line_degrees",
    "is_available",
    "make_detector",
]
