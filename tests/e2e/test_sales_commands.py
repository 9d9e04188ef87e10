"""What sales and an admin type, against a running Tandem: answers, clocks, endpoints, deliveries, the team, a draft."""

import asyncio
import subprocess
from datetime import timedelta
from pathlib import Path

import yaml

from services.client import TandemClient
from shared.events.handoff import HandoffReady, encode_handoff
from shared.events.topics import TopicName
from shared.log.postgres import open_postgres_log
from shared.log.records import Record
from tests.e2e.conftest import Install
from tests.e2e.test_command_line import tandem
from tests.support.handoffs import make_handoff
from tests.support.processes import TandemProcess, running_tandem
from tests.support.receiver import Receiver, answers, open_receiver
from tests.support.waiting import until


class Shell:
    """Runs commands beside the receiver that this process is."""

    def __init__(self, process: TandemProcess, install: Install) -> None:
        self._url = process.url
        self._install = install
        self._api = TandemClient(process.url, install.keys["admin"])

    async def __call__(self, *arguments: str, role: str = "sales", code: int = 0) -> str:
        """Run a command that ends with this code, and return what it prints."""
        variables = {"TANDEM_URL": self._url, "TANDEM_KEY": self._install.keys[role], "COLUMNS": "250"}
        ended: subprocess.CompletedProcess[str] = await asyncio.to_thread(tandem, *arguments, **variables)
        assert ended.returncode == code, (arguments, ended.stdout, ended.stderr)
        return ended.stdout + ended.stderr

    async def hand_over(self, count: int) -> list[str]:
        """Hand leads over as the scorer does, and return their ids once all are assigned."""
        leads: list[HandoffReady] = [make_handoff() for _ in range(count)]
        database = self._install.settings["TANDEM_DATABASE_URL"]
        async with open_postgres_log(database, name="test", append_timeout=timedelta(seconds=10)) as log:
            records = [Record(value=encode_handoff(lead), key=str(lead.contact.id).encode()) for lead in leads]
            await log.append(TopicName.HANDOFFS, records)
        names = [str(lead.id) for lead in leads]

        async def clocked() -> bool:
            running = {item["id"] for item in (await self._api.get("/v1/handoffs/clock"))["handoffs"]}
            return running >= set(names)

        await until(clocked, what="the leads to be assigned and their clocks to run")
        return names

    async def wait_for(self, state: str, count: int) -> None:
        """Wait until so many deliveries are in the state."""

        async def there() -> bool:
            return len((await self._api.get("/v1/deliveries", state=state))["deliveries"]) == count

        await until(there, what=f"{count} deliveries to be {state}")


def write_team(path: Path, receiver: Receiver, **changes: object) -> str:
    team = {
        "reps": [{"name": name, "email": f"{name.lower()}@x.example", "capacity": 50} for name in ("Rita", "Sven")],
        "pools": [{"name": "everyone", "members": ["Rita", "Sven"]}],
        "default_pool": "everyone",
        "endpoints": [{"name": "crm", "url": receiver.url, "retries": []}],
    }
    path.write_text(yaml.safe_dump({**team, **changes}))
    return str(path)


