// Pictures of series: sparkline, stacked areas, lines, bars. Plain SVG in a fixed box of user units that the style stretches; a null is a gap, not a zero.

const BOX = { width: 640, height: 170, left: 44, right: 6, top: 8, bottom: 18 };

// As wide as its panel, so that a letter is as large on a telephone as on a wall.
const boxOf = (parent) => ({ ...BOX, width: Math.max(280, Math.min(760, (parent && parent.clientWidth) || BOX.width)) });

function nice(max) {
  if (!(max > 0)) return 1;
  const unit = 10 ** Math.floor(Math.log10(max));
  for (const step of [1, 1.5, 2, 3, 5, 7.5, 10]) if (max <= step * unit) return step * unit;
  return 10 * unit;
}

// Runs of known points as path data.
function path(points) {
  let text = "", pen = false;
  for (const [x, y] of points) {
    if (y === null) { pen = false; continue; }
    text += (pen ? "L" : "M") + x.toFixed(1) + " " + y.toFixed(1) + (pen ? "" : "h0"); // a point alone is a dot
    pen = true;
  }
  return text;
}

function sparkline(values, kind) {
  const all = (values || []).filter((v) => v !== null), top = Math.max(...all, 0) || 1;
  if (all.length < 2) return svg("svg", { viewBox: "0 0 100 26", "aria-hidden": "true" });
  const points = values.map((v, i) => [(i / (values.length - 1)) * 100, v === null ? null : 24 - (v / top) * 22]);
  return svg("svg", { viewBox: "0 0 100 26", preserveAspectRatio: "none", "aria-hidden": "true" },
    svg("path", { d: path(points), class: "line " + (kind || "kaccent"), "vector-effect": "non-scaling-stroke" }));
}

const timeX = (at, box) => {
  const from = at[0], to = Math.max(last(at), from + 300000);
  return (ms) => box.left + ((ms - from) / (to - from)) * (box.width - box.left - box.right);
};

// Lines over the plot: quarter marks with their labels; and the times below.
function axes(box, top, at, label, scaleY) {
  const parts = [];
  for (const share of [0, 0.5, 1]) {
    const y = scaleY ? scaleY(share) : box.top + (1 - share) * (box.height - box.top - box.bottom);
    parts.push(svg("line", { x1: box.left, x2: box.width - box.right, y1: y, y2: y, class: "grid" }),
      svg("text", { x: box.left - 6, y: y + 4, "text-anchor": "end" }, label(share)));
  }
  if (at && at.length) {
    const x = timeX(at, box), to = Math.max(last(at), at[0] + 300000);
    for (const share of [0, 0.5, 1]) {
      const ms = at[0] + share * (to - at[0]);
      parts.push(svg("text", { x: x(ms), y: box.height - 3, "text-anchor": share === 0 ? "start" : share === 1 ? "end" : "middle" }, clock(new Date(ms)).slice(0, 5)));
    }
  }
  return parts;
}

// A chart over time that stays in the page and is given new data; the legend shows the values under the pointer, or the last ones.
// options: {stacked, unit(value), log, empty}. data: {at, series: [{name, values, kind}], limit: {value, name}}
class TimeChart {
  constructor(parent, options) {
    this.options = options;
    this.hover = null;
    this.parent = parent;
    this.box = BOX;
    this.picture = svg("svg", { role: "img" });
    this.legend = el("ul", { class: "legend" });
    this.empty = el("p", { class: "empty", hidden: true }, options.empty || "Nothing in the last hour.");
    this.picture.addEventListener("pointermove", (event) => this.point(event));
    this.picture.addEventListener("pointerleave", () => { this.hover = null; this.draw(); });
    render(parent, this.picture, this.legend, this.empty);
  }

  point(event) {
    const box = this.picture.getBoundingClientRect(), at = this.data && this.data.at;
    if (!at || !at.length || !box.width) return;
    const x = ((event.clientX - box.left) / box.width) * this.box.width, place = timeX(at, this.box);
    let best = 0;
    at.forEach((ms, i) => { if (Math.abs(place(ms) - x) < Math.abs(place(at[best]) - x)) best = i; });
    this.hover = best;
    this.draw();
  }

  update(data) {
    this.data = data;
    if (this.hover !== null && this.hover >= data.at.length) this.hover = null;
    this.draw();
  }

