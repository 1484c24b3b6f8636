// The map page: puts the parts together.

import * as api from "./api.js";
import { AreaTool } from "./areatool.js";
import { boundsOf, onMap, tileAt, tileName } from "./cover.js";
import { Files } from "./files.js";
import { askForKey } from "./login.js";
import { Cursor, Grid, Imagery } from "./layers.js";
import { $, element, showAnswer, showCounts, showObject } from "./panel.js";
import { classOf, confidenceOf, Results } from "./results.js";
import { copy, download, readHash, snippets, writeHash } from "./share.js";
import { patiently, quiet, say, sayError, watch } from "./status.js";

const L = window.L;

class App {
  constructor(facts) {
    this.facts = facts;
    this.zoom = facts.service.zoom_level;
    this.answers = new Map();
    this.asked = null;
    this.lastTile = null;
    this.stopper = null;
    this.given = readHash();
    this.makeMap();
    this.results = this.makeResults(new Results(this.map));
    this.area = new AreaTool(this);
    this.nameIt();
    this.wireMap();
    this.wirePanel();
    this.files = new Files(this);
  }

  get pictures() {
    return this.files?.pictures ?? null;
  }

  get shownResults() {
    return this.pictures?.results ?? this.results;
  }

  makeMap() {
    const { imagery } = this.facts;
    const native = imagery?.maxzoom ?? this.zoom;
    const most = Math.min(26, Math.max(native + 2, this.zoom + 4));
    const map = L.map("map", { keyboard: false, maxZoom: most, minZoom: 1, worldCopyJump: true, zoomControl: true, preferCanvas: true });
    this.map = map;
    map.attributionControl.setPrefix(false).setPosition("bottomright");
    const all = imagery?.bounds ? L.latLngBounds([imagery.bounds[1], imagery.bounds[0]], [imagery.bounds[3], imagery.bounds[2]]) : L.latLngBounds([-60, -180], [75, 180]);
    const { view } = this.given;
    if (view) map.setView([view.lat, view.lng], view.zoom);
    else {
      const fits = map.getBoundsZoom(all);
      // Of the whole earth at a coarse zoom a part, so that there are tiles to click; else all that there is.
      const wide = this.zoom <= 8 && fits < this.zoom - 1;
      if (wide) map.setView(all.contains([46, 8]) ? [46, 8] : all.getCenter(), this.zoom - 1);
      else map.fitBounds(all, { maxZoom: this.zoom });
    }
    if (imagery) {
      new Imagery({ maxNativeZoom: native, minNativeZoom: imagery.minzoom ?? 0, maxZoom: most, bounds: imagery.bounds ? all : undefined, keepBuffer: 1, attribution: safeAttribution(imagery.attribution) })
        .on("tileerror", ({ error }) => this.imageryFailed(error))
        .addTo(map);
    }
    this.grid = new Grid(this.zoom).addTo(map);
    this.cursor = new Cursor(map, this.zoom, this.facts.service.padding);
    L.control.scale({ imperial: false, position: "bottomleft" }).addTo(map);
  }

  imageryFailed(error) {
    if (this.toldOfImagery || !(error instanceof api.Refused) || error.status === 404) return;
    this.toldOfImagery = true;
    say("error", `Imagery: ${error.message}`, error.hint);
  }

  makeResults(results) {
    results.least = Number($("confidence").value);
    results.opacity = Number($("opacity").value);
    results.hidden = new Set(this.given.hidden);
    results.canChoose = (latlng) => this.shownResults !== this.results || this.answers.has(tileName(onMap(tileAt(latlng.lng, latlng.lat, this.zoom)))) || this.area.busy;
    results.addEventListener("change", () => {
      showCounts(results, this.asked !== null);
      this.remember();
    });
    results.addEventListener("choose", ({ detail }) => showObject(detail?.feature));
    results.addEventListener("hover", ({ detail }) => {
      $("hover").hidden = !detail;
      if (detail) $("hover").textContent = `${classOf(detail.feature)} · ${confidenceOf(detail.feature).toFixed(2)}`;
    });
    results.map.on("mousemove", ({ containerPoint }) => {
      $("hover").style.transform = `translate(${containerPoint.x + 14}px, ${containerPoint.y - 30}px)`;
    });
    return results;
  }

