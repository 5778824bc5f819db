"""Carrying a recording's sound over into a new MP4, in step with its pictures."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import av

from emotrace.video.container import open_input

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from av.audio.stream import AudioStream
    from av.container import OutputContainer
    from av.packet import Packet
    from av.stream import Stream

COPIED_CODECS: Final = frozenset({"aac", "mp3", "ac3", "eac3", "alac", "opus", "flac"})
"""Sound that MP4 holds as it is; anything else is encoded anew as AAC."""

_AAC_RATES: Final = frozenset(
    {7350, 8000, 11025, 12000, 16000, 22050, 24000, 32000, 44100, 48000, 64000, 88200, 96000}
)
_AAC_LAYOUTS: Final = frozenset({"mono", "stereo", "3.0", "4.0", "5.0", "5.1", "7.1"})
"""What FFmpeg's AAC encoder takes (libavcodec/aacenctab.h)."""
_AAC_BITS_PER_CHANNEL: Final = 80_000

_PRE_ROLL_SECONDS: Final = 0.1
"""Packets that end this long before the origin are dropped; later ones prime the decoder.

AAC needs one packet (21 ms at 48 kHz) and Opus 80 ms (RFC 7845, section 4.6). The MP4 writer hides
what lies before the origin.
"""


class AudioCarrier:
    """All audio streams of one file, written packet by packet beside the pictures.

    Nothing is held in memory but the packet that is next.

    Attributes:
        notes: What was encoded anew or could not be read, in plain words.
    """

    def __init__(self, source: Path, output: OutputContainer, *, origin_seconds: float) -> None:
        """Open `source` and add a stream to `output` for each of its audio streams.

        Args:
            source: A file with or without sound.
            output: An MP4 whose header is not written yet.
            origin_seconds: The source's time that is to be 0 in the output.

        Raises:
            InputError: `source` cannot be opened.
        """
        self.notes: list[str] = []
        self._origin_seconds = origin_seconds
        self._source = open_input(source)
        self._tracks: dict[int, _CopiedTrack | _EncodedTrack] = {}
        for stream in self._source.streams.audio:
            track = self._add_track(stream, output)
            if track is not None:
                self._tracks[stream.index] = track
        self._output = output
        self._packets = self._read()
        self._next: tuple[float, Packet[AudioStream]] | None = next(self._packets, None)

    def carry_until(self, seconds: float) -> None:
        """Write the sound up to a time of the output, in seconds."""
        while self._next is not None and self._next[0] <= seconds:
            packet = self._next[1]
            for written in self._tracks[packet.stream_index].take(packet):
                self._output.mux(written)
            self._next = next(self._packets, None)

    def finish(self, end_seconds: float | None) -> None:
        """Write the sound to its end, or to a time of the output; then flush the encoders."""
        self.carry_until(float("inf") if end_seconds is None else end_seconds)
        for track in self._tracks.values():
            for written in track.flush():
                self._output.mux(written)

    def close(self) -> None:
        """Close the source."""
        self._source.close()

    def _add_track(
        self, stream: AudioStream, output: OutputContainer
    ) -> _CopiedTrack | _EncodedTrack | None:
        if getattr(stream, "codec_context", None) is None:
            self.notes.append(f"sound stream {stream.index} has no decoder and was left out")
            return None
        codec = stream.codec_context.codec.canonical_name
        if codec in COPIED_CODECS:
            return _CopiedTrack(stream, output, self._origin_seconds)
        self.notes.append(f"the sound ({codec}) was encoded anew as AAC, for MP4 does not hold it")
        return _EncodedTrack(stream, output, self._origin_seconds)

    def _read(self) -> Iterator[tuple[float, Packet[AudioStream]]]:
        """Give each packet with its time in the output, in the order of the file."""
        if not self._tracks:
            return
        streams = [s for s in self._source.streams.audio if s.index in self._tracks]
        latest = 0.0
        try:
            packets: Iterator[Packet[AudioStream]] = self._source.demux(streams)  # type: ignore[assignment]
            for packet in packets:
                stamp = packet.pts if packet.pts is not None else packet.dts
                if not packet.size or stamp is None:
                    continue
                latest = float(stamp * packet.time_base) - self._origin_seconds
                end = latest + float((packet.duration or 0) * packet.time_base)
                # A packet marked "discard" lies outside the source's edit list: it may prime the
                # decoder from before the origin, where it is hidden, but must not be heard.
                is_hidden = packet.is_discard and end > 0
                if end >= -_PRE_ROLL_SECONDS and not is_hidden:
                    yield latest, packet
        except av.FFmpegError as error:
            reason = str(error.strerror).lower()
            self.notes.append(f"the sound could not be read beyond {latest:.3f} s ({reason})")


class _CopiedTrack:
    """A stream whose packets go over as they are."""

    def __init__(self, stream: AudioStream, output: OutputContainer, origin_seconds: float) -> None:
        self._origin_seconds = origin_seconds
        self._stream: Stream = output.add_stream_from_template(stream)

    def take(self, packet: Packet[AudioStream]) -> list[Packet[Stream]]:
        origin = round(self._origin_seconds / packet.time_base)
        moved: Packet[Stream] = packet  # type: ignore[assignment]  # the same bytes, a new stream
        if moved.pts is not None:
            moved.pts -= origin
        if moved.dts is not None:
            moved.dts -= origin
        moved.stream = self._stream
        return [moved]

    def flush(self) -> list[Packet[Stream]]:
        return []


class _EncodedTrack:
    """A stream that is decoded and encoded as AAC."""

    def __init__(self, stream: AudioStream, output: OutputContainer, origin_seconds: float) -> None:
        self._origin_seconds = origin_seconds
        self._source = stream
        rate = stream.codec_context.sample_rate
        layout = stream.codec_context.layout
        self._stream: AudioStream = output.add_stream(
            "aac", rate=rate if rate in _AAC_RATES else 48_000
        )
        self._stream.layout = layout.name if layout.name in _AAC_LAYOUTS else "stereo"
        self._stream.bit_rate = _AAC_BITS_PER_CHANNEL * self._stream.codec_context.channels

    def take(self, packet: Packet[AudioStream] | None) -> list[Packet[AudioStream]]:
        packets = []
        try:
            frames = self._source.codec_context.decode(packet)
        except av.FFmpegError:
            return []  # a damaged packet is a short silence
        time_base = self._source.time_base
        for frame in frames:
            if frame.pts is not None and time_base is not None:
                frame.pts -= round(self._origin_seconds / time_base)
                frame.time_base = time_base
            packets += self._stream.encode(frame)
        return packets

    def flush(self) -> list[Packet[AudioStream]]:
        return [*self.take(None), *self._stream.encode(None)]
