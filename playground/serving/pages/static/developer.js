// The developer page: what the predictor does, and what was asked lately; looked at again every two seconds.

import { getJson, onKeyNeeded } from "./api.js";
import { askForKey } from "./login.js";
import { $, element, milliseconds } from "./panel.js";
import { secondsInWords } from "./words.js";

const text = (id, words) => {
  if ($(id).textContent !== words) $(id).textContent = words; // a selection in it stays
  $(id).hidden = !words;
};

function showPredictor({ ready, worker, workers, service }) {
  $("state").dataset.phase = ready.phase;
  $("state").textContent = ready.phase;
  const facts = [
    ["Phase", ready.phase],
    ["For", secondsInWords(ready.elapsed)],
    ["Restarts", ready.restarts],
    ["Python", ready.python ?? "–"],
    ["Process", ready.pid ?? "–"],
    ["Worker", workers > 1 ? `${worker} (one of ${workers})` : worker],
    ["Zoom", service.zoom_level],
    ["Padding", `${service.padding} px`],
    ["playground", service.playground],
  ];
  $("predictor").replaceChildren(
    ...facts.map(([name, value]) => {
      const pair = element("div");
      pair.append(element("dt", name), element("dd", String(value)));
      return pair;
    }),
  );
  $("failure").hidden = !ready.error && !ready.output.length;
  text("error", ready.error ?? "");
  text("traceback", ready.traceback ?? "");
  text("output", ready.output.join("\n"));
  $("output-title").hidden = !ready.output.length;
}

function showRequests({ requests, now }) {
  $("requests").hidden = !requests.length;
  $("none").hidden = Boolean(requests.length);
  $("requests").tBodies[0].replaceChildren(...requests.map((each) => requestRow(each, now)));
}

function requestRow(each, now) {
  const row = element("tr");
  const number = (value) => element("td", value === undefined ? "–" : milliseconds(value), { className: "number" });
  const what = element("td", `${each.method} ${each.path}`);
  if (each.tile && !each.path.includes(each.tile)) what.append(element("small", `tile ${each.tile}`));
  const outcome = element("td", "", { className: "words" });
  outcome.append(element("span", each.outcome.replaceAll("_", " "), { className: each.status >= 400 ? "bad" : "" }));
  if (each.error) outcome.append(element("small", each.error));
  const { timing = {} } = each;
  const objects = element("td", each.features === undefined ? "–" : each.features.toLocaleString("en"), { className: "number" });
  const when = element("td", `${secondsInWords(Math.max(0, now - each.time))} ago`, { title: each.correlationId });
  row.append(when, what, element("td", String(each.status)), outcome, objects, number(timing.queue), number(timing.fetch), number(timing.predict), number(timing.total ?? each.milliseconds));
  return row;
}

function showLog({ log }) {
  $("no-log").hidden = log !== null;
  if (log !== null) text("log", log.map((line) => `${new Date(line.time * 1000).toISOString().slice(11, 23)}  ${line.level.padEnd(7)} ${line.text}`).join("\n") || "nothing yet");
}

async function look() {
  const told = await getJson("developer.json");
  document.title = `${told.title} · developer`;
  $("title").textContent = told.title;
  $("subtitle").textContent = told.service.predictor;
  for (const link of document.querySelectorAll("[data-root]")) link.href = told.root + link.getAttribute("href").replace(/^(\.\.\/)+/, "");
  showPredictor(told);
  showRequests(told);
  showLog(told);
}

onKeyNeeded(askForKey);
let described = false;
for (;;) {
  try {
    await look();
    if (!described) $("describe").textContent = JSON.stringify(await getJson("api/v1/describe"), null, 2);
    described = true;
    $("problem").hidden = true;
  } catch (error) {
    $("problem").textContent = [error.message, error.hint].filter(Boolean).join(": ");
    $("problem").hidden = false;
  }
  await new Promise((resolve) => setTimeout(resolve, 2000));
}
