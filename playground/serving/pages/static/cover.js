// Map maths: tiles and degrees, and which tiles an area takes.

export const tileName = ({ z, x, y }) => `${z}/${x}/${y}`;

const lngOfColumn = (u) => u * 360 - 180;
const latOfRow = (v) => (Math.atan(Math.sinh(Math.PI * (1 - 2 * v))) * 180) / Math.PI;
const columnOfLng = (lng) => (lng + 180) / 360;
const rowOfLat = (lat) => {
  const sin = Math.sin((Math.max(-85.0511287, Math.min(85.0511287, lat)) * Math.PI) / 180);
  return 0.5 - Math.log((1 + sin) / (1 - sin)) / (4 * Math.PI);
};

/** Parts of the map's width and height, 0 to 1, of degrees. */
export const unitOf = ([lng, lat]) => [columnOfLng(lng), rowOfLat(lat)];

/** [[south, west], [north, east]] of a tile and `beyond` parts of its side around; x may lie off the map. */
export function boundsOf({ z, x, y }, beyond = 0) {
  const count = 2 ** z;
  const row = (v) => latOfRow(Math.max(0, Math.min(count, v)) / count);
  return [
    [row(y + 1 + beyond), lngOfColumn((x - beyond) / count)],
    [row(y - beyond), lngOfColumn((x + 1 + beyond) / count)],
  ];
}

/** The tile of a place; its x may lie off the map where the map is shown again. */
export function tileAt(lng, lat, z) {
  const count = 2 ** z;
  const y = Math.min(count - 1, Math.max(0, Math.floor(rowOfLat(lat) * count)));
  return { z, x: Math.floor(columnOfLng(lng) * count), y };
}

/** The same tile, on the map. */
export const onMap = ({ z, x, y }) => ({ z, x: ((x % 2 ** z) + 2 ** z) % 2 ** z, y });

/** GeoJSON of any kind to a list of polygons (rings of unit coordinates), lines and points being rings of their own. */
export function ringsOf(geojson) {
  const found = [];
  const walk = (value) => {
    if (!value) return;
    if (value.type === "FeatureCollection") value.features.forEach(walk);
    else if (value.type === "Feature") walk(value.geometry);
    else if (value.type === "GeometryCollection") value.geometries.forEach(walk);
    else if (value.type === "Polygon") found.push({ closed: true, rings: value.coordinates.map(units) });
    else if (value.type === "MultiPolygon") value.coordinates.forEach((rings) => found.push({ closed: true, rings: rings.map(units) }));
    else if (value.type === "LineString") found.push({ closed: false, rings: [units(value.coordinates)] });
    else if (value.type === "MultiLineString") value.coordinates.forEach((line) => found.push({ closed: false, rings: [units(line)] }));
    else if (value.type === "Point") found.push({ closed: false, rings: [units([value.coordinates])] });
    else if (value.type === "MultiPoint") value.coordinates.forEach((point) => found.push({ closed: false, rings: [units([point])] }));
    else throw new Error("this is no GeoJSON");
  };
  const units = (positions) => positions.map(unitOf);
  walk(geojson);
  return found;
}

/** The tiles of zoom z that the shapes of `ringsOf` lie in; stops after `most` + 1. */
export function cover(shapes, z, most) {
  const count = 2 ** z;
  const tiles = new Map();
  for (const shape of shapes) {
    const all = shape.rings.flat();
    if (!all.length) continue;
    const [left, right] = [Math.min(...all.map((p) => p[0])), Math.max(...all.map((p) => p[0]))];
    const [top, bottom] = [Math.min(...all.map((p) => p[1])), Math.max(...all.map((p) => p[1]))];
    const last = (value, first) => Math.max(Math.ceil(value * count) - 1, first);
    const [x0, y0] = [Math.floor(left * count), Math.max(0, Math.floor(top * count))];
    const [x1, y1] = [last(right, x0), Math.min(count - 1, last(bottom, y0))];
    for (let y = y0; y <= y1; y++) {
      for (let x = x0; x <= x1; x++) {
        const tile = onMap({ z, x, y });
        if (!tiles.has(tileName(tile)) && meets(shape, [x / count, y / count, (x + 1) / count, (y + 1) / count])) {
          tiles.set(tileName(tile), tile);
          if (tiles.size > most) return [...tiles.values()];
        }
      }
    }
  }
  return [...tiles.values()];
}

/** Whether a shape and a box [left, top, right, bottom] share more than a border. */
function meets(shape, box) {
  const [left, top, right, bottom] = box;
  const within = ([x, y]) => x > left && x < right && y > top && y < bottom;
  for (const ring of shape.rings) {
    if (ring.length === 1 ? ring[0][0] >= left && ring[0][0] < right && ring[0][1] >= top && ring[0][1] < bottom : ring.some(within)) return true;
    for (let i = 1; i < ring.length; i++) if (crosses(ring[i - 1], ring[i], box)) return true;
  }
  return shape.closed && inside([(left + right) / 2, (top + bottom) / 2], shape.rings);
}

/** Whether a stretch runs through the inside of a box (Liang and Barsky). */
function crosses([x0, y0], [x1, y1], [left, top, right, bottom]) {
  let [from, to] = [0, 1];
  const [dx, dy] = [x1 - x0, y1 - y0];
  for (const [p, q] of [[-dx, x0 - left], [dx, right - x0], [-dy, y0 - top], [dy, bottom - y0]]) {
    if (p === 0) {
      if (q <= 0) return false;
    } else if (p < 0) from = Math.max(from, q / p);
    else to = Math.min(to, q / p);
  }
  return to - from > 1e-12;
}

function inside([x, y], rings) {
  let odd = false;
  for (const ring of rings) {
    for (let i = 0, j = ring.length - 1; i < ring.length; j = i++) {
      const [[xi, yi], [xj, yj]] = [ring[i], ring[j]];
      if (yi > y !== yj > y && x < ((xj - xi) * (y - yi)) / (yj - yi) + xi) odd = !odd;
    }
  }
  return odd;
}
