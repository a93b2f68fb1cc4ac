"""/explain: why a number is what it is, now or at a past time."""

from __future__ import annotations

from sqlalchemy import Connection

from channelsync.sync.explain import Explanation, explain_now, explain_then
from channelsync.web.api.endpoints import Answer, Call, Endpoint
from channelsync.web.api.named import item_of, known_channels
from channelsync.web.api.problems import REFUSED, Problem
from channelsync.web.api.values import Moment, Said, Text

TOPIC = "Explain"


class ExplainSaid(Said):
    """channel: only this one; may be given again. at: as it was then."""

    channel: tuple[Text, ...] = ()
    at: Moment | None = None


async def explain(call: Call, said: ExplainSaid) -> Answer:
    """Why this number.

    Now: the positions with who has reserved them; of a bundle what its parts make of it at each location, and which
    part decides; for every number of the item what is shown, what should be with every step that led there, what it
    must be showing after all booked orders, writes on their way, and the next step with its reason. With `at`: the
    positions replayed from the ledger as it was known then, the write in force with when (`said_at`) and why it was
    sent and the steps of that moment, and the reads around that time. Nothing is read from a channel and nothing is
    written.
    """
    agent, now, at = call.agent, call.agent.clock.now(), said.at
    only = known_channels(agent.setup, said.channel) or None
    if at is not None and at > now:
        raise Problem(REFUSED, f"{at.isoformat()} has not come yet (it is {now.isoformat()} now).")

    def work(connection: Connection) -> Explanation:
        item = item_of(connection, call.names["sku"])
        if at is not None:
            return explain_then(connection, agent.setup, item, only, at)
        return explain_now(connection, agent.setup, agent.measures, item, only, now)

    return Answer(await call.look(work))


ENDPOINTS = (
    Endpoint(
        method="GET",
        path="/explain/{sku}",
        scope="read",
        topic=TOPIC,
        run=explain,
        said=ExplainSaid,
        gives=Explanation,
        misses=True,
        refuses=True,
    ),
)
