"""The bus: a small layer on nats-py that only knows contracts. Nothing else in Switchboard imports nats."""

from switchboard.bus.client import Bus
from switchboard.bus.consumer import Delivery
from switchboard.bus.envelope import Message
from switchboard.bus.rpc import Call

__all__ = ["Bus", "Call", "Delivery", "Message"]
