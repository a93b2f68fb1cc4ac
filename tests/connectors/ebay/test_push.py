"""Numbers: what is read and written, and what the answers mean row by row."""

import json

import httpx
import pytest

from channelsync.sdk.errors import AnswerUnreadable, ChannelMisbehaved, NeedsSeller, NotSent, OutcomeUnknown, TryLater
from channelsync.sdk.values import PushResult, QuantityKey, QuantityUpdate

WRITE = "/bulk_update_price_quantity$"
OFFER = "/sell/inventory/v1/offer$"
BULK = "/bulk_get_inventory_item$"
BLUE, RED = QuantityKey("MUG-BLUE"), QuantityKey("MUG-RED")


def update(sku: str = "MUG-BLUE", value: int = 3, *, lowering: bool = True) -> QuantityUpdate:
    return QuantityUpdate(key=QuantityKey(sku), value=value, listing=sku, sku=sku, lowering=lowering)


def row(sku: str = "MUG-BLUE", status: int = 200, offer: str | None = None, *errors: int) -> dict:
    said = {"sku": sku, "statusCode": status, "errors": [{"errorId": one, "message": f"error {one}"} for one in errors]}
    return said if offer is None else said | {"offerId": offer}


def shop_of(words, ebay, *skus: str) -> None:
    """Each SKU has one live offer, called after it."""

    def offers(request: httpx.Request) -> httpx.Response:
        sku = request.url.params["sku"]
        if sku not in skus:
            return words.errors(25713, "This Offer is not available.", 404)
        return httpx.Response(200, json=words.offers(words.offer(f"offer-{sku}", sku=sku)))

    ebay.on("GET", OFFER, offers)


def echo(words):
    """Takes every row."""

    def answer(request: httpx.Request) -> httpx.Response:
        rows = json.loads(request.content)["requests"]
        return words.written(*(row(one["sku"], 200, f"offer-{one['sku']}") for one in rows))

    return answer


