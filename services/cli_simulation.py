"""`tandem agreement simulate` and `tandem agreement shadow`: a draft, before anybody signs it."""

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn
from rich.table import Table

from services.cli_client import DEFAULT_URL, Key, Url, client, read_text
from services.terminal import call, fail, out, printable, problems

if TYPE_CHECKING:
    from services.client import TandemClient

_POLL_SECONDS = 0.3
_WORKING_DAYS = 5  # a week

Shown = Annotated[int, typer.Option("--leads", min=0, max=200, help="How many leads gained and lost to name.")]


def simulate(
    draft: Annotated[str, typer.Argument(help="A file, or the number of a version.")],
    since: Annotated[str, typer.Option(help="How far back to look.")] = "90d",
    segment: Annotated[str, typer.Option(help="Count leads by a trait, such as account.industry.")] = "",
    capacity: Annotated[
        int | None,
        typer.Option(min=0, help="Leads a week that sales can take; else five days of the reps' `per_day`."),
    ] = None,
    chart: Annotated[Path | None, typer.Option(help="Draw leads per week into this .html or .png file.")] = None,
    shown: Shown = 20,
    url: Url = DEFAULT_URL,
    key: Key = "",
    router_url: Annotated[str, typer.Option(envvar="TANDEM_ROUTER_URL", help="Where the router listens.")] = "",
) -> None:
    """Decide the stored history under a draft, beside the active agreement, and show what would change.

    Example: tandem agreement simulate draft.yaml --since 90d --segment account.industry --chart weeks.html
    """
    from services.charts import ChartUnavailable, chart_html, chart_png

    if chart is not None and chart.suffix not in {".html", ".png"}:
        raise fail(f"Name the chart .html or .png, not {chart.name}.")
    is_version = draft.isascii() and draft.isdigit() and not Path(draft).exists()
    text = None if is_version else read_text(Path(draft))
    done, leads = call(
        lambda: _simulate(
            client(url, key),
            router_url or url,
            key,
            path=f"/v1/agreements/{draft}/simulate" if is_version else "/v1/agreements/simulate",
            text=text,
            query={"since": since, "segment": segment, "capacity": capacity},
            shown=shown,
        )
    )
    if done["status"] != "done":
        raise fail(f"The simulation {done['id']} is {done['status']}. {done['problem'] or ''}".strip())
    _show(done, leads)
    if chart is not None:
        try:
            drawn = chart_png(done) if chart.suffix == ".png" else chart_html(done).encode()
            chart.write_bytes(drawn)
        except ChartUnavailable as error:
            raise fail(error) from None
        except OSError as error:
            raise fail(f"Cannot write {chart}: {error.strerror}.") from None
        problems.print(f"Leads per week are drawn in {chart}.", soft_wrap=True, highlight=False)


def shadow(
    what: Annotated[str, typer.Argument(help="The number of a draft to start, `show`, or `stop`.")] = "show",
    shown: Shown = 20,
    url: Url = DEFAULT_URL,
    key: Key = "",
) -> None:
    """Let a draft decide silently beside the active agreement, compared every day; or show how it differs, or stop it.

    Example: tandem agreement shadow 4
    """
    if what.isascii() and what.isdigit():
        started = call(lambda: client(url, key).post(f"/v1/agreements/{what}/shadow"))
        out.print(
            f"Agreement {started['version']} decides silently beside {started['active']}; the first day is compared "
            "after midnight UTC: tandem agreement shadow show",
            soft_wrap=True,
            highlight=False,
        )
    elif what == "stop":
        stopped = call(lambda: _stop(client(url, key)))
        out.print(f"Agreement {stopped['version']} decides no more: {stopped['ended_because']}", soft_wrap=True)
    elif what == "show":
        found, leads = call(lambda: _shadow(client(url, key), shown=shown))
        _show_shadow(found)
        _show_leads(leads)
    else:
        raise fail(f"Say the number of a draft, `show` or `stop`, not {what!r}.")


async def _simulate(
    tandem: "TandemClient",
    router_url: str,
    key: str,
    *,
    path: str,
    text: str | None,
    query: dict[str, Any],
    shown: int,
) -> tuple[Any, list[Any]]:
    if query["capacity"] is None:
        query["capacity"] = await _weekly_caps(client(router_url, key))
    asked = {name: value for name, value in query.items() if value not in {None, ""}}
    async with tandem:
        found = await tandem.post(path, content=text, **asked)
        columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TimeRemainingColumn())
        with Progress(*columns, console=problems, transient=True) as progress:
            task = progress.add_task("waiting", total=1.0)
            try:
                while found["finished_at"] is None:
                    await asyncio.sleep(_POLL_SECONDS)
                    found = await tandem.get(f"/v1/simulations/{found['id']}")
                    told = f"{found['touches']:,} touches" if found["touches"] else found["status"]
                    progress.update(task, completed=found["progress"], description=told)
            except asyncio.CancelledError:  # Ctrl-C
                await tandem.post(f"/v1/simulations/{found['id']}/cancel")
                raise
        leads = []
        for kind in ("gained", "lost"):
            if shown and found["status"] == "done":
                page = await tandem.get(f"/v1/simulations/{found['id']}/leads", kind=kind, limit=shown)
                leads += page["leads"]
    return found, leads


