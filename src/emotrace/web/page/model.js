// The timeline of one video, in arrays that are quick to search by time.

/** How many of a rising list are at most `value`. */
export function countUpTo(list, value) {
  let [low, high] = [0, list.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (list[middle] <= value) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** One face: the frames it is in, and what was predicted there. */
class Face {
  constructor(data, timeline, kinds) {
    this.id = data.face_id;
    this.frames = Int32Array.from(data.frames);
    const count = this.frames.length;
    this.boxes = new Float32Array(count * 4);
    this.probabilities = new Float32Array(count * kinds);
    this.top = new Uint8Array(count);
    this.tracked = Uint8Array.from(data.tracked, Number);
    this.valence = Float32Array.from(data.valence, (v) => v ?? NaN);
    this.arousal = Float32Array.from(data.arousal, (v) => v ?? NaN);
    this.starts = new Float64Array(count);
    this.ends = new Float64Array(count);
    this.kinds = kinds;
    for (let at = 0; at < count; at += 1) {
      this.boxes.set(data.boxes[at], at * 4);
      const shares = data.probabilities[at];
      let best = 0;
      for (let kind = 0; kind < kinds; kind += 1) {
        this.probabilities[at * kinds + kind] = shares[kind];
        if (shares[kind] > shares[best]) best = kind;
      }
      this.top[at] = best;
      this.starts[at] = timeline.times[this.frames[at]];
      this.ends[at] = timeline.endOf(this.frames[at]);
    }
    this.segments = [];
  }

  confidence(at) { return this.probabilities[at * this.kinds + this.top[at]]; }

  shares(at) { return this.probabilities.subarray(at * this.kinds, (at + 1) * this.kinds); }

  /** Where `frame` is in this face's lists, or -1. */
  find(frame) {
    const at = countUpTo(this.frames, frame) - 1;
    return at >= 0 && this.frames[at] === frame ? at : -1;
  }

  /** Stretches whose predictions are less sure than `threshold`, as [start, end]. */
  doubts(threshold) {
    const runs = [];
    if (threshold === null || threshold === undefined) return runs;
    for (let at = 0; at < this.frames.length; at += 1) {
      if (this.confidence(at) >= threshold) continue;
      const last = runs[runs.length - 1];
      if (last && this.starts[at] - last[1] < 1e-6) last[1] = this.ends[at];
      else runs.push([this.starts[at], this.ends[at]]);
    }
    return runs;
  }
}

export class Model {
  constructor(data, emotions) {
    this.width = data.width || 16;
    this.height = data.height || 9;
    this.times = Float64Array.from(data.timestamps);
    this.cuts = data.cuts ?? [];
    this.step = this.#usualStep();
    this.emotions = emotions;
    this.faces = data.faces.map((face) => new Face(face, this, emotions.length));
    this.byId = new Map(this.faces.map((face) => [face.id, face]));
    this.segments = [...data.segments].sort((a, b) => a.start - b.start || a.face_id - b.face_id);
    for (const segment of this.segments) this.byId.get(segment.face_id)?.segments.push(segment);
    for (const face of this.faces) face.segmentStarts = face.segments.map((segment) => segment.start);
    this.start = this.times.length ? this.times[0] : 0;
    const last = this.times.length ? this.times[this.times.length - 1] + this.step : (data.duration_seconds ?? 1);
    this.end = Math.max(last, this.start + 0.001, ...this.faces.map((f) => f.segments.at(-1)?.end ?? 0));
  }

  #usualStep() {
    const steps = [];
    const every = Math.max(1, Math.floor(this.times.length / 500));
    for (let at = 1; at < this.times.length; at += every) steps.push(this.times[at] - this.times[at - 1]);
    steps.sort((a, b) => a - b);
    return Math.max(0.001, steps[steps.length >> 1] ?? 0.04);
  }

  /** When the next frame takes a frame's place. */
  endOf(frame) {
    return frame + 1 < this.times.length ? this.times[frame + 1] : this.times[frame] + this.step;
  }

  /** The frame shown at a time; times come from players rounded, hence the small allowance. */
  frameAt(time) {
    const slack = Math.min(0.002, this.step / 4);
    return Math.max(0, Math.min(this.times.length - 1, countUpTo(this.times, time + slack) - 1));
  }

  /** What is drawn over a frame. */
  facesAt(frame) {
    const found = [];
    for (const face of this.faces) {
      const at = face.find(frame);
      if (at < 0) continue;
      const [x, y, w, h] = face.boxes.subarray(at * 4, at * 4 + 4);
      found.push({ id: face.id, x, y, w, h, tracked: face.tracked[at] === 1, emotion: this.emotions[face.top[at]], confidence: face.confidence(at) });
    }
    return found;
  }

  /** The segment of a face at a time, or null. */
  segmentAt(face, time) {
    const segment = face.segments[countUpTo(face.segmentStarts, time + 1e-6) - 1];
    return segment && time < segment.end ? segment : null;
  }

  /** Mean shares of a face in each of `count` columns between two times. */
  columns(face, from, to, count) {
    const kinds = this.emotions.length;
    const values = new Float32Array(count * kinds);
    const present = new Uint8Array(count);
    const width = (to - from) / count;
    let first = Math.max(0, countUpTo(face.starts, from) - 1);
    for (let column = 0; column < count; column += 1) {
      const [left, right] = [from + column * width, from + (column + 1) * width];
      while (first < face.starts.length && face.ends[first] <= left) first += 1;
      let used = 0;
      for (let at = first; at < face.starts.length && face.starts[at] < right; at += 1) {
        for (let kind = 0; kind < kinds; kind += 1) values[column * kinds + kind] += face.probabilities[at * kinds + kind];
        used += 1;
      }
      if (!used) continue;
      present[column] = 1;
      for (let kind = 0; kind < kinds; kind += 1) values[column * kinds + kind] /= used;
    }
    return { values, present };
  }
}
