// Starts the page: tabs, address, theme, and what the server has.

import { ask, byId, fillLegends, make } from "./core.js";
import { Live } from "./live.js";
import { store } from "./store.js";
import { Uploads } from "./uploads.js";
import { isOpenable, JobList } from "./videos.js";
import { Viewer } from "./viewer.js";

const root = document.documentElement;
const systemDark = window.matchMedia("(prefers-color-scheme: dark)");
const TITLE = document.title;

function startTheme() {
  const button = byId("theme");
  try { const kept = localStorage.getItem("emotrace-theme"); if (kept === "dark" || kept === "light") root.dataset.theme = kept; } catch { /* not kept */ }
  const isDark = () => (root.dataset.theme ? root.dataset.theme === "dark" : systemDark.matches);
  const apply = () => {
    button.textContent = isDark() ? "Light" : "Dark";
    button.setAttribute("aria-label", isDark() ? "Use light colours" : "Use dark colours");
    window.dispatchEvent(new Event("themechange"));
  };
  button.addEventListener("click", () => {
    root.dataset.theme = isDark() ? "light" : "dark";
    try { localStorage.setItem("emotrace-theme", root.dataset.theme); } catch { /* not kept */ }
    apply();
  });
  systemDark.addEventListener("change", apply);
  apply();
}

function startTabs() {
  const tabs = [byId("tab-videos"), byId("tab-live")];
  const go = (tab) => { location.hash = tab.id === "tab-live" ? "#live" : "#videos"; };
  for (const tab of tabs) {
    tab.addEventListener("click", () => go(tab));
    tab.addEventListener("keydown", (event) => {
      const steps = { ArrowRight: 1, ArrowLeft: 1, Home: "first", End: "last" };
      if (!(event.key in steps)) return;
      event.preventDefault();
      const next = steps[event.key] === "first" ? tabs[0] : steps[event.key] === "last" ? tabs[1] : tabs[1 - tabs.indexOf(tab)];
      next.focus();
      go(next);
    });
  }
  return (isLive) => {
    tabs.forEach((tab, at) => {
      const isChosen = (at === 1) === isLive;
      tab.setAttribute("aria-selected", String(isChosen));
      tab.tabIndex = isChosen ? 0 : -1;
    });
    byId("panel-videos").hidden = isLive;
    byId("panel-live").hidden = !isLive;
  };
}

/** What the server is; asked for again until it answers. */
async function askInfo() {
  for (;;) {
    try {
      const info = await ask("api/info");
      store.reached(true);
      return info;
    } catch {
      store.reached(false);
      await new Promise((resolve) => { setTimeout(resolve, 3000); });
    }
  }
}

async function start() {
  startTheme();
  byId("skip").addEventListener("click", (event) => { event.preventDefault(); byId("main").focus(); });
  const showTab = startTabs();
  const showHash = () => showTab(location.hash === "#live");
  showHash();
  window.addEventListener("hashchange", showHash);
  store.addEventListener("reachable", () => { byId("server-banner").hidden = store.isReachable; });

  const info = await askInfo();
  fillLegends(info);
  const about = [`emotrace ${info.version}`, info.bundle?.name && `model: ${info.bundle.name}`, info.bundle?.licence && `its licence: ${info.bundle.licence}`];
  byId("footer-about").textContent = about.filter(Boolean).join(" · ");

  const viewer = new Viewer(byId("viewer"), info);
  const live = new Live(info);
  // The first video of those just sent opens by itself, unless something else is open by then.
  let opensItself = null;
  new Uploads(info, {
    onJob: (job) => { opensItself ??= job.id; },
    onChosen: () => { if (location.hash !== "#videos" && location.hash !== "") location.hash = "#videos"; },
  });
  new JobList(info);

  const route = () => {
    const { hash } = location;
    const isLive = hash === "#live";
    if (!isLive) live.leave();
    const found = /^#job=(.+)$/.exec(hash);
    let id = null;
    try { id = found && decodeURIComponent(found[1]); } catch { /* not an address of ours */ }
    byId("videos-view").hidden = id !== null;
    byId("viewer").hidden = id === null;
    document.title = TITLE;
    if (id !== null) viewer.open(id);
    else viewer.close();
    if (isLive) live.enter();
  };
  window.addEventListener("hashchange", route);
  store.addEventListener("jobs", () => {
    if (!opensItself) return;
    const job = store.find(opensItself);
    if (job && !isOpenable(job) && job.status !== "failed") return;
    opensItself = null;
    if (job && isOpenable(job) && (location.hash === "#videos" || location.hash === "")) location.hash = `#job=${encodeURIComponent(job.id)}`;
  });
  route();
  await store.refresh();
}

start().catch((error) => {
  console.error(error);
  byId("main").prepend(make("p", { class: "box warn", role: "alert", text: "This page could not start. Your browser may be too old: try a current Firefox, Chrome, Edge or Safari." }));
});
