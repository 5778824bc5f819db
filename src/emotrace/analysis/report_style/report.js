"use strict";
(() => {
  const data = JSON.parse(document.getElementById("report-data").textContent);
  const root = document.documentElement;
  const systemDark = window.matchMedia("(prefers-color-scheme: dark)");
  const order = data.emotions;
  const colors = data.colors;
  let printing = false;
  let style = "stacked";

  const isDark = () =>
    !printing && (root.dataset.theme ? root.dataset.theme === "dark" : systemDark.matches);
  const theme = () =>
    isDark()
      ? { ink: "#e6e8ec", soft: "#a3abba", grid: "#333945", paper: "#1d2129" }
      : { ink: "#1f2430", soft: "#5a6272", grid: "#e6e4df", paper: "#ffffff" };

  // The axis is a clock: an axis of dates, so that zooming gets m:ss ticks. It counts from a midnight
  // far from 1970, because Plotly takes the numbers 2000 to 9999 on such an axis for years.
  const midnight = Date.UTC(2000, 0, 1);
  const ms = (seconds) => midnight + Math.round(seconds * 1000);
  const clock = (seconds) => {
    const tenths = Math.round(Math.abs(seconds) * 10);
    const minutes = Math.floor(tenths / 600);
    const rest = ((tenths % 600) / 10).toFixed(1).padStart(4, "0");
    const hours = Math.floor(minutes / 60);
    const head = hours ? `${hours}:${String(minutes % 60).padStart(2, "0")}` : `${minutes}`;
    return `${seconds < 0 ? "−" : ""}${head}:${rest}`;
  };
  const percent = (share) => `${Math.round(share * 100)}%`;
  const longForm = data.end >= 3600;
  const timeAxis = (t) => ({
    type: "date",
    range: [ms(data.start), ms(Math.max(data.end, data.start + 0.001))],
    tickformatstops: [
      { dtickrange: [null, 999], value: longForm ? "%-H:%M:%S.%1f" : "%-M:%S.%1f" },
      { dtickrange: [1000, null], value: longForm ? "%-H:%M:%S" : "%-M:%S" },
    ],
    hoverformat: longForm ? "%-H:%M:%S.%2f" : "%-M:%S.%2f",
    nticks: window.innerWidth < 600 ? 5 : 11,
    gridcolor: t.grid,
    linecolor: t.grid,
    zeroline: false,
    tickfont: { color: t.soft },
  });
  const base = (t) => ({
    paper_bgcolor: t.paper,
    plot_bgcolor: t.paper,
    font: { family: "system-ui, -apple-system, 'Segoe UI', Roboto, Arial, sans-serif", size: 12, color: t.ink },
    showlegend: false,
    hoverlabel: { bgcolor: t.paper, bordercolor: t.soft, font: { color: t.ink }, namelength: -1 },
    dragmode: window.matchMedia("(pointer: coarse)").matches ? false : "zoom",
  });
  const config = {
    responsive: true,
    displaylogo: false,
    // A fixed list: Plotly's own one has a button that would send the chart to its makers.
    modeBarButtons: [["toImage"], ["zoom2d", "pan2d"], ["resetScale2d"]],
  };

  const textOn = (color) => {
    const [r, g, b] = [1, 3, 5].map((i) => {
      const c = parseInt(color.slice(i, i + 2), 16) / 255;
      return c <= 0.03928 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4;
    });
    // Above this luminance black has the higher contrast (WCAG).
    return 0.2126 * r + 0.7152 * g + 0.0722 * b > 0.179 ? "#000000" : "#ffffff";
  };

  // One bar trace a face; a segment is [start, end, emotion index, mean confidence, peak].
  const ribbon = (face, rowName, axis, t) => {
    const names = face.segments.map((s) => order[s[2]]);
    // Outlines of very many segments would hide the segments.
    const outline = face.segments.length > 60 ? 0 : 1;
    return {
      type: "bar",
      orientation: "h",
      xaxis: "x",
      yaxis: axis,
      y: face.segments.map(() => rowName),
      base: face.segments.map((s) => ms(s[0])),
      x: face.segments.map((s) => Math.max(1, ms(s[1]) - ms(s[0]))),
      ...(data.hasUncertain ? { offset: -0.22, width: 0.66 } : { width: 0.8 }),
      marker: { color: names.map((n) => colors[n]), line: { color: t.paper, width: outline } },
      text: names,
      textposition: "inside",
      insidetextanchor: "middle",
      textangle: 0,
      insidetextfont: { color: names.map((n) => textOn(colors[n])) },
      customdata: face.segments.map((s) => [clock(s[0]), clock(s[1]), percent(s[3]), clock(s[4])]),
      hovertemplate:
        "<b>%{text}</b> %{customdata[0]} to %{customdata[1]}<br>" +
        "mean confidence %{customdata[2]}, peak at %{customdata[3]}<extra>Face " + face.id + "</extra>",
    };
  };

  // Hatched, below the segments: where predictions are uncertain. One trace a face, [start, end].
  const doubts = (face, rowName, axis, t) => ({
    type: "bar",
    orientation: "h",
    name: "uncertain",
    xaxis: "x",
    yaxis: axis,
    y: face.uncertain.map(() => rowName),
    base: face.uncertain.map((s) => ms(s[0])),
    x: face.uncertain.map((s) => Math.max(1, ms(s[1]) - ms(s[0]))),
    offset: -0.46,
    width: 0.2,
    marker: { color: t.paper, line: { color: t.soft, width: face.uncertain.length > 60 ? 0 : 1 }, pattern: { shape: "/", size: 4, solidity: 0.35, fgcolor: t.soft, bgcolor: t.paper } },
    customdata: face.uncertain.map((s) => [clock(s[0]), clock(s[1])]),
    hovertemplate: "<b>uncertain</b> %{customdata[0]} to %{customdata[1]}<extra>Face " + face.id + "</extra>",
  });

  const probabilityTraces = (face) =>
    order.map((name, i) => ({
      type: "scatter",
      mode: "lines",
      name,
      x: face.t.map(ms),
      // At the edges of an absence (edge 1) the areas drop to nothing; lines are simply broken there.
      // Until then the last frame holds its value (edge 2).
      y: face.p[i].map((v, j) => (v === null ? (style === "stacked" && face.edge[j] ? 0 : null) : v / 1000)),
      stackgroup: style === "stacked" ? "p" : undefined,
      fillcolor: style === "stacked" ? colors[name] : undefined,
      // Outlines of areas would run on along the bottom, through absences.
      line: { color: colors[name], width: style === "stacked" ? 0 : 1.8 },
      connectgaps: false,
      hoverinfo: face.edge.map((e) => (e ? "skip" : "x+y+name")),
      yaxis: "y",
    }));

  const affectTraces = (face, t) =>
    [["v", "valence", "solid"], ["a", "arousal", "dot"]].map(([key, name, dash]) => ({
      type: "scatter",
      mode: "lines",
      name,
      x: face.t.map(ms),
      y: face[key].map((v) => (v === null ? null : v / 1000)),
      line: { color: t.ink, width: 1.6, dash },
      connectgaps: false,
      hoverinfo: "x+y+name",
      yaxis: "y2",
    }));

  const timeFigure = (face) => {
    const t = theme();
    const label = (text, y) => ({
      text, x: 0, xref: "paper", xanchor: "left", y, yref: "paper", yanchor: "bottom",
      showarrow: false, font: { size: 12, color: t.soft },
    });
    return {
      traces: [...probabilityTraces(face), ...affectTraces(face, t), ribbon(face, "face", "y3", t), ...(data.hasUncertain ? [doubts(face, "face", "y3", t)] : [])],
      layout: {
        ...base(t),
        margin: { l: 44, r: 12, t: 26, b: 30 },
        hovermode: "x unified",
        hoversubplots: "axis",
        barmode: "overlay",
        uniformtext: { mode: "hide", minsize: 10 },
        xaxis: { ...timeAxis(t), anchor: "y2" },
        yaxis: { domain: [0.37, 0.8], range: [0, 1.001], tickformat: ".0%", hoverformat: ".0%", nticks: 5, gridcolor: t.grid, zeroline: false, tickfont: { color: t.soft }, fixedrange: true },
        yaxis2: { domain: [0, 0.26], range: [-1, 1], tickvals: [-1, 0, 1], ticktext: ["−1", "0", "1"], hoverformat: ".2f", gridcolor: t.grid, zerolinecolor: t.soft, zerolinewidth: 1, tickfont: { color: t.soft }, fixedrange: true },
        yaxis3: { domain: [0.9, 1], showticklabels: false, showgrid: false, zeroline: false, fixedrange: true },
        annotations: [
          label(data.hasUncertain ? "Segments; hatched: uncertain predictions" : "Segments", 1.0),
          label("Probability of each expression", 0.805),
          label("Valence (solid) and arousal (dotted)", 0.265),
        ],
      },
    };
  };

  const sharesFigure = (face) => {
    const t = theme();
    const names = [...order].reverse();
    const shares = names.map((n) => face.shares[n]);
    return {
      traces: [{
        type: "bar", orientation: "h", y: names, x: shares,
        marker: { color: names.map((n) => colors[n]) },
        text: shares.map(percent), textposition: "outside", cliponaxis: false,
        hovertemplate: "%{y}: %{x:.1%}<extra></extra>",
      }],
      layout: {
        ...base(t),
        margin: { l: 84, r: 46, t: 6, b: 30 },
        xaxis: { range: [0, Math.max(0.1, ...shares) * 1.02], tickformat: ".0%", nticks: 5, gridcolor: t.grid, zeroline: false, tickfont: { color: t.soft }, fixedrange: true },
        yaxis: { automargin: true, fixedrange: true, ticksuffix: " " },
      },
    };
  };

  const labelSides = { fear: "top left", anger: "top right", contempt: "middle left", neutral: "bottom right", sadness: "bottom center" };
  const planeFigure = (face) => {
    const t = theme();
    const seen = face.t.map((_, j) => j).filter((j) => !face.edge[j] && face.v[j] !== null);
    const x = face.t.map((_, j) => (face.v[j] === null ? null : face.v[j] / 1000));
    const y = face.t.map((_, j) => (face.a[j] === null ? null : face.a[j] / 1000));
    const first = seen[0];
    const last = seen[seen.length - 1];
    const names = Object.keys(data.norms);
    const traces = [
      {
        type: "scatter", mode: "markers+text", hoverinfo: "skip",
        x: names.map((n) => data.norms[n][0]), y: names.map((n) => data.norms[n][1]),
        text: names, textposition: names.map((n) => labelSides[n] || "top center"), textfont: { size: 10, color: t.soft },
        marker: { size: 5, symbol: "cross-thin", line: { width: 1, color: t.soft } },
      },
      { type: "scatter", mode: "lines", x, y, hoverinfo: "skip", line: { color: t.grid, width: 1 }, connectgaps: false },
      {
        type: "scatter", mode: "markers",
        x: seen.map((j) => x[j]), y: seen.map((j) => y[j]),
        customdata: seen.map((j) => clock(face.t[j])),
        marker: {
          size: seen.length > 1 ? 5 : 12, color: seen.map((j) => face.t[j]), colorscale: "Viridis", reversescale: !isDark(), opacity: 0.8,
          cmin: data.start, cmax: data.end, showscale: seen.length > 1,
          colorbar: {
            thickness: 8, len: 0.5, outlinewidth: 0, xpad: 4, tickfont: { size: 10, color: t.soft },
            tickvals: [data.start, data.end], ticktext: [clock(data.start), clock(data.end)],
            title: { text: "time", font: { size: 10, color: t.soft } },
          },
        },
        hovertemplate: "%{customdata}<br>valence %{x:.2f}, arousal %{y:.2f}<extra></extra>",
      },
    ];
    if (seen.length > 1) {
      traces.push({
        type: "scatter", mode: "markers+text", hoverinfo: "skip",
        x: [x[first], x[last]], y: [y[first], y[last]], text: ["start", "end"],
        textposition: ["bottom left", "bottom right"], textfont: { size: 11, color: t.ink },
        marker: { size: 9, color: [t.paper, t.ink], line: { width: 1.5, color: t.ink } },
      });
    }
    const axis = (title) => ({
      range: [-1.05, 1.05], tickvals: [-1, -0.5, 0, 0.5, 1], gridcolor: t.grid, zerolinecolor: t.soft,
      zerolinewidth: 1, tickfont: { color: t.soft }, title: { text: title, font: { size: 12, color: t.soft }, standoff: 6 },
    });
    return {
      traces,
      layout: {
        ...base(t),
        margin: { l: 52, r: 10, t: 6, b: 42 },
        hovermode: "closest",
        xaxis: axis("valence: unpleasant to pleasant"),
        yaxis: axis("arousal: calm to excited"),
      },
    };
  };

  const glanceFigure = () => {
    const t = theme();
    const rows = data.faces.map((f) => `Face ${f.id}`);
    return {
      traces: data.faces.flatMap((face, i) => [ribbon(face, rows[i], "y", t), ...(data.hasUncertain ? [doubts(face, rows[i], "y", t)] : [])]),
      layout: {
        ...base(t),
        margin: { l: 62, r: 12, t: 4, b: 26 },
        barmode: "overlay",
        hovermode: "closest",
        uniformtext: { mode: "hide", minsize: 10 },
        xaxis: timeAxis(t),
        yaxis: { type: "category", categoryarray: [...rows].reverse(), categoryorder: "array", fixedrange: true, ticksuffix: " " },
      },
    };
  };

  const figures = { time: timeFigure, shares: sharesFigure, plane: planeFigure, glance: glanceFigure };
  const byId = new Map(data.faces.map((face) => [String(face.id), face]));
  const charts = [...document.querySelectorAll(".chart")];
  const drawn = new Set();
  const draw = (node, keepRange = false) => {
    const figure = figures[node.dataset.kind](byId.get(node.dataset.face));
    if (keepRange && node.layout && node.layout.xaxis && node.dataset.kind === "time") {
      figure.layout.xaxis.range = [...node.layout.xaxis.range];
    }
    if (printing) {
      // Paper is narrower than the screen and sends no resize event: 680 px are the 180 mm of A4
      // between margins of 15 mm.
      figure.layout.width = node.closest(".pair") ? 325 : 670;
      // The heights in the style for print, which does not hold yet while the page is made ready.
      if (node.closest(".face")) figure.layout.height = node.closest(".pair") ? 215 : 330;
    }
    const isNew = !drawn.has(node);
    drawn.add(node);
    Plotly.react(node, figure.traces, figure.layout, config);
    if (isNew && node.dataset.kind === "time") {
      const reset = document.querySelector(`button[data-reset="${node.dataset.face}"]`);
      node.on("plotly_relayout", () => {
        const [from, to] = node.layout.xaxis.range.map((v) => new Date(typeof v === "string" ? `${v.replace(" ", "T")}Z` : v).getTime());
        reset.hidden = from <= ms(data.start) + 1 && to >= ms(data.end) - 1;
      });
    }
  };
  const drawAll = () => charts.forEach((node) => draw(node, true));
  const redraw = () => charts.filter((node) => drawn.has(node)).forEach((node) => draw(node, true));

  // Many faces make many charts: each is drawn when it comes near the screen.
  const watcher = new IntersectionObserver(
    (entries) => entries.filter((e) => e.isIntersecting).forEach((e) => {
      watcher.unobserve(e.target);
      if (!drawn.has(e.target)) draw(e.target);
    }),
    { rootMargin: "600px" },
  );
  charts.forEach((node) => watcher.observe(node));

  const chartOf = (faceId) => document.querySelector(`.chart-time[data-face="${faceId}"]`);
  const zoom = (faceId, from, to) => {
    const node = chartOf(faceId);
    if (!node) return;
    if (!drawn.has(node)) draw(node);
    Plotly.relayout(node, { "xaxis.range": [ms(from), ms(to)] });
  };
  document.querySelectorAll("button[data-peak]").forEach((button) => {
    button.addEventListener("click", () => {
      const peak = Number(button.dataset.peak);
      const around = Math.min(5, Math.max(1, (data.end - data.start) / 10));
      zoom(button.dataset.face, Math.max(data.start, peak - around), Math.min(data.end, peak + around));
      chartOf(button.dataset.face).scrollIntoView({ block: "nearest" });
    });
  });
  document.querySelectorAll("button[data-reset]").forEach((button) => {
    button.addEventListener("click", () => zoom(button.dataset.reset, data.start, data.end));
  });
  document.querySelectorAll("input[name=chart-style]").forEach((input) => {
    input.addEventListener("change", () => { style = input.value; redraw(); });
  });

  const toggle = document.getElementById("theme");
  const nameToggle = () => { toggle.textContent = isDark() ? "Light" : "Dark"; };
  toggle.hidden = false;
  nameToggle();
  toggle.addEventListener("click", () => { root.dataset.theme = isDark() ? "light" : "dark"; nameToggle(); redraw(); });
  systemDark.addEventListener("change", () => { nameToggle(); redraw(); });
  window.addEventListener("beforeprint", () => { printing = true; drawAll(); });
  window.addEventListener("afterprint", () => {
    printing = false;
    redraw();
    drawn.forEach((node) => Plotly.Plots.resize(node));
  });
})();
