// The drawn timeline: a lane per face, the chosen face's shares, a clock, a playhead, zoom.

import { clock, faceColor, make, palette, percent, textOn } from "./core.js";
import { FONT, hatching, prepare, stackAreas } from "./draw.js";
import { countUpTo } from "./model.js";
import { attachPointers } from "./timeline_pointer.js";

const LANE = 30;
const LANES_SHOWN = 9;
const PLOT_TOP = 26;
const PLOT = 132;
const AXIS = 26;
const STEPS = [0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200];

export class Timeline {
  /** `on` = {seek(seconds), face(id)}: what clicks ask for. */
  constructor(host, model, info, on) {
    Object.assign(this, { host, model, info, on });
    this.face = model.faces[0] ?? null;
    this.now = model.start;
    this.hover = null;
    this.from = model.start;
    this.to = model.end;
    this.colors = info.emotions.map((name) => info.colors[name]);
    this.doubts = new Map(model.faces.map((face) => [face.id, face.doubts(info.uncertain_below)]));
    this.#build();
    this.gone = new AbortController();
    const { signal } = this.gone;
    this.watcher = new ResizeObserver(() => this.redraw());
    this.watcher.observe(host);
    this.lanes.addEventListener("scroll", () => this.redraw(), { signal });
    window.addEventListener("themechange", () => this.redraw(), { signal });
    attachPointers(this, signal);
    this.redraw();
  }

  destroy() {
    this.gone.abort();
    this.watcher.disconnect();
    cancelAnimationFrame(this.pending);
    cancelAnimationFrame(this.pendingTop);
  }

