"""The pages when things are not as they should be, and for everybody: keys, paths, images, people with a keyboard."""

from __future__ import annotations

import io
import itertools
import json
import re
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor, as_completed
from http.server import ThreadingHTTPServer

import pytest
from pages import DESKTOP, PHONE, in_words, opened, start_water
from PIL import Image
from test_docs_page import PREFIX, Proxy

pytestmark = pytest.mark.browser
KEY = "a-key-for-the-map-page"
TILE = "/#3/0/0?tile=3/4/4"


def wait_words(page, words, selector="#status"):
    page.locator(selector, has_text=re.compile(words)).wait_for()
    return in_words(page, selector)


def picture(kind, mode="RGB", size=(300, 200)):
    buffer = io.BytesIO()
    colour = 40_000 if mode == "I;16" else (20, 90, 160)
    image = Image.new(mode, size, colour)
    image.paste(60_000 if mode == "I;16" else (200, 180, 90), (100, 50, 200, 150))
    image.save(buffer, kind)
    return buffer.getvalue()


SNIPPETS = "import(document.querySelector('script[type=module]').src.replace('app.js', 'share.js'))"
DROP = """([bytes, name, type]) => {
  const transfer = new DataTransfer();
  transfer.items.add(new File([new Uint8Array(bytes)], name, { type }));
  document.dispatchEvent(new DragEvent("dragover", { dataTransfer: transfer, bubbles: true, cancelable: true }));
  document.dispatchEvent(new DragEvent("drop", { dataTransfer: transfer, bubbles: true, cancelable: true }));
}"""


@pytest.fixture(scope="module")
def array(serve, imagery_file):
    found = serve("readers:Array", TILES=str(imagery_file), PADDING="4")
    found.wait_loaded()
    return found


def test_not_ready_says_the_phase_and_for_how_long(browser, serve, imagery_file):
    service = serve("zoo:HangsInTheConstructor", TILES=str(imagery_file))
    with opened(browser, service.url) as page:
        wait_words(page, r"The model is being loaded, for \d+ s")
        wait_words(page, "constructing", "#state")


def test_a_predictor_that_cannot_be_loaded_says_why(browser, serve, imagery_file):
    service = serve("misbehaving:RaisesInConstructor", TILES=str(imagery_file))
    with opened(browser, service.url) as page:
        assert "weights.h5 is not here" in wait_words(page, "The predictor could not be loaded")
        page.goto(service.url + "/developer")
        wait_words(page, "ValueError: weights.h5 is not here", "#traceback")
        assert "misbehaving.py" in in_words(page, "#traceback")


def test_busy_counts_down_and_empty_says_so(browser, serve, imagery_file, tmp_path):
    gate = tmp_path / "gate"
    service = serve("slow:Waits", TILES=str(imagery_file), BACKLOG="1", WARMUP="none", GATE=str(gate))
    service.wait_loaded()
    with ThreadPoolExecutor(4) as pool:
        try:
            crowd = [pool.submit(service.post, json={"z": 3, "x": 1, "y": 1}) for _ in range(4)]
            refused = itertools.islice(as_completed(crowd), 2)  # one of the others is predicted, one waits
            assert [each.result().status_code for each in refused] == [503, 503]
            with opened(browser, service.url + TILE) as page:
                wait_words(page, r"Trying again in \d+ s")
                assert page.locator("#status").get_attribute("data-kind") == "busy"
                gate.touch()
                wait_words(page, "Nothing found here", "#count")
                wait_words(page, "was predicted, and is empty")
        finally:
            gate.touch()


def test_an_error_has_its_message_and_hint(browser, serve, imagery_file):
    service = serve("readers:Refuses", TILES=str(imagery_file))
    service.wait_loaded()
    with opened(browser, service.url + TILE) as page:
        assert "send a clearer tile" in wait_words(page, "too cloudy")
        page.locator("#status button").click()
        assert page.locator("#status").is_hidden()
        page.goto(service.url + "/developer")
        row = wait_words(page, "rejected", "#requests tbody")
        assert "422" in row
        assert "tile 3/4/4" in row


def test_missing_imagery_is_told_in_words(browser, array):
    with opened(browser, array.url + "/#3/0/0?tile=3/2/2") as page:
        wait_words(page, "no imagery at 3/2/2")
    with opened(browser, array.url + "/#3/0/0?tile=3/3/2") as page:
        wait_words(page, "No imagery beside the tile: west; objects at that edge may be wrong", "#report")


def test_a_key_is_asked_for_and_kept_in_this_tab_only(browser, serve, imagery_file):
    service = serve("readers:Array", TILES=str(imagery_file), AUTH="api-key", API_KEYS=KEY)
    service.wait_loaded()
    with opened(browser, service.url + TILE) as page:
        page.locator("#login[open]").wait_for()
        page.locator("#key").fill("a-wrong-key-of-some-length")
        page.keyboard.press("Enter")
        wait_words(page, "is not, or no longer, valid", "#login-words")
        page.locator("#key").fill(KEY)
        page.keyboard.press("Enter")
        wait_words(page, "1 object", "#count")
        page.locator(".leaflet-tile-loaded").first.wait_for()
        kept = page.evaluate(
            "[document.cookie, localStorage.length, Object.values({...sessionStorage}), location.href]"
        )
        assert kept[:3] == ["", 0, [KEY]]
        assert KEY not in kept[3]
        page.goto(service.url + "/developer")
        wait_words(page, "POST /predict", "#requests tbody")


