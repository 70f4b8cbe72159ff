"use strict";
// Shows each suite's samples. Everything it writes is untrusted text, so it writes with textContent only.
// The layout of the data is described in reports/samples.py.

const PAGE = 15;      // samples at a time
const LONG = 1200;    // characters, above which a text is folded
const HEAD = 600;     // characters that a folded text shows
const DRAWS = 3;      // answers of one model to one sample before the rest is folded

function make(tag, className, ...children) {
  const node = document.createElement(tag);
  if (className) node.className = className;
  node.append(...children.filter((child) => child !== null));
  return node;
}

function button(label, onClick) {
  const node = make("button", "", label);
  node.type = "button";
  node.addEventListener("click", onClick);
  return node;
}

const logarithm = (value) => (typeof value === "number" ? value.toFixed(2) : value).replace("-", "−");
const plural = (n, noun) => `${n.toLocaleString("en")} ${noun}${n === 1 ? "" : "s"}`;

// A text as it is. Long ones are folded, cut between characters and not within one.
function textBlock(text, className) {
  const body = make("div", `text ${className || ""}`);
  if (text === "") {
    body.append(make("span", "empty", "(empty)"));
    return body;
  }
  if (text.length <= LONG) {
    body.textContent = text;
    return body;
  }
  const head = text.slice(0, HEAD).replace(/[\uD800-\uDBFF]$/, "") + "…";
  body.textContent = head;
  let open = false;
  const toggle = button(`Show all ${plural(text.length, "character")}`, () => {
    open = !open;
    body.textContent = open ? text : head;
    toggle.textContent = open ? "Show less" : `Show all ${plural(text.length, "character")}`;
    toggle.setAttribute("aria-expanded", String(open));
  });
  toggle.className = "more";
  toggle.setAttribute("aria-expanded", "false");
  return make("div", "", body, toggle);
}

const SAYS = { won: ["▲", "won"], lost: ["▼", "lost"], unscored: ["–", "unscored"] };
const STOPPED = {
  length: "cut off at the token limit", thinking: "no answer", refused: "refused", failed: "failed",
};

class Browser {
  constructor(root, data) {
    this.root = root;
    this.data = data;
    this.texts = data.texts;
    this.page = 0;
    this.kind = "all";
    this.model = -1;   // -1: any candidate
    this.needle = "";
    this.candidates = data.models.map((_, i) => i).filter((i) => i !== data.baseline);
    this.list = make("div", "samples");
    this.status = make("p", "status");
    this.status.setAttribute("role", "status");
    root.append(this.tools(), this.status, this.list, this.pager());
    this.show();
  }

  // ------------------------------------------------------------ which samples

  flips(sample) {
    const flips = sample[5];
    return this.model < 0 ? flips : [flips[this.model]];
  }

  matches(sample, kind) {
    if (kind === "all") return true;
    const flips = this.flips(sample);
    return kind === "flips" ? flips.includes("won") || flips.includes("lost") : flips.includes(kind);
  }

  // All that a reader can see of a sample, in lower case; made once, when somebody first searches.
  haystack(sample) {
    if (!this.haystacks) this.haystacks = new Map();
    let found = this.haystacks.get(sample);
    if (found === undefined) {
      const [id, prompt, choices, , target, , answers] = sample;
      const parts = [id, ...(Array.isArray(prompt) ? prompt.map((turn) => turn[1]) : [prompt]), ...choices];
      if (target !== null) parts.push(target);
      for (const answer of answers) if (answer) for (const r of answer[0]) if (r.length === 5) parts.push(r[0]);
      found = parts.map((i) => this.texts[i]).join("\n").toLowerCase();
      this.haystacks.set(sample, found);
    }
    return found;
  }

  selected() {
    const needle = this.needle.toLowerCase();
    return this.data.samples.filter(
      (s) => this.matches(s, this.kind) && (needle === "" || this.haystack(s).includes(needle)));
  }

  // ------------------------------------------------------------ controls

  tools() {
    const bar = make("div", "tools");
    if (this.data.samples.some((s) => s[5].some((flip) => flip !== null))) {
      bar.append(this.kinds());
      if (this.candidates.length > 1) bar.append(this.chooser());
    }
    const search = make("input");
    search.type = "search";
    search.placeholder = "Search prompts and answers";
    search.setAttribute("aria-label", "Search prompts and answers");
    let waiting = 0;
    search.addEventListener("input", () => {
      clearTimeout(waiting);
      waiting = setTimeout(() => { this.needle = search.value; this.restart(); }, 120);
    });
    bar.append(search);
    return bar;
  }

