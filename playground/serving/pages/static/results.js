// What was found, on a map: colours by class, filters that act at once, hover and choice.

const L = window.L;

// Told apart by people who see colours differently, too (after Okabe and Ito), bright enough for dark imagery.
const COLOURS = ["#40d0ff", "#ffb040", "#c794ff", "#7fe860", "#ff7d7d", "#ffe14d", "#4ee0b8", "#ff94d4"];

export const classOf = (feature) => String(feature.properties?.category ?? "no class");
export const confidenceOf = (feature) => Number(feature.properties?.confidence ?? 1);

export class Results extends EventTarget {
  /** @param map a Leaflet map; @param pixels whether coordinates are pixels of an image, y down. */
  constructor(map, pixels = false) {
    super();
    this.map = map;
    this.pixels = pixels;
    this.renderer = L.canvas({ padding: 0.5, tolerance: 4 });
    this.entries = [];
    this.colours = new Map();
    this.hidden = new Set();
    this.least = 0;
    this.opacity = 0.35;
    this.chosen = null;
    this.canChoose = () => true;
  }

  colourOf(name) {
    if (!this.colours.has(name)) this.colours.set(name, COLOURS[this.colours.size % COLOURS.length]);
    return this.colours.get(name);
  }

  styleOf(feature) {
    const colour = this.colourOf(classOf(feature));
    const chosen = this.chosen?.feature === feature;
    return {
      color: chosen ? "#ffffff" : colour,
      weight: chosen ? 2.5 : 1.5,
      opacity: Math.min(1, this.opacity + 0.55),
      fillColor: colour,
      fillOpacity: this.opacity,
      radius: chosen ? 8 : 6,
    };
  }

  add(features, tile = "") {
    const coordsToLatLng = this.pixels ? ([x, y]) => L.latLng(-y, x) : undefined;
    for (const feature of features) {
      if (!feature.geometry) continue;
      const options = { ...this.styleOf(feature), renderer: this.renderer };
      let layer;
      try {
        layer = L.GeoJSON.geometryToLayer(feature, { coordsToLatLng, pointToLayer: (_, place) => L.circleMarker(place, options) });
      } catch {
        continue;
      }
      const entry = { feature, layer, tile, shown: false };
      const each = (found) => (found.eachLayer ? found.eachLayer(each) : Object.assign(found.options, options));
      each(layer);
      layer.on("mouseover", () => this.emit("hover", entry));
      layer.on("mouseout", () => this.emit("hover", null));
      layer.on("click", (event) => {
        if (!this.canChoose(event.latlng)) return; // then it is a click on the map
        L.DomEvent.stopPropagation(event);
        this.choose(entry);
      });
      this.entries.push(entry);
    }
    this.filter();
  }

  /** Take the features of one tile away, or all. */
  clear(tile = null) {
    for (const entry of this.entries) if (tile === null || entry.tile === tile) entry.layer.remove();
    this.entries = tile === null ? [] : this.entries.filter((entry) => entry.tile !== tile);
    if (this.chosen && !this.entries.includes(this.chosen)) this.choose(null);
    this.emit("change");
  }

  filter() {
    for (const entry of this.entries) {
      const shown = this.passes(entry.feature);
      if (shown === entry.shown) continue;
      entry.shown = shown;
      if (shown) entry.layer.addTo(this.map);
      else entry.layer.remove();
    }
    if (this.chosen && !this.chosen.shown) this.choose(null);
    this.emit("change");
  }

  passes(feature) {
    return confidenceOf(feature) >= this.least && !this.hidden.has(classOf(feature));
  }

  setOpacity(value) {
    this.opacity = value;
    for (const entry of this.entries) entry.layer.setStyle(this.styleOf(entry.feature));
  }

  choose(entry, pan = false) {
    const before = this.chosen;
    this.chosen = entry;
    for (const each of [before, entry]) each?.layer.setStyle(this.styleOf(each.feature));
    if (entry) {
      entry.layer.bringToFront();
      const bounds = entry.layer.getBounds?.() ?? L.latLngBounds([entry.layer.getLatLng()]);
      if (pan && !this.map.getBounds().contains(bounds.getCenter())) this.map.panTo(bounds.getCenter());
    }
    this.emit("choose", entry);
  }

  /** Choose the next (or previous) of those shown. */
  step(by) {
    const shown = this.entries.filter((entry) => entry.shown);
    if (!shown.length) return;
    const at = shown.indexOf(this.chosen);
    this.choose(shown[at < 0 ? (by > 0 ? 0 : shown.length - 1) : (at + by + shown.length) % shown.length], true);
  }

  /** [{name, colour, all, shown}] by class, the most frequent first. */
  counts() {
    const found = new Map();
    for (const { feature, shown } of this.entries) {
      const name = classOf(feature);
      if (!found.has(name)) found.set(name, { name, colour: this.colourOf(name), all: 0, shown: 0 });
      const count = found.get(name);
      count.all += 1;
      count.shown += shown ? 1 : 0;
    }
    return [...found.values()].sort((a, b) => b.all - a.all || a.name.localeCompare(b.name));
  }

  bounds() {
    const bounds = L.latLngBounds([]);
    for (const { layer } of this.entries) bounds.extend(layer.getBounds?.() ?? layer.getLatLng());
    return bounds;
  }

  collection() {
    return { type: "FeatureCollection", features: this.entries.filter((entry) => entry.shown).map((entry) => entry.feature) };
  }

  emit(name, detail) {
    this.dispatchEvent(new CustomEvent(name, { detail }));
  }
}
