// Keeps a page up to date, asks before anything is changed, and listens to keys. Pages can be read without it.

const page = document.documentElement;
const one = (selector, within = document) => within.querySelector(selector);
const all = (selector, within = document) => [...within.querySelectorAll(selector)];

// --- The look -------------------------------------------------------------------------------------------------------

const themes = ["", "dark", "light"];
const themeNames = { "": "System", dark: "Dark", light: "Light" };

function theme() {
  const button = one("[data-theme-switch]");
  if (!button) return;
  const show = () => {
    button.textContent = `Theme: ${themeNames[page.dataset.theme ?? ""]}`;
  };
  button.hidden = false;
  button.addEventListener("click", () => {
    const next = themes[(themes.indexOf(page.dataset.theme ?? "") + 1) % themes.length];
    if (next) page.dataset.theme = next;
    else delete page.dataset.theme;
    // The server writes it into the next page, so that none flashes in the other look.
    document.cookie = `iyagi_theme=${next}; path=/; max-age=${next ? 31536000 : 0}; samesite=strict`;
    show();
    document.dispatchEvent(new Event("iyagi:theme"));
  });
  show();
}

// --- Live parts -----------------------------------------------------------------------------------------------------

const keyOf = (node) => (node.nodeType === Node.ELEMENT_NODE ? node.dataset.row || node.id || "" : "");
const alike = (a, b) => a.nodeType === b.nodeType && a.nodeName === b.nodeName;

// What is the same stays the same node, so that focus, selection and whatever is folded open survive.
function become(node, wanted) {
  if (node.nodeType !== Node.ELEMENT_NODE) {
    if (node.nodeValue !== wanted.nodeValue) node.nodeValue = wanted.nodeValue;
    return;
  }
  for (const { name, value } of [...wanted.attributes]) {
    if (node.getAttribute(name) !== value) node.setAttribute(name, value);
  }
  for (const { name } of [...node.attributes]) {
    const chosenHere = name === "open" && node.nodeName === "DETAILS";
    if (!wanted.hasAttribute(name) && !chosenHere) node.removeAttribute(name);
  }
  becomeInside(node, wanted);
}

function becomeInside(parent, wanted) {
  const keyed = new Map();
  for (const child of parent.children) if (keyOf(child)) keyed.set(keyOf(child), child);
  let here = parent.firstChild;
  for (const next of [...wanted.childNodes]) {
    const key = keyOf(next);
    const free = here && !keyOf(here) ? here : null;
    const found = key ? keyed.get(key) : free;
    if (!found || !alike(found, next)) {
      parent.insertBefore(next, here);
      continue;
    }
    if (found === here) here = here.nextSibling;
    else parent.insertBefore(found, here);
    become(found, next);
  }
  while (here) {
    const gone = here;
    here = here.nextSibling;
    gone.remove();
  }
}

const live = { source: null, paused: false, heardAt: Date.now() };

// The daemon says something at least every ten seconds. Whoever hears nothing for longer has lost it, even if the connection
// looks open, as it does behind a machine that slept.
const SILENCE_MS = 25000;
// A restart takes less than this, and is not worth a warning.
const GRACE_MS = 4000;

function hear() {
  live.heardAt = Date.now();
  sayStale();
}

function patch({ topic, html }) {
  const wanted = new DOMParser().parseFromString(html, "text/html").body;
  for (const part of all("[data-live]")) {
    if (part.dataset.live === topic) becomeInside(part, wanted.cloneNode(true));
  }
  document.dispatchEvent(new CustomEvent("iyagi:patch", { detail: topic }));
}

function connect() {
  const topics = [...new Set(all("[data-live]").map((part) => part.dataset.live))];
  const wanted = topics.length > 0 && !live.paused && !document.hidden;
  if (wanted && !live.source) {
    live.source = new EventSource(`/v1/live?${new URLSearchParams({ topics: topics.join(",") })}`);
    live.source.addEventListener("patch", (event) => {
      hear();
      patch(JSON.parse(event.data));
    });
    live.source.addEventListener("beat", hear);
    live.source.addEventListener("open", sayLive);
    live.source.addEventListener("error", () => {
      // A refusal ends it for good, as when somebody's session has ended or the daemon is on its way up.
      if (live.source?.readyState === EventSource.CLOSED) {
        live.source = null;
        setTimeout(connect, 5000);
      }
      sayLive();
    });
  } else if (!wanted && live.source) {
    live.source.close();
    live.source = null;
  }
  sayLive();
}

