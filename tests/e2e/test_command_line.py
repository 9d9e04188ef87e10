"""The command as people type it, mistakes included."""

import json
import signal
import subprocess
from pathlib import Path

import pytest

from services.client import TandemClient
from shared.leash import leashed
from tests.e2e.conftest import Install
from tests.support.processes import ROOT, TANDEM, TandemProcess, clean_environment, free_port
from tests.support.waiting import until


def tandem(*arguments: str, **settings: str) -> subprocess.CompletedProcess[str]:
    """Run a command to its end."""
    return subprocess.run(
        leashed(str(TANDEM), *arguments),
        env=clean_environment(settings),
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_an_unknown_setting() -> None:
    """The start ends with one line that names the nearest setting."""
    ended = tandem("scorer", TANDEM_DATABSE_URL="postgresql://localhost/x")

    assert ended.returncode == 2
    assert ended.stderr == "error: TANDEM_DATABSE_URL is not a setting. Did you mean TANDEM_DATABASE_URL?\n"


def test_no_database_named() -> None:
    """The start ends with one line that says which setting is missing."""
    ended = tandem("ingest")

    assert ended.returncode == 2
    assert ended.stderr.startswith("error: TANDEM_DATABASE_URL: is not set")
    assert len(ended.stderr.splitlines()) == 1


def test_a_database_that_cannot_be_reached() -> None:
    """The command ends with one line that says what to check."""
    url = f"postgresql://tandem@127.0.0.1:{free_port()}/tandem"
    for command in (["db", "migrate"], ["up"], ["scorer"]):
        ended = tandem(*command, TANDEM_DATABASE_URL=url, TANDEM_PORT=str(free_port()))

        assert ended.returncode == 2, ended.stderr
        assert "Check TANDEM_DATABASE_URL and that PostgreSQL runs." in ended.stderr
        assert len(ended.stderr.splitlines()) == 1, ended.stderr


def test_a_database_that_was_never_migrated(empty_database_url: str) -> None:
    """A service does not start on a schema that it does not know; the line names the command."""
    ended = tandem("scorer", TANDEM_DATABASE_URL=empty_database_url, TANDEM_PORT=str(free_port()))

    assert ended.returncode == 2
    assert "tandem db migrate" in ended.stderr
    assert len(ended.stderr.splitlines()) == 1


def test_a_port_in_use(install: Install) -> None:
    """The start ends with one line."""
    import socket

    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        sock.listen()
        ended = tandem("ingest", **install.settings, TANDEM_PORT=str(sock.getsockname()[1]))

    assert ended.returncode == 2
    assert "ddress already in use" in ended.stderr
    assert len(ended.stderr.splitlines()) == 1


def test_an_agreement_with_mistakes(tmp_path: Path) -> None:
    """All mistakes are told at once, each with file, line and what was expected."""
    text = (ROOT / "examples/agreement.yaml").read_text()
    wrong = tmp_path / "agreement.yaml"
    wrong.write_text(text.replace("half_life: 30d", "half_life: soon").replace("{cap: 40}", "{cap: -40}"))

    ended = tandem("agreement", "check", str(wrong))

    assert ended.returncode == 1
    lines = ended.stderr.splitlines()
    assert len(lines) == 2
    assert all(line.startswith(f"{wrong}:") and line.split(":")[1].isdigit() for line in lines)
    assert "half_life" in lines[0]
    assert "cap" in lines[1]


def test_the_example_agreement() -> None:
    """It is valid."""
    assert tandem("agreement", "check", "examples/agreement.yaml").returncode == 0


def test_two_files_are_compared(tmp_path: Path) -> None:
    """What is different is said in words; no server is needed for it."""
    other = tmp_path / "agreement.yaml"
    text = (ROOT / "examples/agreement.yaml").read_text()
    other.write_text(text.replace("points: 12, per_day: 1", "points: 15, per_day: 1"))

    assert tandem("agreement", "diff", "examples/agreement.yaml", str(other)).stdout == (
        "roi-calculated: 12 → 15 points\n"
    )
    assert "No difference" in tandem("agreement", "diff", str(other), str(other)).stdout


def test_the_schema_of_an_agreement() -> None:
    """It is JSON, to be kept in a file."""
    assert json.loads(tandem("agreement", "schema").stdout)["title"] == "Tandem agreement"


def test_settings_are_listed() -> None:
    """Every variable with meaning and default."""
    listed = tandem("settings", COLUMNS="200")

    assert listed.returncode == 0
    for variable in ("TANDEM_DATABASE_URL", "TANDEM_KAFKA_BOOTSTRAP", "TANDEM_DRAIN_TIMEOUT"):
        assert variable in listed.stdout


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=["ctrl-c", "sigterm"])
async def test_told_to_stop(install: Install, number: signal.Signals) -> None:
    """It drains and exits 0, and a second start works."""
    process = TandemProcess("up", settings=install.settings, log=install.directory / "tandem.log")
    for _ in range(2):
        process.start()
        await process.ready()

        assert await process.stop(number) == 0, process.log_text()


