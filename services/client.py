"""A client of Tandem's own HTTP API, for the commands."""

from collections.abc import AsyncIterator, Mapping, Sequence
from types import TracebackType
from typing import Any, Literal, Self
from urllib.parse import quote
from uuid import UUID

import httpx

from shared.explained import ExplainedError


class ClientError(ExplainedError):
    """Raised when Tandem cannot be reached, or answers with an error: then the message is its own.

    `status` is that of the answer; None when there was none.
    """

    def __init__(self, message: str, *, status: int | None = None) -> None:
        super().__init__(message)
        self.status = status


class TandemClient:
    """Talks to one Tandem with one key. Each call opens a connection of its own unless used as a context manager."""

    def __init__(self, url: str, key: str = "") -> None:
        self._url = url.rstrip("/")
        self._headers = {"Authorization": f"Bearer {key}"} if key else {}
        self._http: httpx.AsyncClient | None = None

    async def __aenter__(self) -> Self:
        self._http = self._open()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._http:
            await self._http.aclose()
            self._http = None

    async def propose(self, text: str) -> Any:
        """Propose an agreement."""
        return await self._call("POST", "/v1/agreements", content=text, headers={"Content-Type": "application/yaml"})

    async def sign(self, version: int) -> Any:
        """Sign the version for the side of the key."""
        proposed = await self.agreement(str(version))
        return await self._call("POST", f"/v1/agreements/{version}/signatures", json={"hash": proposed["hash"]})

    async def agreement(self, version: str) -> Any:
        """Return a version of the agreement, or the `active` one."""
        return await self._call("GET", f"/v1/agreements/{version}")

    async def account(self, key: str) -> Any:
        """Return an account by its domain or id."""
        return await self._call("GET", f"/v1/accounts/{quote(key, safe='')}")

    async def apply_team(self, text: str) -> Any:
        """Make the team what the text says."""
        return await self._call("PUT", "/v1/team", content=text, headers={"Content-Type": "application/yaml"})

    async def ask_team(self, question: str, text: str, **query: Any) -> Any:
        """Ask about a team without setting it: `check`, `diff` or `simulate`."""
        headers = {"Content-Type": "application/yaml"}
        return await self._call("POST", f"/v1/team/{question}", content=text, headers=headers, params=query)

    async def answer_handoff(self, handoff: UUID, step: str, said: Mapping[str, Any]) -> Any:
        """Answer a handoff: the step is `accept`, `reject` or another of them."""
        return await self._call("POST", f"/v1/handoffs/{handoff}/{step}", json=dict(said))

    async def release_handoff(self, handoff: UUID) -> Any:
        """Let a handoff pass what a rule holds it for."""
        return await self._call("POST", f"/v1/handoffs/{handoff}/release")

    async def replay_rejected(self, wanted: Mapping[str, Any]) -> Any:
        """Have rejections read again."""
        return await self._call("POST", "/v1/rejected/replay", json=dict(wanted))

    async def merges(self, contact: str) -> list[Any]:
        """Return the merges that a contact took part in, newest first."""
        found: list[Any] = []
        query = {"contact": contact}
        while True:
            page = await self.get("/v1/merges", **query)
            found += page["merges"]
            if page["next"] is None:
                return found
            query["cursor"] = page["next"]

    async def undo_merge(self, merge: str) -> Any:
        """Take a merge back."""
        return await self._call("POST", f"/v1/merges/{merge}/undo")

    async def add_source(self, wanted: dict[str, Any]) -> Any:
        """Add a source; the answer shows its key."""
        return await self._call("POST", "/v1/sources", json=wanted)

    async def sources(self) -> list[Any]:
        """Return all sources."""
        found: list[Any] = []
        cursor = ""
        while True:
            page = await self._call("GET", "/v1/sources", params={"cursor": cursor})
            found += page["sources"]
            if not (cursor := page["next"]):
                return found

    async def source(self, name: str) -> Any:
        """Return one source."""
        return await self._call("GET", f"/v1/sources/{quote(name, safe='')}")

    async def change_source(self, name: str, values: dict[str, Any]) -> Any:
        """Change a source."""
        return await self._call("PATCH", f"/v1/sources/{quote(name, safe='')}", json=values)

    async def rotate_source(self, name: str, overlap: str | None = None) -> Any:
        """Give a source a new key, which the answer shows."""
        return await self._call("POST", f"/v1/sources/{quote(name, safe='')}/rotate", json={"overlap": overlap})

    async def switch_source(self, name: str, step: Literal["disable", "enable"]) -> Any:
        """Disable or enable a source."""
        return await self._call("POST", f"/v1/sources/{quote(name, safe='')}/{step}")

    async def say_for_contact(self, contact_id: UUID, word: str) -> Any:
        """Opt the contact out or in: `opt_out`, `opt_in`."""
        return await self._call("POST", f"/v1/contacts/{contact_id}/{word}")

    async def erase_contact(self, contact_id: UUID) -> Any:
        """Erase the contact."""
        return await self._call("DELETE", f"/v1/contacts/{contact_id}")

    async def readmit(self, names: Sequence[str]) -> Any:
        """Let the person of these names, who was erased, be a new contact."""
        return await self._call("POST", "/v1/readmissions", json={"names": list(names)})

    async def stream(self, path: str) -> AsyncIterator[bytes]:
        """Yield what is at the path, as it comes."""
        async with self._open() as http:
            try:
                async with http.stream("GET", path) as response:
                    if response.is_error:
                        await response.aread()
                        raise ClientError(_message(response), status=response.status_code)
                    async for chunk in response.aiter_bytes():
                        yield chunk
            except (httpx.TransportError, httpx.InvalidURL) as error:
                raise ClientError(f"{self._url} broke off: {str(error) or type(error).__name__}.") from None

    async def overrule_touch(self, contact_id: UUID, touch_id: UUID, word: str) -> Any:
        """Let a touch count or not: the word is `trust` or `distrust`."""
        return await self._call("POST", f"/v1/contacts/{contact_id}/touches/{touch_id}/{word}")

    async def get(self, path: str, **query: Any) -> Any:
        """Return what is at the path."""
        return await self._call("GET", path, params=query)

    async def post(self, path: str, *, content: str | None = None, **query: Any) -> Any:
        """Post to the path, with the content if there is any."""
        return await self._call("POST", path, content=content, params=query)

    async def delete(self, path: str) -> Any:
        """Delete what is at the path."""
        return await self._call("DELETE", path)

    async def text(self, path: str) -> str:
        """Return what is at the path, as text."""
        return (await self._answer("GET", path)).text

    async def post_events(self, path: str, body: bytes, *, key: str = "") -> Any:
        """Post events to one of ingest's paths, under a source's write key."""
        headers = {"Content-Type": "application/json"}
        if key:
            headers["Authorization"] = f"Bearer {key}"
        return await self._call("POST", path, content=body, headers=headers)

    def _open(self) -> httpx.AsyncClient:
        return httpx.AsyncClient(base_url=self._url, headers=self._headers, timeout=30, trust_env=False)

    async def _call(self, method: str, path: str, **request: Any) -> Any:
        return (await self._answer(method, path, **request)).json()

    async def _answer(self, method: str, path: str, **request: Any) -> httpx.Response:
        if self._http is None:
            async with self:
                return await self._answer(method, path, **request)
        try:
            response = await self._http.request(method, path, **request)
        except httpx.InvalidURL as error:
            raise ClientError(f"{self._url} is not a URL: {error}") from None
        except httpx.TransportError as error:
            reason = str(error) or type(error).__name__
            raise ClientError(
                f"Cannot reach {self._url}: {reason}. Does `tandem up` run, and is --url right?"
            ) from None
        if response.is_error:
            raise ClientError(_message(response), status=response.status_code)
        return response


def _message(response: httpx.Response) -> str:
    try:
        problem = response.json()
    except ValueError:
        return f"{response.status_code} {response.text[:200]}"
    return f"{response.status_code} {problem.get('code', '')}: {problem.get('message', '')}"
