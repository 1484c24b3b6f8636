"""The guard's parts, and what a service does with them: settings, keys, limits, headers."""

from __future__ import annotations

import ast
import hashlib
import inspect
import re
import threading
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from issuer import Issuer
from service import start_service
from test_service import check_error

from playground.errors import KeysUnavailableError, SettingsError
from playground.serving import guard, headers
from playground.serving.guard import api_key
from playground.serving.guard.callers import remember
from playground.serving.guard.jwks import KeySet
from playground.serving.rate_limit import RateLimit
from playground.settings import load_running, load_service
from playground.settings.api_keys import digest_of, read_api_keys, read_key_hashes
from playground.wrap.appengine import rules
from playground.wrap.lint import lint
from playground.wrap.render import render_context

KEY, OTHER_KEY = "k" * 16, "other-key/with+signs="
NEEDED = {"PREDICTOR_PACKAGE": "a.b", "PREDICTOR_CLASS": "C", "ZOOM_LEVEL": "1"}


def problem_of(**environ: str) -> str:
    with pytest.raises(SettingsError) as caught:
        guard.check(load_running(None, {**NEEDED, **environ}))
    return "\n".join([caught.value.message, *caught.value.problems])


@pytest.mark.parametrize(
    ("environ", "words"),
    [
        ({}, "AUTH: missing, needed: one of none, api-key, bearer-jwt, iap; AUTH: none, in words, lets everybody in"),
        ({"AUTH": "off"}, "found off, allowed: one of none, api-key, bearer-jwt, iap"),
        ({"AUTH": "api-key"}, "AUTH: api-key needs keys"),
        ({"AUTH": "api-key", "API_KEYS": "short"}, r"API_KEYS: found \*\*\*, allowed: key or name:key"),
        ({"AUTH": "api-key", "API_KEYS_FILE": "/no/such/file"}, "/no/such/file cannot be read: No such file"),
        ({"AUTH": "api-key", "API_KEYS_FILE": __file__}, "holds something that is no key"),
        ({"AUTH": "api-key", "API_KEY_HASHES": KEY}, "API_KEY_HASHES: found"),
        ({"AUTH": "bearer-jwt", "JWT_ISSUER": "me"}, "AUTH: bearer-jwt needs JWKS_URL, JWT_AUDIENCE"),
        ({"AUTH": "bearer-jwt", "JWKS_URL": "http://a.example/keys"}, "allowed: an https URL; http only for localhost"),
        ({"AUTH": "bearer-jwt", "JWKS_URL": "https://localhost@a.example/"}, "allowed: an https URL"),
        ({"AUTH": "bearer-jwt", "JWKS_URL": "file:///etc/passwd"}, "allowed: an https URL"),
        ({"AUTH": "iap"}, "AUTH: iap needs IAP_AUDIENCE"),
        ({"AUTH": "none", "RATE_LIMIT": "many"}, "like 100/minute"),
        ({"AUTH": "none", "RATE_LIMIT": "0/minute"}, "like 100/minute"),
    ],
)
def test_settings_that_guard_nothing_are_refused(environ, words):
    found = problem_of(**environ)
    assert re.search(words, found), found


@pytest.mark.parametrize(("environ", "words"), [({}, "AUTH: missing"), ({"AUTH": "api-key"}, "needs keys")])
def test_a_service_that_nobody_guards_does_not_start(tmp_path, environ, words):
    with pytest.raises(AssertionError, match=words) as caught:
        start_service({**NEEDED, **environ}, tmp_path, tmp_path / "log")
    assert "Traceback" not in (tmp_path / "log").read_text()
    assert "the service cannot start" in str(caught.value)


def test_keys_as_people_write_them():
    found = read_api_keys(f"# ours\nana:{KEY}\n\n  {OTHER_KEY} # without a name\nben:{KEY}x, cy:{KEY}y")
    assert [each.name for each in found] == ["ana", f"key-{digest_of(OTHER_KEY).hex()[:8]}", "ben", "cy"]
    assert found[0].digest == hashlib.sha256(KEY.encode()).digest()
    assert KEY not in repr(found)
    assert read_key_hashes(f"ana:{hashlib.sha256(KEY.encode()).hexdigest()}")[0] == found[0]
    for text in ("", "# nothing", "short", f"a b:{KEY[:15]}", f":{KEY}", f"a:b:{KEY}", f"{KEY};{KEY}"):
        with pytest.raises(ValueError, match="no keys"):
            read_api_keys(text)


