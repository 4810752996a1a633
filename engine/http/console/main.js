// Login, the clockwork, and what the page says when it knows nothing new. The two documents are fetched one after the other; a request that takes long is given up, not piled up.

const STEP_MS = 2500, HISTORY_MS = 5000, GIVE_UP_MS = 8000;
const state = { status: null, history: null, drift: null, historyAt: 0, driftAt: 0, since: null, timer: null, driftGone: false };

async function get(path) {
  const response = await fetch(path, { cache: "no-store", signal: AbortSignal.timeout(GIVE_UP_MS) });
  if (response.status === 401 || response.status === 403) {
    const problem = await response.json().catch(() => ({}));
    throw Object.assign(new Error(problem.detail || "not allowed"), { denied: response.status });
  }
  return response;
}

async function document_(path) {
  const response = await get(path);
  if (!response.ok) throw new Error(`${path} answered ${response.status}`);
  return response.json();
}

function loggedOut(why) {
  clearTimeout(state.timer);
  state.timer = null;
  $("board").hidden = true;
  $("logout").hidden = true;
  $("login").hidden = false;
  $("login-why").textContent = why || "";
  $("login-why").className = why ? "error" : "";
  $("age").textContent = "";
  $("found").replaceChildren(); // what was looked up goes with the session
  lookup.answer = null;
  $("token").focus();
}

function head(status) {
  $("cell").textContent = status.cell;
  $("engine").textContent = `engine ${status.engine.id} · ${status.engine.state}`;
  $("logout").hidden = !status.client;
  $("foot").textContent = `features ${status.provenance.features} · policy ${status.provenance.policy}${status.provenance.model ? " · model " + status.provenance.model : ""}${status.rollout ? " · rollout " + status.rollout.number : ""} · durability ${status.provenance.durability} · up since ${when(status.engine.started)}${status.client ? " · logged in as " + status.client : ""} · all times UTC`;
}

function sayAge() {
  if (!state.since || $("board").hidden) return;
  const old = Date.now() - state.since;
  $("age").textContent = old < 4000 && !document.body.classList.contains("old") ? "live" : `as of ${span(old)} ago`;
}

async function turn() {
  state.timer = null;
  try {
    const status = await document_("/status");
    if (!state.history || Date.now() - state.historyAt >= HISTORY_MS) {
      state.history = await document_("/status/history");
      state.historyAt = Date.now();
    }
    if (!state.driftGone && Date.now() - state.driftAt >= 4 * HISTORY_MS) {
      const response = await get("/drift");
      state.driftGone = response.status === 404;
      state.drift = response.ok ? await response.json() : null;
      state.driftAt = Date.now();
    }
    state.status = status;
    state.since = Date.now();
    $("login").hidden = true;
    $("board").hidden = false;
    document.body.classList.remove("old");
    head(status);
    lookupForm(status);
    const found = show(status, state.history, state.drift);
    document.title = (found.length ? (found[0].severity === "bad" ? "✕ " : "! ") : "✓ ") + status.cell + " – Tidemark";
  } catch (error) {
    if (error.denied) {
      loggedOut(state.status || error.denied === 403 ? (error.denied === 403 ? error.message : "The session is over: log in again.") : "");
      state.status = null;
      return;
    }
    if (state.status) {
      const since = new Date(state.since);
      document.body.classList.add("old");
      document.title = "✕ no contact – Tidemark";
      verdict(state.status, [], { head: `No contact with the engine since ${clock(since)} UTC`, say: `${span(Date.now() - state.since)} ago; what is below is as of then. It is tried again every few seconds. (${error.message})` });
    } else {
      $("board").hidden = true;
      loggedOut("The engine does not answer: " + error.message);
    }
  }
  sayAge();
  if (!state.timer) state.timer = setTimeout(turn, STEP_MS);
}

function setTheme(theme) {
  if (theme) document.documentElement.dataset.theme = theme;
  const dark = theme ? theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
  $("theme").setAttribute("aria-pressed", String(dark));
}

function start() {
  setTheme(localStorage.getItem("tidemark-theme"));
  $("theme").addEventListener("click", () => {
    const theme = $("theme").getAttribute("aria-pressed") === "true" ? "light" : "dark";
    localStorage.setItem("tidemark-theme", theme);
    setTheme(theme);
  });
  $("login").querySelector("form").addEventListener("submit", async (event) => {
    event.preventDefault();
    const token = $("token").value;
    $("token").value = "";
    try {
      const response = await fetch("/console/login", { method: "POST", body: new URLSearchParams({ token }), redirect: "follow", cache: "no-store" });
      if (response.ok) { state.status = null; state.history = null; state.driftGone = false; turn(); return; }
      const problem = await response.json();
      loggedOut(problem.detail || problem.title);
    } catch (error) {
      loggedOut("The engine does not answer: " + error.message);
    }
  });
  $("logout").addEventListener("submit", async (event) => {
    event.preventDefault();
    await fetch("/console/logout", { method: "POST", cache: "no-store" }).catch(() => null);
    state.status = null;
    loggedOut("");
  });
  startLookup();
  setInterval(sayAge, 1000);
  addEventListener("resize", () => { for (const one of Object.values(charts)) if (one.data) one.draw(); });
  turn();
}

document.addEventListener("DOMContentLoaded", start);
