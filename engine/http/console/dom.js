"use strict";
// Building blocks. Everything that comes from the engine goes into the page as text nodes and attributes, never as markup: the page's policy (trusted types 'none') would refuse it anyway.

const $ = (id) => document.getElementById(id);
const SVG = "http://www.w3.org/2000/svg";

function fill(node, attributes, children) {
  for (const [name, value] of Object.entries(attributes || {})) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else node.setAttribute(name, value === true ? "" : String(value));
  }
  for (const child of children.flat(4)) if (child !== null && child !== undefined && child !== false) node.append(child);
  return node;
}
const el = (tag, attributes, ...children) => fill(document.createElement(tag), attributes, children);
const svg = (tag, attributes, ...children) => fill(document.createElementNS(SVG, tag), attributes, children);
// The node's new content; what is missing (null, false, "") is left out.
const render = (node, ...children) => node.replaceChildren(...children.flat(4).filter((child) => child || child === 0));
const body = (id) => $(id).querySelector(".body");
const word = (kind, text) => el("span", { class: "word " + kind }, text);

// --- numbers and times as people read them

function count(n) {
  if (n === null || n === undefined || Number.isNaN(n)) return "–";
  const a = Math.abs(n);
  if (a >= 1e9) return (n / 1e9).toPrecision(3) + " G";
  if (a >= 1e6) return (n / 1e6).toPrecision(3) + " M";
  if (a >= 1e5) return Math.round(n / 1e3) + " k";
  if (a >= 1e4) return (n / 1e3).toFixed(1) + " k";
  if (a >= 100 || Number.isInteger(n)) return String(Math.round(n));
  return a >= 10 ? n.toFixed(1) : a === 0 ? "0" : a < 0.01 ? "< 0.01" : n.toFixed(2);
}

function span(ms) {
  if (ms === null || ms === undefined || Number.isNaN(ms)) return "unknown";
  const s = ms / 1000;
  if (ms < 1) return ms === 0 ? "0 ms" : ms.toFixed(1) + " ms";
  if (s < 1) return Math.round(ms) + " ms";
  if (s < 10) return s.toFixed(1) + " s";
  if (s < 60) return Math.round(s) + " s";
  const pair = (a, b, x, y) => a + " " + x + (b ? " " + b + " " + y : "");
  if (s < 3600) return pair(Math.floor(s / 60), Math.floor(s % 60), "min", "s");
  if (s < 86400) return pair(Math.floor(s / 3600), Math.floor((s % 3600) / 60), "h", "min");
  return pair(Math.floor(s / 86400), Math.floor((s % 86400) / 3600), "d", "h");
}

// A window or a budget: round numbers as they were written.
function length(ms) {
  for (const [unit, size] of [["d", 86400000], ["h", 3600000], ["min", 60000], ["s", 1000]]) if (ms >= size && ms % size === 0) return ms / size + " " + unit;
  return ms + " ms";
}

const two = (n) => String(n).padStart(2, "0");
const clock = (date) => two(date.getUTCHours()) + ":" + two(date.getUTCMinutes()) + ":" + two(date.getUTCSeconds());
// Times are UTC everywhere, as in logs.
function when(text) {
  if (!text) return "–";
  const date = new Date(text), today = new Date().toISOString().slice(0, 10);
  return (text.slice(0, 10) === today ? "" : text.slice(0, 10) + " ") + clock(date) + " UTC";
}

const last = (list) => (list && list.length ? list[list.length - 1] : null);
const sum = (list) => (list || []).reduce((a, b) => a + (b || 0), 0);