def test_keys_are_compared_in_constant_time_and_all_of_them():
    """Timing is shown by design: hashes, compared by compare_digest only, in a loop that nothing leaves early."""
    tree = ast.parse(inspect.getsource(api_key).replace("\t", " "))
    (admit,) = [each for each in ast.walk(tree) if isinstance(each, ast.FunctionDef) and each.name == "admit"]
    (loop,) = [each for each in ast.walk(admit) if isinstance(each, ast.For)]
    inside = list(ast.walk(loop))
    assert not [each for each in inside if isinstance(each, ast.Break | ast.Return | ast.Raise | ast.Compare)]
    assert "hmac.compare_digest(known.digest, digest)" in ast.unparse(loop)


def test_secrets_never_stand_in_files(tmp_path):
    partner = tmp_path / "service.yaml"
    least = "image: a/b\nPREDICTOR_PACKAGE: a\nPREDICTOR_CLASS: B\nZOOM_LEVEL: 1\n"
    partner.write_text(f"{least}AUTH: api-key\nAPI_KEYS: {KEY}\n")
    with pytest.raises(SettingsError) as caught:
        load_service(partner)
    (problem,) = caught.value.problems
    assert "service.yaml:6: API_KEYS: is secret" in problem
    assert KEY not in problem
    for text in (f"{least}API_KEYS: {KEY}\n", f"{least}env_variables:\n  API_KEYS: {KEY}\n"):
        (tmp_path / "app.yaml").write_text(text)
        for environ in ({}, {"API_KEYS": KEY}):
            with pytest.raises(SettingsError) as caught:
                load_running(tmp_path / "app.yaml", environ)
            assert "API_KEYS: is secret" in caught.value.problems[0]
            assert KEY not in caught.value.problems[0]


def test_lint_misses_auth(tmp_path):
    app_yaml = (
        "runtime: custom\nenv: flex\nenv_variables:\n  PREDICTOR_PACKAGE: a\n  PREDICTOR_CLASS: B\n  ZOOM_LEVEL: '1'\n"
    )
    for more, missing in (("", True), ("  AUTH: none\n", False)):
        (tmp_path / "app.yaml").write_text(app_yaml + more)
        found = [problem.words for problem in lint(tmp_path, google_too=False) if "AUTH" in problem.words]
        assert bool(found) == missing, found


def test_what_generate_says_about_who_may_use_it(tmp_path):
    partner = tmp_path / "service.yaml"
    least = "image: a/b\nPREDICTOR_PACKAGE: a\nPREDICTOR_CLASS: B\nZOOM_LEVEL: 1\n"

    def generated(more: str) -> tuple[str, str, str]:
        partner.write_text(least + more)
        settings = load_service(partner, rules(None))
        files = render_context(settings)
        warned = "\n".join(each for each in settings.warnings if "AUTH" in each)
        return warned, files["app.yaml"].decode(), files["README.md"].decode()

    warned, app_yaml, readme = generated("")
    assert "AUTH: not given, so app.yaml says none: whoever knows the address may use the service" in warned
    assert 'AUTH: "none"' in app_yaml
    assert "everybody who knows its address" in readme
    assert not generated("AUTH: none\n")[0]
    assert "api-key needs API_KEYS_FILE" in generated("AUTH: api-key\n")[0]
    warned, app_yaml, readme = generated("AUTH: api-key\nAPI_KEYS_FILE: /run/secrets/keys\nrate_limit: 100/minute\n")
    assert not warned
    assert 'AUTH: "api-key"\n' in app_yaml
    assert 'API_KEYS_FILE: "/run/secrets/keys"\n' in app_yaml
    assert 'RATE_LIMIT: "100/minute"\n' in app_yaml
    assert "Callers send `X-API-Key: KEY`" in readme
    assert "bearer-jwt needs JWKS_URL, JWT_ISSUER, JWT_AUDIENCE" in generated("AUTH: bearer-jwt\n")[0]


@pytest.fixture
def issuer():
    issuer = Issuer()
    yield issuer
    issuer.close()


def test_keys_stay_when_their_server_is_down_and_new_ones_come_when_named(issuer):
    issuer.down = True
    keys = KeySet(issuer.url, pause=0)
    with pytest.raises(KeysUnavailableError):
        keys.find("rsa-1", "RS256")
    issuer.down = False
    assert keys.find("rsa-1", "RS256")
    issuer.down = True
    assert keys.find("new", "RS256") is None
    assert keys.find("rsa-1", "RS256")
    issuer.down = False
    issuer.published.append({**issuer.published[0], "kid": "new"})
    assert keys.find("new", "RS256")
    asked = issuer.asked
    assert keys.find("rsa-1", "RS256")
    assert issuer.asked == asked
    stale = KeySet(issuer.url, fresh=0, pause=0)
    assert stale.find("new", "RS256")
    del issuer.published[-1]
    assert stale.find("new", "RS256") is None  # the issuer took it back


