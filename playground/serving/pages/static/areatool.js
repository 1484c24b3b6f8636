// Choosing an area (drawn, the view, a file) and running over it.

import { AreaRun } from "./area.js";
import { postJson } from "./api.js";
import { cover, ringsOf, tileName } from "./cover.js";
import { $, showAnswer } from "./panel.js";
import { quiet, say, sayError } from "./status.js";
import { many, sumOfReports } from "./words.js";

const L = window.L;
const MOST_TILES = 4096;

export class AreaTool {
  constructor(app) {
    this.app = app;
    this.map = app.map;
    this.bbox = null;
    this.run = null;
    this.outline = null;
    this.asked = null;
    $("draw").addEventListener("click", () => (this.drawing ? this.stopDrawing() : this.startDrawing()));
    $("view").addEventListener("click", () => this.takeView());
    $("start").addEventListener("click", () => this.start());
    $("cancel").addEventListener("click", () => this.run?.cancel());
    $("retry").addEventListener("click", () => this.follow(this.run.retry()));
    const holder = this.map.getContainer();
    holder.addEventListener("pointerdown", (event) => this.down(event), true);
    holder.addEventListener("pointermove", (event) => this.move(event), true);
    holder.addEventListener("pointerup", (event) => this.up(event), true);
    holder.addEventListener("click", (event) => this.swallow(event), true);
  }

  get busy() {
    return this.run?.running ?? false;
  }

  startDrawing() {
    this.drawing = {};
    $("draw").setAttribute("aria-pressed", "true");
    this.map.getContainer().classList.add("drawing");
    this.map.dragging.disable();
    this.app.cursor.hide();
    say("good", "Drag a rectangle over the map", "Escape ends drawing");
  }

  stopDrawing() {
    if (!this.drawing) return;
    this.drawing = null;
    $("draw").setAttribute("aria-pressed", "false");
    this.map.getContainer().classList.remove("drawing");
    this.map.dragging.enable();
    quiet();
  }

  down(event) {
    if (!this.drawing || event.target.closest(".leaflet-control")) return;
    event.stopPropagation();
    event.preventDefault();
    this.drawing.from = this.map.mouseEventToLatLng(event);
    this.map.getContainer().setPointerCapture(event.pointerId);
  }

  move(event) {
    if (!this.drawing?.from) return;
    event.stopPropagation();
    this.show([this.drawing.from, this.map.mouseEventToLatLng(event)]);
  }

  up(event) {
    if (!this.drawing?.from) return;
    event.stopPropagation();
    const bounds = L.latLngBounds(this.drawing.from, this.map.mouseEventToLatLng(event));
    this.stopDrawing();
    this.drew = performance.now();
    this.takeBbox([bounds.getWest(), bounds.getSouth(), bounds.getEast(), bounds.getNorth()]);
  }

  /** The click that ends a drag is no click on a tile. */
  swallow(event) {
    if (this.drew && performance.now() - this.drew < 300) {
      event.stopPropagation();
      this.drew = 0;
    }
  }

  takeView() {
    const bounds = this.map.getBounds();
    const within = L.latLngBounds([-85.05, bounds.getWest()], [85.05, Math.min(bounds.getEast(), bounds.getWest() + 360)]);
    const south = Math.max(bounds.getSouth(), within.getSouth());
    const north = Math.min(bounds.getNorth(), within.getNorth());
    this.takeBbox([within.getWest(), south, within.getEast(), north]);
  }

  takeBbox([west, south, east, north], fit = false) {
    const ring = [[west, south], [east, south], [east, north], [west, north], [west, south]];
    this.take({ type: "Polygon", coordinates: [ring] }, fit);
    this.bbox = [west, south, east, north];
    this.asked = { bbox: this.bbox.map((value) => Number(value.toFixed(6))) };
    this.app.remember();
  }

