"""docs/security.md: what it says is tested is tested; what is open is listed."""

from __future__ import annotations

import re
from pathlib import Path

from playground.registry import load
from playground.serving import BLUEPRINTS, guard

TESTS = Path(__file__).parent
PAGE = TESTS.parent / "docs" / "security.md"


def test_every_test_that_the_page_names_exists():
    existing = {
        name for path in TESTS.glob("test_*.py") for name in re.findall(r"^def (test_\w+)", path.read_text(), re.M)
    }
    named = set(re.findall(r"`(test_\w+)`", PAGE.read_text()))
    assert len(named) > 30
    assert not named - existing


def test_the_page_walks_through_the_whole_top_ten_and_each_names_a_test():
    parts = re.split(r"^### (API\d+) ", PAGE.read_text(), flags=re.M)[1:]
    assert parts[::2] == [f"API{number}" for number in range(1, 11)]
    assert all("`test_" in part for part in parts[1::2])


def test_the_guard_lists_what_is_open(serve):
    """Every rule of the application that is not listed is closed, and what is listed exists."""
    from flask import Flask

    app = Flask("rules")
    for target in BLUEPRINTS.values():
        app.register_blueprint(load(target))
    rules = [rule for rule in app.url_map.iter_rules() if rule.endpoint != "static"]
    assert {rule.endpoint for rule in rules} >= guard.OPEN
    service = serve("readers:Bytes", AUTH="api-key", API_KEYS="k" * 16)
    for rule in rules:
        path = re.sub(r"<[^>]*>", "1", rule.rule)
        for method in rule.methods & {"GET", "POST", "PUT", "DELETE"}:
            answer = getattr(service, method.lower(), service.get)(path)
            assert (answer.status_code != 401) == guard.is_open(rule.endpoint), rule


def test_every_kind_of_guard_is_on_the_page():
    text = PAGE.read_text()
    assert not [kind for kind in guard.GUARDS if f"\n| `{kind}` |" not in text]