async def test_up_on_an_embedded_database(open_directory: Path, tmp_path: Path) -> None:
    """Nothing but a data directory is needed; keys are made at the first start and kept at the second."""
    data = open_directory / "data"
    process = TandemProcess("up", "--data-dir", str(data), settings={}, log=tmp_path / "tandem.log")
    seen = []
    for _ in range(2):
        process.start()
        await process.ready(seconds=60)
        seen.append((data / "keys.yaml").read_text())

        assert await process.stop() == 0, process.log_text()
    assert seen[0] == seen[1]
    assert (data / "keys.yaml").stat().st_mode & 0o077 == 0


async def test_sending_a_file_with_a_broken_line(install: Install, tmp_path: Path) -> None:
    """The broken line is refused by its number, its neighbours are accepted, and the exit code says so."""
    process = TandemProcess("up", settings=install.settings, log=install.directory / "tandem.log")
    process.start()
    await process.ready()
    lines = [json.dumps({"type": "page", "userId": f"u{n}", "name": "Home"}) for n in range(4)]
    lines.insert(2, '{"type": "page", "user')
    file = tmp_path / "events.jsonl"
    file.write_text("\n".join(lines))
    try:
        sent = tandem("send", str(file), "--url", process.url, "--key", install.keys["source"])
        unknown = tandem("send", str(file), "--url", process.url, "--key", "wk_not_a_key_at_all")
    finally:
        assert await process.stop() == 0

    assert sent.returncode == 1
    assert "4 events accepted, 1 lines refused" in sent.stdout
    assert "line 3" in sent.stderr
    assert unknown.returncode == 1
    assert "0 events accepted, 5 lines refused" in unknown.stdout


async def test_from_proposal_to_webhook_by_hand(install: Install, tmp_path: Path) -> None:
    """Propose, sign twice, show, apply the team, receive: what the README does."""
    process = TandemProcess("up", settings=install.settings, log=install.directory / "tandem.log")
    process.start()
    await process.ready()
    port = free_port()
    team = tmp_path / "team.yaml"
    team.write_text((ROOT / "examples/team.yaml").read_text().replace("9099", str(port)))
    marketing, sales, admin = (
        {"TANDEM_URL": process.url, "TANDEM_KEY": install.keys[role]} for role in ("marketing", "sales", "admin")
    )
    try:
        assert "Agreement 1 is a draft" in tandem("agreement", "propose", "examples/agreement.yaml", **marketing).stdout
        assert "Agreement 1 is draft" in tandem("agreement", "sign", "1", **marketing).stdout
        twice = tandem("agreement", "sign", "1", **marketing)
        assert "Agreement 1 is active" not in twice.stdout
        assert "Agreement 1 is active" in tandem("agreement", "sign", "1", **sales).stdout
        shown = tandem("agreement", "show", **sales)
        assert shown.stdout.startswith("# version 1, active")
        assert shown.stdout.endswith((ROOT / "examples/agreement.yaml").read_text())
        log = tandem("agreement", "log", COLUMNS="200", **sales).stdout.splitlines()
        steps = ["activated", "signed for sales", "signed for marketing", "proposed"]
        assert [step for step, line in zip(steps, log[1:], strict=True) if step in line] == steps
        assert "No difference" in tandem("agreement", "diff", "1", "examples/agreement.yaml", **sales).stdout

        applied = tandem("team", "apply", str(team), **admin)
        secret = applied.stdout.split("whsec_")[1].split()[0]
        receiving = TandemProcess(
            "receive", "--port", str(port), "--secret", f"whsec_{secret}", settings={}, log=tmp_path / "receive.log"
        )
        receiving.start()
        event = {"type": "track", "event": "Form Submitted", "properties": {"form": "demo"}, "messageId": "m-1"}
        lines = tmp_path / "events.jsonl"
        lines.write_text(json.dumps({**event, "userId": "u1", "context": {"traits": {"email": "ada@acme.example"}}}))
        assert tandem("send", str(lines), "--url", process.url, "--key", install.keys["source"]).returncode == 0

        async def printed() -> bool:
            return "ada@acme.example" in receiving.log_text()

        await until(printed, seconds=30, what=lambda: receiving.log_text() + process.log_text())
        await receiving.stop()

        async with TandemClient(process.url, install.keys["marketing"]) as client:
            (contact,) = (await client.get("/v1/contacts", email="ada@acme.example"))["contacts"]
            (touch,) = (await client.get(f"/v1/contacts/{contact['id']}/touches"))["touches"]
        overruled = tandem("touch", "distrust", contact["id"], touch["id"], **marketing)
        assert overruled.stdout.startswith(f"Touch {touch['id']} counts nothing: distrusted (decided by ")
        assert "demo-requested" in tandem("touch", "list", contact["id"], "--suspect", COLUMNS="200", **sales).stdout
        assert "touch_not_found" in tandem("touch", "trust", contact["id"], contact["id"], **sales).stderr
        _ask_about_routing(team, sales)
    finally:
        assert await process.stop() == 0


