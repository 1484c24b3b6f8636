// Asks the service. Every address is relative to the page, so that it works below any path.
// The key lives in this tab's sessionStorage and goes nowhere but into the Authorization header.

const KEY = "playground.key";

export class Refused extends Error {
  /** An answer that is none: status, message, hint, and the seconds after which to ask again (or null). */
  constructor(status, body, retryAfter) {
    super(body.message || `the service answered ${status}`);
    this.status = status;
    this.hint = body.hint || "";
    this.correlationId = body.correlationId || "";
    this.retryAfter = retryAfter;
  }
}

let askForKey = null;
let asking = null;

/** Say who asks the person for a key: an async function that gets words and gives the key. */
export function onKeyNeeded(ask) {
  askForKey = ask;
}

export const hasKey = () => Boolean(sessionStorage.getItem(KEY));
export const forgetKey = () => sessionStorage.removeItem(KEY);

/** fetch, with the key; 401 asks the person, once for all who wait, and tries again. */
export async function ask(address, options = {}) {
  for (;;) {
    const key = sessionStorage.getItem(KEY);
    const headers = { ...options.headers, ...(key ? { Authorization: `Bearer ${key}` } : {}) };
    let response;
    try {
      response = await fetch(address, { ...options, headers });
    } catch (error) {
      if (error.name === "AbortError") throw error;
      throw new Refused(0, { message: "the service cannot be reached", hint: "is it still running?" }, 2);
    }
    if (response.ok) return response;
    const body = await response.json().catch(() => ({}));
    if (response.status === 401 && askForKey) {
      if (sessionStorage.getItem(KEY) !== key) continue; // somebody typed one meanwhile
      asking ??= askForKey(key ? body.message : "").finally(() => (asking = null));
      sessionStorage.setItem(KEY, await asking);
      continue;
    }
    const after = Number.parseFloat(response.headers.get("Retry-After"));
    throw new Refused(response.status, body, Number.isFinite(after) ? after : null);
  }
}

export const getJson = async (address, options) => (await ask(address, options)).json();

export async function postJson(address, body, options = {}) {
  const headers = { "Content-Type": "application/json", Accept: "application/json" };
  return (await ask(address, { method: "POST", headers, body: JSON.stringify(body), ...options })).json();
}

export async function postFile(address, blob, options = {}) {
  const headers = { "Content-Type": mediaType(blob), Accept: "application/json" };
  return ask(address, { method: "POST", headers, body: blob, ...options });
}

export const mediaType = (blob) => (blob.type.startsWith("image/") ? blob.type : "application/octet-stream");

/** The absolute address of a path of this service, for people to take along. */
export const addressOf = (path) => new URL(path, document.baseURI).href.split("#")[0].replace(/%7B/gi, "{").replace(/%7D/gi, "}");

/** What must not be cut off by a signal: resolves after seconds, or throws when the signal aborts. */
export function sleep(seconds, signal) {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(resolve, seconds * 1000);
    signal?.addEventListener("abort", () => {
      clearTimeout(timer);
      reject(new DOMException("cancelled", "AbortError"));
    });
  });
}
