"""Composition root: configuration -> resources -> server; and how the process stops."""

from __future__ import annotations

import asyncio
import os
import random
import signal
import time
from datetime import timedelta
from typing import Final

import structlog

from sip_node.config import NodeConfig
from sip_node.health import HttpPort, health_answer, metrics_answer
from sip_node.internal import SipInternal
from sip_node.leg import CallServices
from sip_node.psrpc.client import RpcClient
from sip_node.psrpc.server import RpcServer
from sip_node.room import Credentials
from sip_node.rtp.clock import MediaClock
from sip_node.rtp.ports import PortPool
from sip_node.server import DEFAULT_MAX_CALLS, ServerOptions, SipServer, snapshot
from sip_node.sip.dialog import LocalIdentity
from sip_node.sip.transaction import Timers

log = structlog.get_logger()

_PROGRESS_S: Final = timedelta(seconds=5)


class Node:
    """One running node."""

    def __init__(self, config: NodeConfig, rng: random.Random) -> None:
        self._config = config
        self._rpc = RpcClient(config.redis, "IOInfo", f"CLI_{rng.getrandbits(64):016x}", lambda: _id(rng), time.time_ns)
        self._clock = MediaClock()
        first, last = config.rtp_port
        ports = PortPool(config.listen_ip, first, last, config.drain_idle_s, config.drain_max_s, rng)
        secret = config.api_secret.get_secret_value()
        self._services = CallServices(
            rpc=self._rpc,
            ports=ports,
            clock=self._clock,
            credentials=Credentials(config.ws_url, config.api_key, secret),
            media_ip=config.media_ip,
            media_timeout_s=config.media_timeout_s,
            media_timeout_initial_s=config.media_timeout_initial_s,
            rng=rng,
        )
        local = LocalIdentity(config.signaling_ip, config.sip_port, config.ringing_interval_s, config.add_record_route)
        options = ServerOptions(
            config.max_active_calls or DEFAULT_MAX_CALLS,
            config.hide_inbound_port,
            not config.disable_rejected_invite_cache,
        )
        self.server = SipServer(self._services, local, options, Timers(), time.time_ns)
        self._internal = SipInternal(self.server, self._services, local, time.time_ns)
        self._bus = RpcServer(config.redis, "SIPInternal", f"SRV_{rng.getrandbits(64):016x}", time.time_ns)
        self._stopping, self._kill = asyncio.Event(), asyncio.Event()
        self._http: list[HttpPort] = []

    async def run(self) -> None:
        """Serve until `stop` or `kill`. Raises RpcError without Redis, OSError when a port is taken."""
        await self._rpc.start()
        self._clock.start()
        await self._open_http()
        await self.server.endpoint.start(self._config.listen_ip, self._config.bound_sip_port)
        await self._bus.start(*self._internal.methods(self._config.cluster_id))
        log.info("sip node ready", port=self._config.bound_sip_port, announced=self._config.sip_port)
        await self._stopping.wait()
        await self._drain()
        await self._bus.close()
        self.server.endpoint.close()
        await self._clock.stop()
        self._services.ports.close()
        await self._rpc.close()
        for port in self._http:
            await port.close()
        log.info("sip node stopped")

    def stop(self) -> None:
        """Finish the calls, then return from `run`; as livekit-sip on SIGTERM, calls in that come meanwhile are taken."""
        self._internal.stopping = True
        self._stopping.set()

    def kill(self) -> None:
        """End the calls now, then return from `run`."""
        self._kill.set()
        self.stop()

    async def _drain(self) -> None:
        drained = asyncio.create_task(self.server.drained())
        killed = asyncio.create_task(self._kill.wait())
        while not drained.done():
            log.info("waiting for calls to finish", calls=self.server.active_calls)
            timeout = _PROGRESS_S.total_seconds()
            await asyncio.wait((drained, killed), timeout=timeout, return_when=asyncio.FIRST_COMPLETED)
            if killed.done() and not drained.done():
                self.server.kill()
                await drained
        killed.cancel()

    async def _open_http(self) -> None:
        answers = (
            (self._config.health_port, lambda: health_answer(self._stopping.is_set(), self.server.at_capacity)),
            (self._config.prometheus_port, self._metrics),
        )
        for number, answer in answers:
            if number:
                port = HttpPort(answer)
                await port.start(self._config.listen_ip, number)
                self._http.append(port)

    def _metrics(self) -> tuple[int, str, str]:
        gauges = {**snapshot(self.server, self._services), "transactions": self.server.endpoint.open_transactions}
        counters = {
            "calls_total": self.server.calls_total,
            "refused_total": self.server.refused_total,
            "skipped_ticks_total": self._clock.skipped_ticks,
        }
        return metrics_answer(gauges, counters)


def _id(rng: random.Random) -> str:
    return f"REQ_{rng.getrandbits(96):024x}"


async def run_node(config: NodeConfig) -> None:
    """Run a node with the process's signals: SIGTERM and SIGQUIT finish the calls, SIGINT ends them."""
    node = Node(config, random.SystemRandom())
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGQUIT):
        loop.add_signal_handler(number, node.stop)
    loop.add_signal_handler(signal.SIGINT, node.kill)
    log.info("sip node starting", pid=os.getpid())
    await node.run()
