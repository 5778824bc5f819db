// One job opened: the video with its boxes, the timeline, the bars, the tables.

import { ask, byId, clock, legendItems, make, plural, setText } from "./core.js";
import { Bars } from "./bars.js";
import { Model } from "./model.js";
import { Player } from "./player.js";
import { store } from "./store.js";
import { downloads, SegmentTable } from "./tables.js";
import { Timeline } from "./timeline.js";
import { deleteJob, isOpenable, progressWords, setProgress, STATUS_WORDS } from "./videos.js";

const KEYS = [
  [["space"], "play or pause"],
  [["←", "→"], "one frame back or on"],
  [["Shift ←", "Shift →"], "one second back or on"],
  [["[", "]"], "previous or next segment of the chosen face"],
  [["↑", "↓"], "choose another face (with the timeline in focus)"],
  [["+", "−", "0"], "zoom the timeline in, out, or show all of it"],
  [["wheel"], "over the timeline: zoom; with Shift: move along"],
];

export class Viewer {
  constructor(host, info) {
    Object.assign(this, { host, info, id: null });
    store.addEventListener("jobs", () => { if (this.id && !this.model) this.#showState(); });
    window.addEventListener("keydown", (event) => this.#key(event), true);
  }

  open(id) {
    if (this.id === id) return;
    this.close();
    this.id = id;
    this.host.replaceChildren(this.#head("…"));
    this.#showState();
    byId("viewer-title").focus({ preventScroll: true });
    window.scrollTo(0, 0);
  }

  close() {
    this.loading?.abort();
    this.loading = null;
    this.timeline?.destroy();
    this.player?.destroy();
    Object.assign(this, { id: null, model: null, timeline: null, player: null, table: null, state: null });
    this.host.replaceChildren();
  }

  #head(name, job = null) {
    return make("div", { class: "viewer-head" },
      make("a", { href: "#videos", id: "back-to-videos", text: "← All videos" }),
      make("h2", { id: "viewer-title", tabindex: "-1", text: name }),
      job ? make("button", { type: "button", class: "quiet", id: "viewer-delete", text: "Delete", on: { click: () => this.#delete() } }) : null);
  }

  async #delete() {
    const job = store.find(this.id);
    if (job && (await deleteJob(job))) location.hash = "#videos";
  }

  /** A job that is not there, not ready or failed; one that is ready is loaded. */
  #showState() {
    const job = store.find(this.id);
    if (!job) {
      if (store.isLoaded) this.#say("This video is not on the server any more.", "Not found");
      return;
    }
    if (isOpenable(job)) {
      if (!this.loading) this.#load(job);
      return;
    }
    if (!this.state || this.state.status !== job.status) {
      const bar = make("progress", { max: 1, value: 0, "aria-label": `Progress of ${job.name}` });
      const line = make("p", { class: "job-line", id: "viewer-progress" });
      this.state = { status: job.status, bar, line };
      const card = make("div", { class: "card", id: "viewer-status", role: "status" }, make("p", { text: `Status: ${STATUS_WORDS[job.status]}` }));
      if (job.status === "failed") card.append(make("p", { class: "job-error", text: job.error ?? "No reason is known." }));
      else card.append(bar, line, make("p", { class: "sub", text: "It opens here when it is done." }));
      this.host.replaceChildren(this.#head(job.name, job), card);
    }
    setProgress(this.state.bar, job);
    setText(this.state.line, progressWords(job));
  }

  #say(words, title) {
    const job = store.find(this.id);
    this.host.replaceChildren(this.#head(title ?? job?.name ?? "", job), make("p", { class: "box warn", id: "viewer-status", role: "alert", text: words }));
  }

  async #load(job) {
    const loading = new AbortController();
    this.loading = loading;
    this.host.replaceChildren(this.#head(job.name, job), make("p", { class: "sub", id: "viewer-status", role: "status", text: "Loading the timeline …" }));
    try {
      const place = `api/jobs/${encodeURIComponent(job.id)}`;
      const [whole, data] = await Promise.all(
        [place, `${place}/timeline`].map((address) => ask(address, { signal: loading.signal })));
      if (loading.signal.aborted) return;
      this.#show(whole, data);
    } catch (error) {
      if (loading.signal.aborted) return;
      console.warn(error);
      this.timeline?.destroy();
      this.player?.destroy();
      Object.assign(this, { model: null, timeline: null, player: null });
      this.#say(error.status !== undefined ? error.message : "The timeline of this video cannot be shown.");
      const again = make("button", { type: "button", class: "button", text: "Try again", on: { click: () => this.#load(job) } });
      this.host.append(again);
    }
  }

  #show(job, data) {
    const { info } = this;
    const model = new Model(data, info.emotions);
    this.model = model;
    this.job = job;
    document.title = `${job.name} · emotrace`;
    const boxes = [];
    if (job.error) boxes.push(make("p", { class: "box warn", id: "viewer-error", text: job.error }));
    if (!model.faces.length) {
      boxes.push(make("p", { class: "box", id: "no-face", text: `No face was found in any of the ${plural(model.times.length, "frame")}, so there are no predictions. If you can see a face, it may be too small (less than about 20 pixels wide), too dark, or turned away.` }));
    }
    if (job.notices?.length) {
      const words = job.notices.length > 1 ? [make("ul", {}, ...job.notices.map((text) => make("li", { text })))] : job.notices;
      boxes.push(make("div", { class: "box warn", id: "notices", role: "note" }, ...words));
    }
    if (job.run_notices?.length) {
      boxes.push(make("details", { class: "sub", id: "run-notices" }, make("summary", { text: "How it was analysed: what to know" }),
        ...job.run_notices.map((text) => make("p", { text }))));
    }
    const stage = make("div", { class: "stage", id: "stage" });
    // One frame alone has nothing to move in.
    const isStill = model.times.length < 2;
    this.select = make("select", { id: "face-select", on: { change: () => this.#choose(Number(this.select.value)) } },
      ...model.faces.map((face) => make("option", { value: face.id, text: isStill ? face.id : `${face.id} (${clock(face.starts[0], 0)} to ${clock(face.ends.at(-1), 0)})` })));
    const barsHost = make("div", { id: "bars" });
    const side = make("div", { class: "side" },
      model.faces.length ? make("label", { class: "inline" }, "Face", this.select) : null, model.faces.length ? barsHost : null,
      model.faces.length ? null : make("p", { class: "sub", text: "No face, no predictions." }));
    this.timeText = make("p", { class: "numbers", id: "now" });
    const timelineHost = make("div", {});
    this.host.replaceChildren(
      this.#head(job.name, job), ...boxes,
      make("div", { class: "card first" },
        make("div", { class: "watch" }, make("div", {}, stage, this.#controls(stage, isStill)), side)),
      make("div", { class: "card", hidden: isStill }, this.#timelineBar(), timelineHost,
        make("ul", { class: "legend", id: "legend" }, ...(model.faces.length ? legendItems(info) : []),
          model.faces.length && typeof info.uncertain_below === "number" ? make("li", {}, make("span", { class: "swatch hatched" }), "uncertain") : null,
          model.cuts.length ? make("li", { text: "┊ shot cut" }) : null),
        this.#help()),
      make("div", { class: "pair" }, make("div", { class: "card", id: "segments", hidden: isStill }), downloads(job)));
    this.bars = new Bars(barsHost, info, "now");
    this.timeline = new Timeline(timelineHost, model, info, {
      seek: (time) => this.player.seek(time),
      face: (id) => this.#choose(id),
      view: (isZoomed) => { for (const id of ["zoom-out", "zoom-all"]) byId(id).disabled = !isZoomed; },
    });
    this.table = new SegmentTable(byId("segments"), model, info, (segment) => {
      this.#choose(segment.face_id);
      this.player.seek(segment.start);
    });
    this.face = model.faces[0] ?? null;
    stage.addEventListener("playable", () => this.#sayPlayable());
    this.player = new Player(stage, job, model, info, (time, frame) => this.#now(time, frame));
    this.player.chosen = this.face?.id ?? null;
    this.player.seekFrame(0);
    this.#sayPlayable();
  }

  #sayPlayable() {
    const canPlay = this.player?.isVideo && !this.player.media.hidden;
    byId("play").disabled = !canPlay;
    for (const id of ["prev-segment", "next-segment"]) byId(id).disabled = !this.model.segments.length;
    setText(byId("play"), this.player?.isPlaying ? "Pause" : "Play");
    byId("fullscreen").hidden = !canPlay || !document.fullscreenEnabled;
  }

  #controls(stage, isStill) {
    // On narrow screens only the signs are left of "‹ frame".
    const button = (id, [before, word, after], label, click) =>
      make("button", { type: "button", class: "button", id, title: label, "aria-label": label, on: { click } }, before, make("span", { class: before || after ? "word" : "", text: word }), after);
    return make("div", { class: "toolbar controls", hidden: isStill },
      make("span", { class: "group", role: "group", "aria-label": "Move in the video" },
        button("prev-segment", ["« ", "segment", ""], "Previous segment", () => this.#segment(-1)),
        button("prev-frame", ["‹ ", "frame", ""], "Previous frame", () => this.player.step(-1)),
        make("button", { type: "button", class: "button", id: "play", text: "Play", on: { click: () => this.player.toggle() } }),
        button("next-frame", ["", "frame", " ›"], "Next frame", () => this.player.step(1)),
        button("next-segment", ["", "segment", " »"], "Next segment", () => this.#segment(1))),
      button("fullscreen", ["", "Full screen", ""], "Full screen, with boxes", () => (document.fullscreenElement ? document.exitFullscreen() : stage.requestFullscreen()).catch(() => {})),
      this.timeText);
  }

  #timelineBar() {
    const button = (id, text, label, click) => make("button", { type: "button", class: "button", id, text, title: label, "aria-label": label, on: { click } });
    return make("div", { class: "toolbar" }, make("h2", { text: "Timeline", style: { margin: "0 auto 0 0" } }),
      make("span", { class: "group", role: "group", "aria-label": "Zoom" },
        button("zoom-out", "−", "Zoom out", () => this.timeline.zoom(1 / 2)),
        button("zoom-in", "+", "Zoom in", () => this.timeline.zoom(2)),
        button("zoom-all", "all", "Show the whole video", () => this.timeline.showAll())));
  }

  #help() {
    return make("details", { id: "timeline-help" }, make("summary", { text: "Keys and mouse" }),
      make("dl", { class: "keys" }, ...KEYS.flatMap(([keys, words]) => [
        make("dt", {}, ...keys.flatMap((key, at) => [at ? " " : null, make("kbd", { text: key })])), make("dd", { text: words })])));
  }

  #choose(id) {
    const face = this.model.byId.get(id);
    if (!face || face === this.face) return;
    this.face = face;
    this.select.value = String(id);
    this.player.chosen = id;
    this.player.draw();
    this.timeline.setFace(face);
    this.#now(this.player.time, this.player.frame);
  }

  /** Another frame is shown: everything that depends on it follows. */
  #now(time, frame) {
    if (!this.player && !this.timeline) return;
    const { face, model } = this;
    const at = face ? face.find(frame) : -1;
    if (face) {
      if (at >= 0) this.bars.show(face.shares(at), face.valence[at], face.arousal[at]);
      else this.bars.clear(`Face ${face.id} is not in this frame`);
    }
    const words = model.times.length ? `${clock(time, 2)}, frame ${(frame + 1).toLocaleString("en")} of ${model.times.length.toLocaleString("en")}` : "no frames";
    setText(this.timeText, words);
    this.timeline.setNow(time, words);
    this.table.mark(face ? model.segmentAt(face, time) : null);
  }

  #segment(direction) {
    const segments = this.face?.segments ?? [];
    const { time } = this.player;
    const next = direction > 0 ? segments.find((s) => s.start > time + 1e-6) : segments.findLast((s) => s.start < time - 1e-6);
    if (next) this.player.seek(next.start);
  }

  #key(event) {
    if (!this.player || this.host.hidden || this.host.closest("[hidden]")) return;
    // Many keyboards write [ and ] with AltGr, which some systems tell as Ctrl and Alt.
    const isShortcut = (event.ctrlKey || event.metaKey || event.altKey) && !event.getModifierState("AltGraph");
    if (isShortcut || document.querySelector("dialog[open]")) return;
    const { target } = event;
    if (target.closest?.("input, select, textarea, [role=tab]")) return;
    // The player's own controls and buttons have a use for the space bar.
    if (event.key === " " && target.closest?.("video, button, a, summary")) return;
    // What scrolls takes the arrows up and down.
    const isVertical = event.key === "ArrowUp" || event.key === "ArrowDown";
    if (isVertical && target.id !== "timeline") return;
    const second = event.shiftKey;
    const actions = {
      " ": () => this.player.toggle(),
      ArrowLeft: () => (second ? this.#jump(-1) : this.player.step(-1)),
      ArrowRight: () => (second ? this.#jump(1) : this.player.step(1)),
      ArrowUp: () => this.#otherFace(-1),
      ArrowDown: () => this.#otherFace(1),
      "[": () => this.#segment(-1),
      "]": () => this.#segment(1),
      "+": () => this.timeline.zoom(2),
      "=": () => this.timeline.zoom(2),
      "-": () => this.timeline.zoom(1 / 2),
      0: () => this.timeline.showAll(),
      Home: target.id === "timeline" ? () => this.player.seekFrame(0) : null,
      End: target.id === "timeline" ? () => this.player.seekFrame(this.model.times.length - 1) : null,
    };
    const action = actions[event.key];
    if (!action) return;
    event.preventDefault();
    event.stopPropagation();
    action();
  }

  #jump(seconds) { this.player.seek(this.player.time + seconds); }

  #otherFace(by) {
    const at = this.model.faces.indexOf(this.face) + by;
    if (this.model.faces[at]) this.#choose(this.model.faces[at].id);
  }
}
