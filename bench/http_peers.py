"""The least that an HTTP route costs under the services' uvicorn settings: ``python -m bench.http_peers fastapi|asgi PORT``.

Both answer ``GET /v1/tenant`` with the JSON in ``BENCH_BODY``: FastAPI from a pydantic model of the gateway's own shape, as
its documentation writes a route; the bare application with the bytes.
"""

from __future__ import annotations

import asyncio
import os
import sys
from typing import Any

import uvicorn
from api_gateway.tenants.schemas import TenantShape
from fastapi import FastAPI

BODY = "BENCH_BODY"


def fastapi_route(body: bytes) -> FastAPI:
    shape = TenantShape.model_validate_json(body)
    app = FastAPI()

    @app.get("/v1/tenant")
    async def tenant() -> TenantShape:
        return shape

    return app


def bare(body: bytes) -> Any:
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]

    async def app(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "lifespan":
            while (await receive())["type"] != "lifespan.shutdown":
                await send({"type": "lifespan.startup.complete"})
            await send({"type": "lifespan.shutdown.complete"})
            return
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    return app


async def main(kind: str, port: int) -> None:
    body = os.environ[BODY].encode()
    app = fastapi_route(body) if kind == "fastapi" else bare(body)
    # As switchboard.service.run serves a service.
    config = uvicorn.Config(
        app,
        host="127.0.0.1",
        port=port,
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        lifespan="on",
    )
    await uvicorn.Server(config).serve()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], int(sys.argv[2])))
