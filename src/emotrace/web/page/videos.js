// The list of jobs: status, progress, what went wrong, open, delete.

import { announce, byId, bytes, confirmed, make, plural, remaining, setText } from "./core.js";
import { store } from "./store.js";
import { optionWords } from "./uploads.js";

export const STATUS_WORDS = { waiting: "waiting", running: "running", done: "done", damaged: "partly done", failed: "failed" };

export const isOpenable = (job) => job.status === "done" || job.status === "damaged";

/** "120 of 472 frames · 148 frames/s · 12 s left" */
export function progressWords(job) {
  if (job.status === "waiting") return job.position > 1 ? `number ${job.position} in the queue` : "next in the queue";
  const progress = job.progress;
  if (!progress) return "starting";
  const words = [progress.frames_expected
    ? `${progress.frames_done.toLocaleString("en")} of ${plural(progress.frames_expected, "frame")}`
    : plural(progress.frames_done, "frame")];
  if (progress.frames_per_second) words.push(`${progress.frames_per_second < 10 ? progress.frames_per_second.toFixed(1) : Math.round(progress.frames_per_second)} frames/s`);
  if (progress.seconds_left !== null && progress.seconds_left !== undefined) words.push(remaining(progress.seconds_left));
  return words.join(" · ");
}

/** Set a progress bar, or let it run where the end is not known. */
export function setProgress(bar, job) {
  const progress = job.progress;
  if (job.status === "waiting") bar.value = 0;
  else if (progress?.frames_expected) bar.value = Math.min(1, progress.frames_done / progress.frames_expected);
  else bar.removeAttribute("value");
}

export async function deleteJob(job) {
  const isUnderWay = job.status === "waiting" || job.status === "running";
  const question = isUnderWay
    ? `Stop the analysis of ${job.name} and delete the video from this server?`
    : `Delete ${job.name} and its results from this server? This cannot be undone.`;
  if (!(await confirmed(question))) return false;
  try {
    await store.remove(job.id);
    announce(`${job.name} is deleted.`);
    return true;
  } catch (error) {
    if (error.status === 404) { store.refresh(); return true; }
    byId("upload-problem").hidden = false;
    byId("upload-problem").textContent = `${job.name} could not be deleted. ${error.message}`;
    return false;
  }
}

export class JobList {
  constructor(info) {
    this.info = info;
    this.rows = new Map();
    store.addEventListener("jobs", () => this.#update());
    this.#update();
  }

  #update() {
    const list = byId("jobs");
    byId("jobs-empty").hidden = store.jobs.length > 0 || !store.isLoaded;
    const present = new Set(store.jobs.map((job) => job.id));
    for (const [id, row] of this.rows) {
      if (present.has(id)) continue;
      const hadFocus = row.node.contains(document.activeElement);
      row.node.remove();
      this.rows.delete(id);
      if (hadFocus) byId("choose-files").focus();
    }
    store.jobs.forEach((job, at) => {
      let row = this.rows.get(job.id);
      if (!row) {
        row = this.#makeRow(job);
        this.rows.set(job.id, row);
      }
      if (list.children[at] !== row.node) list.insertBefore(row.node, list.children[at] ?? null);
      this.#fillRow(row, job);
    });
  }

  #makeRow(job) {
    const row = { job, status: null };
    row.link = make("a", { href: `#job=${encodeURIComponent(job.id)}`, text: job.name });
    row.name = make("span", { class: "job-name" }, row.link);
    row.badge = make("span", { class: "status", "data-testid": "job-status" });
    row.open = make("a", { href: `#job=${encodeURIComponent(job.id)}`, class: "button", text: "Open", "aria-label": `Open ${job.name}`, "data-testid": "job-open" });
    row.remove = make("button", { type: "button", class: "button", text: "Delete", "aria-label": `Delete ${job.name}`, "data-testid": "job-delete", on: { click: () => deleteJob(row.job) } });
    row.bar = make("progress", { max: 1, value: 0, "aria-label": `Progress of ${job.name}`, "data-testid": "job-bar" });
    row.progress = make("p", { class: "job-line", "data-testid": "job-progress" });
    row.error = make("p", { class: "job-error", "data-testid": "job-error", hidden: true });
    row.facts = make("p", { class: "job-line" });
    row.node = make("li", { class: "job", "data-testid": "job", "data-job-id": job.id },
      make("div", { class: "job-head" }, row.name, row.badge, make("span", { class: "job-actions" }, row.open, row.remove)),
      row.bar, row.progress, row.error, row.facts);
    return row;
  }

  #fillRow(row, job) {
    row.job = job;
    const isUnderWay = job.status === "waiting" || job.status === "running";
    if (row.status !== job.status) {
      if (row.status !== null && !isUnderWay) announce(`${job.name}: ${STATUS_WORDS[job.status]}.${job.error ? ` ${job.error}` : ""}`);
      row.status = job.status;
      row.badge.dataset.status = job.status;
      setText(row.badge, STATUS_WORDS[job.status] ?? job.status);
    }
    row.open.hidden = !isOpenable(job);
    row.bar.hidden = job.status !== "running";
    row.progress.hidden = !isUnderWay;
    if (isUnderWay) {
      setProgress(row.bar, job);
      setText(row.progress, progressWords(job));
    }
    row.error.hidden = !job.error;
    setText(row.error, job.error ?? "");
    setText(row.facts, [bytes(job.size_bytes), when(job.created), ...optionWords(job.options ?? {}, this.info)].filter(Boolean).join(" · "));
  }
}

/** A time of day, with the date where it is not today's. */
export function when(iso) {
  const date = new Date(iso);
  if (Number.isNaN(date.getTime())) return "";
  const time = date.toLocaleTimeString("en-GB", { hour: "2-digit", minute: "2-digit" });
  return date.toDateString() === new Date().toDateString() ? `today ${time}` : `${date.toLocaleDateString("en-GB", { day: "numeric", month: "short", year: "numeric" })} ${time}`;
}

