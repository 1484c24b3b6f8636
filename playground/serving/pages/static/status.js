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
  words.textContent = text;
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
      for (let left = Math.max(1, Math.ceil(error.retryAfter ?? 2)); left > 0; left--) {
        say("busy", `${capital(error.message)}. Trying again in ${left} s`, error.hint);
        await sleep(1, signal);
      }
      say("wait", "Predicting…");
    }
  }
}

const capital = (text) => text.charAt(0).toUpperCase() + text.slice(1);
let root = "";
let last = { phase: "starting" };

async function isFailed() {
  await look();
  return last.phase === "failed";
}

async function look() {
  try {
    const response = await fetch(`${root}-/ready`, { cache: "no-store" });
    const told = await response.json();
    last = { ...told.predictor, status: told.status };
  } catch {
    last = { phase: "unreachable" };
  }
  const { phase } = last;
  chip.dataset.phase = phase;
  chip.textContent = phase === "unreachable" ? "not reachable" : phase;
  return last;
}

/** Watch the predictor from now on: the chip in the panel, and words above the map until it is ready. */
export async function watch(toRoot) {
  root = toRoot;
  let waited = false;
  for (;;) {
    const { phase, elapsed, status } = await look();
    if (phase === "ready" || phase === "busy") {
      if (waited) say("good", "The predictor is ready", "", 3);
      waited = false;
    } else if (phase === "unreachable") {
      waited = true;
      say("error", "The service cannot be reached", "it is asked again every few seconds");
    } else {
      waited = true;
      let error = last.error;
      if (phase === "failed") error = (await getJson("developer.json").catch(() => null))?.ready.error ?? error;
      const words = `${phaseInWords(phase)}${elapsed === undefined ? "" : `, for ${secondsInWords(elapsed)}`}`;
      say(phase === "failed" ? "error" : "wait", words, error || (status === "draining" ? "this server is shutting down" : ""));
    }
    await sleep(phase === "ready" || phase === "busy" ? 5 : 1);
  }
}