class TestPush:
    @pytest.fixture(autouse=True)
    def _shop(self, words, ebay) -> None:
        shop_of(words, ebay, "MUG-BLUE", "MUG-RED", "MUG-GREEN")

    async def test_the_item_s_and_the_offer_s_number_are_written_together(self, seller, ebay, words) -> None:
        ebay.on("POST", WRITE, words.written(row(offer="offer-MUG-BLUE")))
        assert await seller.push([update()]) == [PushResult.accepted(BLUE)]
        assert ebay.bodies(WRITE.strip("$")) == [
            {
                "requests": [
                    {
                        "sku": "MUG-BLUE",
                        "shipToLocationAvailability": {"quantity": 3},
                        "offers": [{"offerId": "offer-MUG-BLUE", "availableQuantity": 3}],
                    }
                ]
            }
        ]

    async def test_no_call_names_more_than_25_offers(self, seller, ebay, words) -> None:
        def offers(request: httpx.Request) -> httpx.Response:
            sku = request.url.params["sku"]
            sites = (words.offer(f"{sku}-{site}", sku=sku) for site in ("US", "UK"))
            return httpx.Response(200, json=words.offers(*sites))

        ebay.on("GET", OFFER, offers)
        ebay.on("POST", WRITE, echo(words))
        results = await seller.push([update(f"MUG-{place}") for place in range(25)])
        assert {one.state for one in results} == {"accepted"}
        assert [len(body["requests"]) for body in ebay.bodies(WRITE.strip("$"))] == [12, 12, 1]

    async def test_of_an_item_that_is_not_on_offer_only_its_own_number_is_written(self, seller, ebay, words) -> None:
        ebay.on("POST", WRITE, words.written(row("MUG-GREY")))
        assert (await seller.push([update("MUG-GREY")]))[0].state == "accepted"
        (body,) = ebay.bodies(WRITE.strip("$"))
        assert body["requests"] == [{"sku": "MUG-GREY", "shipToLocationAvailability": {"quantity": 3}}]

    @pytest.mark.parametrize(
        "changes",
        [
            {"format": "AUCTION"},
            {"status": "UNPUBLISHED"},
            {"listing": {"listingId": "1", "listingStatus": "ENDED"}},
        ],
    )
    async def test_offers_that_are_not_live_are_left_alone(self, seller, ebay, words, changes) -> None:
        ebay.on("GET", OFFER, words.offers(words.offer("live"), words.offer("other", **changes)))
        ebay.on("POST", WRITE, words.written(row(offer="live")))
        await seller.push([update()])
        (body,) = ebay.bodies(WRITE.strip("$"))
        assert [one["offerId"] for one in body["requests"][0]["offers"]] == ["live"]

    @pytest.mark.parametrize(
        ("rows", "state"),
        [
            ([row()], "accepted"),
            ([row(), row(offer="offer-MUG-BLUE")], "accepted"),
            ([row(status=201)], "accepted"),
            ([row() | {"warnings": [{"errorId": 25096, "message": "on hold"}]}], "accepted"),
            ([{"offerId": "offer-MUG-BLUE", "statusCode": 200}], "accepted"),
            ([row("MUG-BLUE", 400, None, 25004)], "refused"),
            ([row("MUG-BLUE", 400, None, 25026)], "refused"),
            ([row("MUG-BLUE", 400, None, 25097), row("MUG-BLUE", 400, "offer-MUG-BLUE", 25097)], "refused"),
            ([row("MUG-BLUE", 404, None, 25702)], "refused"),
            ([row("MUG-BLUE", 409, None)], "refused"),
            ([row("MUG-BLUE", 200, None, 25759)], "refused"),
            ([row(), row("MUG-BLUE", 400, "offer-MUG-BLUE", 25713)], "unknown"),
            ([row("MUG-BLUE", 500, None, 25001)], "unknown"),
            ([row("MUG-BLUE", 503, None)], "unknown"),
            ([], "unknown"),
            ([row("ANOTHER")], "unknown"),
            (["nonsense", None, {"statusCode": "x"}], "unknown"),
        ],
    )
    async def test_the_answer_to_a_row_means(self, seller, ebay, words, rows, state) -> None:
        ebay.on("POST", WRITE, words.written(*rows, status=207))
        (result,) = await seller.push([update()])
        assert (result.key, result.state, result.shown) == (BLUE, state, None)
        assert bool(result.reason) is (state != "accepted")

    @pytest.mark.parametrize("lowering", [True, False])
    async def test_a_listing_that_was_revised_too_often_is_refused_in_ebays_words(
        self, seller, ebay, words, lowering: bool
    ) -> None:
        said = "You have exceeded the number of times this listing can be revised."
        rows = {"sku": "MUG-BLUE", "statusCode": 400, "errors": [{"errorId": 25019, "message": said}]}
        ebay.on("POST", WRITE, words.written(rows, status=207))
        for _ in range(2):
            (result,) = await seller.push([update(lowering=lowering)])
            assert (result.state, said in result.reason) == ("refused", True)
        assert len(ebay.of(WRITE.strip("$"))) == 2, "when it goes again is decided elsewhere"

    async def test_a_refused_row_holds_up_no_other(self, seller, ebay, words) -> None:
        rows = (row("MUG-RED", 400, None, 25004), row("MUG-BLUE"), row("MUG-GREEN"))
        ebay.on("POST", WRITE, words.written(*rows, status=207))
        results = await seller.push([update("MUG-GREEN"), update("MUG-RED"), update("MUG-BLUE")])
        assert [one.state for one in results] == ["accepted", "refused", "accepted"]
        assert [one.key.key for one in results] == ["MUG-GREEN", "MUG-RED", "MUG-BLUE"]
        assert "25004" in results[1].reason

    async def test_a_row_that_spoils_the_whole_call_is_found_and_the_others_go(self, seller, ebay, words) -> None:
        def answer(request: httpx.Request) -> httpx.Response:
            rows = [one["sku"] for one in json.loads(request.content)["requests"]]
            return words.errors(25709, "Invalid value") if "MUG-RED" in rows else words.written(*map(row, rows))

        ebay.on("POST", WRITE, answer)
        results = await seller.push([update("MUG-GREEN"), update("MUG-RED"), update("MUG-BLUE")])
        assert [one.state for one in results] == ["accepted", "refused", "accepted"]
        assert "Invalid value" in results[1].reason

    async def test_concurrent_access_is_tried_again_for_that_row_only(self, seller, ebay, words, clock) -> None:
        busy = words.written(row("MUG-BLUE"), row("MUG-RED", 500, None, 25025), status=207)
        ebay.on("POST", WRITE, [busy, words.written(row("MUG-RED"))])
        begun = clock.monotonic()
        results = await seller.push([update("MUG-BLUE"), update("MUG-RED")])
        assert [one.state for one in results] == ["accepted", "accepted"]
        sent = [[one["sku"] for one in body["requests"]] for body in ebay.bodies(WRITE.strip("$"))]
        assert sent == [["MUG-BLUE", "MUG-RED"], ["MUG-RED"]]
        assert clock.monotonic() > begun

    async def test_concurrent_access_of_the_whole_call_is_tried_again(self, seller, ebay, words) -> None:
        ebay.on("POST", WRITE, [words.errors(25025, status=500), words.written(row())])
        assert (await seller.push([update()]))[0].state == "accepted"

    async def test_concurrent_access_that_lasts_is_a_refusal(self, seller, ebay, words) -> None:
        ebay.on("POST", WRITE, words.written(row("MUG-BLUE", 500, None, 25025), status=207))
        (result,) = await seller.push([update()])
        assert (result.state, "25025" in result.reason) == ("refused", True)
        assert len(ebay.of(WRITE.strip("$"))) == 4

    @pytest.mark.parametrize(
        ("answer", "error"),
        [
            (httpx.Response(500, json={"errors": [{"errorId": 25001}]}), OutcomeUnknown),
            (httpx.Response(503, text="<html>"), OutcomeUnknown),
            (httpx.ReadTimeout("nothing came"), OutcomeUnknown),
            (httpx.Response(429), TryLater),
            (httpx.Response(403), NeedsSeller),
            (httpx.Response(200, json={"envelope": 1}), AnswerUnreadable),
            (httpx.Response(200, text=""), AnswerUnreadable),
        ],
    )
    async def test_a_call_that_fails_is_raised_and_not_repeated(self, seller, ebay, answer, error) -> None:
        ebay.on("POST", WRITE, answer)
        with pytest.raises(error):
            await seller.push([update()])
        assert len(ebay.of(WRITE.strip("$"))) == 1

    async def test_once_a_part_was_answered_the_rest_is_unknown(self, seller, ebay, words) -> None:
        ebay.on("POST", WRITE, [words.errors(25709), words.written(row("MUG-BLUE")), httpx.ReadTimeout("nothing")])
        results = await seller.push([update("MUG-BLUE"), update("MUG-RED")])
        assert [one.state for one in results] == ["accepted", "unknown"]

    async def test_nothing_is_sent_once_a_push_has_taken_too_long(self, seller, ebay, words, clock) -> None:
        slow = words.offers(words.offer("offer-MUG-BLUE"))

        def answer(_: httpx.Request) -> httpx.Response:
            clock._seconds += 70
            return httpx.Response(200, json=slow)

        ebay.on("GET", OFFER, answer)
        ebay.on("POST", WRITE, words.written(row()))
        with pytest.raises(NotSent):
            await seller.push([update()])
        assert ebay.of(WRITE.strip("$")) == []

    async def test_what_comes_too_late_in_a_push_never_left(self, seller, ebay, words, clock) -> None:
        def answer(request: httpx.Request) -> httpx.Response:
            clock._seconds += 70
            return words.errors(25709)

        ebay.on("POST", WRITE, answer)
        results = await seller.push([update("MUG-BLUE"), update("MUG-RED")])
        assert [one.state for one in results] == ["not sent", "not sent"]
        assert len(ebay.of(WRITE.strip("$"))) == 1

    async def test_an_offer_that_is_gone_is_looked_for_anew_the_next_time(self, seller, ebay, words) -> None:
        ebay.on("POST", WRITE, words.written(row("MUG-BLUE", 404, None, 25713), status=207))
        assert (await seller.push([update()]))[0].state == "refused"
        ebay.on("GET", OFFER, words.offers(words.offer("another")))
        await seller.push([update()])
        assert ebay.bodies(WRITE.strip("$"))[-1]["requests"][0]["offers"][0]["offerId"] == "another"

    async def test_offers_that_were_read_are_not_asked_for_again(self, seller, ebay, words) -> None:
        ebay.on("POST", WRITE, words.written(row()))
        await seller.push([update()])
        await seller.push([update()])
        assert len(ebay.of("/offer")) == 1

    @pytest.mark.parametrize("sku", ["", " MUG", "M" * 51, "MUG\n", "MUG\x00"])
    async def test_what_can_be_no_sku_is_refused_and_never_leaves(self, seller, ebay, sku: str) -> None:
        (result,) = await seller.push([update(sku)])
        assert (result.state, ebay.asked) == ("refused", [])

    async def test_a_key_with_a_location_is_refused(self, seller, ebay) -> None:
        one = QuantityUpdate(key=QuantityKey("MUG-BLUE", "berlin"), value=1, listing="MUG-BLUE")
        assert (await seller.push([one]))[0].state == "refused"

    async def test_too_many_rows_and_negative_numbers_never_leave(self, seller, ebay) -> None:
        with pytest.raises(ValueError, match="25"):
            await seller.push([update()] * 26)
        with pytest.raises(ValueError, match="negative"):
            await seller.push([update(value=-1)])
        assert (ebay.asked, await seller.push([])) == ([], [])