  nameIt() {
    const { service, title, predictors, images, root } = this.facts;
    document.title = `${title} · map`;
    $("title").textContent = title;
    $("subtitle").textContent = `${service.predictor.split(":").pop()} · zoom ${service.zoom_level} · padding ${service.padding}`;
    $("several").hidden = predictors.length < 2;
    for (const each of predictors) $("predictor").append(new Option(each.name, each.address, false, each.address === service.address));
    $("predictor").addEventListener("change", (event) => location.assign(`${root}${event.target.value.slice(1)}/`));
    for (const link of document.querySelectorAll('.foot a[href="docs/"]')) link.href = `${root}docs/`;
    $("change").hidden = images[0] < 2;
    if (matchMedia("(pointer: coarse)").matches) $("advice").textContent = "Tap a tile, draw an area, or open an image.";
    if (!this.facts.imagery) {
      for (const id of ["draw", "view", "copy-qgis"]) $(id).hidden = true;
      $("advice").textContent = "This service has no imagery of its own: drop an image here to predict it.";
    }
    $("forget").hidden = !api.hasKey();
  }

  wireMap() {
    const { map } = this;
    map.on("mousemove", ({ latlng, originalEvent }) => {
      if (!this.cursor.near || !this.facts.imagery || originalEvent.pointerType === "touch") return this.cursor.hide();
      this.cursor.show(tileAt(latlng.lng, latlng.lat, this.zoom));
    });
    map.on("zoomend", () => this.cursor.near || this.cursor.hide());
    map.on("moveend", () => this.remember());
    map.on("click", ({ latlng }) => {
      if (!this.facts.imagery) return;
      if (!this.cursor.near) return map.setView(latlng, this.zoom - 1);
      this.predict(tileAt(latlng.lng, latlng.lat, this.zoom));
    });
    $("map").addEventListener("keydown", (event) => {
      const steps = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
      if (event.target !== $("map") || event.ctrlKey || event.metaKey || event.altKey) return;
      if (steps[event.key] && this.facts.imagery) {
        if (!this.cursor.near) map.setZoom(this.zoom - 1);
        const tile = onMap(this.cursor.step(...steps[event.key]));
        say("good", `Tile ${tileName(tile)}`, "Enter predicts it", 4);
      } else if (event.key === "Enter" && this.cursor.tile) this.predict(this.cursor.tile);
      else if (event.key === "+" || event.key === "=") map.zoomIn();
      else if (event.key === "-") map.zoomOut();
      else return;
      event.preventDefault();
    });
    document.addEventListener("keydown", (event) => {
      if (event.key === "Escape") {
        this.area.stopDrawing();
        this.stopper?.abort();
      }
    });
  }

  /** Predict one tile, draw what is found, and bring it into view. */
  async predict(shown) {
    const tile = onMap(shown);
    this.stopper?.abort();
    const { signal } = (this.stopper = new AbortController());
    this.cursor.show(shown);
    say("wait", `Predicting tile ${tileName(tile)}…`);
    try {
      const answer = await patiently(() => api.postJson("predict", tile, { signal }), signal);
      this.asked = tile;
      this.lastTile = tile;
      this.answers.set(tileName(tile), { tile, answer });
      await this.draw();
      this.fit(shown);
      showAnswer(answer.timing, answer.report);
      const count = answer.prediction.features.length;
      if (count) quiet();
      else say("good", "Nothing found here", `tile ${tileName(tile)} was predicted, and is empty`, 6);
    } catch (error) {
      if (!signal.aborted) sayError(error);
    }
    this.remember();
  }

  /** Show what was found on all tiles; what several of them show is joined. */
  async draw() {
    const all = [...this.answers.values()];
    const features = all.length === 1 ? all[0].answer.prediction.features : await this.area.join(all);
    this.results.clear();
    this.results.add(features);
  }

  fit(tile) {
    const bounds = L.latLngBounds(boundsOf(tile));
    const side = 256 * 2 ** (this.map.getZoom() - this.zoom);
    if (side < 160 || !this.map.getBounds().contains(bounds)) this.map.fitBounds(bounds, { maxZoom: this.zoom + 1, padding: [30, 30] });
  }

  clear() {
    this.stopper?.abort();
    this.asked = this.lastTile = null;
    this.answers.clear();
    this.area.clear();
    this.results.clear();
    showAnswer(null, null);
    quiet();
    this.remember();
  }

