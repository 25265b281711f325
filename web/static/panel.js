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
    "div", n === 0 ? "none" : attention ? "attention" : "",
    element("dt", "", label), element("dd", "", n.toLocaleString()),
  )));
}

/** An address with its kind beside it: "127.0.0.1:2993 (tls)". */
function listener(text) {
  const [, address, tls] = /^(.*?)( \(tls\))?$/.exec(text);
  const item = element("li", "", element("span", "address", address));
  if (tls) {
    item.append(element("span", "chip", "TLS"));
  }
  return item;
}

/** A cell whose heading stands beside it where the table has no room for one. */
function cell(heading, className, ...content) {
  const td = element("td", className, ...content);
  td.dataset.heading = heading;
  return td;
}

function counted(n, one, many) {
  return `${n.toLocaleString()} ${n === 1 ? one : many}`;
}

const ended = (s) => s.state === "failed" || s.state === "stopped";

/** The state of the whole in one sentence, and how bad it is. */
function verdict(status) {
  const wrong = status.services.filter((s) => s.state !== "running");
  if (wrong.length > 0) {
    return [wrong.some((s) => ended(s) || s.state === "unavailable") ? "bad" : "warn", wrong.map((s) => `${s.name} ${ended(s) ? "has" : "is"} ${s.state}`).join(", ")];
  }
  const corrupt = status.queue?.corrupt ?? 0;
  if (corrupt > 0) {
    return ["warn", `${counted(corrupt, "message", "messages")} in the queue cannot be read`];
  }
  const listeners = status.services.reduce((n, s) => n + s.listeners.length, 0);
  const uptime = Math.min(...status.services.map((s) => s.uptime_seconds));
  return ["good", `All ${counted(status.services.length, "service runs", "services run")} on ${counted(listeners, "listener", "listeners")}, for ${duration(uptime)}`];
}

function serviceRow(s) {
  const state = cell("State", "", element("span", `state ${s.state}`, s.state));
  if (s.error) {
    state.append(element("div", "reason", s.error));
  }
  return element("tr", "",
    element("td", "name", s.name),
    state,
    s.listeners.length
      ? cell("Listens on", "", element("ul", "", ...s.listeners.map(listener)))
      : cell("Listens on", "nothing", "–"),
    cell("Sessions", s.listeners.length ? "number" : "number nothing", s.listeners.length ? s.sessions.toLocaleString() : "–"),
    cell("Uptime", "number", duration(s.uptime_seconds)),
  );
}

function show(status) {
  document.title = `${status.hostname} – Toastmaster`;
  $("host").textContent = status.hostname;
  $("version").textContent = status.version === "(devel)" ? "development build" : status.version;
  $("version").hidden = false;
  const [severity, sentence] = verdict(status);
  $("summary").className = `banner ${severity}`;
  if ($("summary").textContent !== sentence) { // or a screen reader says it again
    $("summary").textContent = sentence;
  }
  const queue = status.queue ?? {};
  tiles($("queue"), [
    ["incoming", queue.incoming ?? 0], ["active", queue.active ?? 0], ["deferred", queue.deferred ?? 0, true],
    ["on hold", queue.hold ?? 0], ["corrupt", queue.corrupt ?? 0, true],
  ]);
  $("queue-empty").hidden = Object.values(queue).some((n) => n > 0);
  const hosted = status.hosted;
  // One domain is the host's own, for its postmaster.
  $("first-steps").hidden = hosted.domains > 1 || hosted.mailboxes > 1;
  tiles($("hosted"), [
    ["domains", hosted.domains], ["mailboxes", hosted.mailboxes], ["aliases", hosted.aliases], ["relocated", hosted.relocated],
  ]);
  $("services").replaceChildren(...status.services.map(serviceRow));
}

function askForToken(message) {
  clearTimeout(timer);
  $("overview").hidden = true;
  $("trouble").hidden = true;
  $("version").hidden = true;
  $("leave").hidden = true;
  $("freshness").textContent = "";
  $("login").hidden = false;
  $("login-error").textContent = message;
  $("token").focus();
}

/** What is shown stays, marked as old; without anything, the trouble is the page. */
function showTrouble(message) {
  const text = `no answer: ${message}`;
  if ($("overview").hidden) {
    $("login").hidden = true;
    $("trouble").hidden = false;
    $("trouble-text").textContent = text;
    return;
  }
  $("overview").className = "stale";
  $("freshness").className = "stale";
  $("freshness").textContent = text;
}

let timer = 0;

async function refresh() {
  clearTimeout(timer);
  const token = sessionStorage.getItem(tokenKey);
  try {
    show(await fetchStatus(token));
    $("login").hidden = true;
    $("trouble").hidden = true;
    $("overview").hidden = false;
    $("overview").className = "";
    $("leave").hidden = !token;
    $("freshness").className = "";
    $("freshness").textContent = `as of ${new Date().toLocaleTimeString()}`;
  } catch (error) {
    if (error instanceof Refused) {
      sessionStorage.removeItem(tokenKey);
      askForToken(token ? error.message : "");
      return;
    }
    showTrouble(error.message);
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

$("again").addEventListener("click", refresh);

document.addEventListener("visibilitychange", () => {
  if (!document.hidden && $("login").hidden) {
    refresh();
  }
});

refresh();