class TestRead:
    async def test_a_read_shows_the_number_of_the_offer_below_that_of_the_item(
        self, seller, ebay, words, clock
    ) -> None:
        found = [{"sku": "MUG-BLUE", "statusCode": 200, "inventoryItem": words.item(units=9)}]
        found.append({"sku": "NONE", "statusCode": 404, "errors": [{"errorId": 25702}]})
        ebay.on("POST", BULK, httpx.Response(207, json={"responses": found}))
        ebay.on("GET", OFFER, words.offers(words.offer(units=4)))
        reads = await seller.read([QuantityKey("NONE"), BLUE, QuantityKey("MUG-BLUE", "berlin")])
        assert [(one.key.key, one.value) for one in reads] == [("NONE", None), ("MUG-BLUE", 4), ("MUG-BLUE", None)]
        assert all(one.asked <= one.answered for one in reads)
        assert len(ebay.of("/offer")) == 1, "what is no item has no offers"

    @pytest.mark.parametrize("number", [25702, 25707, 25708, 25709, 25710])
    async def test_where_one_sku_spoils_the_call_the_others_are_read(self, seller, ebay, words, number) -> None:
        def answer(request: httpx.Request) -> httpx.Response:
            skus = [one["sku"] for one in json.loads(request.content)["requests"]]
            if "BAD" in skus:
                return words.errors(number, "Invalid request. Invalid value for field SKU")
            found = [{"sku": sku, "statusCode": 200, "inventoryItem": words.item(sku)} for sku in skus]
            return httpx.Response(200, json={"responses": found})

        ebay.on("POST", BULK, answer)
        ebay.on("GET", OFFER, words.offers())
        reads = await seller.read([QuantityKey("BAD"), BLUE, RED])
        assert [one.value for one in reads] == [None, 5, 5]

    async def test_an_item_whose_offer_cannot_be_read_is_an_error(self, seller, ebay, words) -> None:
        found = {"sku": "MUG-BLUE", "statusCode": 200, "inventoryItem": words.item()}
        ebay.on("POST", BULK, {"responses": [found]})
        ebay.on("GET", OFFER, words.offers({"offerId": "1", "availableQuantity": "many"}))
        with pytest.raises(AnswerUnreadable):
            await seller.read([BLUE])

    async def test_a_wrong_value_of_another_field_takes_no_item_and_no_offer_away(self, seller, ebay, words) -> None:
        found = {"sku": "MUG-BLUE", "statusCode": 200, "inventoryItem": words.item(units=9)}
        wrong = words.errors(25709, "Invalid value for header Accept-Language.")
        for items, offers in ((wrong, words.offers()), ({"responses": [found]}, wrong)):
            ebay.on("POST", BULK, items)
            ebay.on("GET", OFFER, offers)
            with pytest.raises(ChannelMisbehaved, match="25709"):
                await seller.read([BLUE])
        with pytest.raises(ChannelMisbehaved, match="25709"):  # its offers, unknown yet, would not be written
            await seller.push([QuantityUpdate(key=BLUE, value=1, listing="MUG-BLUE")])
        assert ebay.of(WRITE.rstrip("$")) == []

    @pytest.mark.parametrize("lost", [httpx.Response(404, html="<h1>Not here</h1>"), httpx.Response(404)])
    async def test_a_404_that_is_not_ebays_takes_nothing_away(self, seller, ebay, words, lost) -> None:
        found = {"sku": "MUG-BLUE", "statusCode": 200, "inventoryItem": words.item(units=9)}
        ebay.on("GET", "/inventory_item$", lost)
        with pytest.raises(AnswerUnreadable):
            [one async for one in seller.listings()]
        ebay.on("GET", "/sell/fulfillment/v1/order", lost)
        with pytest.raises(AnswerUnreadable):
            await seller.orders_by_id(["12-34567-89012"])
        for items, offers in ((lost, words.offers()), ({"responses": [found]}, lost)):
            ebay.on("POST", BULK, items)
            ebay.on("GET", OFFER, offers)
            with pytest.raises(AnswerUnreadable):
                await seller.read([BLUE])

    async def test_a_call_that_ebay_refuses_for_another_reason_is_an_error(self, seller, ebay, words) -> None:
        ebay.on("POST", BULK, words.errors(25727))
        with pytest.raises(ChannelMisbehaved, match="25727"):
            await seller.read([BLUE, RED])

    async def test_more_than_25_are_refused(self, seller) -> None:
        with pytest.raises(ValueError, match="25"):
            await seller.read([QuantityKey(str(place)) for place in range(26)])
        assert await seller.read([]) == []