async def test_a_day_in_sales(install: Install, tmp_path: Path) -> None:
    """Every answer does its step and says so; what the state does not allow is one line with what it does."""
    async with (
        open_receiver() as receiver,
        running_tandem("up", settings=install.settings, log=install.directory / "tandem.log") as running,
    ):
        shell = Shell(running, install)
        team = write_team(tmp_path / "team.yaml", receiver)
        applied = await shell("team", "apply", team, role="admin")
        assert "2 reps, 1 pools, 1 endpoints" in applied
        assert "secret of crm, shown once: whsec_" in applied
        assert await shell("team", "apply", team, role="admin") == "Nothing changes.\n2 reps, 1 pools, 1 endpoints\n"
        won, lost, rejected = await shell.hand_over(3)

        clocks = (await shell("handoff", "clock", role="rep")).splitlines()
        assert {line.split()[0] for line in clocks[1:]} == {won, lost, rejected}
        assert "expire" in clocks[1]
        assert len((await shell("handoff", "clock", "--within", "1s")).splitlines()) == 1

        assert await shell("handoff", "accept", won, role="rep") in {
            f"{won} is accepted with {name}\n" for name in ("Rita", "Sven")
        }
        assert "is qualified" in await shell("handoff", "qualify", won, "--note", "budget is there")
        assert "is won" in await shell("handoff", "win", won, "--amount", "18000.00", "--currency", "EUR")
        assert "is won" in await shell("handoff", "story", won, "They saved two hours a day.")
        assert "is accepted with Sven" in await shell("handoff", "accept", lost, "--rep", "Sven")
        assert "is accepted" in await shell("handoff", "objection", lost, "too expensive")
        assert "is qualified" in await shell("handoff", "qualify", lost)
        assert "is lost" in await shell("handoff", "lose", lost, "--reason", "no decision")
        assert "is recycled" in await shell("handoff", "reject", rejected, "--reason", "no_budget")

        refused = await shell("handoff", "win", rejected, code=2)
        assert "illegal_step" in refused
        assert len(refused.splitlines()) == 1
        assert len((await shell("handoff", "clock")).splitlines()) == 1
        told = await shell("handoff", "show", lost)
        assert [word for word in ("accept", "objection", "qualify", "lose") if f"{word} →" not in told] == []

        draft = write_team(tmp_path / "draft.yaml", receiver, pools=[{"name": "everyone", "members": ["Sven"]}])
        assert "pool everyone" in await shell("team", "diff", draft)
        simulated = await shell("route", "simulate", draft, "--since", "1d")
        assert "3 handoffs: 3 assigned, 0 still waiting" in simulated
        assert [line.split()[:2] for line in simulated.splitlines() if line.startswith(("Rita", "Sven"))] == [
            ["Rita", "0"],
            ["Sven", "3"],
        ]


async def test_an_endpoint_in_trouble(install: Install, tmp_path: Path) -> None:
    """It is looked at, tried, switched off and on; what died there is found, counted and sent again."""
    async with (
        open_receiver() as receiver,
        running_tandem("up", settings=install.settings, log=install.directory / "tandem.log") as running,
    ):
        shell = Shell(running, install)
        await shell("team", "apply", write_team(tmp_path / "team.yaml", receiver), role="admin")
        assert " open " in (await shell("endpoint", "list")).splitlines()[1]

        assert await shell("endpoint", "disable", "crm", role="admin") == "crm is disabled\n"
        await shell.hand_over(2)
        waiting = (await shell("delivery", "list", "--endpoint", "crm", "--state", "pending")).splitlines()
        assert (len(waiting), receiver.requests) == (3, [])
        receiver.always = answers(500, b"out of order")
        assert await shell("endpoint", "enable", "crm", role="admin") == "crm is open\n"

        await shell.wait_for("dead", 2)
        dead = (await shell("delivery", "list", "--state", "dead")).splitlines()[1:]
        first, second = (line.split()[0] for line in dead)
        shown = await shell("delivery", "show", first)
        assert "out of order" in shown
        assert '"outcome": "server_error"' in shown
        assert '"failures": 2' in await shell("endpoint", "show", "crm")
        tried = await shell("endpoint", "test", "crm", role="admin", code=1)
        assert '"delivered": false' in tried

        receiver.always = answers(204, b"")
        assert '"delivered": true' in await shell("endpoint", "test", "crm", role="admin")
        rotated = await shell("endpoint", "rotate-secret", "crm", "--overlap", "1h", role="admin")
        assert "new secret of crm: whsec_" in rotated
        replay = ("delivery", "replay", "--endpoint", "crm", "--outcome", "server_error")
        assert await shell(*replay, "--dry-run") == "2 would be sent again\n"
        assert await shell("delivery", "replay", first) == "1 are sent again, 0 are left\n"
        await shell.wait_for("delivered", 1)
        assert "is done: 1 are sent again, 0 are left" in await shell(*replay)
        await shell.wait_for("delivered", 2)
        assert second in await shell("delivery", "list", "--state", "delivered")
        assert "404" in await shell("endpoint", "show", "nobody", code=2)
        assert "403" in await shell("endpoint", "disable", "crm", role="rep", code=2)
