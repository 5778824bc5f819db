// The live view: camera, boxes, bars, half a minute of history, a table to take away.

import { announce, byId, clock, confirmed, make, plural, setText } from "./core.js";
import { Bars } from "./bars.js";
import { coverPicture, drawFaces, prepare } from "./draw.js";
import { cameraWords, LiveFeed, NOT_SECURE } from "./live_feed.js";
import { LiveHistory } from "./live_history.js";
import { LiveTable } from "./live_table.js";

const RATE_SECONDS = 2;

export class Live {
  constructor(info) {
    this.info = info;
    this.stage = byId("live-stage");
    this.video = byId("live-video");
    this.overlay = byId("live-overlay");
    this.bars = new Bars(byId("live-bars"), info, "live");
    this.history = new LiveHistory(byId("live-history-box"), byId("live-history"), info);
    this.table = new LiveTable(info.emotions);
    this.feed = new LiveFeed(this.video, {
      answer: (answer, delay) => this.#answer(answer, delay),
      problem: (words) => this.#say(words),
      end: (words) => { this.#stopped(); this.#say(words); },
    });
    this.wanted = null;
    this.isRecording = false;
    this.starts = 0;
    this.last = null;
    this.answers = [];
    this.origin = null;
    this.#listen();
    this.#clearView();
  }

  #listen() {
    byId("live-start").addEventListener("click", () => this.start());
    byId("live-stop").addEventListener("click", () => { this.stop(); byId("live-start").focus(); });
    byId("live-camera").addEventListener("change", () => this.start());
    byId("live-face").addEventListener("change", () => this.#choose(Number(byId("live-face").value) || null));
    byId("live-record").addEventListener("click", () => this.#record(!this.isRecording));
    byId("live-save").addEventListener("click", () => { this.table.save(); this.#rows(); });
    byId("live-clear").addEventListener("click", () => this.#discard());
    this.overlay.addEventListener("click", (event) => this.#pick(event));
    this.video.addEventListener("loadedmetadata", () => {
      if (this.video.videoWidth) this.stage.style.aspectRatio = `${this.video.videoWidth} / ${this.video.videoHeight}`;
    });
    new ResizeObserver(() => this.#draw()).observe(this.stage);
    window.addEventListener("pagehide", () => this.stop());
    document.addEventListener("visibilitychange", () => {
      if (!document.hidden || !(this.feed.isOn || this.isStarting)) return;
      this.stop();
      this.#say("The camera was stopped because you left this page. Recorded rows are kept.");
    });
    window.addEventListener("beforeunload", (event) => { if (!this.table.isSaved) event.preventDefault(); });
  }

  enter() {
    if (this.info.most_live_views === 0) {
      byId("live-start").disabled = true;
      this.#say("This server takes no live cameras.");
    } else if (!this.#canUseCamera()) this.#say(NOT_SECURE);
    this.history.draw(true);
  }

  leave() { if (this.feed.isOn || this.isStarting) this.stop(); }

  #canUseCamera() { return window.isSecureContext && Boolean(navigator.mediaDevices?.getUserMedia); }

  async start() {
    if (!this.#canUseCamera()) { this.#say(NOT_SECURE); return; }
    this.#say(null);
    byId("live-notice").hidden = true;
    byId("live-start").disabled = true;
    // Only the latest start may say how it went: another may begin while the user is being asked.
    this.starts += 1;
    const mine = this.starts;
    this.isStarting = true;
    this.wanted = null;
    this.choicesKey = null;
    setText(byId("live-idle"), "Asking for the camera …");
    byId("live-idle").hidden = false;
    // One clock for all rows in memory, so that a pause does not make times come twice.
    if (!this.table.rows.length || this.origin === null) {
      this.origin = performance.now();
      this.history.clear();
    }
    // The server counts faces anew for each view; within one table everybody has a number of their own.
    this.idsBefore = this.table.highestId;
    try {
      const hasStarted = await this.feed.start(byId("live-camera").value, () => (performance.now() - this.origin) / 1000);
      if (mine !== this.starts) return;
      this.isStarting = false;
      if (!hasStarted) { this.#stopped(); return; }
    } catch (error) {
      if (mine !== this.starts) return;
      this.isStarting = false;
      this.#stopped();
      this.#say(cameraWords(error));
      return;
    }
    byId("live-idle").hidden = true;
    byId("live-start").hidden = true;
    byId("live-stop").hidden = false;
    byId("live-numbers").hidden = false;
    byId("live-record").disabled = false;
    byId("live-stop").focus();
    announce("The camera is on.");
    this.#listCameras();
  }

  stop() {
    this.starts += 1;
    this.feed.stop();
    this.#stopped();
  }

  #stopped() {
    this.isStarting = false;
    this.#record(false);
    this.last = null;
    this.answers = [];
    byId("live-start").hidden = false;
    byId("live-start").disabled = false;
    byId("live-stop").hidden = true;
    byId("live-numbers").hidden = true;
    byId("live-record").disabled = true;
    byId("live-idle").hidden = false;
    setText(byId("live-idle"), "The camera is off.");
    this.#clearView();
  }

  #clearView() {
    this.bars.clear("No picture yet");
    this.#draw();
  }

  async #listCameras() {
    const devices = await navigator.mediaDevices.enumerateDevices().catch(() => []);
    const cameras = devices.filter((device) => device.kind === "videoinput");
    byId("live-camera-label").hidden = cameras.length < 2;
    const used = this.feed.stream?.getVideoTracks()[0]?.getSettings().deviceId;
    byId("live-camera").replaceChildren(...cameras.map((camera, at) =>
      make("option", { value: camera.deviceId, text: camera.label || `camera ${at + 1}`, selected: camera.deviceId === used })));
  }

  #say(words) {
    const box = byId("live-message");
    box.hidden = !words;
    setText(box, words ?? "");
    this.problemAt = performance.now();
  }

  #answer(answer, delay) {
    const now = performance.now();
    for (const face of answer.faces) face.face_id += this.idsBefore;
    this.last = answer;
    if (answer.notices?.length) {
      byId("live-notice").hidden = false;
      setText(byId("live-notice"), answer.notices.join(" "));
    }
    this.answers.push(now);
    while (this.answers[0] < now - RATE_SECONDS * 1000) this.answers.shift();
    this.delay = this.delay === undefined || this.answers.length === 1 ? delay : this.delay * 0.85 + delay * 0.15;
    if (!byId("live-message").hidden && now - this.problemAt > 2000) this.#say(null);
    if (!this.numbersAt || now - this.numbersAt > 500) {
      this.numbersAt = now;
      const span = (now - this.answers[0]) / 1000;
      setText(byId("live-fps"), span > 0.4 ? `${((this.answers.length - 1) / span).toFixed(1)} frames/s` : "");
      setText(byId("live-delay"), `delay ${Math.round(this.delay)} ms`);
    }
    this.#faceChoices(answer.faces);
    const face = this.#chosen();
    if (face) this.bars.show(this.#shares(face), face.valence, face.arousal);
    else this.bars.clear(this.wanted === null ? "No face in the picture" : `Face ${this.wanted} is not in the picture`);
    this.history.add((now - (this.origin ?? 0)) / 1000, answer.faces.map((f) => [f.face_id, this.#shares(f)]), face?.face_id ?? null);
    if (this.isRecording) {
      this.table.add(answer);
      if (this.table.isFull) {
        this.#record(false);
        this.#say("Recording stopped: no more rows fit into memory. Save the table.");
      }
      this.#rows();
    }
    this.#draw();
  }

  #shares(face) { return this.info.emotions.map((name) => face.probabilities[name] ?? 0); }

  #chosen() {
    const faces = this.last?.faces ?? [];
    if (this.wanted !== null) return faces.find((face) => face.face_id === this.wanted) ?? null;
    return faces.reduce((best, face) => (!best || face.w * face.h > best.w * best.h ? face : best), null);
  }

  #faceChoices(faces) {
    const ids = [...new Set([...faces.map((face) => face.face_id), ...(this.wanted === null ? [] : [this.wanted])])].sort((a, b) => a - b);
    const key = ids.join();
    if (key === this.choicesKey) return;
    this.choicesKey = key;
    const select = byId("live-face");
    select.replaceChildren(make("option", { value: "", text: "the largest" }), ...ids.map((id) => make("option", { value: id, text: `face ${id}` })));
    select.value = this.wanted === null ? "" : String(this.wanted);
  }

  #choose(id) {
    this.wanted = id;
    this.choicesKey = null;
    this.#faceChoices(this.last?.faces ?? []);
    this.history.faceId = id;
    this.#draw();
  }

  /** A click on a box chooses its face. */
  #pick(event) {
    if (!this.last) return;
    const rect = this.overlay.getBoundingClientRect();
    const x = (1 - (event.clientX - rect.left) / rect.width) * this.last.width;
    const y = ((event.clientY - rect.top) / rect.height) * this.last.height;
    const hit = this.last.faces.find((f) => x >= f.x && x <= f.x + f.w && y >= f.y && y <= f.y + f.h);
    if (hit) this.#choose(hit.face_id);
  }

  #draw() {
    if (!this.stage.clientWidth) return;
    const { width, height } = coverPicture(this.overlay, this.stage, this.video.videoWidth || 4, this.video.videoHeight || 3);
    const context = prepare(this.overlay, width, height);
    if (!this.last) return;
    const faces = this.last.faces.map((f) => ({ id: f.face_id, x: f.x, y: f.y, w: f.w, h: f.h, tracked: f.face_source === "tracked", emotion: f.emotion, confidence: f.confidence }));
    drawFaces(context, width, height, this.last, faces, this.info, { mirrored: true, chosen: faces.length > 1 ? this.#chosen()?.face_id : null });
  }

  #record(isOn) {
    if (isOn === this.isRecording) return;
    this.isRecording = isOn;
    const button = byId("live-record");
    button.setAttribute("aria-pressed", String(isOn));
    button.textContent = isOn ? "Pause recording" : this.table.rows.length ? "Record on" : "Record";
    this.recordedFrom = isOn ? performance.now() : null;
    announce(isOn ? "Recording." : "Recording stopped.");
    this.#rows();
  }

  #rows() {
    const { length } = this.table.rows;
    byId("live-save").disabled = byId("live-clear").disabled = !length;
    const words = [length ? plural(length, "row") : "No rows yet"];
    if (this.isRecording) words.unshift(`recording ${clock((performance.now() - this.recordedFrom) / 1000, 0)}`);
    else if (length) words.push(this.table.isSaved ? "saved" : "not saved yet");
    setText(byId("live-rows"), `${words.join(" · ")}.`);
  }

  async #discard() {
    if (!this.table.isSaved && !(await confirmed(`Discard ${plural(this.table.rows.length, "row")} that are not saved?`, "Discard"))) return;
    this.table.clear();
    if (!this.isRecording) byId("live-record").textContent = "Record";
    this.#rows();
  }
}