class TestListings:
    async def test_all_items_come_page_by_page_with_their_offers(self, seller, ebay, words) -> None:
        skus = [f"MUG-{number}" for number in range(7)]

        def page(request: httpx.Request) -> httpx.Response:
            at, limit = int(request.url.params["offset"]), int(request.url.params["limit"])
            rows = [words.item(sku) for sku in skus[at * limit : (at + 1) * limit]]
            return httpx.Response(200, json=words.items(*rows, total=len(skus)))

        ebay.on("GET", "/inventory_item$", page)
        shop_of(words, ebay, *skus)
        found = [one async for one in seller.listings()]
        assert [one.listing for one in found] == skus
        assert {one.url.params["offset"] for one in ebay.of("/inventory_item")} == {"0", "1", "2"}

    @pytest.mark.parametrize("gone", [1, 2, 4])
    async def test_items_that_move_up_while_others_are_deleted_are_not_lost(self, seller, ebay, words, gone) -> None:
        skus = [f"MUG-{number}" for number in range(9)]
        left = [*skus]

        def page(request: httpx.Request) -> httpx.Response:
            at, limit = int(request.url.params["offset"]), int(request.url.params["limit"])
            rows, total = [words.item(sku) for sku in left[at * limit : (at + 1) * limit]], len(left)
            if at == 1 and total == len(skus):
                del left[:gone]
            return httpx.Response(200, json=words.items(*rows, total=total))

        ebay.on("GET", "/inventory_item$", page)
        shop_of(words, ebay, *skus)
        assert sorted([one.listing async for one in seller.listings()]) == skus

    async def test_no_items_are_no_listings(self, seller, ebay, words) -> None:
        ebay.on("GET", "/inventory_item$", words.errors(25710, status=404))
        assert [one async for one in seller.listings()] == []

    async def test_an_item_that_cannot_be_read_holds_up_no_other(self, seller, ebay, words) -> None:
        rows = (words.item("A"), words.item("B", units="many"), {"product": {}}, None, words.item("C"))
        ebay.on("GET", "/inventory_item$", words.items(*rows))
        shop_of(words, ebay, "A", "C")
        assert [one.listing async for one in seller.listings()] == ["A", "C"]

    async def test_listings_by_id_come_in_the_order_asked(self, seller, ebay, words) -> None:
        answers = [{"sku": sku, "statusCode": 200, "inventoryItem": words.item(sku)} for sku in ("A", "B")]
        ebay.on("POST", BULK, {"responses": [*answers, {"sku": "C", "statusCode": 404}]})
        shop_of(words, ebay, "A", "B")
        assert [one.listing for one in await seller.listings_by_id(["B", "C", "A"])] == ["B", "A"]
        assert await seller.listings_by_id([]) == []
