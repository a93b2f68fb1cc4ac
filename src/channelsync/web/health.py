"""Whether this process lives (/healthz) and whether it may be given work (/readyz).

Both are for whoever restarts or routes, so they say little: names and numbers are told only where `details` is set,
which is on the port of the metrics. A process that is not ready is not dead: nobody should restart it for that.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from channelsync.sync.beats import LOOP, Beats
from channelsync.sync.readiness import State

Look = Callable[[], Awaitable[Sequence[State]]]


def health_routes(beats: Beats, look: Look, *, details: bool = False) -> list[BaseRoute]:
    """GET /healthz and GET /readyz.

    /healthz: 200 while every part was heard of in time, else 503. /readyz: 503 where something is red; what is amber
    is told and harms nothing.
    """

    async def healthz(_request: Request) -> Response:
        found = beats.now()
        late = [part for part, beat in found.items() if beat.late]
        told: dict[str, Any] = {
            "status": "late" if late else "ok",
            "beat_age_seconds": round(found[LOOP].age, 3) if LOOP in found else None,
            "parts": len(found),
            "late": len(late),
        }
        if details:
            told["each"] = {
                part: {"age_seconds": round(beat.age, 3), "late_seconds": round(beat.late, 3)}
                for part, beat in found.items()
            }
        return JSONResponse(told, 503 if late else 200)

    async def readyz(_request: Request) -> Response:
        states = await look()
        worst = next((level for level in ("red", "amber") if any(one.level == level for one in states)), "green")
        told: dict[str, Any] = {"status": worst}
        if details:
            told["each"] = [{"what": one.what, "level": one.level, "found": one.found} for one in states]
        else:
            told |= {level: sorted({o.what for o in states if o.level == level}) for level in ("red", "amber")}
        return JSONResponse(told, 503 if worst == "red" else 200)

    return [Route("/healthz", healthz, methods=["GET"]), Route("/readyz", readyz, methods=["GET"])]
