// The last half minute of one face's shares, scrolling.

import { isStill, palette } from "./core.js";
import { FONT, prepare, stackAreas } from "./draw.js";

const SECONDS = 30;
const STALE = 1;

export class LiveHistory {
  constructor(host, canvas, info) {
    Object.assign(this, { host, canvas });
    this.emotions = info.emotions;
    this.colors = info.emotions.map((name) => info.colors[name]);
    this.ticks = [];
    this.drawn = 0;
    new ResizeObserver(() => this.draw(true)).observe(host);
    window.addEventListener("themechange", () => this.draw(true));
  }

  /** Take in what one picture showed: a list of [face id, shares], and the face now chosen. */
  add(time, faces, chosen) {
    this.ticks.push({ time, faces: new Map(faces), chosen });
    while (this.ticks.length && this.ticks[0].time < time - SECONDS - STALE) this.ticks.shift();
    this.draw();
  }

  clear() {
    this.ticks = [];
    this.draw(true);
  }

  /** `faceId` null: at each time the face that was the chosen one then. */
  set faceId(id) {
    this.wanted = id;
    this.draw(true);
  }

  draw(isForced = false) {
    // Whoever wants less motion gets a step a second.
    const now = performance.now();
    if (!isForced && isStill() && now - this.drawn < 1000) return;
    this.drawn = now;
    if (this.pending) return;
    this.pending = requestAnimationFrame(() => { this.pending = 0; this.#draw(); });
  }

  #draw() {
    const [width, height] = [this.host.clientWidth, this.host.clientHeight];
    if (!width) return;
    const theme = palette();
    const context = prepare(this.canvas, width, height);
    const box = { left: 44, top: 6, width: width - 52, height: height - 30 };
    context.font = `12px ${FONT}`;
    context.textBaseline = "middle";
    const end = this.ticks.at(-1)?.time ?? 0;
    for (const back of [30, 20, 10, 0]) {
      const x = box.left + box.width * (1 - back / SECONDS);
      context.fillStyle = theme.line;
      context.fillRect(Math.round(x), box.top, 1, box.height + 4);
      context.fillStyle = theme.soft;
      context.textAlign = back ? "center" : "right";
      context.fillText(back ? `−${back} s` : "now", back ? x : x + 8, box.top + box.height + 14);
    }
    const count = Math.max(1, Math.round(box.width));
    const kinds = this.colors.length;
    const values = new Float32Array(count * kinds);
    const present = new Uint8Array(count);
    this.ticks.forEach((tick, at) => {
      const shares = tick.faces.get(this.wanted ?? tick.chosen);
      if (!shares) return;
      // An answer holds until the next one, but not across a pause.
      const until = Math.min(this.ticks[at + 1]?.time ?? tick.time, tick.time + STALE);
      const column = (time) => Math.round((1 - (end - time) / SECONDS) * count);
      for (let x = Math.max(0, column(tick.time)); x < Math.min(count, Math.max(column(until), column(tick.time) + 1)); x += 1) {
        present[x] = 1;
        values.set(shares, x * kinds);
      }
    });
    stackAreas(context, box, count, values, present, this.colors);
    context.textAlign = "right";
    context.fillStyle = theme.soft;
    for (const [share, words] of [[0, "0%"], [0.5, "50%"], [1, "100%"]]) {
      const y = box.top + box.height * (1 - share);
      context.fillText(words, box.left - 6, Math.max(y, box.top + 4));
      context.globalAlpha = 0.4;
      context.fillRect(box.left, Math.round(y), box.width, share === 0.5 ? 0.5 : 1);
      context.globalAlpha = 1;
    }
  }
}
