// The panels: each is a function of the two documents (GET /status, GET /status/history). What is wrong is worked out once, in problems(), and said at the top.

const charts = {};
const kinds = ["k0", "k1", "k2", "k3", "k4", "k5", "k6", "k7"];
// Mild to strict, as the feature file lists them: the first is calm and the last alarms, whatever they are called.
const decisionKind = (status, i) => (i === 0 ? "k0" : i === status.decisions.length - 1 ? "k3" : ["k1", "k2", "k4", "k6"][(i - 1) % 4]);

// --- what is wrong

const SEVERITY = { bad: 0, warn: 1 };

function sourceProblems(status, add) {
  if (!status.sources) return;
  for (const source of status.sources.sources) {
    const stopped = source.partitions.filter((p) => p.stopped);
    for (const p of stopped.slice(0, 3)) add("bad", `${source.name}/${p.partition} stands still`, p.trouble || "it is not read");
    if (stopped.length > 3) add("bad", `${stopped.length - 3} more partitions of ${source.name} stand still`, "see below");
    if (source.silent && source.gates) add("bad", `${source.name} is silent`, `nothing was heard of it since ${when(source.heard)}; its groups do not stay fresh by the end of a log that nothing comes to`);
    else if (source.silent) add("warn", `${source.name} is silent`, `nothing was heard of it since ${when(source.heard)}; no score waits for it`);
    const waived = source.partitions.filter((p) => p.waived_until);
    if (waived.length) add("warn", `${waived.length === 1 ? source.name + "/" + waived[0].partition + " is" : waived.length + " partitions of " + source.name + " are"} waived`, `an operator's word: scores do not wait for it, until ${when(waived[0].waived_until)}`);
    const queued = source.partitions.filter((p) => p.delay_ms > source.out_of_orderness_ms && p.delay_ms > 5000);
    if (queued.length) add("warn", `messages come into ${source.name} late`, `${span(Math.max(...queued.map((p) => p.delay_ms)))} after their own time: the queue is upstream of the log`);
  }
  if (!status.sources.ingester) add("bad", "no engine reads the sources", "an engine takes over within a few seconds; if none does, look at their logs");
}

function problems(status, history) {
  const found = [], add = (severity, head, say) => found.push({ severity, head, say });
  const engine = status.engine, journal = status.journal;
  if (!engine.live) add("bad", "the engine has ended", engine.why);
  else if (!engine.ready) add("bad", "the engine does not commit: every decision is the fallback's", engine.journal ? `${engine.journal} (${engine.why || engine.does})` : engine.why || engine.does);
  else if (engine.journal) add("warn", "the journal was in trouble", engine.journal);
  for (const group of status.groups) {
    const stale = group.state === "stale", behind = group.age_ms === null ? "nothing says how old it is" : `${span(group.age_ms)} behind, its budget is ${length(group.budget_ms)}`;
    const does = { fallback: "decisions that read it are made by the fallback", mark: "its values are used and marked", default: "its values are replaced by a default", recompute: "it is judged again, then the fallback decides" }[group.stale];
    if (stale) add(group.stale === "fallback" || group.stale === "recompute" ? "bad" : "warn", `${group.entity} is stale: ${behind}`, (group.source ? `waits for ${group.source}, complete up to ${when(group.complete)}; ` : "") + does);
  }
  sourceProblems(status, add);
  if (journal.replicated && journal.online < journal.quorum) add("bad", `${journal.online} of ${journal.replicas} replicas can acknowledge, ${journal.quorum} are needed`, "no commit is acknowledged without them; bring one back as a replica of the primary that is there");
  else if (journal.replicated && journal.online < journal.replicas) add("warn", `a replica is lost: ${journal.online} of ${journal.replicas} can acknowledge`, `${journal.quorum} are needed; ${journal.online - journal.quorum === 0 ? "the next loss stops commits" : "commits go on"}`);
  const shorts = sum((history.series.shorts || []).slice(-12)) * (history.step_ms / 1000);
  if (shorts >= 0.5) add("warn", "WAIT came back short " + count(Math.round(shorts)) + " times in a minute", "replicas do not acknowledge in time");
  if (status.rollout_void) add("warn", `rollout ${status.rollout_void.number} could not take effect`, `${status.rollout_void.why}; the one before it stays in force`);
  if (journal.diverged) add("bad", "two engines have decided differently at one position", `${journal.diverged} positions: stop one and compare both by audit`);
  const now = status.now, deadline = now.deadline_ms;
  if (now.p99_ms !== null && now.p99_ms > deadline) add("bad", `p99 is ${span(now.p99_ms)}`, `beyond the default deadline of ${length(deadline)}`);
  const recent = sum(status.refusals.map((r) => r.recent)), decided = sum(Object.values(history.decisions).map((list) => sum(list.slice(-60)))) * (history.step_ms / 1000);
  if (recent > 0 && decided > 0 && recent / decided > 0.01)
    add(recent / decided > 0.1 ? "bad" : "warn", `${((100 * recent) / decided).toFixed(recent / decided > 0.1 ? 0 : 1)} % of decisions are the fallback's`, "in the last 5 minutes: " + status.refusals.filter((r) => r.recent > 0).sort((a, b) => b.recent - a.recent).slice(0, 3).map((r) => `${r.cause} ${count(r.recent)}`).join(", "));
  return found.sort((a, b) => SEVERITY[a.severity] - SEVERITY[b.severity]);
}

