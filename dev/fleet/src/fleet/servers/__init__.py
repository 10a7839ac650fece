"""The servers a fleet stands on, each as a ProcessSpec with its addresses."""

from fleet.servers.livekit import LiveKitServer, SipBridge, make_livekit, make_sip_bridge
from fleet.servers.mailbox import MailboxServer
from fleet.servers.nats import NatsServer, make_nats
from fleet.servers.postgres import PostgresServer, make_postgres
from fleet.servers.redis import RedisServer, make_redis

__all__ = [
    "LiveKitServer",
    "MailboxServer",
    "NatsServer",
    "PostgresServer",
    "RedisServer",
    "SipBridge",
    "make_livekit",
    "make_nats",
    "make_postgres",
    "make_redis",
    "make_sip_bridge",
]
