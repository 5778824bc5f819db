// The eight bars of one face, with valence and arousal.

import { make, percent, predictionWords, setText, signed } from "./core.js";

export class Bars {
  constructor(container, info, prefix) {
    this.info = info;
    this.now = make("p", { class: "now", id: `${prefix}-now` });
    this.rows = info.emotions.map((name) => {
      const fill = make("i", { style: { background: info.colors[name] } });
      const label = make("dt", { text: name });
      const value = make("dd", { class: "value", text: "–", "data-testid": `${prefix}-${name}` });
      return { fill, label, value, bar: make("dd", { class: "bar", "aria-hidden": "true" }, fill) };
    });
    this.affect = ["valence", "arousal"].map((name) => {
      const fill = make("i");
      const value = make("dd", { class: "value", text: "–", id: `${prefix}-${name}` });
      return { name, fill, value, bar: make("dd", { class: "bar both", "aria-hidden": "true" }, fill) };
    });
    container.replaceChildren(
      this.now,
      make("dl", { class: "bars" }, ...this.rows.flatMap((row) => [row.label, row.bar, row.value])),
      make("dl", { class: "bars affect" }, ...this.affect.flatMap((row) => [make("dt", { text: row.name }), row.bar, row.value])),
      make("p", { class: "bars-note", text: "Valence: unpleasant (−1) to pleasant (+1). Arousal: calm (−1) to excited (+1)." }),
    );
  }

  /** Show one prediction: shares in the order of the emotions. */
  show(shares, valence, arousal) {
    let best = 0;
    for (let kind = 1; kind < shares.length; kind += 1) if (shares[kind] > shares[best]) best = kind;
    setText(this.now, predictionWords(this.info, this.info.emotions[best], shares[best]));
    this.rows.forEach((row, kind) => {
      row.fill.style.transform = `scaleX(${Math.max(0, Math.min(1, shares[kind]))})`;
      setText(row.value, percent(shares[kind]));
      row.label.classList.toggle("is-top", kind === best);
      row.value.classList.toggle("is-top", kind === best);
    });
    this.affect.forEach((row, at) => {
      const value = at ? arousal : valence;
      const isKnown = Number.isFinite(value);
      row.fill.style.transform = `scaleX(${isKnown ? Math.max(-1, Math.min(1, value)) : 0})`;
      setText(row.value, isKnown ? signed(value) : "–");
    });
  }

  /** Show that there is nothing to show, and why. */
  clear(why) {
    setText(this.now, why);
    for (const row of this.rows) {
      row.fill.style.transform = "scaleX(0)";
      setText(row.value, "–");
      row.label.classList.remove("is-top");
      row.value.classList.remove("is-top");
    }
    for (const row of this.affect) {
      row.fill.style.transform = "scaleX(0)";
      setText(row.value, "–");
    }
  }
}
