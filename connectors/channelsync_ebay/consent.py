"""The seller's consent: the page where it is given, and the refresh token that it brings."""

from __future__ import annotations

import hmac
from collections.abc import Mapping
from urllib.parse import parse_qs, urlencode, urlsplit

from pydantic import BaseModel, SecretStr

from channelsync.sdk.connecting import Consent
from channelsync.sdk.errors import NeedsSeller
from channelsync.sdk.resources import Resources
from channelsync.sdk.settings import own
from channelsync_ebay.access import REFRESH_TOKEN, REFRESH_TOKEN_UNTIL, SCOPES, Access
from channelsync_ebay.hosts import Hosts
from channelsync_ebay.settings import EbaySettings


def _address(settings: BaseModel, state: str) -> str:
    mine = own(EbaySettings, settings)
    if mine.ru_name is None:
        raise NeedsSeller("Set ru_name to the application's RuName: eBay sends the seller back to it.")
    query = {
        "client_id": mine.client_id,
        "redirect_uri": mine.ru_name,
        "response_type": "code",
        "scope": " ".join(dict.fromkeys((*SCOPES, *mine.extra_scopes))),
        "state": state,
    }
    return f"{mine.consent}?{urlencode(query)}"


async def _redeem(settings: BaseModel, resources: Resources, pasted: str, state: str) -> Mapping[str, SecretStr]:
    mine = own(EbaySettings, settings)
    query = parse_qs(urlsplit(pasted.strip()).query)
    told, code = query.get("state", [""])[0], query.get("code", [""])[0]
    if not hmac.compare_digest(told.encode("utf-8", "surrogatepass"), state.encode()):
        raise NeedsSeller("Open the address anew and agree there: what was pasted answers another question.")
    if not code:
        raise NeedsSeller("Paste the whole address that eBay sent the browser to after you had agreed: it has no code.")
    async with Hosts(mine, resources, lent=True) as hosts:
        token, until = await Access(hosts, mine, resources.clock, resources.vault).redeemed(code)
    if until is not None:
        await resources.vault.put(REFRESH_TOKEN_UNTIL, SecretStr(until.isoformat()))
    return {REFRESH_TOKEN: token}


CONSENT = Consent(address=_address, redeem=_redeem, gives=(REFRESH_TOKEN,))
