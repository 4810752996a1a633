// One decision as a picture: what was decided and by what, what moved the score, and the events in each entity's windows on a time line that ends at the decision.

const lookup = { fields: null, answer: null, entity: null };

// The form asks for what a decision is known by: the members of the message that hold the id and the keys. Secret ones are typed like passwords and emptied when they were sent.
function lookupForm(status) {
  const key = JSON.stringify(status.lookup);
  if (lookup.fields === key) return;
  lookup.fields = key;
  render($("fields"), 
    ...status.lookup.map((f, i) => el("div", {}, el("label", { for: "f" + i }, f.name, f.optional ? el("span", { class: "quiet" }, " (one of these)") : null),
      el("input", { id: "f" + i, "data-at": f.at, type: f.secret ? "password" : "text", autocomplete: "off", spellcheck: "false", "data-secret": f.secret }))),
    el("div", { class: "wide" }, el("label", { for: "whole" }, "Or the whole message"), el("textarea", { id: "whole", spellcheck: "false", autocomplete: "off", placeholder: "{ ... }" })));
}

function put(object, pointer, value) {
  const parts = pointer.split("/").slice(1).map((part) => part.replace(/~1/g, "/").replace(/~0/g, "~"));
  parts.forEach((part, i) => {
    if (i === parts.length - 1) object[part] = value;
    else object = object[part] = object[part] || {};
  });
}

function messageOfForm() {
  const whole = $("whole").value.trim();
  if (whole) return JSON.parse(whole);
  const message = {};
  for (const input of $("fields").querySelectorAll("input")) if (input.value.trim()) put(message, input.dataset.at, input.value.trim());
  return message;
}

async function explain(question) {
  const found = $("found");
  render(found, el("p", { class: "quiet" }, "Looking …"));
  try {
    const response = await fetch("/explain", { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(question), cache: "no-store" });
    const answer = await response.json();
    if (response.status === 401) { loggedOut("The session is over: log in again."); return; }
    if (!response.ok) { render(found, el("p", { class: "error", role: "alert" }, el("b", {}, answer.title || "It was refused"), ": ", answer.detail || "")); return; }
    lookup.answer = answer;
    lookup.entity = null;
    drawDecision();
    found.focus({ preventScroll: true });
  } catch (error) {
    render(found, el("p", { class: "error", role: "alert" }, "The engine did not answer: " + error.message));
  }
}

// --- the picture

function contributions(answer) {
  if (!answer.contributions) return el("p", { class: "empty" }, answer.model ? "The model would refuse with what the state holds now." : "No model scores here.");
  const all = answer.contributions.filter((c) => c.contribution !== 0).sort((a, b) => Math.abs(b.contribution) - Math.abs(a.contribution)), shown = all.slice(0, 12);
  const top = Math.max(...shown.map((c) => Math.abs(c.contribution)), 1e-9), rest = sum(all.slice(12).map((c) => c.contribution));
  const one = (label, value, title) => el("tr", { title }, el("td", {}, label), el("td", { class: "bar" }, svg("svg", { viewBox: "0 0 100 13", preserveAspectRatio: "none", "aria-hidden": "true" },
    svg("line", { x1: 50, x2: 50, y1: 0, y2: 13, class: "grid", "vector-effect": "non-scaling-stroke" }),
    svg("rect", { x: value < 0 ? 50 - (49 * -value) / top : 50, width: Math.max(0.5, (49 * Math.min(Math.abs(value), top)) / top), y: 2, height: 9, class: "fill " + (value > 0 ? "k3" : "k0") }))), el("td", { class: "num" }, (value > 0 ? "+" : "") + value.toFixed(2)));
  return el("div", {}, el("div", { class: "scroll" }, el("table", { class: "bars" }, el("tbody", {}, shown.map((c) => one(c.text || c.feature, c.contribution, `${c.feature} = ${c.value}`)), all.length > 12 ? one(`${all.length - 12} others`, rest, "") : null))),
    el("p", { class: "quiet" }, `Red raises the score, green lowers it. Model ${answer.model}, intercept ${answer.intercept.toFixed(2)}.`));
}

const ageText = (ms) => (ms < 1000 ? "now" : span(ms));