function verdict(status, found, lost) {
  const panel = $("verdict"), worst = lost ? "bad" : found.length ? found[0].severity : "good";
  const head = lost ? lost.head
    : worst === "good" ? "All is well"
    : found[0].head.charAt(0).toUpperCase() + found[0].head.slice(1);
  const rows = [];
  if (lost) rows.push(el("p", {}, lost.say));
  if (!lost && worst === "good") rows.push(el("p", {}, `${status.groups.length} groups within their budgets, ${status.sources ? status.sources.sources.length + " sources read, " : ""}the engine commits.`));
  if (!lost && found.length) {
    rows.push(el("p", {}, found[0].say || ""));
    if (found.length > 1) rows.push(el("ul", {}, found.slice(1, 9).map((p) => el("li", {}, word(p.severity, p.severity === "bad" ? "bad" : "look"), el("div", {}, el("b", {}, p.head), " ", el("span", { class: "say" }, p.say || ""))))));
    if (found.length > 9) rows.push(el("p", { class: "quiet" }, `and ${found.length - 9} more`));
  }
  panel.className = worst;
  const said = JSON.stringify([worst, head, found]);
  if (panel.dataset.said === said && !lost) return; // a screen reader hears it once
  panel.dataset.said = said;
  render(panel, el("p", { class: "head" }, el("span", { "aria-hidden": "true" }, { good: "✓", warn: "!", bad: "✕" }[worst]), head), ...rows);
}

// --- numbers of now

function tile(title, value, unit, note, values, kind) {
  return el("div", { class: "tile " + (kind || "") }, el("h3", {}, title), el("p", { class: "value" }, value, unit ? el("small", {}, " " + unit) : null), el("p", { class: "quiet", title: note }, note), sparkline(values, kind === "bad" ? "kbad" : undefined));
}

