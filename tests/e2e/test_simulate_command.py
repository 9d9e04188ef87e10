"""`tandem agreement simulate` and `shadow` as they are typed, over a running Tandem."""

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from services.client import TandemClient
from tests.e2e.conftest import Install
from tests.e2e.test_command_line import tandem
from tests.support.processes import ROOT, running_tandem
from tests.support.waiting import until


async def test_a_draft_before_it_is_signed(install: Install, tmp_path: Path) -> None:
    """Simulated over what was sent, with a table, names and charts; then let decide silently, shown and stopped."""
    text = (ROOT / "examples/agreement.yaml").read_text()
    draft = tmp_path / "draft.yaml"
    draft.write_text(text.replace("engagement: 50, fit: 50", "engagement: 40, fit: 40"))
    async with running_tandem("up", settings=install.settings, log=install.directory / "tandem.log") as running:
        marketing, sales = (
            {"TANDEM_URL": running.url, "TANDEM_KEY": install.keys[role], "COLUMNS": "200"}
            for role in ("marketing", "sales")
        )

        async def agreement(*arguments: str, side: dict[str, str] = marketing) -> tuple[int, str, str]:
            done = await asyncio.to_thread(tandem, "agreement", *arguments, **side)
            return done.returncode, done.stdout, done.stderr

        async with (
            TandemClient(running.url, install.keys["marketing"]) as client,
            TandemClient(running.url, install.keys["sales"]) as other,
        ):
            await client.propose(text)
            await client.sign(1)
            await other.sign(1)
            events = json.dumps({"batch": list(happened())}).encode()
            await client.post_events("/v1/batch", events, key=install.keys["source"])

            async def are_scored() -> bool:
                contacts = (await client.get("/v1/contacts"))["contacts"]
                return sorted(contact["touches"] for contact in contacts) == [1, 8]

            await until(are_scored, seconds=40)
            await client.propose(draft.read_text())

        page, picture = tmp_path / "weeks.html", tmp_path / "weeks.png"
        options = ("--since", "90d", "--segment", "account.industry", "--capacity", "3")
        code, shown, errors = await agreement("simulate", str(draft), *options, "--chart", str(page))
        assert code == 0, errors
        assert "leads a week" in shown
        assert "account.industry" in shown
        assert "Uma" in shown
        assert "fit 40 of 50" in shown
        assert f"drawn in {page}" in errors
        assert "<svg" in page.read_text()
        code, shown, errors = await agreement("simulate", "2", "--chart", str(picture), "--leads", "0", side=sales)
        assert code == 0, errors
        assert picture.read_bytes().startswith(b"\x89PNG")

        code, said, _ = await agreement("shadow", "2")
        assert said.startswith("Agreement 2 decides silently beside 1")
        code, said, _ = await agreement("shadow", "show", side=sales)
        assert "Agreement 2 beside 1, compared not yet" in said
        code, said, _ = await agreement("shadow", "stop", side=sales)
        assert said.startswith("Agreement 2 decides no more: stopped by ")

        draft.write_text("version: 1\nhalf_life: soon\n")
        code, _, errors = await agreement("simulate", str(draft))
        assert code == 2
        assert errors.startswith("error: 422 invalid_agreement: line 1")
        assert "Traceback" not in errors


def happened() -> Iterator[dict[str, Any]]:
    """Yield events of one who asks for a demo, and of one who fits the draft only."""
    yield {"type": "track", "event": "Form Submitted", "properties": {"form": "demo"}, "userId": "u1", "messageId": "1"}
    yield {"type": "identify", "userId": "u2", "traits": {"name": "Uma", "title": "VP Sales"}, "messageId": "2"}
    for number, name in enumerate(("ROI Calculated", "Trial Started")):
        yield {"type": "track", "event": name, "userId": "u2", "messageId": f"t{number}"}
    for number in range(6):
        yield {"type": "page", "properties": {"path": "/pricing"}, "userId": "u2", "messageId": f"p{number}"}
