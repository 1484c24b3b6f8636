// What lies under the results: the service's imagery, the tile grid, the tile that is meant.

import { ask } from "./api.js";
import { boundsOf, onMap, tileAt, tileName } from "./cover.js";

const L = window.L;

/** Imagery through the service, with the key where there is one; busy tiles are asked for again. */
export const Imagery = L.GridLayer.extend({
  createTile(coords, done) {
    const image = document.createElement("img");
    image.alt = "";
    image.setAttribute("role", "presentation");
    const stop = new AbortController();
    image.cancel = () => stop.abort();
    this.load(image, coords, stop.signal).then(() => done(null, image), (error) => done(error, image));
    return image;
  },
  async load(image, coords, signal) {
    const { z, x, y } = onMap({ z: coords.z, x: coords.x, y: coords.y });
    for (let attempt = 0; ; attempt++) {
      try {
        const response = await ask(`tiles/${z}/${x}/${y}`, { signal });
        const address = URL.createObjectURL(await response.blob());
        image.src = address;
        await image.decode().finally(() => URL.revokeObjectURL(address));
        return;
      } catch (error) {
        if (!error.retryAfter || attempt >= 3 || signal.aborted) throw error;
        await new Promise((resolve) => setTimeout(resolve, 1000 * error.retryAfter));
      }
    }
  },
  _removeTile(key) {
    this._tiles[key]?.el.cancel?.();
    L.GridLayer.prototype._removeTile.call(this, key);
  },
});

/** The edges of the tiles that the predictor reads, drawn where they are not too close together. */
export const Grid = L.Layer.extend({
  initialize(zoom) {
    this.zoom = zoom;
  },
  onAdd(map) {
    this.canvas = L.DomUtil.create("canvas", "leaflet-zoom-hide");
    this.canvas.setAttribute("aria-hidden", "true");
    this.canvas.style.pointerEvents = "none";
    map.getPane("overlayPane").prepend(this.canvas);
    this.draw();
  },
  onRemove() {
    this.canvas.remove();
  },
  getEvents() {
    return { move: this.draw, viewreset: this.draw, zoomend: this.draw, resize: this.draw };
  },
  draw() {
    const map = this._map;
    const size = map.getSize();
    const ratio = window.devicePixelRatio || 1;
    L.DomUtil.setPosition(this.canvas, map.containerPointToLayerPoint([0, 0]));
    this.canvas.width = size.x * ratio;
    this.canvas.height = size.y * ratio;
    this.canvas.style.width = `${size.x}px`;
    this.canvas.style.height = `${size.y}px`;
    const side = 256 * 2 ** (map.getZoom() - this.zoom);
    if (side < 24) return;
    const pen = this.canvas.getContext("2d");
    pen.scale(ratio, ratio);
    const origin = map.getPixelBounds().min;
    const mapSide = 256 * 2 ** map.getZoom();
    const [top, bottom] = [Math.max(0, -origin.y), Math.min(size.y, mapSide - origin.y)];
    pen.beginPath();
    for (let x = -(((origin.x % side) + side) % side); x <= size.x; x += side) {
      pen.moveTo(Math.round(x) + 0.5, top);
      pen.lineTo(Math.round(x) + 0.5, bottom);
    }
    for (let y = Math.ceil(Math.max(0, origin.y) / side) * side; y <= Math.min(mapSide, origin.y + size.y); y += side) {
      pen.moveTo(0, Math.round(y - origin.y) + 0.5);
      pen.lineTo(size.x, Math.round(y - origin.y) + 0.5);
    }
    pen.lineWidth = 1;
    pen.strokeStyle = "rgb(255 255 255 / 32%)";
    pen.stroke();
  },
});

/** The tile that is meant, by pointer or keyboard, with the ring of its neighbours that the predictor sees. */
export class Cursor {
  constructor(map, zoom, padding) {
    this.map = map;
    this.zoom = zoom;
    const base = { interactive: false, fill: false, pane: "overlayPane" };
    this.svg = L.svg({ padding: 1 });
    this.core = L.rectangle([[0, 0], [0, 0]], { ...base, renderer: this.svg, color: "#ffd257", weight: 2, className: "core" });
    this.ring = L.rectangle([[0, 0], [0, 0]], { ...base, renderer: this.svg, color: "#ffd257", weight: 1.5, dashArray: "4 5", opacity: 0.9, className: "ring" });
    this.beyond = padding / 256;
    this.tile = null;
  }
  /** Whether single tiles can be told apart at this zoom. */
  get near() {
    return 256 * 2 ** (this.map.getZoom() - this.zoom) >= 24;
  }
  show(tile) {
    if (!tile || (this.tile && tileName(tile) === tileName(this.tile) && this.core._map)) {
      if (!tile) this.hide();
      return;
    }
    this.tile = tile;
    this.core.setBounds(boundsOf(tile)).addTo(this.map);
    if (this.beyond) this.ring.setBounds(boundsOf(tile, this.beyond)).addTo(this.map);
  }
  hide() {
    this.core.remove();
    this.ring.remove();
  }
  /** One tile on, by the keyboard; it stays in view. */
  step(dx, dy) {
    const count = 2 ** this.zoom;
    const from = this.tile && this.core._map ? this.tile : null;
    const centre = this.map.getCenter();
    const tile = from ? { ...from, x: from.x + dx, y: Math.max(0, Math.min(count - 1, from.y + dy)) } : tileAt(centre.lng, centre.lat, this.zoom);
    this.show(tile);
    const bounds = L.latLngBounds(boundsOf(tile));
    if (!this.map.getBounds().contains(bounds)) this.map.panInside(bounds.getCenter(), { padding: [140, 140] });
    return tile;
  }
}
