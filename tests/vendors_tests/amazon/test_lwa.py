"""Login with Amazon gives tokens for an hour, and the API says in its own words what is wrong with one."""

SELLERS = "/sellers/v1/marketplaceParticipations"


def test_a_refresh_token_gives_an_access_token_for_an_hour_and_stays_the_same(call, site):
    status, content = call.login()
    assert status == 200
    assert content["access_token"].startswith("Atza|")
    assert (content["token_type"], content["expires_in"]) == ("bearer", 3600)
    assert content["refresh_token"] == site.refresh_token
    call.token = content["access_token"]
    participations = call.ok("GET", SELLERS)["payload"]
    assert [each["marketplace"]["id"] for each in participations] == list(site.marketplace_ids)


def test_a_revoked_refresh_token_is_an_invalid_grant(call, site):
    site.api.tokens.revoked = True
    assert call.login() == (
        400,
        {"error": "invalid_grant", "error_description": "The request has an invalid grant parameter : refresh_token"},
    )
    site.api.tokens.revoked = False
    assert call.login(refresh_token="Atzr|another")[1]["error"] == "invalid_grant"


def test_wrong_clients_grants_and_scopes_are_refused(call):
    assert call.login(client_secret="another") == (
        401,
        {"error": "invalid_client", "error_description": "Client authentication failed"},
    )
    assert call.login(grant_type="password")[1]["error"] == "unsupported_grant_type"
    assert call.login(grant_type="client_credentials", scope="all")[1]["error"] == "invalid_scope"
    assert call.login(refresh_token="")[1]["error"] == "invalid_request"


def test_a_missing_an_unknown_and_an_old_token_are_denied_each_with_its_details(call, clock):
    def details(**headers):
        status, content = call.send("GET", SELLERS, **headers)
        assert status == 403
        assert b'"code":"Unauthorized"' in content
        return content.decode()

    assert "Access token is missing" in details()
    assert "revoked, malformed or invalid" in details(x_amz_access_token="Atza|guessed")
    token = call.login()[1]["access_token"]
    clock._seconds += 3_599
    assert call.send("GET", SELLERS, x_amz_access_token=token)[0] == 200
    clock._seconds += 1
    assert "has expired" in details(x_amz_access_token=token)


def test_the_applications_own_token_is_not_the_sellers(call):
    status, content = call.login(
        grant_type="client_credentials", scope="sellingpartnerapi::notifications", refresh_token=""
    )
    assert status == 200
    assert "refresh_token" not in content
    call.token = content["access_token"]
    assert call.code("GET", SELLERS) == (403, "Unauthorized")


def test_dropped_tokens_are_over(call, site):
    call.ok("GET", SELLERS)
    site.api.tokens.drop()
    assert call("GET", SELLERS)[0] == 403


def test_paths_that_are_none_are_denied_like_a_missing_role(call):
    assert call.code("GET", "/nowhere") == (403, "Unauthorized")
    assert call.code("GET", "/sellers/v1/account") == (403, "Unauthorized")
