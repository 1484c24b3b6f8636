"""Credentials that must not open the service, one row each, against a real server for each kind of AUTH."""

from __future__ import annotations

import http.client
import secrets
import time
import urllib.parse

import jwt
import pytest
import requests
from issuer import ISSUER, Issuer, encoded, public_jwk
from test_service import check_error

KEY, OTHER_KEY, REVOKED = (secrets.token_urlsafe(24) for _ in range(3))
OPEN = ("/-/alive", "/-/ready", "/liveness_check", "/readiness_check", "/ping", "/api/v1/health")
CLOSED = ("/", "/version", "/metrics", "/docs/", "/predictions/3/5/4.geojson", "/no/such/page", "/-/alive/x")
IAP_AUDIENCE = "/projects/1/apps/mine"
ASSERTION = "X-Goog-IAP-JWT-Assertion"


@pytest.fixture(scope="module")
def issuer():
    issuer = Issuer()
    yield issuer
    issuer.close()


@pytest.fixture(scope="module")
def google():
    google = Issuer("https://cloud.google.com/iap", IAP_AUDIENCE)
    yield google
    google.close()


@pytest.fixture(scope="module")
def by_key(serve):
    return serve("readers:Bytes", AUTH="api-key", API_KEYS=f"ana:{KEY}, ben:{OTHER_KEY}")


@pytest.fixture(scope="module")
def by_token(serve, issuer):
    return serve(
        "readers:Bytes",
        AUTH="bearer-jwt",
        JWKS_URL=issuer.url,
        JWT_ISSUER=ISSUER,
        JWT_AUDIENCE="tiles",
        JWT_SCOPE="see",
    )


@pytest.fixture(scope="module")
def by_proxy(serve, google):
    return serve("readers:Bytes", AUTH="iap", IAP_KEYS_URL=google.url, IAP_AUDIENCE=IAP_AUDIENCE)


def ask(service, *headers: tuple[str, str], path: str = "/version"):
    """(Status, headers, body) of a request with just these headers, several of one name included."""
    connection = http.client.HTTPConnection(urllib.parse.urlsplit(service.url).netloc, timeout=30)
    connection.putrequest("GET", path)
    for name, value in headers:
        connection.putheader(name, value)
    connection.endheaders()
    response = connection.getresponse()
    body = response.read()
    connection.close()
    return response.status, response.headers, body


def bearer(token: str) -> tuple[str, str]:
    return ("Authorization", f"Bearer {token}")


def check_refused(service, *headers: tuple[str, str], path: str = "/version", status: int = 401):
    found, told, body = ask(service, *headers, path=path)
    assert found == status, body
    assert told["Content-Type"] == "application/json"
    assert b'"correlationId"' in body
    if status == 401:
        assert 'realm="' in told["WWW-Authenticate"]
    for _, value in headers:
        assert len(value) < 12 or value.encode() not in body


