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

/** Requests that give what the page shows.
 *  @param asked {z, x, y}, {bbox}, {geometry}, {image: name} or {images: [name, name], resolution}; null for nothing yet. */
export function snippets(asked, zoom) {
  const request = requestOf(asked ?? { z: zoom, x: 0, y: 0 });
  const key = hasKey();
  const curl = [`curl -s '${request.address}'`, ...(key ? ['-H "Authorization: Bearer $KEY"'] : []), ...request.curl];
  const headers = [...(key ? ['"Authorization": "Bearer " + os.environ["KEY"]'] : []), ...(request.headers ?? [])];
  return {
    curl: curl.join(" \\\n  "),
    python: [
      ...(key ? ["import os"] : []),
      ...(request.imports ?? []),
      ...(key || request.imports ? [""] : []),
      "import requests",
      "",
      ...(request.before ?? []),
      "response = requests.post(",
      `    ${JSON.stringify(request.address)},`,
      `    ${request.python},`,
      ...(headers.length ? [`    headers={${headers.join(", ")}},`] : []),
      "    timeout=120,",
      ")",
      "response.raise_for_status()",
      `features = response.json()${request.member}["features"]`,
      "print(len(features))",
      "",
    ].join("\n"),
    qgis: asked?.z === undefined ? addressOf("tiles/{z}/{x}/{y}") : addressOf(`predictions/${asked.z}/${asked.x}/${asked.y}.geojson`),
  };
}

const JSON_BODY = "-H 'Content-Type: application/json'";
const quoted = (text) => `'${text.replaceAll("'", "'\\''")}'`;

function requestOf(asked) {
  if (asked.image) {
    return {
      address: addressOf("predict"),
      curl: ["-H 'Content-Type: application/octet-stream'", `--data-binary ${quoted(`@${asked.image}`)}`],
      python: `data=open(${JSON.stringify(asked.image)}, "rb")`,
      headers: ['"Content-Type": "application/octet-stream"'],
      member: '["prediction"]',
    };
  }
  if (asked.images) {
    const { images, resolution } = asked;
    const tiles = images.map((name) => `"'$(base64 < ${quoted(name)} | tr -d '\\n')'"`).join(", ");
    return {
      address: addressOf("api/v1/process"),
      curl: [JSON_BODY, `-d '{"resolution": ${resolution}, "tiles": [${tiles}]}'`],
      imports: ["import base64"],
      before: [`tiles = [base64.b64encode(open(name, "rb").read()).decode() for name in ${python(images)}]`],
      python: `json={"resolution": ${resolution}, "tiles": tiles}`,
      member: "",
    };
  }
  return {
    address: addressOf("predict"),
    curl: [JSON_BODY, "-H 'Accept: application/geo+json'", `-d ${quoted(JSON.stringify(asked))}`],
    python: `json=${python(asked)}`,
    member: '["prediction"]',
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
