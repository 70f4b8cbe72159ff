/* The rating page. It holds one ballot, and the acts (votes, undos) that the server has not confirmed yet.

   An act is kept on this device from the moment it is done until the server confirms it, and sent until then;
   its token makes an act that arrives twice one. What comes from models is built node by node as text: no
   HTML is ever read. */

import { WORDS } from "./words.js";

const CHOICE_OF_KEY = { ArrowLeft: "left", ArrowRight: "right", t: "tie", b: "bad", s: "skip" };
const TAGS = new Set(
  "p h3 h4 h5 h6 ul ol li blockquote pre small code strong em s br hr table thead tbody tr th td".split(" "),
);
const UNREAD = 400; // milliseconds in which a new ballot takes no choice: the second half of a double click
const PATIENCE = 10_000; // milliseconds until a request that got no reply counts as lost
const A_WEEK = 7 * 24 * 3600; // seconds
const FIRST_WAIT = 1_000;
const LONGEST_WAIT = 15_000;
const LOCKED_OUT = { 403: "closed", 404: "unknown", 421: "closed" }; // by status: what the page says

const key = location.hash.slice(1);
const at = (id) => document.getElementById(id);

let language = null;
let state = null; // as the server last sent it
let acts = []; // not confirmed yet, oldest first
let sending = false;
let wake = () => {}; // ends the wait before the next try
let shownAt = 0;
let notes = { status: null, alert: null }; // the names of the words on show

/* ------------------------------------------------------------ what outlives the page */

function remember(storage, name, value) {
  try {
    if (value === null) storage.removeItem(name);
    else storage.setItem(name, JSON.stringify(value));
  } catch {
    // Storage is full or switched off: the page itself still holds it.
  }
}

function recall(storage, name) {
  try {
    return JSON.parse(storage.getItem(name));
  } catch {
    return null;
  }
}

function keptActs() {
  try {
    const names = Object.keys(localStorage).filter((name) => name.startsWith(actName("")));
    return names.map((name) => recall(localStorage, name)).filter(Boolean).sort((a, b) => a.at - b.at);
  } catch {
    return [];
  }
}

const actName = (token) => `act ${key} ${token}`;
const draftName = `draft ${key}`;

function keepDraft() {
  if (!state?.ballot) return;
  const draft = { ballot: state.ballot.id, comment: at("comment").value, seconds: clock.seconds() };
  remember(sessionStorage, draftName, draft);
}

/* ------------------------------------------------------------ how long a ballot was looked at */

const clock = {
  before: 0,
  since: null,
  start(seconds) {
    this.before = seconds;
    this.since = document.hidden ? null : performance.now();
  },
  seconds() {
    return this.before + (this.since === null ? 0 : (performance.now() - this.since) / 1000);
  },
  turn() {
    this.start(this.seconds());
  },
};

/* ------------------------------------------------------------ the server */

async function ask(path, body) {
  const options = { headers: { Authorization: `Bearer ${key}` }, signal: AbortSignal.timeout(PATIENCE) };
  if (body) {
    options.method = "POST";
    options.headers["Content-Type"] = "application/json";
    options.body = JSON.stringify(body);
  }
  try {
    const reply = await fetch(`/api/${path}`, options);
    return reply.status >= 500 ? null : { status: reply.status, body: await reply.json() };
  } catch {
    return null; // no connection, no reply in time, or half a reply
  }
}

function pause(milliseconds) {
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, milliseconds);
    wake = () => {
      clearTimeout(timer);
      resolve();
    };
  });
}

/* The server's reply, asked for until there is one. */
async function insist(path, body, lost) {
  for (let wait = FIRST_WAIT; ; wait = Math.min(2 * wait, LONGEST_WAIT)) {
    const reply = await ask(path, body);
    if (reply) return reply;
    lost();
    await pause(wait);
  }
}

/* Send what is not confirmed, one act after the other. What the server cannot place stays kept. */
async function deliver() {
  if (sending) return;
  sending = true;
  while (acts.length) {
    const act = acts[0];
    const reply = await insist(act.path, act.body, () => note({ alert: "waiting" }));
    if (reply.status in LOCKED_OUT) {
      lockOut(reply.status);
      break;
    }
    remember(localStorage, actName(act.body.token), null);
    acts.shift();
    arrive(reply, act);
  }
  sending = false;
}

/* Look what there is to see, if nothing is on its way that will tell. */
async function refresh() {
  if (sending) return;
  sending = true;
  arrive(await insist("state", null, () => note({ alert: "unreachable" })), null);
  sending = false;
  deliver();
}

