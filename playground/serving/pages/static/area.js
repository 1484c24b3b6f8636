// An area, tile by tile: those in view first, several at a time; cancel, retry, and join at the end.
//
// The tiles are asked for one by one, not by one request for the area, so that there is progress, the order follows the
// view, one failed tile costs one tile, and no limit or deadline of one request applies. What tile edges have cut is
// joined by the service itself (/join) when all are there.

import { postJson, Refused, sleep } from "./api.js";
import { boundsOf, tileName } from "./cover.js";

const ATTEMPTS = 4;

export class AreaRun extends EventTarget {
  /** @param tiles what to predict; @param several how many at a time; @param centre gives [lng, lat] of the view. */
  constructor(tiles, several, centre) {
    super();
    this.several = several;
    this.centre = centre;
    this.waiting = [...tiles];
    this.total = tiles.length;
    this.answers = new Map();
    this.failed = new Map();
    this.missing = 0;
    this.stopper = null;
  }

  get done() {
    return this.answers.size + this.failed.size + this.missing;
  }
  get running() {
    return this.stopper !== null;
  }

  /** Predict what waits; resolves when nothing does any more, or it was cancelled. */
  async start() {
    this.stopper = new AbortController();
    const { signal } = this.stopper;
    this.emit("progress");
    await Promise.all(Array.from({ length: this.several }, () => this.work(signal)));
    const cancelled = signal.aborted;
    this.stopper = null;
    this.emit("end", { cancelled });
  }

  cancel() {
    this.stopper?.abort();
  }

  /** Put what failed back among what waits. */
  retry() {
    this.waiting.push(...[...this.failed.values()].map(({ tile }) => tile));
    this.failed.clear();
    return this.start();
  }

  /** The tile nearest to the middle of the view. */
  take() {
    const [lng, lat] = this.centre();
    let best = 0;
    let least = Infinity;
    this.waiting.forEach((tile, place) => {
      const [[south, west], [north, east]] = boundsOf(tile);
      const away = Math.abs((west + east) / 2 - lng);
      const distance = Math.min(away, 360 - away) ** 2 + ((south + north) / 2 - lat) ** 2;
      if (distance < least) [best, least] = [place, distance];
    });
    return this.waiting.splice(best, 1)[0];
  }

  async work(signal) {
    while (this.waiting.length && !signal.aborted) {
      const tile = this.take();
      try {
        await this.predict(tile, signal);
      } catch (error) {
        if (error.name === "AbortError") this.waiting.push(tile);
        else this.failed.set(tileName(tile), { tile, error });
      }
      this.emit("progress");
    }
  }

  async predict(tile, signal) {
    for (let attempt = 1; ; attempt++) {
      try {
        const answer = await postJson("predict", tile, { signal });
        this.answers.set(tileName(tile), { tile, answer });
        this.emit("tile", { tile, answer });
        return;
      } catch (error) {
        if (error instanceof Refused && error.status === 404) {
          this.missing += 1;
          return;
        }
        const mayPass = error instanceof Refused && [0, 429, 500, 502, 503, 504].includes(error.status);
        if (!mayPass || attempt >= ATTEMPTS * (error.status === 503 || error.status === 429 ? 5 : 1)) throw error;
        await sleep(error.retryAfter ?? 0.5 * 2 ** attempt, signal);
      }
    }
  }

  reports() {
    return [...this.answers.values()].map(({ answer }) => answer.report);
  }

  emit(name, detail) {
    this.dispatchEvent(new CustomEvent(name, { detail }));
  }
}
