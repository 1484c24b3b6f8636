"""The parts of the demo between the service and the files; `.ci/run` does the whole of it."""

import io

import pytest
from rich.console import Console

from playground.area.report import Report
from playground.demo.figures import Figures, steps_of, tables
from playground.demo.partner import freeze, partner_python
from playground.demo.service import running_service
from playground.errors import PlaygroundError

METRICS = """\
# TYPE playground_step_seconds histogram
playground_step_seconds_bucket{le="0.01",step="predict"} 10.0
playground_step_seconds_bucket{le="0.02",step="predict"} 90.0
playground_step_seconds_bucket{le="0.04",step="predict"} 100.0
playground_step_seconds_bucket{le="+Inf",step="predict"} 100.0
playground_step_seconds_count{step="predict"} 100.0
playground_step_seconds_sum{step="predict"} 1.5
playground_step_seconds_bucket{le="0.01",step="encode"} 0.0
playground_step_seconds_bucket{le="+Inf",step="encode"} 0.0
playground_step_seconds_count{step="encode"} 0.0
playground_step_seconds_sum{step="encode"} 0.0
# TYPE playground_request_seconds histogram
playground_request_seconds_bucket{le="60.0"} 90.0
playground_request_seconds_bucket{le="+Inf"} 100.0
playground_request_seconds_count 100.0
playground_request_seconds_sum 4.0
# TYPE playground_workers gauge
playground_workers 2.0
"""


def test_steps_are_those_of_the_services_own_metrics():
    """Means exactly; the 95th percentile in its bucket, which it halves; beyond the last bucket, that one's end."""
    assert steps_of(METRICS) == {"predict": pytest.approx((15, 30)), "total": pytest.approx((40, 60000))}
    assert list(steps_of(METRICS)) == ["predict", "total"]
    assert steps_of("") == {}


def test_the_metrics_of_a_real_service_tell_all_steps(serve, imagery_file):
    service = serve("readers:Array", TILES=str(imagery_file))
    service.wait_loaded()
    assert service.post(json={"z": 3, "x": 1, "y": 1}).status_code == 200
    steps = steps_of(service.get("/metrics").text)
    assert list(steps) == sorted(steps, key=list(steps).index)
    assert {"fetch", "predict", "format", "total"} <= steps.keys()
    assert 0 < steps["predict"][0] < steps["total"][0]


def test_figures_are_shown():
    details = {"features_seen": 9, "repairs": {"closed": 3}}
    report = Report(20, ok=10, empty=8, failed=2, features=4, joined=3, seconds=2.0, predicted=20, details=details)
    figures = Figures(report, iou={"Europe": 0.9}, steps={"predict": (20.0, 30.0), "total": (25.0, 40.0)})
    assert figures.rate == 10
    console = Console(record=True, width=100, file=io.StringIO())
    for table in tables(figures):
        console.print(table)
    text = console.export_text()
    assert "closed 3" in text
    assert "10.0 tiles/s (2.0 s)" in text
    assert "0.900" in text
    assert text.index("predict") < text.index("total")


def test_a_service_that_cannot_start_says_why(tmp_path):
    (tmp_path / "gunicorn.conf.py").write_text("raise SystemExit('the flux is off')\n")
    log = tmp_path / "log"
    service = running_service(tmp_path, project=tmp_path, environ={}, log=log)
    with pytest.raises(PlaygroundError, match="ended with status") as caught, service:
        pass
    assert "the flux is off" in caught.value.hint


@pytest.mark.slow
def test_the_partners_python_is_made_once_and_holds_what_was_asked(tmp_path):
    requirements = tmp_path / "requirements.txt"
    requirements.write_text("# nothing but Python\n")
    python = partner_python(tmp_path, requirements)
    packages = freeze(python)
    assert any(package.startswith("pip==") for package in packages)
    made = python.parent.stat().st_mtime_ns
    assert partner_python(tmp_path, requirements) == python
    assert python.parent.stat().st_mtime_ns == made


@pytest.mark.slow
def test_requirements_that_cannot_be_met_are_one_clear_error(tmp_path):
    requirements = tmp_path / "requirements.txt"
    requirements.write_text("./no-such-folder\n")
    with pytest.raises(PlaygroundError, match="failed"):
        partner_python(tmp_path, requirements)