def _ask_about_routing(team: Path, sales: dict[str, str]) -> None:
    assert "is valid: 5 reps" in tandem("team", "check", str(team), "--allow", "127.0.0.0/8").stdout
    refused = tandem("team", "check", str(team))
    assert (refused.returncode, "team.yaml:" in refused.stderr) == (1, True)
    assert "Nothing changes." in tandem("team", "diff", str(team), **sales).stdout
    team.write_text(team.read_text().replace("capacity: 15", "capacity: 16"))
    assert tandem("team", "diff", str(team), **sales).stdout == "rep Linnea Holm: capacity 15 → 16\n"
    assert "1 handoffs: 1 assigned" in tandem("route", "simulate", str(team), "--since", "1d", **sales).stdout

    listed = tandem("handoff", "list", "--state", "assigned", COLUMNS="200", **sales).stdout
    handoff = listed.splitlines()[1].split()[0]
    why = tandem("handoff", "why", handoff, **sales).stdout
    assert "The default gives it to the pool growth." in why
    assert "it was their turn" in why
    assert "was not considered" in tandem("handoff", "why", handoff, "--rep", "amara@harbour.example", **sales).stdout
    assert "is assigned with" in tandem("handoff", "show", handoff, **sales).stdout
    assert "not_held" in tandem("handoff", "release", handoff, **sales).stderr


def test_nobody_listens() -> None:
    """A client command ends with one line that says what to check."""
    ended = tandem("agreement", "show", "--url", f"http://127.0.0.1:{free_port()}", "--key", "x" * 20)

    assert ended.returncode == 2
    assert "Does `tandem up` run" in ended.stderr
    assert len(ended.stderr.splitlines()) == 1


def test_the_demo() -> None:
    """It ends by itself with 0 when just the expected leads were delivered and verified."""
    shown = tandem("demo", "--pace", "2")

    assert shown.returncode == 0, shown.stdout + shown.stderr
    assert "All 5 expected leads were delivered" in shown.stdout
    assert "adds up to" in shown.stdout


def test_a_mapping_on_a_sample(tmp_path: Path) -> None:
    """The events are printed; what is wrong is told with its place, and the command ends accordingly."""
    mapping, sample = tmp_path / "mapping.yaml", tmp_path / "body.json"
    mapping.write_text("{events: leads, email: mail, message_id: id, constants: {name: Signed Up}}")
    sample.write_text('{"leads": [{"id": 1, "mail": "ada@acme.example"}, {"id": 2}]}')
    some = tandem("source", "test-mapping", str(mapping), "--sample", str(sample))
    sample.write_text('{"leads": [{"id": 1, "mail": "ada@acme.example"}]}')
    all_of_it = tandem("source", "test-mapping", str(mapping), "--sample", str(sample))
    mapping.write_text("{events: 'leads[', emial: mail}")
    wrong = tandem("source", "test-mapping", str(mapping), "--sample", str(sample))

    assert (some.returncode, all_of_it.returncode, wrong.returncode) == (1, 0, 2)
    assert (
        json.loads(some.stdout)["names"]["email"]
        == json.loads(all_of_it.stdout)["names"]["email"]
        == "ada@acme.example"
    )
    assert "no_identifier: 1 of 2 events; the first is number 1." in some.stderr
    assert "`events` is not JMESPath" in wrong.stderr
    assert "`emial` is not known" in wrong.stderr
    assert "Traceback" not in wrong.stderr