function tiles(status, history) {
  const now = status.now, journal = status.journal, series = history.series;
  const rate = history.at.map((_, i) => sum(Object.values(history.decisions).map((list) => list[i])));
  const total = last(rate) || 0, refused = now.refused || 0, share = total ? refused / total : 0;
  const worst = status.groups.slice().sort((a, b) => (b.age_ms === null ? Infinity : b.age_ms / b.budget_ms) - (a.age_ms === null ? Infinity : a.age_ms / a.budget_ms))[0];
  const lag = status.sources ? sum(status.sources.sources.flatMap((s) => s.partitions.map((p) => p.lag))) : null;
  const reads = status.sources && status.sources.ingests;
  render($("tiles"), 
    tile("Decisions", count(total), "/s", `HTTP ${count(now.answers)}/s, messages ${count(now.messages)}/s`, rate),
    tile("Fallback", total ? (100 * share).toFixed(share > 0.1 ? 0 : 1) : "–", "%", total ? `${count(refused)} of ${count(total)} per second` : "no decisions now", series.refused, share > 0.1 ? "bad" : share > 0.01 ? "warn" : ""),
    tile("Latency p99", now.p99_ms === null ? "–" : span(now.p99_ms), "", now.p99_ms === null ? "no requests now" : `p50 ${span(now.p50_ms)}, deadline ${length(now.deadline_ms)}`, series.p99_ms, now.p99_ms > now.deadline_ms ? "bad" : ""),
    worst ? tile("Least fresh", worst.age_ms === null ? "unknown" : span(worst.age_ms), "", `${worst.entity}, budget ${length(worst.budget_ms)}`, history.age_s[worst.entity], worst.state === "stale" ? "bad" : "") : null,
    tile("Lag", reads ? count(lag) : "–", reads ? "messages" : "", !status.sources ? "no sources" : reads ? "to the ends of the logs" : `engine ${status.sources.ingester || "?"} reads`, series.lag),
    tile("Epoch", String(journal.epoch), "", journal.replicated ? `${journal.online} of ${journal.replicas} replicas, ${journal.quorum} needed` : `journal: ${journal.durability}`, series.online, journal.replicated && (!journal.session || journal.online < journal.quorum) ? "bad" : ""));
}

// --- panels

function freshness(status) {
  const rows = status.groups.map((g) => {
    const stale = g.state === "stale", share = g.age_ms === null ? 1 : Math.min(1, g.age_ms / g.budget_ms / 2);
    return el("tr", {}, el("td", {}, g.entity), el("td", {}, word(stale ? "bad" : g.state === "fresh" ? "good" : "warn", g.state)),
      el("td", { class: "num" }, g.age_ms === null ? "unknown" : span(g.age_ms)), el("td", { class: "num" }, length(g.budget_ms)),
      el("td", { class: "optional", style: null }, el("div", { class: "meter" }, bar(share, stale ? "kbad" : g.age_ms > g.budget_ms / 2 ? "kwarn" : "kgood", 0.5))),
      el("td", { class: "say optional" }, g.source ? `waits for ${g.source}` : "", g.stale === "fallback" ? "" : ` (stale: ${g.stale})`));
  });
  render(body("freshness"), rows.length
    ? el("div", { class: "scroll" }, el("table", {}, el("thead", {}, el("tr", {}, el("th", {}, "Group"), el("th", {}, "State"), el("th", { class: "num" }, "Age"), el("th", { class: "num" }, "Budget"), el("th", { class: "optional" }, "Age against budget"), el("th", { class: "optional" }, ""))), el("tbody", {}, rows)))
    : el("p", { class: "empty" }, "The feature file has no features."));
}

function partitionState(source, p, status) {
  if (p.stopped) return ["bad", "stopped"];
  if (p.waived_until) return ["warn", "waived"];
  const budget = Math.min(...status.groups.map((g) => g.budget_ms), Infinity);
  if (source.gates && (p.complete_age_ms === null || p.complete_age_ms > budget + source.out_of_orderness_ms)) return ["bad", "behind"];
  if (p.delay_ms > source.out_of_orderness_ms) return ["warn", "delayed"];
  return ["good", "ok"];
}

