// Images that were dropped on the page: shown in pixels, predicted, and compared where the predictor reads two.

import { mediaType, postFile, postJson } from "./api.js";
import { Results } from "./results.js";

const L = window.L;

/** A picture that browsers show: the file itself, or what the service makes of it (GeoTIFF and the like). */
async function pictureOf(file) {
  const picture = new Image();
  const load = async (blob) => {
    picture.src = URL.createObjectURL(blob);
    await picture.decode();
    return picture;
  };
  if (!/tiff?$/i.test(file.name) && mediaType(file) !== "image/tiff") {
    try {
      return await load(file);
    } catch {
      // not one that this browser knows
    }
  }
  return load(await (await postFile("preview", file)).blob());
}

export class Pictures {
  constructor(container) {
    this.container = container;
    this.map = null;
    this.results = null;
  }

  /** Show images on top of each other; @param size [width, height] in pixels of the image as it was given. */
  show(pictures, size) {
    this.close();
    this.container.hidden = false;
    const [width, height] = size;
    this.map = L.map(this.container, { crs: L.CRS.Simple, minZoom: -6, maxZoom: 6, zoomSnap: 0.25, attributionControl: false });
    this.container.setAttribute("role", "application");
    this.container.setAttribute("aria-label", "Image, in pixels: arrow keys move, plus and minus zoom");
    const bounds = [[-height, 0], [0, width]];
    this.overlays = pictures.map((picture) => L.imageOverlay(picture.src, bounds, { alt: "" }).addTo(this.map));
    this.container.classList.toggle("pixelated", width < 400);
    this.map.fitBounds(bounds, { padding: [24, 24] });
    this.results = new Results(this.map, true);
    this.swipe(50);
    this.map.on("zoomend move", () => this.swipe(this.at));
  }

  /** Show the second image from this part (0 to 100) of the width on. */
  swipe(at) {
    this.at = at;
    const after = this.overlays?.[1]?.getElement();
    if (after) after.style.clipPath = `inset(0 0 0 ${at}%)`;
  }

  close() {
    this.map?.remove();
    this.map = this.results = this.overlays = null;
    this.container.hidden = true;
  }

  /** Predict one image: the service's whole answer. */
  async predict(file) {
    const picture = await pictureOf(file);
    this.show([picture], await sizeOf(file, picture));
    return (await postFile("predict", file)).json();
  }

  /** Predict two images of one place, the older first, by the Tile Geo Process API: features in pixels. */
  async compare(before, after, resolution) {
    const pictures = await Promise.all([before, after].map(pictureOf));
    this.show(pictures, await sizeOf(before, pictures[0]));
    const tiles = await Promise.all([before, after].map(base64));
    const began = performance.now();
    const collection = await postJson("api/v1/process", { resolution, tiles });
    for (const { properties } of collection.features) {
      if (Array.isArray(properties.category)) properties.category = properties.category.join(", ");
    }
    return { prediction: collection, timing: { total: performance.now() - began }, report: null };
  }
}

/** Width and height; a preview may be smaller than the image, whose own header tells then (TIFF). */
async function sizeOf(file, picture) {
  const view = new DataView(await file.slice(0, 8).arrayBuffer());
  const little = view.byteLength === 8 && view.getUint16(0) === 0x4949;
  if (view.byteLength < 8 || (!little && view.getUint16(0) !== 0x4d4d)) return [picture.naturalWidth, picture.naturalHeight];
  const start = view.getUint32(4, little);
  const entries = new DataView(await file.slice(start, start + 2 + 12 * 64).arrayBuffer());
  const found = {};
  for (let place = 2; place + 12 <= entries.byteLength && place < 2 + 12 * entries.getUint16(0, little); place += 12) {
    const kind = entries.getUint16(place + 2, little);
    found[entries.getUint16(place, little)] = kind === 3 ? entries.getUint16(place + 8, little) : entries.getUint32(place + 8, little);
  }
  return found[256] && found[257] ? [found[256], found[257]] : [picture.naturalWidth, picture.naturalHeight];
}

async function base64(file) {
  const bytes = new Uint8Array(await file.arrayBuffer());
  let text = "";
  for (let start = 0; start < bytes.length; start += 32768) text += String.fromCharCode(...bytes.subarray(start, start + 32768));
  return btoa(text);
}
