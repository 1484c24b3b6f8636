// What an answer's report says, in words.

const many = (count, one, several = `${one}s`) => `${count.toLocaleString("en")} ${count === 1 ? one : several}`;

const REPAIRS = {
  ring_closed: "open rings closed",
  made_valid: "polygons that crossed themselves mended",
  fitted_to_grid: "moved a little to stay valid after rounding",
  antimeridian: "cut at the antimeridian",
  parts_dropped: "parts without meaning left out",
  category_missing: "had no class",
  confidence_clipped: "confidence brought into 0 to 1",
  simplified: "simplified",
  clipped: "cut at the tile's edge",
  class_named: "given their class's name",
};
const DROPPED = {
  empty: "without coordinates",
  degenerate: "without area",
  not_finite: "with coordinates that are no numbers",
  outside: "far outside the image",
  unmendable: "that no valid shape could be made of",
  below_confidence: "below the configured confidence",
  below_area: "below the configured area",
  in_padding: "of the neighbouring tiles",
  in_neighbour: "that a neighbouring tile shows",
  duplicate: "that are there already",
  outside_area: "outside the area",
};
const SIDES = { N: "north", NE: "north-east", E: "east", SE: "south-east", S: "south", SW: "south-west", W: "west", NW: "north-west" };

const plain = (kind) => kind.replaceAll("_", " ");

/** [{text, note}]: lines about a report; `note` for those that somebody should look at. */
export function reportInWords(report) {
  if (!report) return [];
  const lines = [];
  const kept = report.features_out ?? 0;
  const dropped = Object.entries(report.dropped ?? {}).filter(([, count]) => count);
  const repairs = Object.entries(report.repairs ?? {}).filter(([, count]) => count);
  if (report.joined !== undefined) {
    lines.push({ text: `The predictor found ${many(report.features_in, "object")} on ${many(report.tiles, "tile")}; joined where tiles cut them, they are ${report.joined.toLocaleString("en")}.` });
  } else if (report.features_in !== undefined) {
    lines.push({ text: `The predictor found ${many(report.features_in, "object")}; ${kept === report.features_in ? (kept === 1 ? "it is shown." : "all are shown.") : `${kept.toLocaleString("en")} are left.`}` });
  }
  for (const [kind, count] of repairs) lines.push({ text: `Repaired: ${count.toLocaleString("en")} ${REPAIRS[kind] ?? plain(kind)}.`, note: true });
  for (const [kind, count] of dropped) lines.push({ text: `Left out: ${count.toLocaleString("en")} ${DROPPED[kind] ?? plain(kind)}.`, note: !["in_neighbour", "in_padding"].includes(kind) });
  const missing = report.missing_neighbours ?? [];
  if (missing.length) {
    const where = missing.map((side) => SIDES[side] ?? side).slice(0, 8).join(", ");
    lines.push({ text: `No imagery beside the tile: ${where}; objects at that edge may be wrong.`, note: true });
  }
  for (const warning of report.warnings ?? []) lines.push({ text: `Warning: ${warning}.`, note: true });
  if (!repairs.length && !dropped.length && !missing.length && !(report.warnings ?? []).length) {
    lines.push({ text: "Nothing had to be repaired or left out." });
  }
  return lines;
}

/** A sum of several reports. */
export function sumOfReports(reports) {
  const sum = { features_in: 0, features_out: 0, repairs: {}, dropped: {}, warnings: [] };
  let lacking = 0;
  for (const report of reports) {
    sum.features_in += report.features_in ?? 0;
    sum.features_out += report.features_out ?? 0;
    for (const key of ["repairs", "dropped"]) {
      for (const [kind, count] of Object.entries(report[key] ?? {})) sum[key][kind] = (sum[key][kind] ?? 0) + count;
    }
    sum.warnings = [...new Set([...sum.warnings, ...(report.warnings ?? [])])];
    lacking += report.missing_neighbours?.length ? 1 : 0;
  }
  if (lacking) sum.warnings.push(`${many(lacking, "tile")} had no imagery beside them`);
  return sum;
}

const PHASES = {
  starting: "The predictor's process starts",
  importing: "The predictor is being imported",
  constructing: "The model is being loaded",
  warming: "The predictor warms up",
  resting: "The predictor crashed again and again, and rests",
  failed: "The predictor could not be loaded",
  stopped: "The predictor has stopped",
};
export const phaseInWords = (phase) => PHASES[phase] ?? phase;

export function secondsInWords(seconds) {
  if (seconds < 90) return `${Math.round(seconds)} s`;
  if (seconds < 5400) return `${Math.round(seconds / 60)} min`;
  return seconds < 172800 ? `${Math.round(seconds / 3600)} h` : `${Math.round(seconds / 86400)} days`;
}
export { many };
