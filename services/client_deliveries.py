"""What the client of the HTTP API can do with endpoints and deliveries."""

from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

import msgspec

from services.client import TandemClient


class DeliveriesClient(TandemClient):
    """Talks to the router about endpoints and deliveries."""

    async def endpoints(self) -> list[Any]:
        """Return the endpoints of the team."""
        return list((await self.get("/v1/endpoints"))["endpoints"])

    async def endpoint(self, name: str) -> Any:
        """Return an endpoint."""
        return await self.get(_endpoint(name))

    async def act_on_endpoint(self, name: str, action: str, body: Mapping[str, Any] | None = None) -> Any:
        """Enable, disable or test it, or give it a new secret."""
        content = msgspec.json.encode(dict(body or {})).decode()
        return await self.post(f"{_endpoint(name)}/{action}", content=content)

    async def deliveries(self, *, limit: int, **wanted: Any) -> list[Any]:
        """Return at most so many deliveries of those wanted, newest first."""
        found: list[Any] = []
        query = {name: value for name, value in wanted.items() if value is not None}
        while len(found) < limit:
            page = await self.get("/v1/deliveries", **query, limit=min(200, limit - len(found)))
            found += page["deliveries"]
            if page["next"] is None:
                break
            query["cursor"] = page["next"]
        return found

    async def delivery(self, delivery_id: str) -> Any:
        """Return a delivery with its attempts."""
        return await self.get(f"/v1/deliveries/{quote(delivery_id, safe='')}")

    async def replay_deliveries(self, asked: Mapping[str, Any]) -> Any:
        """Have deliveries sent again."""
        return await self.post("/v1/deliveries/replay", content=msgspec.json.encode(dict(asked)).decode())

    async def replay(self, replay_id: str) -> Any:
        """Return how far a replay has come."""
        return await self.get(f"/v1/deliveries/replays/{quote(replay_id, safe='')}")


def _endpoint(name: str) -> str:
    return f"/v1/endpoints/{quote(name, safe='')}"