function sources(status) {
  if (!status.sources) { render(body("sources"), el("p", { class: "empty" }, "No source feeds this cell: transactions come over HTTP, and what they read is never behind.")); return; }
  const reads = status.sources.ingests, rank = { bad: 0, warn: 1, good: 2 };
  render(body("sources"), 
    el("p", { class: "quiet" }, reads ? `This engine reads them. ${count(status.sources.unsent_answers)} answers have not left.` : status.sources.ingester ? `Engine ${status.sources.ingester} reads them; lags are known there.` : "Nobody reads them."),
    ...status.sources.sources.map((source) => {
      const parts = source.partitions.map((p) => ({ p, state: partitionState(source, p, status) }));
      const bad = parts.slice().sort((a, b) => rank[a.state[0]] - rank[b.state[0]] || (b.p.complete_age_ms || 0) - (a.p.complete_age_ms || 0)).slice(0, 6);
      return el("div", { class: "source" },
        el("h3", {}, source.name, source.silent ? word(source.gates ? "bad" : "warn", "silent") : null, source.gates ? null : word("none", "does not gate"), el("span", { class: "quiet" }, `heard ${when(source.heard)}`)),
        parts.length > 6 ? el("div", { class: "parts" }, parts.map(({ p, state }) => el("span", { class: "part " + state[0], title: `${source.name}/${p.partition} ${state[1]}: lag ${count(p.lag)}, complete up to ${when(p.complete)}` }, String(p.partition)))) : null,
        el("div", { class: "scroll" }, el("table", {}, el("thead", {}, el("tr", {}, el("th", {}, "Partition"), el("th", {}, "State"), el("th", { class: "num" }, "Lag"), el("th", { class: "num" }, "Delay"), el("th", { class: "num" }, "Complete up to"), el("th", { class: "optional" }, ""))),
          el("tbody", {}, bad.map(({ p, state }) => el("tr", {}, el("td", {}, String(p.partition)), el("td", {}, word(state[0], state[1])), el("td", { class: "num" }, count(p.lag)), el("td", { class: "num" }, span(p.delay_ms)),
            el("td", { class: "num" }, p.complete_age_ms === null ? "unknown" : span(p.complete_age_ms) + " ago"), el("td", { class: "say optional" }, p.trouble || "")))))),
        parts.length > bad.length ? el("p", { class: "quiet" }, `and ${parts.length - bad.length} more, all no worse`) : null);
    }));
}

function chart(id, options) {
  if (!charts[id]) charts[id] = new TimeChart(body(id), options);
  return charts[id];
}

function decisions(status, history) {
  chart("decisions", { name: "Decisions per second", stacked: true, unit: (v) => count(v) + "/s", empty: "No decision in the last hour." })
    .update({ at: history.at, series: status.decisions.map((name, i) => ({ name, values: history.decisions[name] || null, kind: decisionKind(status, i) })).filter((s) => s.values) });
}

function refusals(status, history) {
  const names = status.refusals.map((r) => r.cause).filter((c) => history.refusals[c]);
  chart("refusals", { name: "Refusals per second", stacked: true, unit: (v) => count(v) + "/s", empty: "Nothing was refused in the last hour." })
    .update({ at: history.at, series: names.map((name, i) => ({ name, values: history.refusals[name], kind: ["k3", "k1", "k2", "k4", "k6", "k5", "k7", "k0"][i % 8] })) });
  let list = body("refusals").querySelector(".causes");
  if (!list) body("refusals").append(list = el("div", { class: "causes" }));
  const judged = status.staleness.right + status.staleness.false;
  render(list, names.length ? el("div", { class: "scroll" }, el("table", {}, el("thead", {}, el("tr", {}, el("th", {}, "Cause"), el("th", { class: "num" }, "5 min"), el("th", { class: "num" }, "Hour"), el("th", { class: "optional" }, "Means"))),
      el("tbody", {}, status.refusals.map((r) => el("tr", {}, el("td", {}, r.cause), el("td", { class: "num" }, count(r.recent)), el("td", { class: "num" }, count(r.hour)), el("td", { class: "say optional" }, r.text)))))) : "",
    judged ? el("p", { class: "quiet" }, `Of ${judged} refusals for staleness that could be judged since, ${status.staleness.false} (${((100 * status.staleness.false) / judged).toFixed(0)} %) were false: nothing relevant was missing.`) : "");
}

function latency(status, history) {
  const s = history.series;
  chart("latency", { name: "Latency", log: true, unit: (v) => span(v), empty: "No request in the last hour." })
    .update({ at: history.at, series: [["p50", s.p50_ms, "k0"], ["p99", s.p99_ms, "k4"], ["p99.9", s.p999_ms, "k2"]].filter(([, values]) => values).map(([name, values, kind]) => ({ name, values, kind })), limit: { value: status.now.deadline_ms, name: "default deadline" } });
}

