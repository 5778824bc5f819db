// What every part of the page needs: elements, words for numbers, colours, the server.

export const byId = (id) => document.getElementById(id);

/** Make an element. `text` is text, never markup; `on` holds listeners; the rest are attributes. */
export function make(tag, { text, on, style, ...attributes } = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === false || value === null || value === undefined) continue;
    node.setAttribute(name, value === true ? "" : value);
  }
  if (style) Object.assign(node.style, style);
  for (const [name, listener] of Object.entries(on ?? {})) node.addEventListener(name, listener);
  if (text !== undefined) node.textContent = text;
  node.append(...children.filter((child) => child !== null && child !== undefined));
  return node;
}

/** Put text in only where it changed, so that nothing is read out or laid out anew for nothing. */
export function setText(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

/** Seconds as m:ss.d, or h:mm:ss.d from an hour on. */
export function clock(seconds, digits = 1) {
  const unit = 10 ** digits;
  const total = Math.round(Math.abs(seconds) * unit);
  const minutes = Math.floor(total / (60 * unit));
  const rest = ((total % (60 * unit)) / unit).toFixed(digits).padStart(digits ? digits + 3 : 2, "0");
  const hours = Math.floor(minutes / 60);
  const head = hours ? `${hours}:${String(minutes % 60).padStart(2, "0")}` : `${minutes}`;
  return `${seconds < 0 && total ? "−" : ""}${head}:${rest}`;
}

export const percent = (share) => `${Math.round(share * 100)}%`;

export function signed(value) {
  const text = Math.abs(value).toFixed(2);
  return text === "0.00" ? text : `${value < 0 ? "−" : "+"}${text}`;
}

export function bytes(count) {
  if (count < 1000) return `${count} bytes`;
  const units = ["kB", "MB", "GB", "TB"];
  let value = count;
  let unit = -1;
  do { value /= 1000; unit += 1; } while (value >= 999.5 && unit < units.length - 1);
  return `${value < 9.95 ? value.toFixed(1) : Math.round(value)} ${units[unit]}`;
}

/** How long something will take, in words that do not pretend to be exact. */
export function remaining(seconds) {
  if (seconds < 2) return "a moment left";
  if (seconds < 90) return `${Math.round(seconds)} s left`;
  if (seconds < 5400) return `${Math.round(seconds / 60)} min left`;
  return `${(seconds / 3600).toFixed(1)} h left`;
}

export const plural = (count, one, many = `${one}s`) => `${count.toLocaleString("en")} ${count === 1 ? one : many}`;

/** Black or white, whichever is the easier to read on a colour. */
export function textOn(color) {
  const [r, g, b] = [1, 3, 5].map((at) => {
    const share = parseInt(color.slice(at, at + 2), 16) / 255;
    return share <= 0.03928 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4;
  });
  // Above this luminance black has the higher contrast (WCAG).
  return 0.2126 * r + 0.7152 * g + 0.0722 * b > 0.179 ? "#000000" : "#ffffff";
}

export const faceColor = (info, id) =>
  info.face_colors[(((id - 1) % info.face_colors.length) + info.face_colors.length) % info.face_colors.length];

/** "happiness 83%", or "uncertain (happiness 34%)" where the model is not sure enough. */
export function predictionWords(info, emotion, confidence) {
  const words = `${emotion} ${percent(confidence)}`;
  return isUncertain(info, confidence) ? `uncertain (${words})` : words;
}

export const isUncertain = (info, confidence) =>
  info.uncertain_below !== null && info.uncertain_below !== undefined && confidence < info.uncertain_below;

/** The colours of the style sheet, for canvases. */
export function palette() {
  const style = getComputedStyle(document.documentElement);
  const get = (name) => style.getPropertyValue(`--${name}`).trim();
  return { ink: get("ink"), soft: get("soft"), line: get("line"), card: get("card"), note: get("note"), accent: get("accent"), track: get("track") };
}

export const isStill = () => window.matchMedia("(prefers-reduced-motion: reduce)").matches;

export function announce(text) {
  byId("announcer").textContent = text;
}

export function fillLegends(info) {
  for (const list of document.querySelectorAll("[data-legend]")) list.replaceChildren(...legendItems(info));
}

export const legendItems = (info) =>
  info.emotions.map((name) =>
    make("li", {}, make("span", { class: "swatch", style: { background: info.colors[name] } }), name));

/** The server said no, in its words. `status` is 0 where it did not answer at all. */
class ServerError extends Error {
  constructor(message, status) {
    super(message);
    this.status = status;
  }
}

const NO_ANSWER = "emotrace does not answer. Is it still running?";

export function errorFrom(text, status) {
  let said = null;
  try { said = JSON.parse(text).error; } catch { /* not JSON: say the status instead */ }
  return new ServerError(typeof said === "string" && said ? said : `The server answered with error ${status}.`, status);
}

/** Ask the server; gives the parsed answer, or null where there is none (204). */
export async function ask(path, options = {}) {
  let response;
  try {
    response = await fetch(path, { cache: "no-store", ...options });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new ServerError(NO_ANSWER, 0);
  }
  if (!response.ok) throw errorFrom(await response.text().catch(() => ""), response.status);
  if (response.status === 204) return null;
  try {
    return await response.json();
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new ServerError("The server's answer broke off.", 0);
  }
}

/** Ask the user; true where they say yes. */
export function confirmed(question, yes = "Delete", no = "Keep") {
  const dialog = byId("confirm");
  byId("confirm-text").textContent = question;
  byId("confirm-yes").textContent = yes;
  byId("confirm-no").textContent = no;
  return new Promise((resolve) => {
    const finish = new AbortController();
    const close = (answer) => { finish.abort(); if (dialog.open) dialog.close(); resolve(answer); };
    byId("confirm-yes").addEventListener("click", () => close(true), { signal: finish.signal });
    byId("confirm-no").addEventListener("click", () => close(false), { signal: finish.signal });
    dialog.addEventListener("close", () => close(false), { signal: finish.signal });
    dialog.showModal();
    byId("confirm-no").focus();
  });
}