async def _weekly_caps(router: "TandemClient") -> int | None:
    """Return the leads a week that the reps' caps allow; None where a rep has none, or there is no router."""
    from services.client import ClientError

    try:
        reps = (await router.get("/v1/reps"))["reps"]
    except ClientError:
        return None
    daily = [rep.get("per_day") for rep in reps if not rep["away"]]
    return _WORKING_DAYS * sum(daily) if daily and None not in daily else None


async def _shadow(tandem: "TandemClient", *, shown: int) -> tuple[Any, list[Any]]:
    async with tandem:
        found = await tandem.get("/v1/agreements/shadow")
        leads = []
        for kind in ("gained", "lost"):
            if shown:
                leads += (await tandem.get("/v1/agreements/shadow/leads", kind=kind, limit=shown))["leads"]
    return found, leads


async def _stop(tandem: "TandemClient") -> Any:
    async with tandem:
        found = await tandem.get("/v1/agreements/shadow")
        return await tandem.delete(f"/v1/agreements/{found['version']}/shadow")


def _show(done: Any, leads: list[Any]) -> None:
    result, capacity = done["result"], done["capacity"]
    totals, per_week = result["leads"], result["per_week"]
    active = f"active {done['active']}" if done["active"] else "active"
    table = Table("", active, "draft", title=f"{done['touches']:,} touches of {done['contacts']:,} contacts")
    table.add_row("leads", str(totals["active"]), str(totals["draft"]))
    table.add_row("leads a week", f"{per_week['active']:g}", f"{per_week['draft']:g}")
    if capacity is not None:
        over = result["weeks_over_capacity"]
        table.add_row(f"weeks over {capacity} leads", str(over["active"]), str(over["draft"]))
    table.add_row("only here", f"{totals['lost']} (lost)", f"{totals['gained']} (gained)")
    for row in result["outcomes"]:
        table.add_row(f"of {row['made']} really {row['outcome']}", str(row["active"]), str(row["draft"]))
    accounts = result.get("accounts")
    if accounts and accounts["simulated"]:
        table.add_row(f"of accounts, {accounts['made']} really made", str(accounts["active"]), str(accounts["draft"]))
    out.print(table)
    _show_accounts(accounts)
    if result["segments"]:
        table = Table(*(done["segment"], "active", "draft", "gained", "lost", "won, of draft", "rejected, of draft"))
        for row in result["segments"]:
            counts = (str(row[name]) for name in ("active", "draft", "gained", "lost"))
            won = f"{row['won']}, {row['won_of_draft']}"
            rejected = f"{row['rejected']}, {row['rejected_of_draft']}"
            table.add_row(printable(row["value"], lines=False) or "(none)", *counts, won, rejected)
        out.print(table)
    _show_leads(leads)


def _show_accounts(accounts: Any) -> None:
    """Tell that leads of accounts are in neither column, if an earlier release simulated where there are any."""
    if accounts is None or accounts["simulated"]:
        return
    told = []
    if accounts["agreed_by"]:
        told.append(f"agreed on in {' and '.join(accounts['agreed_by'])}")
    if accounts["made"]:
        told.append(f"{accounts['made']} really made")
    line = f"Not simulated: leads of accounts ({', '.join(told)}). An earlier release did this; ask again."
    out.print(line, soft_wrap=True, highlight=False, markup=False)


_BECAUSE = {"hand_raise": "asked for sales", "account": "the account was ready"}


def _show_leads(leads: list[Any]) -> None:
    if not leads:
        return
    table = Table("", "contact", "when", "because", "what the other misses", "what became of it")
    for lead in leads:
        sent = lead["draft"] or lead["active"]
        contact = lead["contact"]
        name = contact["name"] or contact["email"] or str(contact["id"])
        company = f", {contact['account']}" if contact["account"] else ""
        because = _BECAUSE.get(sent["reason"], "") or ", ".join(sent["rules"])
        outcome = " ".join(filter(None, (lead["outcome"], lead["outcome_reason"])))
        cells = (lead["kind"], name + company, sent["at"][:10], because, "; ".join(sent["missing"]), outcome)
        table.add_row(*(_plain(cell) for cell in cells))
    out.print(table)


def _show_shadow(found: Any) -> None:
    until = f"until {found['compared_until']}" if found["days"] else "not yet"
    ended = f", ended: {found['ended_because']}" if found["ended_at"] else ""
    title = f"Agreement {found['version']} beside {found['active']}, compared {until}{ended}"
    out.print(title, soft_wrap=True, highlight=False, markup=False)
    table = Table("day", "both", "only active", "only draft")
    for day in found["days"]:
        table.add_row(str(day["day"]), str(day["both"]), str(day["only_active"]), str(day["only_draft"]))
    out.print(table)


def _plain(text: str) -> str:
    from rich.markup import escape

    return escape(printable(text, lines=False))
