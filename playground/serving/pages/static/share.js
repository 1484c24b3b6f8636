// The view in the page's address, and requests to take along.

import { addressOf, hasKey } from "./api.js";

/** What stands after # in the address: zoom/lat/lng, and what else was chosen. */
export function readHash() {
  const [place, query] = location.hash.slice(1).split("?");
  const [zoom, lat, lng] = place.split("/").map(Number);
  const given = new URLSearchParams(query ?? "");
  const numbers = (text, count) => {
    const found = (text ?? "").split(/[,/]/).map(Number);
    return found.length === count && found.every(Number.isFinite) ? found : null;
  };
  return {
    view: [zoom, lat, lng].every(Number.isFinite) && place.includes("/") ? { zoom, lat, lng } : null,
    tile: numbers(given.get("tile"), 3),
    area: numbers(given.get("area"), 4),
    confidence: Number(given.get("confidence")) || 0,
    opacity: given.has("opacity") ? Number(given.get("opacity")) : null,
    hidden: given.getAll("hide"),
  };
}

export function writeHash({ map, tile, area, confidence, opacity, hidden }) {
  const centre = map.getCenter();
  const place = `${map.getZoom()}/${centre.lat.toFixed(5)}/${centre.lng.toFixed(5)}`;
  const query = new URLSearchParams();
  if (tile) query.set("tile", `${tile.z}/${tile.x}/${tile.y}`);
  if (area) query.set("area", area.map((value) => Number(value.toFixed(6))).join(","));
  if (confidence) query.set("confidence", confidence);
  if (opacity !== null) query.set("opacity", opacity);
  for (const name of hidden) query.append("hide", name);
  const text = query.toString().replaceAll("%2F", "/").replaceAll("%2C", ",");
  history.replaceState(null, "", `#${place}${text ? `?${text}` : ""}`);
}

/** Requests that give what the page shows. `asked`: {z, x, y}, {bbox} or {geometry}; null where nothing was asked. */
export function snippets(asked, zoom) {
  const body = JSON.stringify(asked ?? { z: zoom, x: 0, y: 0 });
  const predict = addressOf("predict");
  const key = hasKey();
  const quoted = body.replaceAll("'", "'\\''");
  return {
    curl: [
      `curl -s '${predict}' \\`,
      ...(key ? ["  -H \"Authorization: Bearer $KEY\" \\"] : []),
      "  -H 'Content-Type: application/json' \\",
      "  -H 'Accept: application/geo+json' \\",
      `  -d '${quoted}'`,
    ].join("\n"),
    python: [
      ...(key ? ["import os", ""] : []),
      "import requests",
      "",
      "response = requests.post(",
      `    ${JSON.stringify(predict)},`,
      `    json=${python(asked ?? { z: zoom, x: 0, y: 0 })},`,
      ...(key ? ['    headers={"Authorization": "Bearer " + os.environ["KEY"]},'] : []),
      "    timeout=120,",
      ")",
      "response.raise_for_status()",
      'features = response.json()["prediction"]["features"]',
      "print(len(features))",
      "",
    ].join("\n"),
    qgis: asked?.z === undefined ? addressOf(`tiles/{z}/{x}/{y}`) : addressOf(`predictions/${asked.z}/${asked.x}/${asked.y}.geojson`),
  };
}

const python = (value) => JSON.stringify(value).replaceAll(",", ", ").replaceAll('":', '": ').replaceAll("null", "None");

export async function copy(text) {
  if (navigator.clipboard && window.isSecureContext) return navigator.clipboard.writeText(text);
  const area = Object.assign(document.createElement("textarea"), { value: text, className: "hidden" });
  document.body.append(area);
  area.select();
  document.execCommand("copy");
  area.remove();
}

export function download(collection, name) {
  const address = URL.createObjectURL(new Blob([JSON.stringify(collection)], { type: "application/geo+json" }));
  Object.assign(document.createElement("a"), { href: address, download: name }).click();
  setTimeout(() => URL.revokeObjectURL(address), 10_000);
}
