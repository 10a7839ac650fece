"""Trains the acoustic network and writes the model file; see README.md. One command, seeded."""

from __future__ import annotations

import argparse
import math
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional
from torch.utils.data import DataLoader, IterableDataset
from train_ear.audio import Floats, Spoken, features, make, not_speech, on_a_line
from train_ear.export import export
from train_ear.network import Network
from voice_agent.offline.acoustic import FRONT, PHONES, STRIDE
from voice_agent.offline.mel import BANDS, QUIET

_BATCH_S = 64.0  # seconds of audio
_RATE, _WARM_STEPS, _LAST_SHARE = 2e-3, 150, 0.02
_NOT_SPEECH = 2  # tones, noises and silences in a batch, where no phone is to be heard
_AT_ONCE = 4000  # sentences that are sorted by length together
_NUMBER = {phone: at for at, phone in enumerate(PHONES, 1)}
_MODEL = Path("services/voice-agent/src/voice_agent/offline/data/ear.onnx")
Batch = tuple[Tensor, Tensor, Tensor, Tensor]


def collate(hearings: Sequence[tuple[Floats, tuple[str, ...]]]) -> Batch:
    """Features padded with silence, steps of each, all phones one after the other, phones of each."""
    steps = -(-max(len(frames) for frames, _ in hearings) // STRIDE)
    held = np.full((len(hearings), steps * STRIDE + FRONT - STRIDE, BANDS), QUIET, np.float32)
    for at, (frames, _) in enumerate(hearings):
        held[at, : len(frames)] = frames
    lengths = [min(steps, len(frames) // STRIDE + 1) for frames, _ in hearings]
    phones = [_NUMBER[phone] for _, said in hearings for phone in said]
    return (
        torch.from_numpy(held),
        torch.tensor(lengths),
        torch.tensor(phones),
        torch.tensor([len(said) for _, said in hearings]),
    )


class Hearings(IterableDataset):  # type: ignore[type-arg]
    """Batches without end, of sentences of like length."""

    def __init__(self, spoken: list[Spoken], seed: int) -> None:
        self._spoken = spoken
        self._seed = seed

    def __iter__(self) -> Iterator[Batch]:
        torch.set_num_threads(1)
        dice = np.random.default_rng(self._seed)
        while True:
            chosen = dice.permutation(len(self._spoken))[:_AT_ONCE]
            batches: list[list[int]] = [[]]
            for at in sorted(chosen.tolist(), key=lambda n: len(self._spoken[n].samples)):
                seconds = len(self._spoken[at].samples) / 8000 + 0.9
                if batches[-1] and seconds * (len(batches[-1]) + 1) > _BATCH_S:
                    batches.append([])
                batches[-1].append(at)
            dice.shuffle(batches)
            for batch in batches:
                heard = [self._hear(self._spoken[at], dice) for at in batch]
                yield collate([*heard, *((features(not_speech(dice), dice), ()) for _ in range(_NOT_SPEECH))])

    def _hear(self, one: Spoken, dice: np.random.Generator) -> tuple[Floats, tuple[str, ...]]:
        other = self._spoken[int(dice.integers(len(self._spoken)))].samples
        return features(on_a_line(one.samples, dice, other), dice), one.phones


def train(spoken: list[Spoken], steps: int, seed: int) -> Network:
    """A line every hundred steps."""
    torch.manual_seed(seed)
    network = Network()
    batches = iter(DataLoader(Hearings(spoken, seed), batch_size=None, num_workers=1, prefetch_factor=8))
    frames = torch.cat([next(batches)[0].reshape(-1, BANDS) for _ in range(4)])
    network.mean.copy_(frames.mean(0))
    network.scale.copy_(1 / frames.std(0))
    optimiser = torch.optim.AdamW(network.parameters(), _RATE, betas=(0.9, 0.98), weight_decay=0.01)
    began, mean = time.monotonic(), math.nan
    for step in range(steps):
        held, lengths, phones, counts = next(batches)
        fall = _LAST_SHARE + (1 - _LAST_SHARE) * 0.5 * (1 + math.cos(math.pi * step / steps))
        for group in optimiser.param_groups:
            group["lr"] = _RATE * min(1.0, (step + 1) / _WARM_STEPS) * fall
        with torch.autocast("cpu", torch.bfloat16):
            logs, _ = network(held, network.quiet(len(held)))
        loss = functional.ctc_loss(
            logs.float().transpose(0, 1), phones, lengths, counts, zero_infinity=True, reduction="sum"
        )
        loss = loss / counts.sum()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimiser.step()
        optimiser.zero_grad()
        mean = loss.item() if math.isnan(mean) else 0.98 * mean + 0.02 * loss.item()
        if step % 100 == 99:
            print(f"step {step + 1}: loss {mean:.3f}, {time.monotonic() - began:.0f} s", flush=True)
    return network


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description="Train the offline ear's acoustic network.")
    parser.add_argument("--work", type=Path, default=Path("var/train-ear"), help="folder for the speech")
    parser.add_argument("--out", type=Path, default=_MODEL, help="model file to write")
    parser.add_argument("--sentences", type=int, default=12_000)
    parser.add_argument("--steps", type=int, default=3_000)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--seed", type=int, default=20)
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    spoken = make(given.work / "speech", given.sentences, given.seed)
    network = train(spoken, given.steps, given.seed)
    torch.save(network.state_dict(), given.work / "network.pt")
    print(f"{given.out}: SHA-256 {export(network, given.out)}")


if __name__ == "__main__":
    main()