function sayLive() {
  const button = one("[data-live-switch]");
  if (!button) return;
  const open = live.source?.readyState === EventSource.OPEN;
  const state = live.paused ? "paused" : open ? "live" : "waiting";
  button.dataset.state = state;
  button.setAttribute("aria-pressed", String(live.paused));
  one("[data-live-says]", button).textContent = { paused: "Paused", live: "Live", waiting: "Connecting…" }[state];
  sayStale();
}

// What is shown of another time must not look like now.
function sayStale() {
  const banner = one("[data-stale]");
  if (!banner) return;
  const silentMs = Date.now() - live.heardAt;
  const open = live.source?.readyState === EventSource.OPEN;
  const lost = !live.paused && silentMs > (open ? SILENCE_MS : GRACE_MS);
  const since = new Date(live.heardAt).toLocaleTimeString("en-GB");
  let says = "";
  if (live.paused) says = `Paused: this page shows how it was at ${since}.`;
  else if (lost) says = `The daemon does not answer: this page shows how it was at ${since}. It goes on as soon as there is an answer.`;
  page.classList.toggle("stale", says !== "");
  // What stays the same is not read out again.
  if (banner.textContent !== says) banner.textContent = says;
  if (lost && open) {
    live.source.close();
    live.source = null;
    connect();
  }
}

function pause() {
  if (!live.paused) live.heardAt = Date.now();
  live.paused = !live.paused;
  sessionStorage.setItem("iyagi:paused", live.paused ? "yes" : "");
  connect();
}

function keepUpToDate() {
  const button = one("[data-live-switch]");
  if (!button || all("[data-live]").length === 0) return;
  button.hidden = false;
  button.addEventListener("click", pause);
  live.paused = sessionStorage.getItem("iyagi:paused") === "yes";
  // A hidden page hears nothing, and is none the worse for it.
  document.addEventListener("visibilitychange", () => {
    live.heardAt = Date.now();
    connect();
  });
  setInterval(() => document.hidden || sayStale(), 1000);
  addEventListener("pagehide", () => live.source?.close());
  addEventListener("pageshow", (event) => {
    if (!event.persisted) return;
    live.source = null;
    connect();
  });
  connect();
}

// --- Changing something ---------------------------------------------------------------------------------------------

async function send(path, body) {
  const asked = { method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify(body) };
  const answer = await fetch(path, asked).catch(() => {
    throw new Error("The daemon does not answer. Whether it was done is in its journal.");
  });
  const told = await answer.json().catch(() => ({}));
  if (!answer.ok) throw new Error(told.detail ?? `the daemon answered ${answer.status}`);
  return told;
}

function toast(text) {
  const output = one("[data-toast]");
  output.textContent = text;
  output.hidden = false;
  clearTimeout(toast.timer);
  toast.timer = setTimeout(() => (output.hidden = true), 6000);
}

