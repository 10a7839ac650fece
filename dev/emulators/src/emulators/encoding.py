"""Audio formats made from 16-bit mono PCM, a piece at a time."""

from __future__ import annotations

import io
import struct
from fractions import Fraction
from typing import Literal

import av
import numpy as np

Format = Literal["pcm", "wav", "mp3", "opus", "aac", "flac"]
_CONTAINERS: dict[str, tuple[str, str]] = {
    "mp3": ("mp3", "libmp3lame"),
    "opus": ("ogg", "libopus"),
    "aac": ("adts", "aac"),
    "flac": ("flac", "flac"),
}


class Encoder:
    """PCM in, bytes of the format out. `bit_rate` in bits a second, where the format has one."""

    def __init__(self, form: Format, rate: int, *, bit_rate: int | None = None) -> None:
        self._form = form
        self._rate = rate
        self._begun = False
        self._at = 0
        if form in _CONTAINERS:
            container, codec = _CONTAINERS[form]
            self._sink = io.BytesIO()
            # no header that would have to be rewritten at the end, no tags
            options = {"write_xing": "0", "id3v2_version": "0"} if form == "mp3" else {}
            self._out = av.open(self._sink, "w", format=container, options=options)
            stream = self._out.add_stream(codec, rate=rate, layout="mono")
            assert isinstance(stream, av.AudioStream)
            self._stream = stream
            if bit_rate:
                self._stream.bit_rate = bit_rate
            self._resampler = av.AudioResampler(format=self._stream.format, layout="mono", rate=rate)

    def push(self, pcm: bytes) -> bytes:
        """What can be written after these samples; may be empty."""
        if self._form == "pcm":
            return pcm
        if self._form == "wav":
            head = b"" if self._begun else _wav_header(self._rate)
            self._begun = True
            return head + pcm
        frame = av.AudioFrame.from_ndarray(np.frombuffer(pcm, "<i2").reshape(1, -1), format="s16", layout="mono")
        frame.sample_rate, frame.pts, frame.time_base = self._rate, self._at, Fraction(1, self._rate)
        self._at += frame.samples
        for ready in self._resampler.resample(frame):
            self._out.mux(self._stream.encode(ready))
        return self._taken()

    def finish(self) -> bytes:
        """The rest."""
        if self._form not in _CONTAINERS:
            return b"" if self._begun or self._form == "pcm" else _wav_header(self._rate)
        for ready in self._resampler.resample(None):
            self._out.mux(self._stream.encode(ready))
        self._out.mux(self._stream.encode(None))
        self._out.close()
        return self._taken()

    def _taken(self) -> bytes:
        made = self._sink.getvalue()
        self._sink.seek(0)
        self._sink.truncate()
        return made


def _wav_header(rate: int) -> bytes:
    """Of a stream whose length isn't known yet."""
    form = struct.pack("<HHIIHH", 1, 1, rate, rate * 2, 2, 16)
    return b"RIFF\xff\xff\xff\xffWAVEfmt \x10\x00\x00\x00" + form + b"data\xff\xff\xff\xff"