  kinds() {
    const set = make("fieldset");
    set.append(make("legend", "unseen", "Which samples"));
    this.counts = {};
    for (const [kind, label] of [["all", "All"], ["flips", "Flips"], ["won", "▲ Won"], ["lost", "▼ Lost"]]) {
      const input = make("input");
      input.type = "radio";
      input.name = `kind-${this.root.dataset.suite}`;
      input.value = kind;
      input.checked = kind === "all";
      input.addEventListener("change", () => { this.kind = kind; this.restart(); });
      this.counts[kind] = make("span", "count");
      set.append(make("label", "", input, label, this.counts[kind]));
    }
    this.recount();
    return set;
  }

  chooser() {
    const select = make("select");
    select.setAttribute("aria-label", "Which candidate");
    for (const i of [-1, ...this.candidates]) {
      const option = make("option", "", i < 0 ? "any candidate" : this.data.models[i]);
      option.value = String(i);
      select.append(option);
    }
    select.addEventListener("change", () => { this.model = Number(select.value); this.recount(); this.restart(); });
    return select;
  }

  recount() {
    for (const [kind, node] of Object.entries(this.counts)) {
      node.textContent = this.data.samples.filter((s) => this.matches(s, kind)).length.toLocaleString("en");
    }
  }

  pager() {
    this.back = button("← Previous", () => this.turn(-1));
    this.next = button("Next →", () => this.turn(1));
    return make("div", "pager", this.back, this.next);
  }

  turn(by) {
    this.page += by;
    this.show();
    this.root.scrollIntoView();
  }

  restart() {
    this.page = 0;
    this.show();
  }

  // ------------------------------------------------------------ drawing

  show() {
    const found = this.selected();
    const from = this.page * PAGE;
    const shown = found.slice(from, from + PAGE);
    this.list.replaceChildren(...shown.map((s) => this.sample(s)));
    this.status.textContent = found.length
      ? `${(from + 1).toLocaleString("en")}–${(from + shown.length).toLocaleString("en")} of ${plural(found.length, "sample")}`
      : "No sample matches.";
    this.back.disabled = from === 0;
    this.next.disabled = from + PAGE >= found.length;
  }

  shownModels() {
    return this.model < 0 ? this.data.models.map((_, i) => i) : [this.data.baseline, this.model];
  }

  sample([id, prompt, choices, right, target, flips, answers, speakers]) {
    const head = make("header", "", make("span", "id", this.texts[id]));
    for (const i of this.shownModels()) {
      if (flips[i] === "won" || flips[i] === "lost" || flips[i] === "unscored") {
        const name = this.candidates.length > 1 ? `${this.data.models[i]} ` : "";
        const [mark, word] = SAYS[flips[i]];
        head.append(make("span", `chip ${flips[i]}`, `${mark} ${name}${word}`));
      }
    }
    const card = make("article", "sample", head, this.prompt(prompt));
    if (target !== null && !right.length) card.append(make("div", "target", make("b", "", "Expected"), textBlock(this.texts[target])));
    const scored = choices.length > 0 && answers.some((a) => a && a[0].some((r) => r.length === 3));
    if (scored) {
      card.append(this.choices(choices, right, answers));
      return card;
    }
    const grid = make("div", "answers");
    for (const i of this.shownModels()) grid.append(this.answer(i, answers[i], speakers));
    card.append(grid);
    return card;
  }

  prompt(prompt) {
    if (!Array.isArray(prompt)) return textBlock(this.texts[prompt], "asked");
    const turns = make("div", "asked");
    for (const [role, text] of prompt) turns.append(make("span", "role", role), textBlock(this.texts[text]));
    return turns;
  }

  // Log-probabilities: a line per choice, a column per model, the likeliest choice of each marked.
  choices(choices, right, answers) {
    const models = this.shownModels().filter((i) => answers[i]);
    const heads = models.map((i) => make("th", "figure", this.data.models[i]));
    const head = make("tr", "", make("th", "", "Choice"), ...heads);
    const rows = choices.map((choice, c) => {
      const label = make("th", right.includes(c) ? "correct" : "", make("span", "text", this.texts[choice]));
      label.scope = "row";
      if (right.includes(c)) label.append(make("span", "is-right", "✓ right"));
      return make("tr", "", label, ...models.map((i) => this.logprob(answers[i][0], c, choices.length)));
    });
    const scores = make("tr", "", make("th", "", "Scores"), ...models.map((i) => make("td", "figure", this.scores(answers[i][1]))));
    const table = make("table", "", make("thead", "", head), make("tbody", "", ...rows), make("tfoot", "", scores));
    const scroll = make("div", "choices scroll", table);
    scroll.tabIndex = 0;
    return scroll;
  }

  logprob(responses, c, n) {
    const likelihoods = responses.filter((r) => r.length === 3).slice(0, n);
    const mine = likelihoods[c];
    if (!mine) return make("td", "figure", "–");
    const best = Math.max(...likelihoods.map((r) => Number(r[0])));
    const picked = Number(mine[0]) === best;
    const cell = make("td", picked ? "figure picked" : "figure", (picked ? "● " : "") + logarithm(mine[0]));
    cell.title = [picked ? "likeliest choice" : "", mine[2] ? `${plural(mine[2], "token")} cut from the prompt` : ""].filter(Boolean).join("; ");
    return cell;
  }

