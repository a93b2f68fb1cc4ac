"""All endpoints, and the routes that serve them."""

from __future__ import annotations

import re

from starlette.routing import BaseRoute, Mount

from channelsync.sync.agent import Agent
from channelsync.web.api import (
    approvals,
    channels,
    explain,
    findings,
    listings,
    orders,
    positions,
    reservations,
    runs,
    units,
)
from channelsync.web.api.description import describe, written
from channelsync.web.api.endpoints import PREFIX, Endpoint
from channelsync.web.api.rates import Rates
from channelsync.web.api.service import Service

ENDPOINTS: tuple[Endpoint, ...] = (
    *positions.ENDPOINTS,
    *units.ENDPOINTS,
    *reservations.ENDPOINTS,
    *orders.ENDPOINTS,
    *listings.ENDPOINTS,
    *channels.ENDPOINTS,
    *explain.ENDPOINTS,
    *findings.ENDPOINTS,
    *runs.ENDPOINTS,
    *approvals.ENDPOINTS,
)


def api_routes(agent: Agent, *, rates: Rates | None = None) -> list[BaseRoute]:
    """The API of an agent, for `build_app`. rates: how often each token may ask; None: as usual."""
    service = Service(
        agent=agent,
        endpoints=ENDPOINTS,
        description=written(describe(ENDPOINTS)),
        rates=rates or Rates(clock=agent.clock),
    )
    mount = Mount(PREFIX, app=service.app())
    mount.path_regex = re.compile(mount.path_regex.pattern, re.DOTALL)  # also a name with a line break is answered here
    return [mount]
