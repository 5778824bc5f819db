"""Synthetic face videos of which everything is known: drawing them, and writing them down."""

from emotrace.synth.action_units import ACTION_UNITS, EXPRESSIONS, ActionUnit, Combination
from emotrace.synth.camera import LIGHT_NAMES, CameraSettings
from emotrace.synth.clips import ClipSettings, SceneSettings, make_clip, make_scene
from emotrace.synth.dynamics import DYNAMICS
from emotrace.synth.identity import Identity, make_identity
from emotrace.synth.truth import Partition, SynthClip, SynthFace, SynthFrame
from emotrace.synth.write import TRUTH_SCHEMA, write_frames, write_video

__all__ = [
    "ACTION_UNITS",
    "DYNAMICS",
    "EXPRESSIONS",
    "LIGHT_NAMES",
    "TRUTH_SCHEMA",
    "ActionUnit",
    "CameraSettings",
    "ClipSettings",
    "Combination",
    "Identity",
    "Partition",
    "SceneSettings",
    "SynthClip",
    "SynthFace",
    "SynthFrame",
    "make_clip",
    "make_identity",
    "make_scene",
    "write_frames",
    "write_video",
]
