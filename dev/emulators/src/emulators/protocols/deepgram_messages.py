"""Deepgram's messages to the client."""

from __future__ import annotations

import re
from datetime import datetime
from typing import Any

from livekit.agents import stt

_QUESTION = re.compile(
    r"^(?:how|what|when|where|who|why|which|do|does|did|is|are|was|were|can|could|will|would|should|may|have|has)\b"
)


def results(
    event: stt.SpeechEvent,
    *,
    final: bool,
    speech_final: bool,
    from_finalize: bool,
    punctuate: bool,
    request_id: str,
    model: str,
) -> dict[str, Any]:
    """A Results message from what the ear heard."""
    best = event.alternatives[0]
    start, duration = best.start_time, max(0.0, best.end_time - best.start_time)
    words = _words(best, punctuate=punctuate, final=final)
    transcript = " ".join(word.get("punctuated_word", word["word"]) for word in words)
    alternative = {"transcript": transcript, "confidence": round(best.confidence, 4) if words else 0.0, "words": words}
    return {
        "type": "Results",
        "channel_index": [0, 1],
        "duration": round(duration, 3),
        "start": round(start, 3),
        "is_final": final,
        "speech_final": speech_final,
        "channel": {"alternatives": [alternative]},
        "metadata": {
            "request_id": request_id,
            "model_info": {"name": model, "version": "emulated", "arch": model.split("-general")[0]},
            "model_uuid": "00000000-0000-4000-8000-000000000000",
        },
        "from_finalize": from_finalize,
    }


def _words(best: stt.SpeechData, *, punctuate: bool, final: bool) -> list[dict[str, Any]]:
    """Words with the ear's confidence in each; it keeps no times, so the utterance's is shared out by length."""
    texts = best.text.split()
    sure = [best.confidence] * len(texts)
    if best.metadata and (read := best.metadata["hypotheses"]["alternatives"]):
        sure = [word["confidence"] for word in read[0]["words"]]
    letters = sum(len(text) + 1 for text in texts)
    share = (best.end_time - best.start_time) / letters if letters else 0.0
    found: list[dict[str, Any]] = []
    at = best.start_time
    for text, confidence in zip(texts, sure, strict=True):
        end = at + share * (len(text) + 1)
        word = {"word": text, "start": round(at, 3), "end": round(end, 3), "confidence": round(confidence, 4)}
        found.append(word)
        at = end
    if punctuate:
        _punctuate(found, final=final)
    return found


def _punctuate(words: list[dict[str, Any]], *, final: bool) -> None:
    for at, word in enumerate(words):
        text = "I" + word["word"][1:] if re.match(r"i(?:$|')", word["word"]) else word["word"]
        word["punctuated_word"] = text[:1].upper() + text[1:] if at == 0 else text
    if words and final:
        asks = _QUESTION.match(" ".join(word["word"] for word in words))
        words[-1]["punctuated_word"] += "?" if asks else "."


def speech_started(timestamp: float) -> dict[str, Any]:
    return {"type": "SpeechStarted", "channel": [0, 1], "timestamp": round(timestamp, 3)}


def utterance_end(last_word_end: float) -> dict[str, Any]:
    return {"type": "UtteranceEnd", "channel": [0, 1], "last_word_end": round(last_word_end, 3)}


def metadata(request_id: str, created: datetime, duration: float, sha256: str) -> dict[str, Any]:
    """The summary before the connection is closed."""
    return {
        "type": "Metadata",
        "transaction_key": "deprecated",
        "request_id": request_id,
        "sha256": sha256,
        "created": created.strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "Z",
        "duration": round(duration, 3),
        "channels": 1,
    }