// A button says in `data-act` what is told to which path, and in `data-ask`, `data-says` and `data-verb` how it is asked for:
//   data-body   JSON that is sent
//   data-size   asks for a number of workers, from this one
//   data-because  asks for a reason
//   data-dry    is first sent as a dry run, and what that finds is shown
//   data-typed  is done only once the number of things found is typed
function confirmed(button) {
  const dialog = one("#confirm");
  const part = (name) => one(`[data-${name}]`, dialog);
  const { act, ask, says, verb, body, size } = button.dataset;
  const go = part("go");
  const order = JSON.parse(body ?? "{}");
  const inputs = Object.fromEntries(["size", "because", "count"].map((name) => [name, one(`[name=${name}]`, dialog)]));
  const show = (element, shown) => (element.hidden = !shown);
  const fail = (error) => {
    part("failed").textContent = error ? error.message : "";
    show(part("failed"), error);
  };
  one("h2", dialog).textContent = ask;
  part("text").textContent = says ?? "";
  go.textContent = verb ?? "Go";
  go.classList.toggle("danger", "danger" in button.dataset);
  show(go, true);
  part("cancel").textContent = "Cancel";
  show(part("size"), size !== undefined);
  show(part("because"), "because" in button.dataset);
  show(part("count"), false);
  show(part("found"), false);
  fail(null);
  for (const input of Object.values(inputs)) input.value = "";
  inputs.size.value = size ?? "";
  inputs.size.required = size !== undefined;
  let typed = null;
  const allow = () => (go.disabled = typed !== null && inputs.count.value.replaceAll(",", "") !== typed);
  inputs.count.oninput = allow;
  go.disabled = false;
  if ("dry" in button.dataset) {
    go.disabled = true;
    send(act, { ...order, dry_run: true }).then((found) => {
      part("found").textContent = foundIn(found);
      show(part("found"), true);
      if ("typed" in button.dataset && found.letters.length > 0) {
        typed = String(found.letters.length);
        one("[data-count-is]", dialog).textContent = typed;
        show(part("count"), true);
      }
      allow();
      if (found.letters.length === 0) go.disabled = true;
    }, fail);
  }
  one("form", dialog).onsubmit = async (event) => {
    event.preventDefault();
    const told = { ...order };
    if (size !== undefined) told.size = Number(inputs.size.value);
    if (inputs.because.value.trim()) told.because = inputs.because.value.trim();
    go.disabled = true;
    fail(null);
    try {
      const done = await send(act, told);
      document.dispatchEvent(new CustomEvent("iyagi:done", { detail: done }));
      if (done.conservation) {
        part("found").textContent = doneIn(done);
        show(part("found"), true);
        part("text").textContent = "";
        for (const name of ["because", "count"]) show(part(name), false);
        show(go, false);
        part("cancel").textContent = "Close";
        part("cancel").focus();
        dialog.onclose = () => location.reload();
        return;
      }
      dialog.close();
      toast(button.dataset.done ?? "Done.");
    } catch (error) {
      fail(error);
    }
    go.disabled = false;
  };
  part("cancel").onclick = () => dialog.close();
  dialog.onclose = null;
  dialog.showModal();
}

const number = (value) => value.toLocaleString("en-US");

function foundIn({ letters, skipped, held = {} }) {
  const gates = Object.entries(held).map(([reason, count]) => `${number(count)} ${reason.replaceAll("_", " ")}`);
  const closed = gates.length > 0 ? ` Would not be sent all the same: ${gates.join(", ")}.` : "";
  const gone = skipped > 0 ? ` ${number(skipped)} no longer wait.` : "";
  const chosen = letters.length === 1 ? "1 letter is" : `${number(letters.length)} letters are`;
  return `${chosen} chosen.${gone}${closed}`;
}

function doneIn({ done, skipped, conservation: law }) {
  const columns = `${number(law.sent)} sent + ${number(law.dead)} dead + ${number(law.suppressed)} suppressed + ${number(law.pending)} pending`;
  const balance = law.difference === 0 ? "Nothing is lost." : `${number(law.difference)} are not accounted for!`;
  return `${number(done)} done, ${number(skipped)} skipped. ${number(law.matched)} matched = ${columns}. ${balance}`;
}

function askFirst() {
  // Until then the style hides what would do nothing.
  page.classList.add("acts-here");
  document.addEventListener("click", (event) => {
    const button = event.target.closest?.("[data-act]");
    if (button) confirmed(button);
  });
}

// --- Keys -----------------------------------------------------------------------------------------------------------

// On a narrow screen the rail is wider than its place.
function showWhere() {
  const here = one("nav [aria-current]");
  const rail = here?.closest("nav");
  if (rail) rail.scrollLeft = here.offsetLeft - (rail.clientWidth - here.offsetWidth) / 2;
}

