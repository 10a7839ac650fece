from __future__ import annotations

from typing import Any
from uuid import uuid4

import httpx
import pytest
from litestar import Litestar
from pydantic import SecretStr
from rag_svc.documents.endpoints import operators_router
from rag_svc.documents.service import Documents
from rag_svc.testing import register
from switchboard.service import ASGIApp
from switchboard.service.litestar_problems import problem_handlers

pytestmark = pytest.mark.integration

TOKEN = "a-token-for-operators"


async def test_operators_see_states_without_names_and_have_documents_read_again(documents: Documents) -> None:
    tenant = uuid4()
    document = await register(documents, tenant, "Dr Smith's prices.pdf")
    app: ASGIApp = Litestar([operators_router(documents, SecretStr(TOKEN))], exception_handlers=problem_handlers())
    base = f"/operators/tenants/{tenant}/documents"
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://rag-svc") as client:

        async def ask(method: str, path: str, token: str = TOKEN) -> tuple[int, Any, str]:
            response = await client.request(method, path, headers={"authorization": f"Bearer {token}"})
            return response.status_code, response.json(), response.text

        assert (await ask("GET", base, "wrong"))[0] == 401
        assert (await client.get(base)).status_code == 401
        status, listed, text = await ask("GET", base)
        assert status == 200 and listed["documents"][0]["status"] == "uploaded" and "Smith" not in text
        assert (await ask("GET", f"{base}/counts"))[1] == [{"status": "uploaded", "documents": 1, "chunks": 0}]
        status, again, _ = await ask("POST", f"{base}/{document}/reingest")
        assert status == 202 and again["revision"] == 2
        assert (await ask("POST", f"{base}/{uuid4()}/reingest"))[0] == 404
        status, problem, _ = await ask("GET", f"{base}?cursor=x")
        assert status == 422 and problem["errors"][0]["pointer"] == "/cursor"