  /** An area as GeoJSON: which tiles, and how many. */
  take(geojson, fit = false) {
    const shapes = ringsOf(geojson);
    const tiles = cover(shapes, this.app.zoom, MOST_TILES);
    if (!tiles.length) throw new Error("it has no place on the map");
    this.run?.cancel();
    this.bbox = null;
    const geometries = geometriesOf(geojson);
    this.asked = { geometry: geometries.length === 1 ? geometries[0] : { type: "GeometryCollection", geometries } };
    this.outline?.remove();
    this.outline = L.geoJSON(geojson, { interactive: false, renderer: this.app.cursor.svg, style: { color: "#ffffff", weight: 2, dashArray: "6 5", fill: false } }).addTo(this.map);
    if (fit) this.map.fitBounds(this.outline.getBounds(), { padding: [30, 30] });
    $("run").hidden = false;
    if (tiles.length > MOST_TILES) {
      this.tiles = [];
      say("error", `The area takes more than ${MOST_TILES.toLocaleString("en")} tiles`, "choose less, or run it as a whole: playground run");
    } else {
      this.tiles = tiles;
      quiet();
    }
    this.run = null;
    this.update();
    $("start").focus({ preventScroll: true });
  }

  show(corners) {
    this.outline?.remove();
    this.outline = L.rectangle(corners, { interactive: false, renderer: this.app.cursor.svg, color: "#ffffff", weight: 2, dashArray: "6 5", fill: false }).addTo(this.map);
  }

  async start() {
    const several = Math.max(1, Math.min(6, 2 * this.app.facts.workers, this.app.facts.backlog));
    if (!this.run || !this.run.waiting.length) {
      this.app.answers.clear();
      this.app.results.clear();
      this.app.lastTile = null;
      const centre = () => [this.map.getCenter().lng, this.map.getCenter().lat];
      this.run = new AreaRun(this.tiles, several, centre);
      this.run.addEventListener("tile", ({ detail }) => {
        this.app.answers.set(tileName(detail.tile), detail);
        this.app.results.add(detail.answer.prediction.features, tileName(detail.tile));
      });
      this.run.addEventListener("progress", () => this.update());
    }
    this.app.asked = this.asked;
    await this.follow(this.run.start());
  }

  async follow(work) {
    const { run } = this;
    const began = performance.now();
    quiet();
    this.update();
    await work;
    if (run !== this.run) return;
    this.update();
    try {
      if (run.answers.size) await this.app.draw();
    } catch (error) {
      sayError(error);
    }
    const report = { ...sumOfReports(run.reports()), tiles: run.answers.size, joined: this.app.results.entries.length };
    showAnswer({ total: performance.now() - began }, report, "All tiles");
    if (run.failed.size) {
      const { error, tile } = [...run.failed.values()][0];
      say("error", `${many(run.failed.size, "tile")} failed; ${tileName(tile)}: ${error.message}`, error.hint);
    } else if (run.missing === run.total) say("error", "There is no imagery in this area", "choose another one");
    else if (!run.waiting.length && !report.features_out) say("good", "Nothing found here", `${many(run.total, "tile")} predicted, all empty`, 6);
  }

  /** What is one object on several tiles becomes one: the service does it, as in a run over an area. */
  async join(answers) {
    const tiles = answers.map(({ tile, answer }) => ({ x: tile.x, y: tile.y, features: answer.prediction.features, size: answer.tile.size, missing: answer.report.missing_neighbours ?? [] }));
    const headers = { "Content-Type": "application/json", Accept: "application/geo+json" };
    return (await postJson("join", { tiles }, { headers })).features;
  }

  update() {
    const { run } = this;
    const total = run?.total ?? this.tiles.length;
    $("progress").value = run && total ? run.done / total : 0;
    const words = run ? [`${run.done} of ${many(total, "tile")}`] : [many(total, "tile")];
    if (run?.missing) words.push(`${run.missing} without imagery`);
    if (run?.failed.size) words.push(`${run.failed.size} failed`);
    $("run-words").textContent = words.join(", ");
    $("start").hidden = this.busy || Boolean(run && !run.waiting.length) || !total;
    $("start").textContent = run ? "Go on" : `Predict ${many(total, "tile")}`;
    $("cancel").hidden = !this.busy;
    $("retry").hidden = this.busy || !run?.failed.size;
  }

  clear() {
    this.run?.cancel();
    this.run = this.bbox = this.asked = null;
    this.outline?.remove();
    $("run").hidden = true;
  }
}

function geometriesOf(value) {
  if (value.type === "FeatureCollection") return value.features.flatMap(geometriesOf);
  if (value.type === "Feature") return geometriesOf(value.geometry);
  return value.type === "GeometryCollection" ? value.geometries : [value];
}