function keys() {
  const help = one("#keys");
  const opener = one("[data-keys-open]");
  if (!help || !opener) return;
  opener.hidden = false;
  opener.addEventListener("click", () => help.showModal());
  let went = -Infinity;
  document.addEventListener("keydown", (event) => {
    const typing = event.target.closest?.("input, textarea, select, [contenteditable]");
    if (typing || event.ctrlKey || event.metaKey || event.altKey || one("dialog[open]")) return;
    if (event.timeStamp - went < 1500) {
      went = -Infinity;
      const entry = one(`nav [data-key="${CSS.escape(event.key)}"]`);
      if (entry) {
        event.preventDefault();
        entry.click();
      }
      return;
    }
    switch (event.key) {
      case "g":
        went = event.timeStamp;
        break;
      case "/": {
        const filter = one("main input:not([type=hidden]), main select");
        if (!filter) return;
        event.preventDefault();
        filter.focus();
        break;
      }
      case "p":
        if (!one("[data-live-switch]").hidden) pause();
        break;
      case "?":
        help.showModal();
        break;
    }
  });
}

// --- Copying and listening ------------------------------------------------------------------------------------------

function copying() {
  for (const button of all("[data-copy]")) {
    button.hidden = false;
    button.addEventListener("click", async () => {
      await navigator.clipboard.writeText(button.dataset.copy);
      toast("Copied.");
    });
  }
}

// A waveform shows how far its recording has played, and a click on it plays from there.
function players() {
  for (const player of all("[data-player]")) {
    const audio = one("audio", player);
    const wave = one("svg", player);
    audio.addEventListener("timeupdate", () => {
      wave.style.setProperty("--played", `${(audio.currentTime / audio.duration) * 100 || 0}%`);
    });
    wave.addEventListener("click", (event) => {
      const box = wave.getBoundingClientRect();
      const from = (event.clientX - box.left) / box.width;
      const play = () => {
        audio.currentTime = from * audio.duration;
        audio.play();
      };
      if (audio.readyState > 0) play();
      else {
        audio.addEventListener("loadedmetadata", play, { once: true });
        audio.load();
      }
    });
  }
}

// --- Charts ---------------------------------------------------------------------------------------------------------

// Colours are the style's, so a chart asks an element for them.
function colour(name) {
  const probe = document.createElement("i");
  probe.className = `colour-${name}`;
  document.body.append(probe);
  const found = getComputedStyle(probe).color;
  probe.remove();
  return found;
}

// Marks have the numbers that the overview's list of changes has. A number for which there is no room is left out.
const MARK_WIDTH = 16;

function drawMarks(plot, marks) {
  const { ctx: pen, bbox: box } = plot;
  const scale = devicePixelRatio;
  let free = -Infinity;
  pen.save();
  pen.font = `600 ${11 * scale}px system-ui, sans-serif`;
  pen.textAlign = "center";
  pen.lineWidth = scale;
  marks.forEach(({ at, kind }, index) => {
    const x = Math.round(plot.valToPos(at / 1000, "x", true));
    if (x < box.left || x > box.left + box.width) return;
    pen.strokeStyle = pen.fillStyle = colour(`mark-${kind}`);
    pen.setLineDash([4 * scale, 3 * scale]);
    pen.beginPath();
    pen.moveTo(x, box.top);
    pen.lineTo(x, box.top + box.height);
    pen.stroke();
    if (x < free) return;
    pen.fillText(index + 1, x, box.top - 3 * scale);
    free = x + MARK_WIDTH * scale;
  });
  pen.restore();
}

// Says what the mark under the pointer is.
function sayMark(plot, marks, says) {
  const near = (mark) => Math.abs(plot.valToPos(mark.at / 1000, "x") - plot.cursor.left);
  const [closest] = marks.map((mark, index) => ({ mark, index })).sort((a, b) => near(a.mark) - near(b.mark));
  const found = closest && plot.cursor.left >= 0 && near(closest.mark) < 8;
  says.textContent = found ? `${closest.index + 1}: ${closest.mark.what}` : "";
}

// Seconds that a chart shows at least: of a single moment there is no axis.
const SPAN_MIN = 60;

