// The panel: shows GET /api/v1/status and refreshes it. All text from the
// server goes into textContent, never into markup.

const tokenKey = "toastmaster-token";
const interval = 5000; // ms between two questions
const timeout = 10000; // ms for one answer

const $ = (id) => document.getElementById(id);

/** An answer 401 or 403: the token is not good enough. */
class Refused extends Error {}

async function fetchStatus(token) {
  const response = await fetch("/api/v1/status", {
    headers: token ? { Authorization: `Bearer ${token}` } : {},
    cache: "no-store",
    credentials: "omit",
    signal: AbortSignal.timeout(timeout),
  });
  if (response.ok) {
    return response.json();
  }
  const problem = await response.json().catch(() => ({}));
  const text = problem.detail || problem.title || `status ${response.status}`;
  throw response.status === 401 || response.status === 403 ? new Refused(text) : new Error(text);
}

function element(name, className, ...content) {
  const e = document.createElement(name);
  if (className) {
    e.className = className;
  }
  e.append(...content);
  return e;
}

/** Seconds as the two largest units: "3 d 4 h", "12 s". */
function duration(seconds) {
  const units = [["d", 86400], ["h", 3600], ["min", 60], ["s", 1]];
  const first = units.findIndex(([, size]) => seconds >= size);
  if (first < 0) {
    return "0 s";
  }
  let rest = seconds;
  return units.slice(first, first + 2).map(([unit, size]) => {
    const n = Math.floor(rest / size);
    rest -= n * size;
    return n ? `${n} ${unit}` : "";
  }).filter(Boolean).join(" ");
}

function tiles(target, entries) {
  target.replaceChildren(...entries.map(([label, n, attention]) => element(
    "div", attention && n > 0 ? "attention" : "",
    element("dt", "", label), element("dd", "", n.toLocaleString()),
  )));
}

function serviceRow(s) {
  const state = element("td", "", element("span", `state ${s.state}`, s.state));
  if (s.error) {
    state.append(element("div", "reason", s.error));
  }
  return element("tr", "",
    element("td", "name", s.name),
    state,
    element("td", "", element("ul", "", ...s.listeners.map((l) => element("li", "", l)))),
    element("td", "number", s.listeners.length ? s.sessions.toLocaleString() : "–"),
    element("td", "number", duration(s.uptime_seconds)),
  );
}

function show(status) {
  document.title = `${status.hostname} – Toastmaster`;
  $("host").textContent = `${status.hostname} · ${status.version}`;
  const queue = status.queue ?? {};
  tiles($("queue"), [
    ["incoming", queue.incoming ?? 0], ["active", queue.active ?? 0], ["deferred", queue.deferred ?? 0, true],
    ["on hold", queue.hold ?? 0], ["corrupt", queue.corrupt ?? 0, true],
  ]);
  const hosted = status.hosted;
  tiles($("hosted"), [
    ["domains", hosted.domains], ["mailboxes", hosted.mailboxes], ["aliases", hosted.aliases], ["relocated", hosted.relocated],
  ]);
  $("services").replaceChildren(...status.services.map(serviceRow));
}

function askForToken(message) {
  clearTimeout(timer);
  $("overview").hidden = true;
  $("leave").hidden = true;
  $("freshness").textContent = "";
  $("login").hidden = false;
  $("login-error").textContent = message;
  $("token").focus();
}

let timer = 0;

async function refresh() {
  clearTimeout(timer);
  const token = sessionStorage.getItem(tokenKey);
  try {
    show(await fetchStatus(token));
    $("login").hidden = true;
    $("overview").hidden = false;
    $("leave").hidden = !token;
    $("freshness").className = "";
    $("freshness").textContent = `as of ${new Date().toLocaleTimeString()}`;
  } catch (error) {
    if (error instanceof Refused) {
      sessionStorage.removeItem(tokenKey);
      askForToken(token ? error.message : "");
      return;
    }
    // What is shown stays, marked as old.
    $("freshness").className = "stale";
    $("freshness").textContent = `no answer: ${error.message}`;
  }
  if (!document.hidden) {
    timer = setTimeout(refresh, interval);
  }
}

$("login-form").addEventListener("submit", (event) => {
  event.preventDefault();
  sessionStorage.setItem(tokenKey, $("token").value.trim());
  $("token").value = "";
  $("login-error").textContent = "";
  refresh();
});

$("leave").addEventListener("click", () => {
  sessionStorage.removeItem(tokenKey);
  $("host").textContent = "";
  askForToken("");
});

document.addEventListener("visibilitychange", () => {
  if (!document.hidden && $("login").hidden) {
    refresh();
  }
});

refresh();
