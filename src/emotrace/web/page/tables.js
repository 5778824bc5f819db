// Beneath the timeline: the table of segments, the downloads.

import { bytes, clock, make, percent, plural } from "./core.js";

const FIRST_ROWS = 300;

export class SegmentTable {
  /** `onJump(segment)` is called for a chosen row. */
  constructor(host, model, info, onJump) {
    Object.assign(this, { model, info, onJump });
    this.rows = new Map();
    this.current = null;
    this.faceId = null;
    this.limit = FIRST_ROWS;
    const hasFaces = model.faces.length > 1;
    this.choice = make("select", { id: "segments-face", on: { change: () => { this.faceId = Number(this.choice.value) || null; this.limit = FIRST_ROWS; this.#fill(); } } },
      make("option", { value: "", text: "all faces" }),
      ...model.faces.map((face) => make("option", { value: face.id, text: `face ${face.id}` })));
    this.body = make("tbody", { on: { click: (event) => this.#click(event) } });
    this.more = make("button", { type: "button", class: "button", hidden: true, on: { click: () => { this.limit += 2000; this.#fill(); } } });
    const head = [["start", "number"], ["end", "number"], hasFaces ? ["face", "number"] : null, ["predicted expression", ""], ["mean confidence", "number"]];
    this.hasFaces = hasFaces;
    this.scroll = make("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": "Segments" },
      make("table", { id: "segments-table" },
        make("thead", {}, make("tr", {}, ...head.filter(Boolean).map(([text, name]) => make("th", { text, class: name, scope: "col" })))), this.body));
    host.replaceChildren(
      make("h2", { text: "Segments" }),
      make("p", { class: "sub", text: "Stretches with one predicted expression, after smoothing. Choose a start to go there." }),
      ...(hasFaces ? [make("p", {}, make("label", { class: "inline" }, "Show ", this.choice))] : []),
      this.scroll, this.more);
    this.#fill();
  }

  #fill() {
    const segments = this.faceId === null ? this.model.segments : this.model.segments.filter((s) => s.face_id === this.faceId);
    this.rows.clear();
    this.current = null;
    this.body.replaceChildren(...segments.slice(0, this.limit).map((segment) => this.#row(segment)));
    if (!segments.length) this.body.append(make("tr", {}, make("td", { text: "None.", colspan: 5 })));
    const left = segments.length - this.limit;
    this.more.hidden = left <= 0;
    this.more.textContent = `Show more (${plural(Math.max(0, left), "row")} left)`;
  }

  #row(segment) {
    const row = make("tr", {},
      make("td", { class: "number" }, make("button", { type: "button", class: "link", text: clock(segment.start), "aria-label": `Go to ${clock(segment.start)}, ${segment.emotion}` })),
      make("td", { class: "number", text: clock(segment.end) }),
      this.hasFaces ? make("td", { class: "number", text: segment.face_id }) : null,
      make("td", {}, make("span", { class: "swatch", style: { background: this.info.colors[segment.emotion] } }), segment.emotion),
      make("td", { class: "number", text: percent(segment.mean_confidence) }));
    row.segment = segment;
    this.rows.set(segment, row);
    return row;
  }

  #click(event) {
    const segment = event.target.closest("tr")?.segment;
    if (segment) this.onJump(segment);
  }

  /** Mark the segment that the playhead is in. */
  mark(segment) {
    if (segment === this.current) return;
    this.rows.get(this.current)?.removeAttribute("aria-current");
    this.current = segment;
    const row = this.rows.get(segment);
    if (!row) return;
    row.setAttribute("aria-current", "true");
    const [top, bottom] = [row.offsetTop - 30, row.offsetTop + row.offsetHeight];
    if (top < this.scroll.scrollTop) this.scroll.scrollTop = top;
    else if (bottom > this.scroll.scrollTop + this.scroll.clientHeight) this.scroll.scrollTop = bottom - this.scroll.clientHeight;
  }
}

/** The files of a job, each with what it holds. */
export function downloads(job) {
  const items = job.files.map((file) => {
    const isPage = file.name.endsWith(".html");
    const href = `api/jobs/${encodeURIComponent(job.id)}/files/${encodeURIComponent(file.name)}`;
    const link = isPage
      ? make("a", { href, target: "_blank", rel: "noopener", text: `${file.name} (opens in a new tab)` })
      : make("a", { href, download: file.name, text: file.name });
    return make("li", { "data-testid": "download", "data-name": file.name }, link, ` ${bytes(file.bytes)}`, make("span", { class: "sub", text: file.meaning }));
  });
  return make("div", { class: "card" }, make("h2", { text: "Take the results" }),
    items.length ? make("ul", { class: "downloads", id: "downloads" }, ...items) : make("p", { class: "sub", text: "There are no files." }));
}
