// The panel: counts and filters, the chosen object, time and report of the last answer.

import { many, reportInWords } from "./words.js";

export const $ = (id) => document.getElementById(id);

const STEPS = [
  ["queue", "waiting", "#e0a030"],
  ["fetch", "imagery", "#3f8fdc"],
  ["decode", "decode", "#8a63d2"],
  ["encode", "encode", "#b070c0"],
  ["predict", "predictor", "#2f9e6e"],
  ["format", "format", "#7a8794"],
];

export function element(name, text = "", properties = {}) {
  const made = Object.assign(document.createElement(name), properties);
  if (text !== "") made.textContent = text;
  return made;
}

/** Counts by class, each with a box to show or hide it. */
export function showCounts(results, asked) {
  const counts = results.counts();
  const all = counts.reduce((sum, count) => sum + count.all, 0);
  const shown = counts.reduce((sum, count) => sum + count.shown, 0);
  $("found").hidden = !asked && !all;
  $("count").textContent = all === 0 ? "Nothing found here" : shown === all ? many(all, "object") : `${shown.toLocaleString("en")} of ${many(all, "object")}`;
  const names = counts.map((count) => count.name).join("\n");
  const list = $("classes");
  if (list.dataset.names !== names) {
    list.dataset.names = names;
    list.replaceChildren(...counts.map((count) => classRow(count, results)));
  }
  for (const [place, count] of counts.entries()) {
    const row = list.children[place];
    row.querySelector(".number").textContent = count.shown === count.all ? count.all.toLocaleString("en") : `${count.shown.toLocaleString("en")} / ${count.all.toLocaleString("en")}`;
    row.querySelector("input").checked = !results.hidden.has(count.name);
  }
  $("download").disabled = shown === 0;
}

function classRow(count, results) {
  const row = element("li");
  const label = element("label");
  const box = element("input", "", { type: "checkbox", checked: true });
  box.addEventListener("change", () => {
    if (box.checked) results.hidden.delete(count.name);
    else results.hidden.add(count.name);
    results.filter();
  });
  const swatch = element("span", "", { className: "swatch" });
  swatch.style.background = count.colour;
  label.append(box, swatch, element("span", count.name, { className: "name" }), element("span", "", { className: "number" }));
  row.append(label);
  return row;
}

/** The properties of the chosen object. */
export function showObject(feature) {
  $("object").hidden = !feature;
  if (!feature) return;
  const properties = { ...feature.properties };
  if (properties.score === properties.confidence) delete properties.score;
  if (Array.isArray(properties.categories) && properties.categories.length <= 1) delete properties.categories;
  if (Array.isArray(properties.tiles)) properties.tiles = properties.tiles.length > 3 ? properties.tiles.length : properties.tiles.join(", ");
  if (properties.confidence_max === properties.confidence) delete properties.confidence_max;
  const rows = [["shape", feature.geometry.type], ...Object.entries(properties)];
  $("properties").replaceChildren(
    ...rows.flatMap(([name, value]) => [element("dt", name), element("dd", inWords(value))]),
  );
}

function inWords(value) {
  if (typeof value === "number") return String(Math.round(value * 1e6) / 1e6);
  if (value === null) return "–";
  return typeof value === "object" ? JSON.stringify(value) : String(value);
}

/** Where the time went, and what became of what the predictor found. */
export function showAnswer(timing, report, title = "Time") {
  $("answer").hidden = !timing && !report;
  if (!timing && !report) return;
  document.querySelector("#answer h3").textContent = title;
  const steps = STEPS.filter(([key]) => timing?.[key] !== undefined).map(([key, name, colour]) => ({ name, colour, value: timing[key] }));
  const sum = steps.reduce((total, step) => total + step.value, 0);
  const rest = (timing?.total ?? sum) - sum;
  if (steps.length && rest > 0.05 * timing.total) steps.push({ name: "other", colour: "#b9c2cc", value: rest });
  $("total").textContent = timing?.total === undefined ? "" : milliseconds(timing.total);
  $("bar").hidden = $("steps").hidden = !steps.length;
  $("bar").setAttribute("aria-label", steps.map((step) => `${step.name} ${milliseconds(step.value)}`).join(", "));
  $("bar").replaceChildren(
    ...steps.map((step) => {
      const part = element("span", "", { title: `${step.name} ${milliseconds(step.value)}` });
      part.style.background = step.colour;
      part.style.flexGrow = String(Math.max(step.value, 0.001));
      return part;
    }),
  );
  $("steps").replaceChildren(
    ...steps.map((step) => {
      const row = element("li");
      const swatch = element("i");
      swatch.style.background = step.colour;
      row.append(swatch, `${step.name} ${milliseconds(step.value)}`);
      return row;
    }),
  );
  $("report").replaceChildren(...reportInWords(report).map((line) => element("li", line.text, { className: line.note ? "note" : "" })));
}

export const milliseconds = (value) => (value >= 1000 ? `${(value / 1000).toFixed(1)} s` : `${value < 10 ? value.toFixed(1) : Math.round(value)} ms`);