// Age on a logarithmic axis, so that a minute and a month fit into one picture; the decision is at the right edge.
function timeLine(answer, entity) {
  const at = Date.parse(answer.answer.event_time), box = { width: 760, left: 8, right: 8, top: 56 };
  const windows = {};
  for (const [slot, w] of Object.entries(answer.windows)) if (w.entity === entity) (windows[w.window_ms + ":" + w.delayed_ms] = windows[w.window_ms + ":" + w.delayed_ms] || { ...w, slots: [] }).slots.push(slot);
  const rows = Object.values(windows).sort((a, b) => a.window_ms + a.delayed_ms - b.window_ms - b.delayed_ms);
  const events = answer.events.filter((e) => e.entity === entity);
  if (!rows.length) return el("p", { class: "empty" }, "This entity has no windows.");
  const longest = Math.max(...rows.map((w) => w.window_ms + w.delayed_ms)) * 1.15, shortest = Math.min(1000, longest / 100);
  const x = (age) => box.width - box.right - ((Math.log(Math.max(age, shortest)) - Math.log(shortest)) / (Math.log(longest) - Math.log(shortest))) * (box.width - box.left - box.right);
  const height = box.top + rows.length * 19 + 22, money = events.map((e) => e.amount || 0), most = Math.max(...money, 1e-9), kind = { declined: "k3", approved: "k0", partial: "k1", pending: "k5" };
  const dots = events.map((e) => {
    const age = at - Date.parse(e.time), r = 3.5 + 5 * Math.sqrt((e.amount || 0) / most);
    return svg("circle", { cx: x(age), cy: 30 - (Math.abs(Math.round(age * 7919)) % 3 - 1) * 7, r: e.summed ? 6 : r, class: "fill " + (kind[e.result] || "k4"), "fill-opacity": 0.75 },
      svg("title", {}, e.summed ? `${e.summed} events in a tile that ends at ${when(e.time)}` : `${when(e.time)}, ${ageText(age)} before${e.amount === undefined ? "" : ", " + e.amount}${e.result ? ", " + e.result : ""}`));
  });
  const bars = rows.map((w, i) => {
    const y = box.top + i * 19, left = x(w.window_ms + w.delayed_ms), right = w.delayed_ms ? x(w.delayed_ms) : box.width - box.right;
    const held = sum(events.filter((e) => e.in.some((slot) => w.slots.includes(slot))).map((e) => e.summed || 1));
    const label = `${length(w.window_ms)}${w.delayed_ms ? ", delayed " + length(w.delayed_ms) : ""}: ${count(held)} event${held === 1 ? "" : "s"}`;
    return [svg("rect", { x: left, width: Math.max(2, right - left), y, height: 14, rx: 3, class: "fill kaccent", "fill-opacity": held ? 0.32 : 0.12 }), svg("text", { x: Math.min(left + 5, box.width - 150), y: y + 11, class: "ink" }, label)];
  });
  const marks = [1000, 60000, 3600000, 86400000, 30 * 86400000].filter((ms) => ms > shortest && ms < longest).map((ms) => [svg("line", { x1: x(ms), x2: x(ms), y1: 8, y2: height - 18, class: "grid" }), svg("text", { x: Math.max(x(ms), 36), y: height - 4, "text-anchor": "middle" }, length(ms) + " before")]);
  return el("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": "Events in the windows" },
    svg("svg", { class: "wide", viewBox: `0 0 ${box.width} ${height}`, role: "img", "aria-label": `${events.length} events of this ${entity} in ${rows.length} windows` }, marks,
      svg("line", { x1: box.width - box.right, x2: box.width - box.right, y1: 4, y2: height - 18, class: "limit ink" }), svg("line", { x1: box.left, x2: box.width - box.right, y1: 46, y2: 46, class: "grid" }), bars, dots),
    el("ul", { class: "legend" }, entity === Object.values(answer.windows)[0].entity ? [["approved", "k0"], ["declined", "k3"], ["partial", "k1"], ["pending", "k5"]].map(([name, k]) => el("li", {}, el("span", { class: "swatch " + k }), name)) : null,
      el("li", {}, events.length ? "larger: a greater amount; the dashed line is the decision" : "no event of it is remembered in these windows")));
}