def test_keys_are_asked_for_once_by_all_threads(issuer):
    keys = KeySet(issuer.url)
    found: list[object] = []
    threads = [threading.Thread(target=lambda: found.append(keys.find("ec-1", "ES256"))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(found)
    assert issuer.asked == 1


def test_keys_that_prove_nothing_are_not_used(issuer):
    from cryptography.hazmat.primitives.asymmetric import rsa
    from issuer import public_jwk

    issuer.published += [
        {**issuer.published[0], "kid": "for encryption", "use": "enc"},
        {**issuer.published[0], "kid": "for RS512", "alg": "RS512"},
        {"kty": "oct", "k": "c2VjcmV0", "kid": "shared", "alg": "HS256"},
        {"kty": "RSA", "kid": "broken", "n": "!", "e": "AQAB"},
        public_jwk(rsa.generate_private_key(65537, 1024), "weak"),
        {"kid": 5},
        {"kty": "EC", "crv": "P-384", "kid": "curve", "x": "AA", "y": "AA"},
    ]
    keys = KeySet(issuer.url)
    for kid in ("for encryption", "for RS512", "shared", "broken", "weak"):
        assert keys.find(kid, "RS256") is None
    assert keys.find("curve", "ES256") is None
    assert keys.find("rsa-1", "ES256") is None
    assert keys.find("for RS512", "RS512")


@pytest.mark.parametrize("published", [None, [], {}, "keys", [1], [[]], [{"kid": None}]])
def test_keys_that_are_none_are_an_outage(issuer, published):
    issuer.published = published
    with pytest.raises(KeysUnavailableError):
        KeySet(issuer.url).find("rsa-1", "RS256")


def test_a_service_without_its_issuer_says_so_and_recovers(serve, issuer):
    issuer.down = True
    service = serve(
        "readers:Bytes", AUTH="bearer-jwt", JWKS_URL=issuer.url, JWT_ISSUER=issuer.issuer, JWT_AUDIENCE="tiles"
    )
    sent = {"Authorization": f"Bearer {issuer.token()}"}
    answer = service.get("/version", headers=sent)
    assert int(answer.headers["Retry-After"]) > 0
    assert "keys" in check_error(answer, 503)["message"]
    assert service.get("/liveness_check").status_code == 200


def test_why_a_predictor_failed_is_for_those_who_may_ask(serve):
    service = serve("no_such_module:Process", AUTH="api-key", API_KEYS=KEY)
    told = service.wait_loaded()["predictor"]
    assert told["phase"] == "failed"
    assert (told["error"], told["traceback"], told["output"]) == (None, None, [])
    told = service.get("/readiness_check", headers={"X-API-Key": KEY}).json()["predictor"]
    assert told["error"]
    assert told["traceback"]


def test_the_predictor_does_not_see_the_keys(serve, imagery_file):
    service = serve("readers:Environment", AUTH="api-key", API_KEYS=KEY, TILES=str(imagery_file), WARMUP="none")
    service.wait_loaded()
    answer = service.get("/predictions/3/1/1.geojson", headers={"X-API-Key": KEY}).json()
    assert answer["features"][0]["properties"]["keys"] is None
    assert answer["features"][0]["properties"]["path"]


def test_a_caller_that_asks_too_often_waits_whichever_worker_answers(serve):
    service = serve(
        "readers:Bytes", AUTH="api-key", API_KEYS=f"ana:{KEY} ben:{OTHER_KEY}", RATE_LIMIT="6/hour", WORKERS="2"
    )
    answers = [service.get("/version", headers={"X-API-Key": KEY}) for _ in range(9)]
    assert [each.status_code for each in answers] == [200] * 6 + [429] * 3
    assert [each.headers["RateLimit"].split(";")[1] for each in answers[:6]] == [
        f"r={left}" for left in (5, 4, 3, 2, 1, 0)
    ]
    assert answers[0].headers["RateLimit-Policy"] == '"default";q=6;w=3600'
    assert 590 < int(answers[-1].headers["Retry-After"]) <= 600
    assert "more than 6 requests in 3600 seconds" in check_error(answers[-1], 429)["message"]
    assert service.get("/version", headers={"X-API-Key": OTHER_KEY}).status_code == 200
    assert [service.get(path).status_code for path in ("/ping", "/liveness_check") * 5] == [200] * 10
    # Guesses are limited too, and take nothing from those who have a key.
    guesses = [service.get("/version", headers={"X-API-Key": "x" * 20}).status_code for _ in range(8)]
    assert guesses == [401] * 6 + [429] * 2
    assert service.get("/version", headers={"X-API-Key": OTHER_KEY}).status_code == 200


def test_without_keys_each_address_has_its_limit(serve):
    service = serve("readers:Bytes", RATE_LIMIT="2/hour", PROXIES="1")

    def asked(forwarded: str) -> int:
        return service.get("/version", headers={"X-Forwarded-For": forwarded}).status_code

    assert [asked("203.0.113.1") for _ in range(3)] == [200, 200, 429]
    assert asked("198.51.100.9, 203.0.113.1") == 429  # what the client wrote itself
    assert asked("203.0.113.2") == 200
    assert [asked(f"2001:db8::{last}") for last in (1, 2, 3)] == [200, 200, 429]  # one client's network
    assert asked("nonsense") == 200


@given(
    requests=st.integers(1, 50),
    seconds=st.integers(1, 100),
    steps=st.lists(st.floats(0, 20), max_size=120),
)
def test_a_limit_is_kept_and_gives_back_what_it_promises(requests, seconds, steps):
    limit = RateLimit(requests, seconds, None)
    now, admitted = 1000.0, []
    for step in steps:
        now += step
        left, wait = limit.count("one", now)
        if left < 0:
            assert 0 < wait <= seconds / requests + 1e-6
            assert limit.count("one", now + wait - 1e-3)[0] < 0 or wait < 2e-3
            now += wait + 1e-6
            assert limit.count("one", now)[0] >= 0
        admitted.append(now)
    # A bucket of so many, filled again at so many a period: never more than that in any stretch of time.
    for first, start in enumerate(admitted):
        within = sum(1 for moment in admitted[first:] if moment <= start + seconds)
        assert within <= 2 * requests + 1


def test_a_limit_forgets_nobody_who_is_counted_beside_others():
    limit = RateLimit(3, 3600, None)
    for name in map(str, range(3000)):
        assert limit.count(name, 1.0)[0] == 2
    assert [limit.count("17", 1.0)[0] for _ in range(3)] == [1, 0, -1]


def test_a_page_is_told_what_it_may_load():
    policy = headers.page_policy(["https://*.tiles.example"], [headers.STYLES_INLINE])
    assert "img-src 'self' data: blob: https://*.tiles.example;" in policy
    assert "script-src 'self';" in policy
    assert "frame-ancestors 'none'" in policy
    for address, origin in {
        "https://a.example/{z}/{x}/{y}.png?k=1": "https://a.example",
        "http://localhost:8080/{z}": "http://localhost:8080",
        "https://{s}.tiles.example/{z}": "https://*.tiles.example",
        "https://tiles{s}.a.example/{z}": "https://*.a.example",
        "https://a.{s}.example/{z}": "",
        "https://{s}/{z}": "",
        "world.mbtiles": "",
        "https://a.example;script-src *": "",
        "https://a.example 'unsafe-inline'": "",
    }.items():
        assert headers.origin_of(address) == origin


def test_responses_carry_their_headers():
    from flask import Flask, Response

    app = Flask("pages")
    headers.install(app)
    app.add_url_rule("/page", view_func=lambda: "<p>hello")
    app.add_url_rule("/own", "own", lambda: Response("<p>", headers={"Content-Security-Policy": "default-src 'self'"}))
    app.add_url_rule("/json", "json", lambda: {"a": 1})
    client = app.test_client()
    page = client.get("/page").headers
    assert page["Content-Security-Policy"] == headers.page_policy()
    assert page["Referrer-Policy"] == "strict-origin-when-cross-origin"
    assert page["X-Frame-Options"] == "DENY"
    assert client.get("/own").headers["Content-Security-Policy"] == "default-src 'self'"
    assert "Content-Security-Policy" not in client.get("/json").headers
    assert {client.get(path).headers["X-Content-Type-Options"] for path in ("/page", "/json", "/none")} == {"nosniff"}


def test_the_callers_name_is_fit_for_a_log():
    from flask import Flask

    assert guard.caller() == ""
    with Flask("callers").test_request_context():
        assert guard.caller() == ""
        remember("ana\r\nforged: line\x1b[31m" + "x" * 500)
        assert guard.caller() == "ana??forged: line?[31m" + "x" * 178


def test_every_kind_of_guard_keeps_the_shape():
    environ = {
        "API_KEYS": KEY,
        "JWKS_URL": "https://a.example/keys",
        "JWT_ISSUER": "a",
        "JWT_AUDIENCE": "b",
        "IAP_AUDIENCE": "c",
    }
    for kind in guard.GUARDS:
        made = guard.check(load_running(None, {**NEEDED, **environ, "AUTH": kind}))
        assert bool(made.challenge) == (kind != "none")
        assert (Path(guard.__file__).parent / f"{guard.GUARDS[kind].split(':')[0].rpartition('.')[2]}.py").exists()
