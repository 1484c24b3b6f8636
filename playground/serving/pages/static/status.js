// The one line above the map that says how things are: loading, empty, busy, wrong, not ready.

import { getJson, Refused, sleep } from "./api.js";
import { phaseInWords, secondsInWords } from "./words.js";

const box = document.getElementById("status");
const chip = document.getElementById("state");
let leaves = 0;

/** Say something; kinds: wait, busy, error, good. `stay`: seconds until it goes, 0 for until something else is said. */
export function say(kind, text, hint = "", stay = 0) {
  clearTimeout(leaves);
  const words = document.createElement("p");
  const clock = document.createElement("span"); // ticks without being read aloud each time
  clock.className = "clock";
  clock.setAttribute("aria-hidden", "true");
  words.append(text, clock);
  if (hint) {
    const small = document.createElement("small");
    small.textContent = hint;
    words.append(small);
  }
  const spin = document.createElement("span");
  spin.className = "spin";
  spin.setAttribute("aria-hidden", "true");
  box.replaceChildren(...(kind === "wait" ? [spin, words] : [words]));
  box.dataset.kind = kind;
  box.hidden = false;
  if (kind === "error") {
    const close = document.createElement("button");
    close.className = "quiet";
    close.type = "button";
    close.textContent = "Close";
    close.addEventListener("click", quiet);
    box.append(close);
  }
  if (stay) leaves = setTimeout(quiet, stay * 1000);
}

/** Change the part of the line that ticks. */
export function tick(text) {
  const clock = box.querySelector(".clock");
  if (clock) clock.textContent = text;
}

export function quiet() {
  clearTimeout(leaves);
  box.hidden = true;
}

export function sayError(error) {
  if (error.name === "AbortError") return quiet();
  const hint = [error.hint, error.correlationId && error.status >= 500 ? `correlation id ${error.correlationId}` : ""];
  say("error", error.message, hint.filter(Boolean).join(" · "));
}

/** Run work; while the service is busy or not ready, count Retry-After down and try again. */
export async function patiently(work, signal) {
  for (let attempt = 0; ; attempt++) {
    try {
      return await work();
    } catch (error) {
      const mayPass = error instanceof Refused && [429, 503].includes(error.status);
      if (!mayPass || attempt >= 20) throw error;
      if (await isFailed()) throw error;
      say("busy", `${capital(error.message)}. Trying again`, error.hint);
      for (let left = Math.max(1, Math.ceil(error.retryAfter ?? 2)); left > 0; left--) {
        tick(` in ${left} s`);
        await sleep(1, signal);
      }
      say("wait", "Predicting…");
    }
  }
}

const capital = (text) => text.charAt(0).toUpperCase() + text.slice(1);
let root = "";
let address = "";
let last = { phase: "starting" };

async function isFailed() {
  await look();
  return last.phase === "failed";
}

async function look() {
  try {
    const response = await fetch(`${root}-/ready`, { cache: "no-store" });
    const told = await response.json();
    last = { ...(told.predictors?.[address] ?? told.predictor), status: told.status };
  } catch {
    last = { phase: "unreachable" };
  }
  const { phase } = last;
  chip.dataset.phase = phase;
  chip.textContent = phase === "unreachable" ? "not reachable" : phase;
  return last;
}

/** Watch the predictor from now on: the chip in the panel, and words above the map until it is ready.
 *  @param its address is empty where there is only one. */
export async function watch(toRoot, its = "") {
  root = toRoot;
  address = its;
  let told = "ready"; // what was said last
  for (;;) {
    const { phase, elapsed, status } = await look();
    const good = phase === "ready" || phase === "busy";
    const now = good ? "ready" : phase;
    if (now !== told) {
      told = now;
      if (good) say("good", "The predictor is ready", "", 3);
      else if (phase === "unreachable") say("error", "The service cannot be reached", "it is asked again every second");
      else if (phase === "failed") {
        const facts = await getJson("developer.json").catch(() => null);
        say("error", phaseInWords(phase), facts?.ready.error ?? last.error ?? "");
      } else say("wait", phaseInWords(phase), last.error || (status === "draining" ? "this server is shutting down" : ""));
    }
    if (!good && phase !== "failed" && elapsed !== undefined) tick(`, for ${secondsInWords(elapsed)}`);
    await sleep(good ? 5 : 1);
  }
}
