"""The acoustic model: a small causal network from log-mel features to phone probabilities, run by onnxruntime.

`data/ear.onnx` is made by ``tools/train_ear`` (docs/decisions/0007); its digest stands here, so that
weights and code that don't belong together are refused. 25 frames a second, each the log probabilities of "no new phone" and
of 39 phones (connectionist temporal classification). It looks 0.3 s ahead: a phone is known that much after it was said.
"""

import hashlib
import os
from importlib import resources

import numpy as np

from voice_agent.offline.mel import BANDS, QUIET, Floats

DIGEST = "f1a11f06e50069f3ce97c22c5c1f04b7c6ffe45a718a2b74eedd2fa56c609544"
PHONES = tuple(
    "AA AE AH AO AW AY B CH D DH EH ER EY F G HH IH IY JH K L M N NG OW OY P R S SH T TH UH UW V W Y Z ZH".split()  # noqa: SIM905
)
ACCENTS = {
    "en-us": 40, "en-us-nyc": 5, "en-gb": 20, "en-gb-scotland": 8, "en-gb-x-rp": 10, "en-gb-x-gbcwmd": 9, "en-029": 8,
}  # fmt: skip
"""espeak-ng's accents that the weights were trained on, with their shares."""
USUAL_VARIANTS = ("f1", "f2", "f3", "f4", "f5", "m1", "m2", "m3", "m4", "m5", "m6", "m7", "m8")
OTHER_VARIANTS = tuple(
    """Alex Alicia Andy Annie Denis Diogo Gene Gene2 Henrique Hugo Jacky Lee Marco Mario Michael Mike Mr Nguyen RicishayMax
    RicishayMax2 RicishayMax3 Tweaky adam anika announcer antonio aunty belinda benjamin boris caleb croak david ed edward
    edward2 grandma grandpa gustave iven iven2 iven3 iven4 john klatt klatt2 klatt3 klatt4 linda marcelo max michel miguel
    norbert pablo paul pedro quincy rob robert sandro shelby steph steph2 steph3 travis victor zac""".split()  # noqa: SIM905
)
"""Variants of each accent that they were trained on."""
STRIDE, FRONT = 4, 9  # feature frames a step; feature frames that a step sees
_LEAST = 3 * STRIDE  # feature frames worth a run of the network
_FLUSH = 44  # feature frames of silence that push the last phone out


def was_heard(voice: str) -> bool:
    """Whether the weights were trained on this espeak-ng voice, "accent" or "accent+variant"."""
    accent, _, variant = voice.partition("+")
    return accent in ACCENTS and (not variant or variant in USUAL_VARIANTS or variant in OTHER_VARIANTS)


class ModelError(RuntimeError):
    """The weights are not those that this version was made for; the message says which are wanted."""


def weights() -> bytes:
    """The model file. Raises ModelError when its digest is another."""
    raw = resources.files("voice_agent.offline").joinpath("data", "ear.onnx").read_bytes()
    found = hashlib.sha256(raw).hexdigest()
    if found != DIGEST:
        raise ModelError(f"data/ear.onnx has SHA-256 {found}, this version was made for {DIGEST}")
    return raw


class AcousticModel:
    """Over one utterance at a time; one thread. Raises ModelError."""

    def __init__(self) -> None:
        # Since 1.29 onnxruntime reports to its maker unless told not to, before it is loaded.
        os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
        import onnxruntime as ort

        options = ort.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        options.log_severity_level = 3
        self._session = ort.InferenceSession(weights(), options, providers=["CPUExecutionProvider"])
        shape = next(one.shape for one in self._session.get_inputs() if one.name == "state")
        self._quiet = np.zeros([int(size) for size in shape], np.float32)
        self.start()

    def start(self) -> None:
        """Begins an utterance."""
        self._state = self._quiet
        self._waiting = np.zeros((0, BANDS), np.float32)

    def feed(self, features: Floats) -> Floats:
        """Feature frames (n, 40) -> the log probabilities (m, 40) of the steps that they complete."""
        self._waiting = np.concatenate([self._waiting, features])
        if len(self._waiting) < _LEAST + FRONT - STRIDE:
            return np.zeros((0, len(PHONES) + 1), np.float32)
        steps = (len(self._waiting) - FRONT + STRIDE) // STRIDE
        taken = self._waiting[: steps * STRIDE + FRONT - STRIDE]
        self._waiting = self._waiting[steps * STRIDE :]
        found, self._state = self._session.run(None, {"features": taken[None], "state": self._state})
        return np.asarray(found[0], np.float32)

    def finish(self) -> Floats:
        """What the end of the utterance still holds."""
        return self.feed(np.full((_FLUSH, BANDS), QUIET, np.float32))