function journal(status, history) {
  const j = status.journal, fact = (name, value) => el("div", {}, el("dt", {}, name), el("dd", {}, value));
  const dots = j.replicated ? el("span", { class: "dots" }, Array.from({ length: j.replicas }, (_, i) => el("i", { class: i < j.online ? "" : "off" })), " ", `${j.online} of ${j.replicas}`, j.session ? null : word("bad", "no session")) : "none";
  render(body("journal"), el("dl", { class: "facts" },
    fact("Durability", j.durability), fact("Replicas that acknowledge", dots), j.replicated ? fact("Needed for a commit", String(j.quorum)) : null,
    fact("Epoch", String(j.epoch)), fact("Epoch changes in the hour", count(Math.round(sum(history.series.epochs)))), fact("Folded up to", status.engine.folded),
    fact("WAITs that came short", count(j.wait_short)), fact("Indeterminate results", count(j.indeterminate)), fact("Rolled back, unacknowledged", count(j.rolled_back)),
    fact("Reused ids (conflicts)", count(j.conflicts)), fact("Too late to count", count(j.late)), fact("Engines that differ", count(j.diverged)),
    fact("Messages queued, under way", `${status.engine.queued}, ${status.engine.in_flight}`), fact("Watermark", when(status.engine.watermark))));
}

function rules(status) {
  const top = Math.max(1, ...status.rules.map((r) => r.recent || 0));
  render(body("rules"), el("div", { class: "scroll tall", tabindex: "0", role: "region", "aria-label": "Rules and their hits" }, el("table", {},
    el("thead", {}, el("tr", {}, el("th", {}, "Rule"), el("th", {}, "Decision"), el("th", { class: "num" }, "5 min"), el("th", { class: "num" }, "Hour"), el("th", { class: "optional" }, ""), el("th", { class: "optional" }, "Says"))),
    el("tbody", {}, status.rules.map((r) => el("tr", { class: r.hour ? "" : "dim" }, el("td", {}, r.code, r.shadow ? " " : null, r.shadow ? word("none", "shadow") : null), el("td", {}, r.decision), el("td", { class: "num" }, count(r.recent)), el("td", { class: "num" }, count(r.hour)),
      el("td", { class: "optional" }, el("div", { class: "meter" }, bar((r.recent || 0) / top, r.fallback ? "kbad" : r.shadow ? "kquiet" : "kaccent"))), el("td", { class: "say optional" }, r.say || (r.fallback ? "fallback" : ""))))))));
}

function scores(status) {
  if (!status.rules.length && !sum(status.scores)) render(body("scores"), el("p", { class: "empty" }, "No model scores here."));
  else histogram(body("scores"), status.scores, "Scores of the last hour");
}

// GET /drift is there where the engine watches a model; any other answer than 200 hides the panel.
function drift(document) {
  const model = document && document.models && document.models[0];
  $("drift").hidden = !model;
  if (!model) return;
  const look = model.short, rows = [look.score, ...look.inputs].filter(Boolean), rank = { severe: 0, moderate: 1, none: 2 };
  const shown = rows.slice().sort((a, b) => rank[a.severity] - rank[b.severity] || b.psi - a.psi).slice(0, 10), kind = { severe: "bad", moderate: "warn", none: "good" };
  render(body("drift"), el("p", { class: "quiet" }, `${model.model}, ${count(look.rows)} decisions of ${look.window} up to ${when(model.until)}, against its training`),
    el("div", { class: "scroll" }, el("table", {}, el("thead", {}, el("tr", {}, el("th", {}, "Input"), el("th", {}, "Drift"), el("th", { class: "num" }, "PSI"), el("th", { class: "num" }, "KS"), el("th", { class: "num optional" }, "Missing"))),
      el("tbody", {}, shown.map((m) => el("tr", {}, el("td", {}, m.input), el("td", {}, word(kind[m.severity] || "none", m.severity)), el("td", { class: "num" }, m.psi.toFixed(3)), el("td", { class: "num" }, m.ks.toFixed(3)), el("td", { class: "num optional" }, (100 * m.missing).toFixed(1) + " %")))))),
    rows.length > shown.length ? el("p", { class: "quiet" }, `and ${rows.length - shown.length} more inputs, none worse`) : "");
}

function show(status, history, driftDocument) {
  const found = problems(status, history);
  verdict(status, found, null);
  tiles(status, history);
  freshness(status);
  sources(status);
  decisions(status, history);
  refusals(status, history);
  latency(status, history);
  journal(status, history);
  rules(status);
  scores(status);
  drift(driftDocument);
  return found;
}
