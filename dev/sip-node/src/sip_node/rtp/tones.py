"""The ringing tone a caller hears (ETSI: 425 Hz, one second on, four off)."""

from __future__ import annotations

from typing import Final

import numpy as np

from sip_node.rtp.g711 import FRAME, Samples

_RATE: Final = 8000
_HERTZ: Final = 425
_ON: Final = 50
_CYCLE: Final = 250
_LEVEL: Final = 32767 // 2


class RingingTone:
    """`frame` gives the next 20 ms, None in the pauses."""

    def __init__(self) -> None:
        self._frame = 0

    def frame(self) -> Samples | None:
        number = self._frame % _CYCLE
        self._frame += 1
        if number >= _ON:
            return None
        time = (np.arange(FRAME) + number * FRAME) / _RATE
        return (np.sin(2 * np.pi * _HERTZ * time) * _LEVEL).astype(np.int16)
