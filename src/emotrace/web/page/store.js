// The jobs that the server has, asked for again and again while something is going on.

import { ask } from "./core.js";

const BUSY_MS = 700;
const IDLE_MS = 10_000;
const GONE_MS = 3_000;

class Store extends EventTarget {
  jobs = [];
  isLoaded = false;
  isReachable = true;
  #timer = 0;
  #changes = 0;
  #asking = null;

  get isBusy() { return this.jobs.some((job) => job.status === "waiting" || job.status === "running"); }

  find(id) { return this.jobs.find((job) => job.id === id) ?? null; }

  /** Ask now; several calls at once share one question. */
  refresh() {
    this.#asking ??= this.#ask().finally(() => { this.#asking = null; });
    return this.#asking;
  }

  async #ask() {
    clearTimeout(this.#timer);
    const changes = this.#changes;
    try {
      const { jobs } = await ask("api/jobs");
      // An answer from before something was added or removed is out of date.
      if (changes !== this.#changes) return void this.#plan(0);
      this.jobs = jobs;
      this.isLoaded = true;
      this.reached(true);
    } catch {
      this.reached(false);
    }
    this.dispatchEvent(new Event("jobs"));
    this.#plan();
  }

  #plan(soon = null) {
    clearTimeout(this.#timer);
    const wait = soon ?? (!this.isReachable ? GONE_MS : this.isBusy ? BUSY_MS : IDLE_MS);
    this.#timer = setTimeout(() => {
      if (document.hidden && !this.isBusy && this.isReachable) this.#plan();
      else this.refresh();
    }, wait);
  }

  reached(isReachable) {
    if (this.isReachable === isReachable) return;
    this.isReachable = isReachable;
    this.dispatchEvent(new Event("reachable"));
  }

  /** Take in a job that has just come, without waiting for the next question. */
  add(job) {
    this.#changes += 1;
    this.jobs = [job, ...this.jobs.filter((other) => other.id !== job.id)];
    this.dispatchEvent(new Event("jobs"));
    this.#plan();
  }

  async remove(id) {
    await ask(`api/jobs/${encodeURIComponent(id)}`, { method: "DELETE" });
    this.#changes += 1;
    this.jobs = this.jobs.filter((job) => job.id !== id);
    this.dispatchEvent(new Event("jobs"));
  }
}

export const store = new Store();
document.addEventListener("visibilitychange", () => { if (!document.hidden) store.refresh(); });
