"""Notifications: eBay is given an alert address, a destination and a subscription for each topic (Notification API).

Destinations, topics and the alert address are the application's; a subscription is the seller's, or, for topics that
concern no seller, the application's.
"""

from __future__ import annotations

from collections.abc import Sequence
from urllib.parse import parse_qs, urlsplit

from pydantic import SecretStr

from channelsync.sdk.errors import ChannelMisbehaved, NeedsSeller
from channelsync.sdk.http import Answer, Call
from channelsync.sdk.subscriptions import Subscription
from channelsync.sdk.wire import read_answer
from channelsync_ebay import wire, wire_account
from channelsync_ebay.access import SCOPES
from channelsync_ebay.client import EbayClient, reason_of
from channelsync_ebay.settings import OTHER, EbaySettings

_API = "/commerce/notification/v1"
_NAME = "channelsync"
_LIMIT = 100

_NOT_CONFIGURED, _NOT_ALLOWED, _EXISTS, _NOT_VERIFIED, _NO_TOPIC = 195003, 195011, 195012, 195020, 195027
_CONFLICT = 409
_REFUSED = (400, 403, 404, _CONFLICT)

Params = dict[str, str | int | SecretStr]


class Subscriptions:
    """What eBay tells one account, and where to. verification_token of the settings must be there to add to it."""

    def __init__(self, client: EbayClient, settings: EbaySettings) -> None:
        self._client = client
        self._settings = settings
        self._of_application: set[str] = set()

    @property
    def topics(self) -> Sequence[str]:
        """What we want to be told of; nothing without a token to verify an address with."""
        return self._settings.topics if self._settings.verification_token is not None else ()

    async def found(self) -> list[Subscription]:
        """All of the seller's and of the application's. A destination that eBay has marked down delivers nothing."""
        places = {one.destination_id: one for one in await self._destinations()}
        theirs = await self._subscribed(application=False)
        known = {one.subscription_id for one in theirs}
        own = [one for one in await self._subscribed(application=True) if one.subscription_id not in known]
        self._of_application = {one.subscription_id for one in own}
        return [_told(one, places.get(one.destination_id)) for one in (*theirs, *own)]

    async def subscribe(self, topic: str, address: str) -> None:
        """Asks eBay to tell this address of a topic. Raises NeedsSeller where the application may not have it."""
        about = await self._topic(topic)
        await self._configure()
        payload = next((one for one in about.supported_payloads if not one.deprecated), wire_account.Payload())
        body = {
            "topicId": topic,
            "status": "ENABLED",
            "destinationId": await self._destination(address),
            "payload": {
                "format": "JSON",
                "schemaVersion": payload.schema_version,
                "deliveryProtocol": payload.delivery_protocol,
            },
        }
        answer = await self._ask(
            Call("POST", f"{_API}/subscription", "write", json=body, expect="bytes", accept=_REFUSED),
            application=about.scope == "APPLICATION",
        )
        self._judge(answer, topic, about.authorization_scopes)
        if answer.status == _CONFLICT and not await self._is_told(topic, address):
            raise NeedsSeller(
                f"End the other subscription to {topic}, or take {topic} out of topics: eBay takes one of it for each"
                " application, and tells another address."
            )

    async def _is_told(self, topic: str, address: str) -> bool:
        return any(one.topic == topic and one.address == address for one in await self.found())

    async def renew(self, subscription: Subscription) -> None:
        """Puts its destination right, where eBay has marked that down, and switches it on."""
        for place in await self._destinations():
            if _address(place) == subscription.address and place.status != "ENABLED":
                body = self._wanted(subscription.address)
                path = f"{_API}/destination/{place.destination_id}"
                answer = await self._ask(
                    Call("PUT", path, "write", json=body, expect="bytes", accept=_REFUSED), application=True
                )
                self._judge(answer, subscription.topic)
        await self._change(subscription, "POST", "/enable")

    async def unsubscribe(self, subscription: Subscription) -> None:
        """Ends a subscription; its destination stays, as other topics may go there."""
        await self._change(subscription, "DELETE", "")

    async def _change(self, subscription: Subscription, method: str, how: str) -> None:
        path = f"{_API}/subscription/{subscription.name}{how}"
        # An empty object: eBay's edge answers 411 to a POST without a body, whatever its description says.
        body: dict[str, object] | None = {} if method == "POST" else None
        answer = await self._ask(
            Call(method, path, "write", json=body, expect="bytes", accept=_REFUSED),
            application=subscription.name in self._of_application,
        )
        self._judge(answer, subscription.topic)

    async def _topic(self, topic: str) -> wire_account.Topic:
        call = Call("GET", f"{_API}/topic/{topic}", "read", accept=_REFUSED)
        answer = await self._ask(call, application=True)
        if answer.status in _REFUSED:
            raise NeedsSeller(
                f"Take {topic} out of topics: eBay has no such topic for this application"
                f" ({reason_of(wire.refusal(answer))})."
            )
        return read_answer(wire_account.Topic, answer)

    async def _configure(self) -> None:
        """Without an alert address eBay takes no destination (195003)."""
        answer = await self._ask(Call("GET", f"{_API}/config", "read", accept=(404,)), application=True)
        if answer.status != 404:
            return
        if self._settings.alert_email is None:
            raise NeedsSeller("Set alert_email: eBay sends notifications only where it can write to somebody.")
        body = {"alertEmail": self._settings.alert_email}
        answer = await self._ask(
            Call("PUT", f"{_API}/config", "write", json=body, expect="bytes", accept=_REFUSED), application=True
        )
        self._judge(answer, "alert_email")

    async def _destination(self, address: str) -> str:
        """The id of the destination for an address, which is made where there is none."""
        for place in await self._destinations():
            if _address(place) == address:
                return place.destination_id
        answer = await self._ask(
            Call("POST", f"{_API}/destination", "write", json=self._wanted(address), expect="bytes", accept=_REFUSED),
            application=True,
        )
        self._judge(answer, address)
        made = str(urlsplit(answer.headers.get("location", "")).path).rstrip("/").rpartition("/")[2]
        if made:
            return made
        for place in await self._destinations():
            if _address(place) == address:
                return place.destination_id
        raise ChannelMisbehaved(f"{answer.call}: eBay made a destination and does not list it")

    def _wanted(self, address: str) -> dict[str, object]:
        token = self._settings.verification_token
        if token is None:
            raise NeedsSeller("Set verification_token: eBay makes sure with it that the address is ours.")
        config = {"endpoint": address, "verificationToken": token.get_secret_value()}
        return {"name": _NAME, "status": "ENABLED", "deliveryConfig": config}

    async def _destinations(self) -> list[wire_account.Destination]:
        found: list[wire_account.Destination] = []
        params: Params = {"limit": _LIMIT}
        while True:
            call = Call("GET", f"{_API}/destination", "read", params=params)
            page = read_answer(wire_account.Destinations, await self._ask(call, application=True))
            found += page.destinations
            onward = _onward(page.next)
            if onward is None or not page.destinations:
                return found
            params = {"limit": _LIMIT, "continuation_token": onward}

    async def _subscribed(self, *, application: bool) -> list[wire_account.Subscribed]:
        found: list[wire_account.Subscribed] = []
        params: Params = {"limit": _LIMIT}
        while True:
            call = Call("GET", f"{_API}/subscription", "read", params=params)
            page = read_answer(wire_account.Subscriptions, await self._ask(call, application=application))
            found += page.subscriptions
            onward = _onward(page.next)
            if onward is None or not page.subscriptions:
                return found
            params = {"limit": _LIMIT, "continuation_token": onward}

    async def _ask(self, call: Call, *, application: bool) -> Answer:
        return await self._client.ask(call, application=application, bucket=OTHER)

    def _judge(self, answer: Answer, about: str, scopes: Sequence[str] = ()) -> None:
        """Raises what a refusal means; what is there already is fine. scopes: that the topic asks for."""
        if answer.status not in _REFUSED:
            return
        errors = wire.refusal(answer)
        ids, reason = wire.ids_of(errors), reason_of(errors)
        if _EXISTS in ids:
            return
        unasked = [scope for scope in scopes if scope not in (*SCOPES, *self._settings.extra_scopes)]
        if _NOT_ALLOWED in ids and unasked:
            raise NeedsSeller(
                f"Add {', '.join(unasked)} to extra_scopes and connect the account anew, or take {about} out of topics:"
                f" eBay does not give it without ({reason})."
            )
        if ids & {_NOT_ALLOWED, _NO_TOPIC}:
            raise NeedsSeller(f"Take {about} out of topics: eBay does not give it to this application ({reason}).")
        if _NOT_VERIFIED in ids:
            raise NeedsSeller(
                f"Make {about} reachable from the internet over https, and run this again: eBay asked it whether it is"
                f" ours and got no right answer ({reason})."
            )
        if _NOT_CONFIGURED in ids:
            raise NeedsSeller(f"Set alert_email: eBay takes no destination without one ({reason}).")
        raise NeedsSeller(f"eBay refuses {about}: {reason}")


def _told(one: wire_account.Subscribed, place: wire_account.Destination | None) -> Subscription:
    status = place.status if place is not None else "without a destination"
    active = one.status == "ENABLED" and status == "ENABLED"
    down = "eBay has marked the address down after failed deliveries" if status == "MARKED_DOWN" else ""
    return Subscription(
        name=one.subscription_id,
        topic=one.topic_id,
        address=_address(place) if place is not None else "",
        active=active,
        trouble=down,
    )


def _address(place: wire_account.Destination) -> str:
    return place.delivery_config.endpoint if place.delivery_config is not None else ""


def _onward(link: str | None) -> str | None:
    """The token in the link to a next page; None where there is none."""
    return next(iter(parse_qs(urlsplit(link or "").query).get("continuation_token", ())), None)