function drawn(element, columns) {
  const says = document.createElement("p");
  says.className = "chart-says";
  const marks = () => element.marks ?? [];
  // All of it begins with the first mark: what was before a start is a gap that should be seen.
  const span = (plot, from, to) => {
    if (from == null) from = to = Date.now() / 1000;
    const whole = plot.data[0].length === 0 || (from === plot.data[0][0] && to === plot.data[0].at(-1));
    return [whole ? Math.min(from, to - SPAN_MIN, ...marks().map(({ at }) => at / 1000)) : from, to];
  };
  const series = element.dataset.series.split(",").map((one) => one.split(":"));
  const grid = { stroke: colour("grid"), width: 1 };
  const axis = { stroke: colour("muted"), grid, ticks: { show: false }, font: "12px system-ui, sans-serif" };
  const colours = series.map((_, index) => colour(`series-${index + 1}`));
  const clock = (at, seconds) =>
    new Date(at * 1000).toLocaleTimeString("en-GB", { hour: "2-digit", minute: "2-digit", second: seconds ? "2-digit" : undefined });
  const times = (_, ticks) => ticks.map((at) => clock(at, ticks[1] - ticks[0] < 60));
  const options = {
    width: element.clientWidth,
    height: 220,
    padding: [18, 28, 0, 0],
    cursor: { points: { size: 6 }, drag: { x: true, y: false } },
    legend: { live: true, markers: { width: 0, fill: (_, index) => colours[index - 1] } },
    hooks: { draw: [(plot) => drawMarks(plot, marks())], setCursor: [(plot) => sayMark(plot, marks(), says)] },
    scales: { x: { range: span }, y: { range: (_, __, most) => [0, Math.max(most * 1.1, 1)] } },
    axes: [{ ...axis, values: times, size: 32, space: 72 }, { ...axis, size: 40 }],
    series: [
      { label: "At", value: (_, at) => (at == null ? "–" : clock(at, true)) },
      ...series.map(([, label], index) => ({
        label,
        stroke: colours[index],
        width: 2,
        points: { show: false },
        value: (_, rate) => (rate == null ? "–" : `${rate.toFixed(1)}/s`),
      })),
    ],
  };
  const data = [columns.at.map((ms) => ms / 1000), ...series.map(([name]) => columns[name])];
  const plot = new uPlot(options, data, element);
  plot.root.append(says);
  return plot;
}

const HOUR_MS = 3_600_000;

// Adds what is new to the columns of a path, and drops what is older than an hour.
async function later(path, columns) {
  const last = columns?.at.at(-1) ?? 0;
  const answer = await fetch(`${path}?${new URLSearchParams({ after: last })}`).catch(() => null);
  if (!answer?.ok) return columns;
  const { marks, ...more } = await answer.json();
  if (!columns) return { marks, ...more };
  const newest = more.at.at(-1) ?? last;
  const old = columns.at.findIndex((at) => at > newest - HOUR_MS);
  const joined = (name) => [...columns[name].slice(Math.max(old, 0)), ...more[name]];
  return { marks, ...Object.fromEntries(Object.keys(more).map((name) => [name, joined(name)])) };
}

function charts() {
  const elements = all("[data-chart]");
  if (elements.length === 0) return;
  const plots = new Map();
  const columnsOf = new Map();
  const namesOf = (element) => element.dataset.series.split(",").map((one) => one.split(":")[0]);
  const show = () => {
    for (const element of elements) {
      const columns = columnsOf.get(element.dataset.chart);
      const plot = plots.get(element);
      if (!columns) continue;
      element.marks = columns.marks;
      if (plot) plot.setData([columns.at.map((ms) => ms / 1000), ...namesOf(element).map((name) => columns[name])]);
      else plots.set(element, drawn(element, columns));
    }
  };
  const draw = async () => {
    if (live.paused || document.hidden) return;
    for (const path of new Set(elements.map((element) => element.dataset.chart))) {
      columnsOf.set(path, await later(path, columnsOf.get(path)));
    }
    show();
  };
  const again = () => {
    for (const plot of plots.values()) plot.destroy();
    plots.clear();
    show();
  };
  addEventListener("load", draw);
  setInterval(draw, 2000);
  document.addEventListener("iyagi:theme", again);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", again);
  new ResizeObserver(() => {
    for (const [element, plot] of plots) {
      if (plot.width !== element.clientWidth) plot.setSize({ width: element.clientWidth, height: plot.height });
    }
  }).observe(elements[0]);
}

theme();
askFirst();
keys();
showWhere();
keepUpToDate();
copying();
players();
charts();
