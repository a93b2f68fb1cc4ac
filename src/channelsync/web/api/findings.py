"""/findings: every problem, opened once and closed once."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Connection

from channelsync.domain.findings import FindingKind
from channelsync.store import findings
from channelsync.store.findings_view import FindingOnView, view_findings
from channelsync.sync.api_runs import Answered
from channelsync.sync.close_findings import close_by_hand
from channelsync.sync.stock import By
from channelsync.web.api.endpoints import Answer, Call, Endpoint
from channelsync.web.api.named import known_channels
from channelsync.web.api.paging import Page, key_after, page_of
from channelsync.web.api.problems import not_found
from channelsync.web.api.values import Flag, Listed, Said, Sentence, Text

TOPIC = "Findings"


class FindingsSaid(Listed):
    """Which findings. kind: such as oversold; may be given again. everything: closed ones too."""

    kind: tuple[Text, ...] = ()
    channel: Text | None = None
    everything: Flag = False


class CloseSaid(Said):
    """What was done about it, for the record."""

    why: Sentence = "closed by hand"


async def list_findings(call: Call, said: FindingsSaid) -> Answer:
    """Problems that are open, the newest first."""
    (channel,) = known_channels(call.agent.setup, [said.channel], by_hand=True) if said.channel else ("",)
    kinds = [_kind(one) for one in said.kind]
    after = key_after(call.endpoint.path, said, datetime, int)

    def work(connection: Connection) -> list[FindingOnView]:
        found = findings.list_findings(
            connection,
            kinds=kinds,
            channel=channel,
            only_open=not said.everything,
            limit=said.limit + 1,
            after=after,  # type: ignore[arg-type]  # as `key_after` was asked for
        )
        return view_findings(connection, found)

    found = await call.look(work)
    return Answer(page_of(call.endpoint.path, said, found, lambda one: (one.opened_at, one.id), lambda one: one))


async def show_finding(call: Call, _said: object) -> Answer:
    """One finding with its evidence."""
    return Answer(await call.look(lambda c: _finding(c, int(call.names["id"]))))


async def close_finding(call: Call, said: CloseSaid) -> Answered:
    """Close a finding that is settled.

    What is still wrong is found anew when it is met again. One that is closed already stays as it is.
    """
    number = int(call.names["id"])

    def work(connection: Connection, by: By) -> Answer:
        _finding(connection, number)
        close_by_hand(connection, by, [number], said.why)
        return Answer(_finding(connection, number))

    return await call.change("findings close", work, reason=said.why)


def _finding(connection: Connection, number: int) -> FindingOnView:
    found = view_findings(connection, findings.get_findings(connection, [number]).values())
    if not found:
        raise not_found(f"There is no finding {number}.")
    return found[0]


def _kind(text: str) -> str:
    known = [kind.value for kind in FindingKind]
    if text not in known:
        raise not_found(f"There is no kind of finding {text!r}; there is {', '.join(known)}.")
    return text


ENDPOINTS = (
    Endpoint(
        method="GET",
        path="/findings",
        scope="read",
        topic=TOPIC,
        run=list_findings,
        said=FindingsSaid,
        gives=Page[FindingOnView],
        misses=True,
    ),
    Endpoint(
        method="GET",
        path="/findings/{id}",
        scope="read",
        topic=TOPIC,
        run=show_finding,
        gives=FindingOnView,
        misses=True,
    ),
    Endpoint(
        method="POST",
        path="/findings/{id}/close",
        scope="operate",
        topic=TOPIC,
        run=close_finding,
        said=CloseSaid,
        gives=FindingOnView,
        misses=True,
        example={"why": "counted again, it was a typo"},
    ),
)