function valueTable(answer, entity) {
  const values = answer.answer.features, states = answer.answer.states || {};
  const rows = Object.keys(values).filter((name) => name.split(".")[0] === entity && name.includes(".")).map((name) => el("tr", {}, el("td", {}, name.slice(entity.length + 1)), el("td", { class: "num" }, values[name] === null ? "–" : String(values[name])), el("td", {}, states[name] ? word(states[name].startsWith("stale") ? "bad" : "none", states[name]) : ""), el("td", { class: "say optional" }, answer.definitions[name] || "")));
  return el("details", {}, el("summary", {}, `${rows.length} values of this ${entity}`), el("div", { class: "scroll tall", tabindex: "0", role: "region", "aria-label": "Values" }, el("table", {}, el("tbody", {}, rows))));
}

function drawDecision() {
  const answer = lookup.answer, a = answer.answer, entities = [...new Set(Object.keys(a.features).filter((n) => n.includes(".")).map((n) => n.split(".")[0]))];
  const rich = entities.filter((e) => answer.events.some((event) => event.entity === e));
  if (!lookup.entity) lookup.entity = rich[0] || entities[0];
  const truth = { true: "warn", unknown: "bad", false: "none" };
  const shown = entities.slice(0, 1).concat(rich).concat(entities).filter((e, i, list) => list.indexOf(e) === i);
  render($("found"), 
    el("p", { class: "ruling" }, a.decision || "features only", el("small", {}, a.by ? `by ${a.by}` : ""), a.score === null ? null : el("small", {}, `score ${a.score}`), a.status === "refused" ? word("bad", "refused: " + (a.cause || "")) : null,
      el("small", {}, `${when(a.event_time)}, position ${a.position}`), a.id_conflict ? word("warn", "reused id") : null, a.advised ? word("none", "decided elsewhere") : null),
    a.detail ? el("p", {}, a.detail) : null,
    a.reasons && a.reasons.length ? el("ul", {}, a.reasons.map((r) => el("li", {}, el("b", {}, r.code), " ", r.text))) : null,
    el("p", { class: "note" }, "The decision, its score and its rules are as they were made. Values, contributions and events are what the state shows for that moment now: what came late or changed since (outcomes, labels) is in them, other events of the same millisecond are not. ",
      answer.complete ? "" : "The event itself is no longer in the journal, so keys that were not given are not known. ",
      answer.again !== undefined && answer.again !== null && a.score !== null && Math.abs(answer.again - a.score) > 0.0005 ? el("b", {}, `The score comes out as ${answer.again} now. `) : "", "Exactly what was seen then: ", el("code", {}, `tidemark explain ${a.id}`)),
    el("h3", { class: "wide-h" }, "Rules, in order"),
    el("div", { class: "chips" }, answer.rule_details.map((r) => el("span", { class: "word " + (r.code === "else" ? "none" : truth[r.truth]) + (r.decided ? " decided" : ""), title: `${r.decision}: ${r.truth}${r.say ? " – " + r.say : ""}` }, r.code + (r.shadow ? " (shadow)" : "") + (r.decided ? " decided" : r.truth === "true" ? " true" : r.truth === "unknown" ? " unknown" : "")))),
    el("div", { class: "split" },
      el("div", {}, el("h3", {}, "What moved the score"), contributions(answer),
        el("h3", {}, "The message"), el("div", { class: "scroll" }, el("table", {}, el("tbody", {}, Object.entries(answer.message).map(([name, value]) => el("tr", {}, el("td", {}, name), el("td", { class: "say" }, value))))))),
      el("div", {}, el("h3", {}, "Events in the windows"), el("div", { class: "tabs", role: "group", "aria-label": "Entity" }, shown.map((e) => el("button", { type: "button", "aria-pressed": String(e === lookup.entity), onclick: () => { lookup.entity = e; drawDecision(); $("found").querySelector('[aria-pressed="true"]').focus(); } }, e))),
        timeLine(answer, lookup.entity), valueTable(answer, lookup.entity))));
  const line = $("found").querySelector("svg.wide");
  if (line) line.parentElement.scrollLeft = line.parentElement.scrollWidth; // the decision stands at the right
}

function startLookup() {
  $("by-position").addEventListener("submit", (event) => {
    event.preventDefault();
    explain({ position: $("position").value.trim() });
  });
  $("by-message").addEventListener("submit", (event) => {
    event.preventDefault();
    let message;
    try {
      message = messageOfForm();
    } catch (error) {
      render($("found"), el("p", { class: "error", role: "alert" }, "That is not JSON: " + error.message));
      return;
    }
    $("whole").value = "";
    for (const input of $("fields").querySelectorAll("[data-secret]")) input.value = "";
    explain({ message });
  });
}
