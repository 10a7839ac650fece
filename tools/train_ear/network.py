"""The acoustic network: convolutions over time with little look-ahead, each a step around itself; 0.85 million weights."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional
from voice_agent.offline.acoustic import FRONT, PHONES, STRIDE
from voice_agent.offline.mel import BANDS

WIDTH = 192
LAYERS = ((1, 1), (1, 1), (2, 2), (2, 2), (3, 0), (4, 0), (6, 0))
"""Dilation and look-ahead of each layer, in steps of 40 ms; every layer sees three steps."""


class Layer(nn.Module):
    def __init__(self, dilation: int, ahead: int) -> None:
        super().__init__()
        self.conv = nn.Conv1d(WIDTH, WIDTH, 3, dilation=dilation, bias=False)
        self.norm = nn.BatchNorm1d(WIDTH)
        self.drop = nn.Dropout(0.1)
        self.past, self.ahead = 2 * dilation, ahead

    def forward(self, x: Tensor, cache: Tensor) -> tuple[Tensor, Tensor]:
        x = torch.cat([cache, x], 2)
        y = self.drop(functional.relu(self.norm(self.conv(x))))
        # the way around the layer is as late as its look-ahead
        around = x[:, :, self.past - self.ahead : x.shape[2] - self.ahead]
        return y + around, x[:, :, x.shape[2] - self.past :]


class Network(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(BANDS))
        self.register_buffer("scale", torch.ones(BANDS))
        self.front = nn.Conv1d(BANDS, WIDTH, FRONT, stride=STRIDE, bias=False)
        self.norm = nn.BatchNorm1d(WIDTH)
        self.layers = nn.ModuleList(Layer(*shape) for shape in LAYERS)
        self.out = nn.Conv1d(WIDTH, len(PHONES) + 1, 1)
        self.past = sum(layer.past for layer in self.layers)

    def quiet(self, count: int) -> Tensor:
        """The state before the first audio."""
        return torch.zeros(count, WIDTH, self.past)

    def forward(self, features: Tensor, state: Tensor) -> tuple[Tensor, Tensor]:
        """features (batch, FRONT - STRIDE + STRIDE * steps, BANDS) -> log probabilities (batch, steps, phones + 1), state."""
        x = ((features - self.mean) * self.scale).transpose(1, 2)
        x = functional.relu(self.norm(self.front(x)))
        states, at = [], 0
        for layer in self.layers:
            x, state_after = layer(x, state[:, :, at : at + layer.past])
            states.append(state_after)
            at += layer.past
        return functional.log_softmax(self.out(x), 1).transpose(1, 2), torch.cat(states, 2)