  answer(i, answer, speakers) {
    const name = make("h4", "", this.data.models[i], i === this.data.baseline ? make("span", "status", "baseline") : null);
    const block = make("div", i === this.data.baseline ? "answer of-baseline" : "answer", name);
    if (!answer) {
      block.append(make("p", "empty", "not in this run"));
      return block;
    }
    const [responses, scores] = answer;
    const texts = responses.filter((r) => r.length === 5);
    const drawn = texts.length > 1 ? this.perDraw(scores, texts.length) : new Map();
    const chips = this.scores(scores);
    const allCut = texts.length > 1 && texts.every((r) => r[1] === "length");
    if (allCut) chips.append(make("span", "chip", `all ${STOPPED.length}`));
    block.append(chips);
    const likelihoods = responses.filter((r) => r.length === 3);
    if (likelihoods.length) block.append(make("p", "status", `log-probabilities ${likelihoods.map((r) => logarithm(r[0])).join(", ")}`));
    this.draws(block, texts, drawn, allCut, speakers);
    return block;
  }

  // Metrics that hold one score per draw: metric -> scores, in the order of the draws.
  perDraw(scores, n) {
    const found = new Map();
    for (const score of scores) found.set(score[0], [...(found.get(score[0]) || []), score]);
    return new Map([...found].filter(([, of]) => of.length === n));
  }

  draws(block, texts, drawn, allCut, speakers) {
    const of = drawn.get(this.data.decided_by) || [...drawn.values()][0];
    const order = texts.map((_, i) => i);
    if (of) order.sort((a, b) => (of[a][1] ?? 2) - (of[b][1] ?? 2) || a - b);
    const nodes = (from, to) => order.slice(from, to).map((i) => this.draw(texts[i], this.place(i, texts.length, speakers),
      [...drawn.values()].map((scores) => scores[i]), allCut));
    block.append(...nodes(0, DRAWS));
    if (texts.length <= DRAWS) return;
    const rest = button(`Show all ${plural(texts.length, "answer")}`, () => rest.replaceWith(...nodes(DRAWS)));
    rest.className = "more";
    block.append(rest);
  }

  // Who said it, where a judge's replies follow the answer; else its number, where there are several.
  place(i, n, speakers) {
    if (n < 2) return "";
    return i < speakers.length ? this.texts[speakers[i]] : `#${i + 1}`;
  }

  draw([text, stopped, truncated, reason, thought], place, scores, allCut) {
    const meta = make("div", "meta");
    if (place) meta.append(place);
    for (const score of scores) meta.append(this.chip([score]));
    if (stopped !== "end" && !allCut) {
      const says = reason === null ? STOPPED[stopped] : `${STOPPED[stopped]}: ${this.texts[reason]}`;
      meta.append(make("span", stopped === "length" ? "chip" : "chip warned", says));
    }
    if (truncated) meta.append(make("span", "chip warned", `${plural(truncated, "token")} cut from the prompt`));
    const thoughts = thought === null ? null : this.thought(this.texts[thought]);
    return make("div", "draw", meta.childNodes.length ? meta : null, thoughts, textBlock(this.texts[text]));
  }

  // What the model thought before its answer: folded, and never searched or scored.
  thought(text) {
    const summary = make("summary", "", `Thought before the answer (${plural(text.length, "character")})`);
    return make("details", "thought", summary, textBlock(text));
  }

  scores(scores) {
    const chips = make("div", "chips");
    const byMetric = new Map();
    for (const score of scores) byMetric.set(score[0], [...(byMetric.get(score[0]) || []), score]);
    for (const [, of] of byMetric) chips.append(this.chip(of));
    return chips;
  }

  chip(scores) {
    const metric = this.texts[scores[0][0]];
    const values = scores.map((score) => score[1]).filter((value) => value !== null);
    if (!values.length) {
      const reason = scores[0][2];
      return make("span", "chip unscored", `${metric} unscored${reason === null ? "" : `: ${this.texts[reason]}`}`);
    }
    const sum = values.reduce((a, b) => a + Number(b), 0);
    const missing = scores.length - values.length ? `, ${scores.length - values.length} unscored` : "";
    if (!this.data.binary.includes(scores[0][0])) return make("span", "chip", `${metric} ${(sum / values.length).toFixed(3)}${missing}`);
    if (scores.length === 1) return make("span", `chip ${sum ? "right" : "wrong"}`, `${sum ? "✓" : "✗"} ${metric}`);
    return make("span", "chip", `${metric} ${sum} of ${values.length}${missing}`);
  }
}

for (const root of document.querySelectorAll(".browser")) {
  const block = document.getElementById(`samples-${root.dataset.suite}`);
  new Browser(root, JSON.parse(block.textContent));
}