  #build() {
    const count = this.model.faces.length;
    this.lanesHeight = Math.min(count, LANES_SHOWN) * LANE + (count > LANES_SHOWN ? LANE / 2 : 0);
    this.lanesCanvas = make("canvas", { "aria-hidden": "true" });
    this.plotCanvas = make("canvas", { "aria-hidden": "true" });
    this.topCanvas = make("canvas", { class: "top-layer", "aria-hidden": "true" });
    this.tip = make("div", { class: "tip", hidden: true });
    // The spacer is as tall as all lanes, the canvas only as what is seen of them.
    this.lanes = make("div", { class: "lanes", style: { height: `${this.lanesHeight}px` } },
      make("div", { style: { height: `${count * LANE}px` } }, this.lanesCanvas));
    this.area = make("div", {
      class: "timeline", id: "timeline", role: "slider", tabindex: "0", "aria-label": "Time in the video",
      "aria-orientation": "horizontal", "aria-describedby": "timeline-help",
    }, this.lanes, this.plotCanvas, this.topCanvas, this.tip);
    this.thumb = make("div");
    this.pan = make("div", { class: "pan", id: "timeline-pan", "aria-hidden": "true", hidden: true }, this.thumb);
    this.host.replaceChildren(this.area, this.pan);
  }

  x(time) { return this.left + ((time - this.from) / (this.to - this.from)) * this.plotWidth; }

  time(x) { return this.from + ((x - this.left) / this.plotWidth) * (this.to - this.from); }

  get isZoomed() { return this.from > this.model.start + 1e-6 || this.to < this.model.end - 1e-6; }

  setFace(face) {
    this.face = face;
    const at = this.model.faces.indexOf(face);
    if (at >= 0) {
      const [top, seen] = [this.lanes.scrollTop, this.lanesHeight];
      if (at * LANE < top) this.lanes.scrollTop = at * LANE;
      else if ((at + 1) * LANE > top + seen) this.lanes.scrollTop = (at + 1) * LANE - seen;
    }
    this.redraw();
  }

  /** Move the playhead; the window follows it. */
  setNow(time, words) {
    this.now = time;
    this.area.setAttribute("aria-valuemin", this.model.start.toFixed(2));
    this.area.setAttribute("aria-valuemax", this.model.end.toFixed(2));
    this.area.setAttribute("aria-valuenow", time.toFixed(2));
    this.area.setAttribute("aria-valuetext", words);
    const span = this.to - this.from;
    if (this.isZoomed && !this.isDragging && (time < this.from || time > this.to)) {
      this.show(time - span * 0.1, time + span * 0.9);
    } else this.redrawTop();
  }

  /** Zoom by a factor (above 1: closer) so that `around` stays where it is. */
  zoom(factor, around = this.now >= this.from && this.now <= this.to ? this.now : (this.from + this.to) / 2) {
    const span = (this.to - this.from) / factor;
    const share = (around - this.from) / (this.to - this.from);
    this.show(around - span * share, around + span * (1 - share));
  }

  /** Show the times from `from` to `to`, as far as there are any. */
  show(from, to) {
    const { start, end, step } = this.model;
    const span = Math.min(end - start, Math.max(to - from, 6 * step));
    this.from = Math.max(start, Math.min(from, end - span));
    this.to = this.from + span;
    this.redraw();
  }

  showAll() { this.show(this.model.start, this.model.end); }

  redraw() {
    if (this.pending) return;
    this.pending = requestAnimationFrame(() => { this.pending = 0; this.#draw(); });
  }

  redrawTop() {
    if (this.pending || this.pendingTop) return;
    this.pendingTop = requestAnimationFrame(() => { this.pendingTop = 0; this.#drawTop(); });
  }

  #draw() {
    const width = this.lanes.clientWidth || this.host.clientWidth;
    if (!width) return;
    this.width = width;
    this.left = width < 520 ? 46 : this.model.faces.some((face) => face.id > 99) ? 88 : 80;
    this.plotWidth = Math.max(10, width - this.left - 10);
    this.theme = palette();
    this.#drawLanes();
    this.#drawPlot();
    this.#drawTop();
    const whole = this.model.end - this.model.start;
    this.pan.hidden = !this.isZoomed;
    this.thumb.style.left = `${((this.from - this.model.start) / whole) * 100}%`;
    this.thumb.style.width = `${((this.to - this.from) / whole) * 100}%`;
    this.on.view?.(this.isZoomed);
  }

  #drawLanes() {
    const { theme, model } = this;
    const context = prepare(this.lanesCanvas, this.width, this.lanesHeight);
    const scrolled = this.lanes.scrollTop;
    const first = Math.floor(scrolled / LANE);
    for (let lane = first; lane < model.faces.length && lane * LANE - scrolled < this.lanesHeight; lane += 1) {
      this.#drawLane(context, model.faces[lane], lane * LANE - scrolled);
    }
    this.#drawCuts(context, this.lanesHeight, theme);
  }

  #drawLane(context, face, top) {
    const { theme, info } = this;
    const isChosen = face === this.face;
    if (isChosen && this.model.faces.length > 1) {
      context.fillStyle = theme.note;
      context.fillRect(0, top, this.width, LANE);
      context.fillStyle = theme.accent;
      context.fillRect(0, top, 3, LANE);
    }
    context.font = `${isChosen ? 650 : 400} 12px ${FONT}`;
    context.textBaseline = "middle";
    context.textAlign = "left";
    context.fillStyle = faceColor(info, face.id);
    context.fillRect(8, top + LANE / 2 - 5, 9, 9);
    context.strokeStyle = theme.soft;
    context.lineWidth = 1;
    context.strokeRect(8.5, top + LANE / 2 - 4.5, 8, 8);
    context.fillStyle = isChosen ? theme.ink : theme.soft;
    context.fillText(this.left > 60 ? `Face ${face.id}` : `${face.id}`, 22, top + LANE / 2);
    context.save();
    context.beginPath();
    context.rect(this.left, top, this.plotWidth, LANE);
    context.clip();
    this.#drawBands(context, face, top);
    this.#drawDoubts(context, face, top);
    context.restore();
  }

  #drawBands(context, face, top) {
    const { info } = this;
    const bandHeight = LANE - 11;
    const first = Math.max(0, countUpTo(face.segmentStarts, this.from) - 1);
    const last = countUpTo(face.segmentStarts, this.to);
    if (last - first > this.plotWidth / 3) {
      this.#drawDenseBands(context, face, top, first, last);
      return;
    }
    context.font = `12px ${FONT}`;
    for (let at = first; at < last; at += 1) {
      const segment = face.segments[at];
      const right = this.x(segment.end);
      const left = this.x(segment.start);
      const wide = Math.max(1, right - left - (right - left > 4 ? 1 : 0));
      context.fillStyle = info.colors[segment.emotion];
      context.fillRect(left, top + 3, wide, bandHeight);
      const [seenLeft, seenRight] = [Math.max(left, this.left), Math.min(right, this.left + this.plotWidth)];
      if (seenRight - seenLeft > 24 && context.measureText(segment.emotion).width + 10 < seenRight - seenLeft) {
        context.fillStyle = textOn(info.colors[segment.emotion]);
        context.textAlign = "center";
        context.fillText(segment.emotion, (seenLeft + seenRight) / 2, top + 3 + bandHeight / 2 + 0.5);
        context.textAlign = "left";
      }
    }
  }

  /** Where segments are narrower than the screen can show: in each column the most frequent one. */
  #drawDenseBands(context, face, top, first, last) {
    const { info } = this;
    const count = Math.ceil(this.plotWidth);
    const kinds = info.emotions.length;
    const kindOf = new Map(info.emotions.map((name, kind) => [name, kind]));
    const shares = new Float32Array(count * kinds);
    for (let at = first; at < last; at += 1) {
      const { start, end, emotion } = face.segments[at];
      const [left, right] = [Math.max(0, this.x(start) - this.left), Math.min(count, this.x(end) - this.left)];
      for (let column = Math.floor(left); column < right; column += 1) {
        shares[column * kinds + kindOf.get(emotion)] += Math.min(right, column + 1) - Math.max(left, column);
      }
    }
    for (let column = 0; column < count; column += 1) {
      let best = 0;
      for (let kind = 1; kind < kinds; kind += 1) if (shares[column * kinds + kind] > shares[column * kinds + best]) best = kind;
      if (shares[column * kinds + best] <= 0) continue;
      context.fillStyle = this.colors[best];
      context.fillRect(this.left + column, top + 3, 1, LANE - 11);
    }
  }

  #drawDoubts(context, face, top) {
    const runs = this.doubts.get(face.id);
    if (!runs.length) return;
    context.fillStyle = hatching(context, this.theme.soft);
    let drawnTo = -1;
    for (const [start, end] of runs) {
      if (end < this.from) continue;
      if (start > this.to) break;
      const right = this.x(end);
      if (right <= drawnTo + 0.3) continue;
      context.fillRect(this.x(start), top + LANE - 7, Math.max(1, right - this.x(start)), 4);
      drawnTo = right;
    }
  }

  #drawCuts(context, height, theme) {
    context.strokeStyle = theme.ink;
    context.globalAlpha = 0.55;
    context.lineWidth = 1;
    context.setLineDash([2, 3]);
    context.beginPath();
    for (const cut of this.model.cuts) {
      if (cut < this.from || cut > this.to) continue;
      const x = Math.round(this.x(cut)) + 0.5;
      context.moveTo(x, 0);
      context.lineTo(x, height);
    }
    context.stroke();
    context.setLineDash([]);
    context.globalAlpha = 1;
  }

  #drawPlot() {
    const { theme, model } = this;
    const height = PLOT_TOP + PLOT + AXIS;
    const context = prepare(this.plotCanvas, this.width, height);
    context.font = `12px ${FONT}`;
    context.textBaseline = "middle";
    context.fillStyle = theme.soft;
    if (this.face) context.fillText(`${this.width < 420 ? "Predictions for face" : "Predicted expressions, frame by frame: face"} ${this.face.id}`, this.left + 3, 15);
    const box = { left: this.left, top: PLOT_TOP, width: this.plotWidth, height: PLOT };
    this.#drawAxis(context, theme);
    if (!this.face) {
      context.fillStyle = theme.soft;
      context.fillText("No face, so there is nothing to draw.", this.left + 12, PLOT_TOP + PLOT / 2 - 12);
    } else {
      const count = Math.max(1, Math.round(this.plotWidth * Math.min(2, window.devicePixelRatio || 1)));
      const { values, present } = model.columns(this.face, this.from, this.to, count);
      stackAreas(context, box, count, values, present, this.colors);
    }
    context.fillStyle = theme.soft;
    context.textAlign = "right";
    for (const share of [0, 0.5, 1]) {
      const y = PLOT_TOP + PLOT * (1 - share);
      context.fillText(percent(share), this.left - 6, Math.max(y, PLOT_TOP + 4));
      context.globalAlpha = 0.4;
      context.fillRect(this.left, Math.round(y), this.plotWidth, share === 0.5 ? 0.5 : 1);
      context.globalAlpha = 1;
    }
    context.textAlign = "left";
    context.save();
    context.beginPath();
    context.rect(0, 0, this.width, PLOT_TOP + PLOT);
    context.clip();
    this.#drawCuts(context, height, theme);
    context.restore();
  }

  #drawAxis(context, theme) {
    const span = this.to - this.from;
    const most = Math.max(2, Math.floor(this.plotWidth / (this.to >= 3600 ? 96 : 78)));
    const step = STEPS.find((candidate) => span / candidate <= most) ?? STEPS.at(-1);
    const digits = step >= 1 ? 0 : step >= 0.1 ? 1 : 2;
    const bottom = PLOT_TOP + PLOT;
    context.textAlign = "center";
    for (let tick = Math.ceil(this.from / step - 1e-9); tick * step <= this.to + 1e-9; tick += 1) {
      const x = this.x(tick * step);
      context.fillStyle = theme.line;
      context.fillRect(Math.round(x), PLOT_TOP, 1, PLOT + 5);
      context.fillStyle = theme.soft;
      const words = clock(tick * step, digits);
      const half = context.measureText(words).width / 2;
      context.fillText(words, Math.max(half, Math.min(x, this.width - half)), bottom + 15);
    }
    context.textAlign = "left";
  }

  #drawTop() {
    const height = this.lanesHeight + PLOT_TOP + PLOT;
    const context = prepare(this.topCanvas, this.width ?? 1, height + AXIS);
    if (!this.theme) return;
    if (this.hover !== null) {
      context.fillStyle = this.theme.soft;
      context.fillRect(Math.round(this.x(this.hover)), 0, 1, height);
    }
    if (this.now < this.from - 1e-9 || this.now > this.to + 1e-9) return;
    const x = Math.round(this.x(this.now));
    context.fillStyle = this.theme.card;
    context.fillRect(x - 1.5, 0, 4, height);
    context.fillStyle = this.theme.ink;
    context.fillRect(x - 0.5, 0, 2, height);
    context.beginPath();
    context.moveTo(x - 5.5, height + 1);
    context.lineTo(x + 6.5, height + 1);
    context.lineTo(x + 0.5, height - 7);
    context.fill();
  }

  /** The face whose lane is at a height in the whole area, or null where it is below the lanes. */
  faceAt(y) {
    if (y >= this.lanesHeight) return null;
    return this.model.faces[Math.floor((y + this.lanes.scrollTop) / LANE)] ?? null;
  }

  /** Show time and values at a place, or nothing. */
  setHover(x, y) {
    if (x === null || x < this.left || x > this.left + this.plotWidth || !this.model.times.length) {
      this.hover = null;
      this.tip.hidden = true;
    } else {
      const frame = this.model.frameAt(this.time(x));
      this.hover = this.time(x);
      this.#fillTip(this.model.times[frame], frame, this.faceAt(y) ?? this.face);
      const left = x + 14 + this.tip.offsetWidth > this.width ? x - 14 - this.tip.offsetWidth : x + 14;
      this.tip.style.left = `${Math.max(0, left)}px`;
      this.tip.style.top = `${Math.max(0, Math.min(y + 12, this.area.clientHeight - this.tip.offsetHeight - 4))}px`;
    }
    this.redrawTop();
  }

  #fillTip(time, frame, face) {
    this.tip.hidden = false;
    const lines = [make("strong", { text: `${clock(time, 2)}${face ? ` · face ${face.id}` : ""}` })];
    const at = face ? face.find(frame) : -1;
    if (at < 0) lines.push(make("div", { text: face ? "not in this frame" : "no face" }));
    else {
      const shares = face.shares(at);
      const order = [...shares.keys()].sort((a, b) => shares[b] - shares[a]).slice(0, 3);
      for (const kind of order) {
        lines.push(make("div", {}, make("span", { class: "swatch", style: { background: this.colors[kind] } }),
          `${this.info.emotions[kind]} ${percent(shares[kind])}`));
      }
    }
    const segment = face && this.model.segmentAt(face, time);
    if (segment) lines.push(make("div", { class: "sub", text: `segment: ${segment.emotion}, ${clock(segment.start)} to ${clock(segment.end)}` }));
    this.tip.replaceChildren(...lines);
  }
}