function arrive(reply, act) {
  if (reply.status === 200) show(reply.body, spoken(act));
  else if (reply.status === 409) show(reply.body, complaint(act, reply.body));
  else if (reply.status in LOCKED_OUT) lockOut(reply.status);
  else note({ status: null, alert: "refused" });
  setBusy();
}

function spoken(act) {
  if (!act) return notes.alert === "unreachable" ? { status: null } : {};
  if (act.path === "undo") return { status: "undone" };
  return { status: act.body.choice === "skip" ? "skipped" : "saved" };
}

function complaint(act, sent) {
  if (act.path === "undo") return { status: null, alert: "nothing" };
  return { status: null, alert: sent.ballot?.id === act.body.ballot ? "refused" : "decided" };
}

function lockOut(status) {
  for (const id of ["ballot", "done"]) at(id).hidden = true;
  document.body.classList.add("locked");
  note({ status: null, alert: LOCKED_OUT[status] });
}

/* ------------------------------------------------------------ what the rater does */

function choose(choice) {
  if (!state?.ballot || acts.length || performance.now() - shownAt < UNREAD) return;
  const comment = at("comment").value.trim();
  const looked = Math.round(clock.seconds() * 10) / 10;
  const seconds = looked < A_WEEK ? looked : null; // a page left open
  perform("vote", { ballot: state.ballot.id, choice, token: newToken(), seconds, comment: comment || null });
}

function undo() {
  if (!state || acts.length || (state.ballot && performance.now() - shownAt < UNREAD)) return;
  perform("undo", { token: newToken() });
}

function perform(path, body) {
  const act = { path, body, at: Date.now() };
  acts.push(act);
  remember(localStorage, actName(body.token), act);
  note({ status: "saving" });
  setBusy();
  deliver();
}