@pytest.mark.parametrize("guarded", ["by_key", "by_token", "by_proxy"])
def test_health_is_open_and_all_else_is_closed(request, guarded):
    service = request.getfixturevalue(guarded)
    for path in OPEN:
        assert service.get(path).status_code in (200, 503)
    for path in CLOSED:
        answer = service.get(path)
        assert check_error(answer, 401)["hint"]
        assert "realm=" in answer.headers["WWW-Authenticate"]
    check_error(service.post("/predict", json={"z": 3, "x": 1, "y": 1}), 401)
    check_error(service.post("/predict", data=b"x" * 3_000_000), 401)  # refused before the body is read
    for method in ("PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "NONSENSE"):
        connection = http.client.HTTPConnection(urllib.parse.urlsplit(service.url).netloc, timeout=30)
        connection.request(method, "/predict")
        assert connection.getresponse().status == 401
        connection.close()


def test_a_browsers_preflight_needs_no_key_and_does_nothing(by_key):
    asks = {"Origin": "https://a.example", "Access-Control-Request-Method": "POST"}
    answer = requests.options(by_key.url + "/predict", headers=asks, timeout=30)
    assert (answer.status_code, answer.content) == (200, b"")
    check_error(requests.options(by_key.url + "/no/such/page", headers=asks, timeout=30), 401)
    check_error(requests.post(by_key.url + "/predict", headers=asks, timeout=30), 401)


def test_what_opens_the_service_with_keys(by_key):
    for header in (("X-API-Key", KEY), ("x-api-key", OTHER_KEY), bearer(KEY), ("Authorization", f"bearer {OTHER_KEY}")):
        status, told, _ = ask(by_key, header)
        assert (status, told["Cache-Control"]) == (200, "no-cache, private")


KEY_ATTACKS = {
    "nothing": [],
    "empty key": [("X-API-Key", "")],
    "empty header": [("Authorization", "")],
    "scheme alone": [("Authorization", "Bearer")],
    "scheme and a space": [("Authorization", "Bearer ")],
    "another key": [("X-API-Key", secrets.token_urlsafe(24))],
    "basic": [("Authorization", "Basic dXNlcjpwYXNz")],
    "key as the scheme": [("Authorization", KEY)],
    "another scheme": [("Authorization", f"Token {KEY}")],
    "two spaces": [("Authorization", f"Bearer  {KEY}")],
    "a tab": [("Authorization", f"Bearer\t{KEY}")],
    "capitals": [("X-API-Key", KEY.swapcase())],
    "a prefix": [("X-API-Key", KEY[:-1])],
    "a suffix": [("X-API-Key", KEY + "A")],
    "name and key": [("X-API-Key", f"ana:{KEY}")],
    "all keys": [("X-API-Key", f"{KEY}, {OTHER_KEY}")],
    "the name": [("X-API-Key", "ana")],
    "zero byte": [("X-API-Key", f"{KEY}%00")],
    "latin-1": [("X-API-Key", f"{KEY}é")],
    "two X-API-Key": [("X-API-Key", KEY), ("X-API-Key", KEY)],
    "two Authorization": [bearer(KEY), bearer(KEY)],
    "both headers": [("X-API-Key", KEY), bearer(OTHER_KEY)],
    "underscores": [("X_API_Key", KEY)],
    "long": [("X-API-Key", "k" * 8000)],
    "cookie": [("Cookie", f"X-API-Key={KEY}; api_key={KEY}")],
    "forwarded": [("X-Forwarded-For", "127.0.0.1"), ("X-Original-URL", "/-/alive")],
}


@pytest.mark.parametrize("attack", KEY_ATTACKS)
def test_keys_that_do_not_open(by_key, attack):
    check_refused(by_key, *KEY_ATTACKS[attack])


@pytest.mark.parametrize("name", ["key", "api_key", "X-API-Key", "apikey", "access_token", "token"])
def test_a_key_in_the_address_is_not_read(by_key, name):
    check_refused(by_key, path=f"/version?{name}={KEY}")


@pytest.mark.parametrize(
    "path",
    ["/-/alive/../../version", "//version", "/version;/ping", "/VERSION", "/%76ersion", "/-/alive%2f..%2fversion"],
)
def test_no_spelling_of_an_address_gets_around_the_guard(by_key, path):
    check_refused(by_key, path=path)


def test_a_header_too_large_for_the_server_is_refused(by_key, by_token):
    for service, header in ((by_key, ("X-API-Key", "k" * 20_000)), (by_token, bearer("a" * 20_000))):
        assert ask(service, header)[0] in (400, 401, 431)


def test_what_opens_the_service_with_tokens(by_token, issuer):
    for token in (
        issuer.token(scope="see"),
        issuer.token(scope="hear see"),
        issuer.token(scp=["see"]),
        issuer.token(algorithm="PS512", scope="see"),
        issuer.token(aud=["others", "tiles"], scope="see"),
        issuer.token(issuer.ec, "ES256", "ec-1", scope="see"),
        issuer.token(exp=int(time.time()) - 5, scope="see"),  # clocks differ a little
    ):
        status, _, body = ask(by_token, bearer(token))
        assert status == 200, body


def test_a_token_without_the_scope_is_known_and_forbidden(by_token, issuer):
    check_refused(by_token, bearer(issuer.token()), status=403)
    check_refused(by_token, bearer(issuer.token(scope="seesaw")), status=403)
    check_refused(by_token, bearer(issuer.token(scope={"see": 1})), status=403)


def tampered(token: str, **claims) -> str:
    header, _, signature = token.split(".")
    return f"{header}.{encoded(claims)}.{signature}"


LATER = 100_000
TOKEN_ATTACKS = {
    "empty": lambda i: "",
    "no token": lambda i: "abc",
    "dots": lambda i: "..",
    "audience": lambda i: i.token(aud="others"),
    "no audience": lambda i: i.token(aud=None),
    "part of the audience": lambda i: i.token(aud="tile"),
    "issuer": lambda i: i.token(iss="https://issuer.example.evil.example"),
    "issuer with a slash": lambda i: i.token(iss=ISSUER + "/"),
    "no issuer": lambda i: i.token(iss=None),
    "expired": lambda i: i.token(exp=int(time.time()) - 60),
    "no expiry": lambda i: i.token(exp=None),
    "expiry in words": lambda i: i.token(exp="never"),
    "expiry without end": lambda i: i.token(exp=float("inf")),
    "not yet": lambda i: i.token(nbf=int(time.time()) + LATER),
    "issued tomorrow": lambda i: i.token(iat=int(time.time()) + LATER),
    "no subject": lambda i: i.token(sub=None),
    "claims are a list": lambda i: jwt.api_jws.encode(b"[]", i.rsa, "RS256", {"kid": "rsa-1"}),
    "alg none": lambda i: f"{encoded({'alg': 'none', 'kid': 'rsa-1'})}.{encoded(i.claims())}.",
    "alg None": lambda i: f"{encoded({'alg': 'None', 'kid': 'rsa-1'})}.{encoded(i.claims())}.",
    "alg none, signed": lambda i: i.token().replace(
        i.token().split(".")[0], encoded({"alg": "none", "kid": "rsa-1"}), 1
    ),
    "alg missing": lambda i: f"{encoded({'kid': 'rsa-1'})}.{encoded(i.claims())}.{encoded(b'x')}",
    "alg is a list": lambda i: f"{encoded({'alg': ['RS256'], 'kid': 'rsa-1'})}.{encoded(i.claims())}.{encoded(b'x')}",
    "alg in small letters": lambda i: (
        f"{encoded({'alg': 'rs256', 'kid': 'rsa-1'})}.{encoded(i.claims())}.{encoded(b'x')}"
    ),
    "HS256 with the public key": lambda i: i.confused(i.public_pem()),
    "HS256 with the modulus": lambda i: i.confused(i.published[0]["n"].encode()),
    "HS256 with nothing": lambda i: i.confused(b""),
    "alg of another type of key": lambda i: i.token(kid="ec-1"),
    "curve": lambda i: i.signed(i.claims(), {"kid": "ec-1"}, i.stranger_ec, "ES256"),
    "a stranger's key": lambda i: i.token(i.stranger),
    "embedded jwk": lambda i: i.signed(
        i.claims(), {"kid": "rsa-1", "jwk": public_jwk(i.stranger, "rsa-1")}, i.stranger
    ),
    "embedded jwk, no kid": lambda i: i.signed(i.claims(), {"jwk": public_jwk(i.stranger, "rsa-1")}, i.stranger),
    "jku": lambda i: i.signed(i.claims(), {"kid": "rsa-1", "jku": i.url + "/evil"}, i.stranger),
    "x5u": lambda i: i.signed(i.claims(), {"kid": "rsa-1", "x5u": i.url + "/evil"}, i.stranger),
    "kid is a path": lambda i: i.token(i.stranger, kid="../../../../dev/null"),
    "kid is a query": lambda i: i.token(i.stranger, kid="' UNION SELECT 'key"),
    "kid is a number": lambda i: f"{encoded({'alg': 'RS256', 'kid': 1})}.{encoded(i.claims())}.{encoded(b'x')}",
    "no kid": lambda i: i.token(kid=None),
    "crit": lambda i: i.signed(i.claims(), {"kid": "rsa-1", "crit": ["exp"]}),
    "truncated": lambda i: i.token(scope="see")[:-9],
    "without a signature": lambda i: i.token(scope="see").rpartition(".")[0] + ".",
    "tampered": lambda i: tampered(i.token(), **i.claims(sub="root", scope="see")),
    "trailing": lambda i: i.token(scope="see") + ".x",
    "huge": lambda i: i.token(scope="see", more="x" * 5000) + "A" * 700,
    "nested": lambda i: f"{encoded(b'[' * 3000)}.{encoded(b'[' * 2000)}.x",
    "not UTF-8": lambda i: f"{encoded(bytes([0xFF] * 40))}.{encoded(bytes([0xFF] * 40))}.x",
}


@pytest.mark.parametrize("attack", TOKEN_ATTACKS)
def test_tokens_that_do_not_open(by_token, issuer, attack):
    check_refused(by_token, bearer(TOKEN_ATTACKS[attack](issuer)))


def test_a_good_token_in_the_wrong_place_does_not_open(by_token, issuer):
    token = issuer.token(scope="see")
    check_refused(by_token, bearer(token), bearer(token))
    check_refused(by_token, bearer(token), bearer("x"))
    check_refused(by_token, ("Authorization", f"Token {token}"))
    check_refused(by_token, ("Authorization", f"Bearer  {token}"))
    check_refused(by_token, ("Authorization", f"Bearer\t{token}"))
    check_refused(by_token, ("X-API-Key", token))
    check_refused(by_token, ("Proxy-Authorization", f"Bearer {token}"))
    check_refused(by_token, path=f"/version?access_token={token}")


def test_a_flood_of_unknown_keys_is_fetched_for_once(by_token, issuer):
    ask(by_token, bearer(issuer.token(scope="see")))
    before = issuer.asked
    for number in range(30):
        check_refused(by_token, bearer(issuer.token(issuer.stranger, kid=f"unknown-{number}")))
    assert issuer.asked - before <= 1


PROXY_ATTACKS = {
    "only what the proxy adds beside": lambda g: [
        ("X-Goog-Authenticated-User-Email", "accounts.google.com:root@example.com"),
        ("X-Goog-Authenticated-User-Id", "accounts.google.com:1"),
    ],
    "empty": lambda g: [(ASSERTION, "")],
    "as a bearer": lambda g: [bearer(g.token(g.ec, "ES256", "ec-1"))],
    "RS256": lambda g: [(ASSERTION, g.token())],
    "a stranger's key": lambda g: [(ASSERTION, g.token(g.stranger_ec, "ES256", "ec-1"))],
    "audience": lambda g: [(ASSERTION, g.token(g.ec, "ES256", "ec-1", aud="/projects/1/apps/other"))],
    "issuer": lambda g: [(ASSERTION, g.token(g.ec, "ES256", "ec-1", iss="https://accounts.google.com"))],
    "expired": lambda g: [(ASSERTION, g.token(g.ec, "ES256", "ec-1", exp=int(time.time()) - 60))],
    "alg none": lambda g: [(ASSERTION, f"{encoded({'alg': 'none', 'kid': 'ec-1'})}.{encoded(g.claims())}.")],
    "HS256": lambda g: [(ASSERTION, g.confused(g.public_pem(), kid="ec-1"))],
    "two": lambda g: [(ASSERTION, g.token(g.ec, "ES256", "ec-1")), (ASSERTION, "x")],
}


@pytest.mark.parametrize("attack", PROXY_ATTACKS)
def test_assertions_that_do_not_open(by_proxy, google, attack):
    check_refused(by_proxy, *PROXY_ATTACKS[attack](google))


def test_what_the_proxy_signed_opens(by_proxy, google):
    assert ask(by_proxy, (ASSERTION, google.token(google.ec, "ES256", "ec-1", email="ana@example.com")))[0] == 200


def test_a_key_that_was_taken_out_no_longer_opens(serve, tmp_path):
    path = tmp_path / "keys"
    path.write_text(f"# the partner's\nana:{KEY}\n{REVOKED}\n")
    service = serve("readers:Bytes", AUTH="api-key", API_KEYS_FILE=str(path))
    assert [ask(service, ("X-API-Key", key))[0] for key in (KEY, REVOKED)] == [200, 200]
    path.write_text(f"ana:{KEY}\nana:{OTHER_KEY}\n")
    assert [ask(service, ("X-API-Key", key))[0] for key in (KEY, OTHER_KEY, REVOKED)] == [200, 200, 401]
    path.write_text("oops")
    assert [ask(service, ("X-API-Key", key))[0] for key in (KEY, REVOKED)] == [200, 401]
    path.unlink()
    assert [ask(service, ("X-API-Key", key))[0] for key in (KEY, REVOKED)] == [200, 401]
    log = service.log.read_text()
    assert "the former 2 stay" in log
    assert not [key for key in (KEY, OTHER_KEY, REVOKED) if key in log]


def test_the_log_names_the_caller_and_no_key(by_key):
    by_key.wait_loaded()
    answer = by_key.get("/predictions/3/1/1.geojson", headers={"X-API-Key": OTHER_KEY})
    assert answer.status_code == 400  # no TILES
    log = by_key.log.read_text()
    assert '"caller":"ben"' in log
    assert '"outcome":"unauthenticated"' in log
    assert not [key for key in (KEY, OTHER_KEY) if key in log]