  draw() {
    const box = (this.box = boxOf(this.parent)), { at, series, limit } = this.data, { stacked, unit, log } = this.options, plot = box.height - box.top - box.bottom;
    this.picture.setAttribute("viewBox", `0 0 ${box.width} ${box.height}`);
    const some = at.length > 1 && series.some((s) => s.values.some((v) => v !== null && v !== undefined));
    this.picture.toggleAttribute("hidden", !some);
    this.legend.hidden = !some;
    this.empty.hidden = some;
    if (!some) return;
    const x = timeX(at, box), totals = at.map((_, i) => sum(series.map((s) => s.values[i])));
    let low = 0, high = stacked ? Math.max(...totals) : Math.max(...series.flatMap((s) => s.values.filter((v) => v !== null)), limit ? limit.value : 0);
    if (log) { low = 0.1; high = Math.max(high * 1.2, 10); } else high = nice(high);
    const y = (v) => box.top + plot * (1 - (log ? (Math.log(Math.max(v, low)) - Math.log(low)) / (Math.log(high) - Math.log(low)) : v / high));
    const shown = [];
    if (stacked) {
      const base = at.map(() => 0);
      for (const s of series) {
        const lower = base.slice();
        s.values.forEach((v, i) => { base[i] += v || 0; });
        const up = at.map((ms, i) => [x(ms), y(base[i])]), down = at.map((ms, i) => [x(ms), y(lower[i])]).reverse();
        shown.push(svg("path", { d: path(up) + path(down).replace("h0", "").replace("M", "L") + "Z", class: "area " + s.kind }));
      }
    } else for (const s of series) shown.push(svg("path", { d: path(at.map((ms, i) => [x(ms), s.values[i] === null || s.values[i] === undefined ? null : y(s.values[i])])), class: "line " + s.kind }));
    if (limit && (log || limit.value <= high)) {
      shown.push(svg("line", { x1: box.left, x2: box.width - box.right, y1: y(limit.value), y2: y(limit.value), class: "limit kbad" }),
        svg("text", { x: box.width - box.right, y: y(limit.value) - 4, "text-anchor": "end" }, limit.name));
    }
    if (this.hover !== null) shown.push(svg("line", { x1: x(at[this.hover]), x2: x(at[this.hover]), y1: box.top, y2: box.top + plot, class: "cursor" }));
    const label = (share) => unit(log ? low * (high / low) ** share : high * share);
    render(this.picture, ...axes(box, high, at, label), ...shown);
    const i = this.hover === null ? at.length - 1 : this.hover;
    render(this.legend, el("li", {}, this.hover === null ? "now" : clock(new Date(at[i]))),
      ...series.map((s) => el("li", {}, el("span", { class: "swatch " + s.kind }), s.name + " ", el("b", {}, s.values[i] === null || s.values[i] === undefined ? "–" : unit(s.values[i])))));
    this.picture.setAttribute("aria-label", this.options.name + ", now: " + series.map((s) => s.name + " " + (last(s.values) === null ? "unknown" : unit(last(s.values)))).join(", "));
  }
}

// A bar of a share 0..1 with a mark; for tables.
function bar(share, kind, mark) {
  return svg("svg", { viewBox: "0 0 100 10", preserveAspectRatio: "none", "aria-hidden": "true" },
    svg("rect", { x: 0, y: 0, width: Math.max(0, Math.min(100, share * 100)), height: 10, class: "fill " + kind, rx: 1 }),
    mark === undefined ? null : svg("line", { x1: mark * 100, x2: mark * 100, y1: -2, y2: 12, class: "limit ink", "vector-effect": "non-scaling-stroke" }));
}

// Counts per bucket between 0 and 1.
function histogram(parent, buckets, name) {
  const all = sum(buckets);
  if (!all) { render(parent, el("p", { class: "empty" }, "No decision of the last hour had a score.")); return; }
  const box = boxOf(parent), top = nice(Math.max(...buckets)), plot = box.height - box.top - box.bottom, wide = (box.width - box.left - box.right) / buckets.length;
  const bars = buckets.map((n, i) => svg("rect", { x: box.left + i * wide + 1, width: wide - 2, y: box.top + plot * (1 - n / top), height: plot * (n / top), class: "fill k4" },
    svg("title", {}, `${(i / buckets.length).toFixed(2)} to ${((i + 1) / buckets.length).toFixed(2)}: ${n}`)));
  const marks = [0, 0.25, 0.5, 0.75, 1].map((v) => svg("text", { x: box.left + v * (box.width - box.left - box.right), y: box.height - 3, "text-anchor": v === 0 ? "start" : v === 1 ? "end" : "middle" }, String(v)));
  render(parent, svg("svg", { viewBox: `0 0 ${box.width} ${box.height}`, role: "img", "aria-label": `${name}: ${all} scores` }, axes(box, top, null, (share) => count(top * share)), bars, marks),
    el("ul", { class: "legend" }, el("li", {}, el("b", {}, count(all)), " scores"),
      el("li", {}, el("b", {}, ((100 * sum(buckets.slice(Math.ceil(buckets.length * 0.9)))) / all).toFixed(1) + " %"), " from 0.90 on")));
}