def test_below_a_path_everything_works(browser, array):
    with ThreadingHTTPServer(("127.0.0.1", 0), type("Ours", (Proxy,), {"target": array.url})) as server:
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        url = f"http://127.0.0.1:{server.server_port}{PREFIX}"
        with opened(browser, url + TILE) as page:
            wait_words(page, "1 object", "#count")
            page.locator(".leaflet-tile-loaded").first.wait_for()
            page.locator(".foot a", has_text="Developer").click()
            wait_words(page, "POST /predict", "#requests tbody")
            page.get_by_role("link", name="Map").click()
            page.locator("#title", has_text="readers").wait_for()
            page.locator(".foot a", has_text="API").click()
            page.wait_for_url(url + "/docs/")
        server.shutdown()


def test_each_of_several_predictors_has_its_map(browser, serve, imagery_file):
    several = [
        {"name": "array", "namespace": "tests", "PREDICTOR_PACKAGE": "readers", "PREDICTOR_CLASS": "Array"},
        {"name": "none", "namespace": "tests", "PREDICTOR_PACKAGE": "slow", "PREDICTOR_CLASS": "Sleeps"},
    ]
    service = serve("unused:Nothing", TILES=str(imagery_file), PREDICTORS=json.dumps(several))
    service.wait_loaded()
    with opened(browser, service.url + TILE) as page:
        wait_words(page, "1 object", "#count")
        page.locator("#predictor").select_option("none")
        page.wait_for_url(service.url + "/tests/none/v1/**")
        page.locator("#title", has_text="none").wait_for()
        page.goto(service.url + "/tests/none/v1" + TILE)
        wait_words(page, "Nothing found here", "#count")
        page.locator("#state", has_text="ready").wait_for()


def test_images_are_dropped_and_predicted(browser, array, tmp_path):
    with opened(browser, array.url) as page:
        page.locator("#title", has_text="readers").wait_for()
        for name, kind, mode in (("a.png", "PNG", "RGB"), ("a.tif", "TIFF", "RGB"), ("16.tif", "TIFF", "I;16")):
            page.evaluate(DROP, [list(picture(kind, mode)), name, "image/png" if kind == "PNG" else "image/tiff"])
            wait_words(page, "1 object", "#count")
            assert page.evaluate("app.shownResults.bounds().toBBoxString()") == "0,-8,8,0"
            assert page.evaluate("app.pictures.overlays[0].getBounds().toBBoxString()") == "0,-200,300,0"
            if kind == "PNG":
                page.evaluate(f"{SNIPPETS}.then(({{snippets}}) => (window.taken = snippets(app.asked, 3)))")
                (tmp_path / name).write_bytes(picture(kind, mode))
                for command in (
                    ["sh", "-c", page.evaluate("taken.curl")],
                    [sys.executable, "-c", page.evaluate("taken.python")],
                ):
                    assert subprocess.run(command, cwd=tmp_path, capture_output=True, check=True).stdout
            page.locator("#leave").click()
            page.locator("#pictures").wait_for(state="hidden")
            page.locator("#found").wait_for(state="hidden")
        page.evaluate(DROP, [[1, 2, 3], "broken.png", "image/png"])
        page.locator("#status[data-kind=error]").wait_for()


def test_two_images_are_compared(browser, serve, tmp_path):
    description = json.dumps({"family": "change-detection"})
    service = serve("readers:Images", DESCRIPTION=description)
    service.wait_loaded()
    with opened(browser, service.url) as page:
        page.locator("#change").wait_for()
        page.locator("#advice", has_text="no imagery of its own").wait_for()
        for which in ("before", "after"):
            file = {"name": f"{which}.png", "mimeType": "image/png", "buffer": picture("PNG")}
            page.locator(f"#{which}-file").set_input_files(file)
        wait_words(page, "1 object", "#count")
        page.locator("#swipe").fill("20")
        assert "20%" in page.evaluate("app.pictures.overlays[1].getElement().style.clipPath")
        assert page.evaluate("app.shownResults.collection().features[0].properties.images") == 2
        taken = page.evaluate(f"{SNIPPETS}.then(({{snippets}}) => snippets(app.asked, 3))")
    for name in ("before", "after"):
        (tmp_path / f"{name}.png").write_bytes(picture("PNG"))
    answer = subprocess.run(["sh", "-c", taken["curl"]], cwd=tmp_path, capture_output=True, check=True).stdout
    assert json.loads(answer)["features"][0]["properties"]["images"] == 2
    told = subprocess.run([sys.executable, "-c", taken["python"]], cwd=tmp_path, capture_output=True, check=True).stdout
    assert told == b"1\n"


@pytest.fixture(scope="module")
def water(tmp_path_factory):
    found = start_water(tmp_path_factory.mktemp("water") / "log", DEVELOPER_LOG="true")
    yield found
    found.stop()


def serious(page):
    from axe_playwright_python.sync_playwright import Axe

    found = Axe().run(page).response["violations"]
    return [
        (each["id"], [node["html"] for node in each["nodes"]])
        for each in found
        if each["impact"] in ("serious", "critical")
    ]


@pytest.mark.parametrize(("size", "scheme"), [(DESKTOP, "light"), (PHONE, "dark")], ids=["desktop", "phone"])
def test_axe_finds_nothing_serious(browser, water, size, scheme):
    with opened(browser, water.url + "/#5/44/7?tile=5/16/11", size, color_scheme=scheme) as page:
        wait_words(page, "objects", "#count")
        page.evaluate("app.results.step(1)")
        page.locator("#view").click()
        assert serious(page) == []
        page.goto(water.url + "/developer")
        wait_words(page, "POST /predict", "#requests tbody")
        wait_words(page, "POST /predict 200", "#log")
        wait_words(page, "execution", "#describe")
        assert serious(page) == []
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
