// Rows of predictions kept in memory, and the table they are saved as.

const HEAD = ["timestamp", "face_id", "face_source", "face_score", "x", "y", "w", "h", "emotion", "confidence"];
const TAIL = ["valence", "arousal"];

/** A day of one face at 12 pictures a second; more would fill the browser's memory. */
const MOST_ROWS = 1_000_000;

const round = (value, digits) => (Number.isFinite(value) ? String(Math.round(value * 10 ** digits) / 10 ** digits) : "");
const quoted = (text) => (/[",\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text);

export class LiveTable {
  constructor(emotions) {
    this.emotions = emotions;
    this.rows = [];
    this.isSaved = true;
    this.highestId = 0;
  }

  get isFull() { return this.rows.length >= MOST_ROWS; }

  /** Keep the rows of one answer; a picture without a face has a row that says so. */
  add(answer) {
    const time = round(answer.timestamp, 3);
    const { faces } = answer;
    if (!faces.length) this.rows.push([time, "", "none", ...Array(HEAD.length - 3 + this.emotions.length + TAIL.length).fill("")].join(","));
    for (const face of faces) {
      this.highestId = Math.max(this.highestId, face.face_id);
      this.rows.push([
        time, face.face_id, quoted(face.face_source ?? ""), round(face.face_score, 4),
        ...[face.x, face.y, face.w, face.h].map((value) => round(value, 1)),
        quoted(face.emotion), round(face.confidence, 5),
        ...this.emotions.map((name) => round(face.probabilities[name], 5)),
        round(face.valence, 4), round(face.arousal, 4),
      ].join(","));
    }
    this.isSaved = false;
  }

  clear() {
    this.rows = [];
    this.isSaved = true;
    this.highestId = 0;
  }

  /** Hand the rows to the browser as a file. */
  save() {
    const head = [...HEAD, ...this.emotions, ...TAIL].join(",");
    const blob = new Blob([head, "\n", this.rows.join("\n"), "\n"], { type: "text/csv" });
    const now = new Date();
    const pad = (value) => String(value).padStart(2, "0");
    const link = document.createElement("a");
    link.href = URL.createObjectURL(blob);
    link.download = `live-${now.getFullYear()}-${pad(now.getMonth() + 1)}-${pad(now.getDate())}-${pad(now.getHours())}${pad(now.getMinutes())}${pad(now.getSeconds())}.csv`;
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
    this.isSaved = true;
  }
}