  wirePanel() {
    const both = () => [this.results, this.pictures?.results].filter(Boolean);
    const slide = (id, format, act) => {
      const set = () => {
        $(`${id}-value`).textContent = format(Number($(id).value));
        for (const results of both()) act(results, Number($(id).value));
        this.remember();
      };
      $(id).addEventListener("input", set);
      return set;
    };
    const confidence = slide("confidence", (value) => value.toFixed(2), (results, value) => {
      results.least = value;
      results.filter();
    });
    const opacity = slide("opacity", (value) => `${Math.round(100 * value)} %`, (results, value) => results.setOpacity(value));
    $("confidence").value = this.given.confidence;
    if (this.given.opacity !== null) $("opacity").value = this.given.opacity;
    confidence();
    opacity();
    $("clear").addEventListener("click", () => (this.pictures.map ? this.files.leave() : this.clear()));
    $("previous").addEventListener("click", () => this.shownResults.step(-1));
    $("next").addEventListener("click", () => this.shownResults.step(1));
    $("fold").addEventListener("click", () => {
      const folded = $("panel").classList.toggle("folded");
      $("fold").setAttribute("aria-expanded", String(!folded));
      this.map.invalidateSize();
    });
    $("download").addEventListener("click", () => download(this.shownResults.collection(), `${this.facts.service.name}.geojson`));
    const take = (id, what, text) =>
      $(id).addEventListener("click", () => copy(text()).then(() => say("good", `${what} copied`, this.hintOfCopy(id), 4), sayError));
    take("copy-curl", "curl command", () => snippets(this.asked, this.zoom).curl);
    take("copy-python", "Python", () => snippets(this.asked, this.zoom).python);
    take("copy-qgis", "Address for QGIS", () => snippets(this.asked, this.zoom).qgis);
    take("copy-link", "Link", () => location.href);
    $("forget").addEventListener("click", () => {
      api.forgetKey();
      location.reload();
    });
    document.querySelector(".skip").addEventListener("click", (event) => {
      event.preventDefault();
      $("panel").focus();
    });
    $("leave").addEventListener("click", () => this.files.leave());
    $("swipe").addEventListener("input", () => this.pictures.swipe(Number($("swipe").value)));
  }

  /** Of what was copied: an area may take more tiles than one request may. */
  hintOfCopy(id) {
    const most = this.facts.max_tiles_per_request;
    const isArea = this.asked?.bbox !== undefined || this.asked?.geometry !== undefined;
    if (!isArea || !["copy-curl", "copy-python"].includes(id) || (this.area.tiles?.length ?? 0) <= most) return "";
    return `one request takes ${most} tiles; for all of this area: playground run`;
  }

  remember() {
    if (!this.area) return;
    clearTimeout(this.remembering);
    this.remembering = setTimeout(() => {
      const { map, lastTile: tile, results } = this;
      const opacity = results.opacity === 0.35 ? null : results.opacity;
      writeHash({ map, tile, area: this.area.bbox, confidence: results.least, opacity, hidden: results.hidden });
    }, 150);
  }

  /** What the address asks for beside the view. */
  resume() {
    const { tile, area } = this.given;
    if (area) this.area.takeBbox(area, !this.given.view);
    if (tile && tile[0] === this.zoom) this.predict({ z: tile[0], x: tile[1], y: tile[2] });
  }
}

/** Attribution as text and links: what else a source says there is not for this page. */
function safeAttribution(text) {
  const holder = element("span");
  const walk = (node) => {
    for (const child of node.childNodes) {
      if (child.nodeName === "A" && /^https?:/.test(child.href)) {
        holder.append(element("a", child.textContent, { href: child.href, rel: "noopener", target: "_blank" }));
      } else if (child.nodeType === Node.TEXT_NODE) holder.append(child.textContent);
      else walk(child);
    }
  };
  walk(new DOMParser().parseFromString(text ?? "", "text/html").body);
  return holder.innerHTML;
}

async function start() {
  api.onKeyNeeded(askForKey);
  say("wait", "Loading…");
  let facts;
  try {
    facts = await patiently(() => api.getJson("map.json"));
  } catch (error) {
    return sayError(error);
  }
  quiet();
  const app = new App(facts);
  window.app = app; // for a look from the browser's console
  watch(facts.root, facts.service.address);
  // Another link into the same page; our own changes fire none.
  addEventListener("hashchange", () => /^#[\d.]+\//.test(location.hash) && location.reload());
  app.resume();
}

start();