function newToken() {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

function press(event) {
  if (!at("keys").checked || event.repeat || event.isComposing) return;
  if (event.ctrlKey || event.altKey || event.metaKey) return;
  if (event.target.closest("textarea, select, input")) return;
  if (event.key.startsWith("Arrow") && event.target.closest(".scroll")) return;
  const pressed = event.key.length === 1 ? event.key.toLowerCase() : event.key;
  if (pressed in CHOICE_OF_KEY) choose(CHOICE_OF_KEY[pressed]);
  else if (pressed === "u") undo();
  else return;
  event.preventDefault();
}

/* ------------------------------------------------------------ what the rater sees */

function show(sent, news) {
  const isFirst = !state;
  const isNew = isFirst || sent.ballot?.id !== state.ballot?.id || Boolean(news.status);
  state = sent;
  if (isFirst) speak(recall(localStorage, "language") ?? state.language);
  document.body.classList.remove("locked");
  at("ballot").hidden = !state.ballot;
  at("done").hidden = Boolean(state.ballot);
  if (isNew) lay();
  note({ alert: null, ...news });
  writeProgress();
  if (isNew && !isFirst) goToTop();
}

/* Put the ballot on the page, with what was begun on it before a reload. */
function lay() {
  const draft = recall(sessionStorage, draftName);
  const mine = draft && draft.ballot === state.ballot?.id ? draft : { comment: "", seconds: 0 };
  at("comment").value = mine.comment;
  remember(sessionStorage, draftName, null);
  writeBallot();
  clock.start(mine.seconds);
  shownAt = performance.now();
}

function goToTop() {
  window.scrollTo(0, 0);
  at(state.ballot ? "prompt-title" : "done-title").focus({ preventScroll: true });
}

function setBusy() {
  for (const button of document.querySelectorAll(".choice")) setDisabled(button, acts.length > 0);
  for (const button of document.querySelectorAll(".undo")) setDisabled(button, acts.length > 0);
}

/* Not `disabled`, which would take the focus away. */
function setDisabled(button, whether) {
  button.setAttribute("aria-disabled", String(whether));
}

function word(name, values = {}) {
  return WORDS[language][name].replace(/\{(\w+)\}/g, (_, value) => values[value]);
}

function numbers() {
  return { ...state?.progress, rater: state?.rater };
}

function speak(chosen) {
  language = chosen in WORDS ? chosen : "en";
  document.documentElement.lang = WORDS[language].tag;
  document.title = word("title");
  at("header").hidden = false;
  at("language").value = language;
  for (const place of document.querySelectorAll("[data-word]")) place.textContent = word(place.dataset.word);
}

function note(changed) {
  notes = { ...notes, ...changed };
  if (!language) speak(recall(localStorage, "language") ?? (navigator.language.startsWith("pt") ? "pt" : "en"));
  at("status").textContent = notes.status ? word(notes.status, numbers()) : "";
  writeAlert();
}

function writeAlert() {
  const place = at("alert");
  const name = notes.alert;
  if (place.dataset.shown === `${language} ${name}`) return; // or a screen reader says it again
  place.dataset.shown = `${language} ${name}`;
  place.replaceChildren();
  if (!name) return;
  place.append(made("p", word(name)));
  if (name === "waiting" || name === "unreachable") place.append(againButton());
}

function againButton() {
  const button = made("button", word("again"));
  button.type = "button";
  button.addEventListener("click", () => wake());
  return button;
}

function writeProgress() {
  const { done, total } = state.progress;
  at("rater").textContent = word("rater", numbers());
  at("progress-text").textContent = word("progress", numbers());
  at("progress").max = Math.max(total, 1);
  at("progress").value = done;
}

function writeBallot() {
  const ballot = state.ballot;
  at("prompt").replaceChildren(...(ballot ? ballot.prompt.map(turn) : []));
  for (const side of ["left", "right"]) at(side).replaceChildren(...(ballot ? answer(ballot, side) : []));
}

function turn({ role, inside }) {
  const place = made("div", ...(role ? [made("h3", word(`turn_${role}`))] : []), textOf(inside));
  place.className = role ? `turn ${role}` : "turn";
  return place;
}

function textOf(nodes) {
  const place = made("div", ...written(nodes));
  place.className = "text";
  return place;
}

/* An answer's nodes, in a language and a direction of their own. */
function written(nodes) {
  const place = made("div", ...(nodes.length ? nodes.map(build) : [emptyNote()]));
  if (nodes.length) place.lang = "";
  place.dir = "auto";
  place.className = "own";
  return [place];
}

/* An answer, and below it, outside of what the model wrote, that it was cut. */
function answer(ballot, side) {
  return [...written(ballot[side]), ...(ballot[`${side}_cut`] ? [cutNote()] : [])];
}

function cutNote() {
  const place = made("p", word("cut"));
  place.className = "cut";
  return place;
}

function emptyNote() {
  const place = made("p", word("empty"));
  place.className = "empty";
  return place;
}

function build(node) {
  if (typeof node === "string") return document.createTextNode(node);
  if (!TAGS.has(node.tag)) throw new Error(`no element ${node.tag}`);
  const element = made(node.tag, ...node.inside.map(build));
  if (node.tag === "ol" && Number.isInteger(node.start)) element.start = node.start;
  if (["left", "center", "right"].includes(node.align)) element.className = `to-${node.align}`;
  if (["p", "li", "h3", "h4", "h5", "h6", "blockquote", "td", "th"].includes(node.tag)) element.dir = "auto";
  return node.tag === "table" ? scrolling(element) : element;
}

function scrolling(table) {
  const place = made("div", table);
  place.className = "scroll";
  place.tabIndex = 0;
  place.setAttribute("role", "group");
  place.setAttribute("aria-label", word("table"));
  return place;
}

function made(tag, ...inside) {
  const element = document.createElement(tag);
  element.append(...inside);
  return element;
}

/* ------------------------------------------------------------ beginning */

function listen() {
  for (const button of document.querySelectorAll(".choice")) {
    button.addEventListener("click", () => choose(button.value));
  }
  for (const button of document.querySelectorAll(".undo")) button.addEventListener("click", undo);
  at("jump").addEventListener("click", () => document.querySelector(".choice").focus());
  at("language").addEventListener("change", changeLanguage);
  at("keys").checked = recall(localStorage, "keys") ?? true;
  at("keys").addEventListener("change", () => remember(localStorage, "keys", at("keys").checked));
  at("comment").addEventListener("input", keepDraft);
  document.addEventListener("keydown", press);
  document.addEventListener("visibilitychange", lookAway);
  addEventListener("pagehide", keepDraft);
  addEventListener("pageshow", (event) => event.persisted && refresh());
  addEventListener("online", () => wake());
  addEventListener("hashchange", () => location.reload()); // another rater's link in the same tab
  addEventListener("beforeunload", (event) => acts.length && event.preventDefault());
}

function changeLanguage() {
  speak(at("language").value);
  remember(localStorage, "language", language);
  note({});
  if (!state) return;
  writeBallot();
  writeProgress();
}

/* What another tab did meanwhile is seen on coming back. */
function lookAway() {
  clock.turn();
  if (document.hidden) keepDraft();
  else if (state) refresh();
}

listen();
acts = keptActs();
if (acts.length) deliver();
else refresh();
