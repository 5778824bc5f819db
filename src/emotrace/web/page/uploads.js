// Choosing, dropping and sending files, one after the other, with the chosen settings.

import { announce, byId, bytes, errorFrom, make, setText } from "./core.js";
import { store } from "./store.js";

const KEPT = "emotrace-settings";

export class Uploads {
  /** `onJob(job)` is called for each file that the server has taken in. */
  constructor(info, { onJob, onChosen }) {
    Object.assign(this, { info, onJob, onChosen });
    this.queue = [];
    this.current = null;
    this.#fillSettings();
    const input = byId("file-input");
    byId("choose-files").addEventListener("click", () => input.click());
    input.addEventListener("change", () => { this.add([...input.files]); input.value = ""; });
    this.#listenForDrops();
    window.addEventListener("beforeunload", (event) => { if (this.current) event.preventDefault(); });
  }

  get isBusy() { return this.current !== null; }

  options() {
    const every = Math.max(1, Math.min(1000, Math.round(Number(byId("setting-detect-every").value) || 1)));
    return {
      prior: byId("setting-prior").value,
      detector: byId("setting-detector").value,
      detect_every: every,
      neutral_baseline: byId("setting-neutral-baseline").checked,
      annotated: byId("setting-annotated").checked,
    };
  }

  #fillSettings() {
    const choices = (id, names) => byId(id).replaceChildren(...names.map((name) => make("option", { value: name, text: name })));
    choices("setting-prior", this.info.priors);
    choices("setting-detector", this.info.detectors);
    let kept = {};
    try { kept = JSON.parse(localStorage.getItem(KEPT)) ?? {}; } catch { /* nothing kept, or not allowed */ }
    if (this.info.priors.includes(kept.prior)) byId("setting-prior").value = kept.prior;
    if (this.info.detectors.includes(kept.detector)) byId("setting-detector").value = kept.detector;
    if (kept.detect_every > 1) byId("setting-detect-every").value = kept.detect_every;
    byId("setting-neutral-baseline").checked = kept.neutral_baseline === true;
    byId("setting-annotated").checked = kept.annotated === true;
    byId("settings").addEventListener("change", () => {
      const options = this.options();
      byId("setting-detect-every").value = options.detect_every;
      try { localStorage.setItem(KEPT, JSON.stringify(options)); } catch { /* not kept then */ }
      this.#sayChanged();
    });
    this.#sayChanged();
    if (this.info.max_upload_bytes) byId("drop-hint").textContent += ` Up to ${bytes(this.info.max_upload_bytes)} each.`;
  }

  #sayChanged() {
    const words = optionWords(this.options(), this.info);
    byId("settings-summary").textContent = words.length ? words.join(" · ") : "as usual";
  }

  #listenForDrops() {
    const veil = byId("drop-veil");
    const hasFiles = (event) => [...(event.dataTransfer?.types ?? [])].includes("Files");
    let depth = 0;
    const over = (is) => { veil.hidden = !is; if (!is) depth = 0; };
    window.addEventListener("dragenter", (event) => { if (hasFiles(event)) { event.preventDefault(); depth += 1; over(true); } });
    window.addEventListener("dragover", (event) => { if (hasFiles(event)) { event.preventDefault(); event.dataTransfer.dropEffect = "copy"; } });
    window.addEventListener("dragleave", (event) => { if (hasFiles(event)) { depth -= 1; if (depth <= 0) over(false); } });
    window.addEventListener("drop", (event) => {
      if (!hasFiles(event)) return;
      event.preventDefault();
      over(false);
      const folders = [...event.dataTransfer.items].filter((item) => item.webkitGetAsEntry?.()?.isDirectory).length;
      const entries = [...event.dataTransfer.items].map((item) => ({ file: item.getAsFile(), isFolder: item.webkitGetAsEntry?.()?.isDirectory }));
      this.add(entries.filter((entry) => entry.file && !entry.isFolder).map((entry) => entry.file), folders ? ["A folder cannot be taken: drop the files in it."] : []);
    });
  }

  /** Line files up; those that cannot be taken are said at once. */
  add(files, problems = []) {
    this.onChosen();
    const most = this.info.max_upload_bytes;
    for (const file of files) {
      if (!file.size) problems.push(`${file.name} is empty.`);
      else if (most && file.size > most) {
        problems.push(`${file.name} is too large: it has ${bytes(file.size)}, and this server takes up to ${bytes(most)}.`);
      } else this.queue.push(this.#row(file));
    }
    const box = byId("upload-problem");
    box.hidden = !problems.length;
    box.replaceChildren(...problems.map((words) => make("span", { text: words, style: { display: "block" } })));
    this.#next();
  }

  #row(file) {
    const item = { file, options: this.options() };
    item.line = make("p", { class: "job-line", text: "waits to be sent" });
    item.bar = make("progress", { max: 1, value: 0, "aria-label": `Sending ${file.name}` });
    item.error = make("p", { class: "job-error", role: "alert", hidden: true });
    item.retry = make("button", { type: "button", class: "button", text: "Try again", hidden: true, on: { click: () => this.#retry(item) } });
    item.cancel = make("button", { type: "button", class: "button", text: "Cancel", "aria-label": `Cancel ${file.name}`, "data-testid": "upload-cancel", on: { click: () => this.#cancel(item) } });
    item.node = make("li", { class: "job", "data-testid": "upload" },
      make("div", { class: "job-head" }, make("span", { class: "job-name", text: file.name }), make("span", { class: "job-actions" }, item.retry, item.cancel)),
      item.bar, item.line, item.error);
    byId("uploads").append(item.node);
    return item;
  }

  #next() {
    if (this.current || !this.queue.length) return;
    const item = this.queue.shift();
    this.current = item;
    const request = new XMLHttpRequest();
    item.request = request;
    const started = performance.now();
    request.open("POST", `api/jobs?${new URLSearchParams({ name: item.file.name, ...item.options })}`);
    request.setRequestHeader("Content-Type", "application/octet-stream");
    request.upload.addEventListener("progress", (event) => {
      const share = event.total ? event.loaded / event.total : 0;
      item.bar.value = share;
      const speed = event.loaded / Math.max(0.001, (performance.now() - started) / 1000);
      setText(item.line, share < 1 ? `sending: ${bytes(event.loaded)} of ${bytes(event.total)}, ${bytes(Math.round(speed))}/s` : "sent; the server takes it in");
    });
    request.addEventListener("load", () => {
      if (request.status >= 200 && request.status < 300) this.#taken(item);
      else this.#failed(item, errorFrom(request.responseText, request.status).message);
    });
    request.addEventListener("error", () => {
      this.#failed(item, "The connection broke off while the file was sent.");
      store.refresh();
    });
    request.addEventListener("abort", () => { item.node.remove(); this.#done(); });
    setText(item.line, "sending");
    request.send(item.file);
  }

  #taken(item) {
    let job = null;
    try { job = JSON.parse(item.request.responseText); } catch { /* said below */ }
    if (!job?.id) { this.#failed(item, "The server's answer cannot be read."); return; }
    item.node.remove();
    announce(`${item.file.name} is sent.`);
    store.add(job);
    this.onJob(job);
    this.#done();
  }

  #failed(item, words) {
    item.error.textContent = words;
    item.error.hidden = false;
    item.bar.hidden = true;
    setText(item.line, "not sent");
    item.retry.hidden = false;
    item.cancel.textContent = "Remove";
    item.cancel.setAttribute("aria-label", `Remove ${item.file.name}`);
    item.hasFailed = true;
    this.#done();
  }

  #done() {
    this.current = null;
    this.#next();
  }

  #retry(item) {
    item.node.remove();
    this.queue.push(this.#row(item.file));
    this.#next();
  }

  #cancel(item) {
    if (item === this.current) item.request.abort();
    else {
      this.queue = this.queue.filter((other) => other !== item);
      item.node.remove();
    }
    byId("choose-files").focus();
  }
}

/** What is set otherwise than usual, in words. */
export function optionWords(options, info) {
  const words = [];
  if (options.prior && options.prior !== info.priors[0]) words.push(`prior ${options.prior}`);
  if (options.detector && options.detector !== info.detectors[0]) words.push(`detector ${options.detector}`);
  if (options.detect_every > 1) words.push(`faces looked for in one of ${options.detect_every} frames`);
  if (options.neutral_baseline) words.push("resting expression taken out");
  if (options.annotated) words.push("annotated video");
  return words;
}
