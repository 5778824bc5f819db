// Drawing that the viewer and the live view share: boxes with labels, and stacked areas.

import { faceColor, isUncertain, predictionWords } from "./core.js";

export const FONT = "system-ui, -apple-system, 'Segoe UI', Roboto, 'Helvetica Neue', Arial, sans-serif";

/** Give a canvas a size in CSS pixels at the screen's resolution; gives its cleared context. */
export function prepare(canvas, width, height) {
  const ratio = window.devicePixelRatio || 1;
  const [w, h] = [Math.max(1, Math.round(width * ratio)), Math.max(1, Math.round(height * ratio))];
  if (canvas.width !== w || canvas.height !== h) {
    canvas.width = w;
    canvas.height = h;
    canvas.style.width = `${width}px`;
    canvas.style.height = `${height}px`;
  }
  const context = canvas.getContext("2d");
  context.setTransform(ratio, 0, 0, ratio, 0, 0);
  context.clearRect(0, 0, width, height);
  return context;
}

/** Where a picture of `mediaWidth` x `mediaHeight` lies in a box that it is fitted into. */
function fitted(boxWidth, boxHeight, mediaWidth, mediaHeight) {
  const scale = Math.min(boxWidth / mediaWidth, boxHeight / mediaHeight);
  const [width, height] = [mediaWidth * scale, mediaHeight * scale];
  return { left: (boxWidth - width) / 2, top: (boxHeight - height) / 2, width, height };
}

/** Lay a canvas exactly over the picture of a fitted video; gives the picture's place. */
export function coverPicture(canvas, stage, mediaWidth, mediaHeight) {
  const place = fitted(stage.clientWidth, stage.clientHeight, mediaWidth || 1, mediaHeight || 1);
  canvas.style.left = `${place.left}px`;
  canvas.style.top = `${place.top}px`;
  return place;
}

/**
 * Draw boxes and labels.
 *
 * Each face is {id, x, y, w, h, tracked, emotion, confidence} in pixels of a picture of
 * `size` = {width, height}; a mirrored picture has its boxes mirrored, its words not.
 */
export function drawFaces(context, width, height, size, faces, info, { chosen = null, mirrored = false } = {}) {
  const [scaleX, scaleY] = [width / size.width, height / size.height];
  const fontPx = Math.max(11, Math.min(16, width / 42));
  const line = width < 420 ? 2 : 2.5;
  context.font = `600 ${fontPx}px ${FONT}`;
  context.textBaseline = "middle";
  const taken = [];
  const placed = [...faces]
    .sort((a, b) => b.w * b.h - a.w * a.h)
    .map((face) => {
      const w = face.w * scaleX;
      const x = mirrored ? width - face.x * scaleX - w : face.x * scaleX;
      return { face, x, y: face.y * scaleY, w, h: face.h * scaleY };
    });
  for (const { face, x, y, w, h } of placed) {
    const wide = face.id === chosen ? line + 1.5 : line;
    context.setLineDash(face.tracked ? [6, 5] : []);
    for (const [thickness, ink] of [[wide + 2.5, "rgba(18, 20, 26, .85)"], [wide, faceColor(info, face.id)]]) {
      context.lineWidth = thickness;
      context.strokeStyle = ink;
      context.strokeRect(x, y, w, h);
    }
  }
  context.setLineDash([]);
  for (const { face, x, y, w, h } of placed) {
    const words = `${face.id} ${predictionWords(info, face.emotion, face.confidence)}`;
    const labelWidth = context.measureText(words).width + 10;
    const labelHeight = fontPx + 7;
    const left = Math.max(0, Math.min(x - line / 2, width - labelWidth));
    const free = (top) =>
      top >= 0 && top + labelHeight <= height &&
      !taken.some((t) => left < t.right && t.left < left + labelWidth && top < t.bottom && t.top < top + labelHeight);
    const isOffFaces = (top) =>
      free(top) && !placed.some((p) => p.face !== face && left < p.x + p.w && p.x < left + labelWidth && top < p.y + p.h && p.y < top + labelHeight);
    const tops = [y - labelHeight - line / 2, y + h + line / 2, y + line];
    const top = tops.find(isOffFaces) ?? tops.find(free) ?? Math.max(0, Math.min(tops[2], height - labelHeight));
    taken.push({ left, top, right: left + labelWidth, bottom: top + labelHeight });
    context.fillStyle = faceColor(info, face.id);
    context.fillRect(left, top, labelWidth, labelHeight);
    if (isUncertain(info, face.confidence)) {
      context.fillStyle = "rgba(255, 255, 255, .66)";
      context.fillRect(left, top, labelWidth, labelHeight);
    }
    context.fillStyle = "#12141a";
    context.fillText(words, left + 5, top + labelHeight / 2 + 0.5);
  }
}

/**
 * Draw `count` columns of stacked shares.
 *
 * `values` holds 8 shares a column, `present` whether the column has any. Each area is drawn down to
 * the bottom, the uppermost first, so that no seams show between them.
 */
export function stackAreas(context, { left, top, width, height }, count, values, present, colors) {
  const step = width / count;
  const bottom = top + height;
  const kinds = colors.length;
  const sums = new Float32Array(count);
  for (let at = 0; at < count; at += 1) {
    let total = 0;
    for (let kind = 0; kind < kinds; kind += 1) total += values[at * kinds + kind];
    sums[at] = Math.min(1, total);
  }
  for (let kind = kinds - 1; kind >= 0; kind -= 1) {
    context.fillStyle = colors[kind];
    context.beginPath();
    let isOpen = false;
    for (let at = 0; at <= count; at += 1) {
      const x = left + at * step;
      if (at < count && present[at]) {
        const y = bottom - Math.max(0, sums[at]) * height;
        if (!isOpen) { context.moveTo(x, bottom); isOpen = true; }
        context.lineTo(x, y);
        context.lineTo(x + step, y);
        sums[at] -= values[at * kinds + kind];
      } else if (isOpen) {
        context.lineTo(x, bottom);
        context.closePath();
        isOpen = false;
      }
    }
    context.fill();
  }
}

let hatch = null;
/** A hatched fill in a colour, for what is uncertain. */
export function hatching(context, color) {
  if (hatch?.color === color) return hatch.pattern;
  const tile = document.createElement("canvas");
  tile.width = tile.height = 5;
  const ink = tile.getContext("2d");
  ink.strokeStyle = color;
  ink.lineWidth = 1.2;
  ink.beginPath();
  for (const shift of [-5, 0, 5]) { ink.moveTo(shift, 5); ink.lineTo(shift + 5, 0); }
  ink.stroke();
  hatch = { color, pattern: context.createPattern(tile, "repeat") };
  return hatch.pattern;
}
