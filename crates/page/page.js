// The page: what stands in the text is judged a moment after it was changed. Nothing is kept and nothing is sent.
"use strict";

const PAUSE = 250;
// The program has answered long before, whatever the text; what takes longer hangs.
const PATIENCE = 20000;

const $ = (id) => document.getElementById(id);
const source = URL.createObjectURL(new Blob([$("worker").textContent], { type: "text/javascript" }));
const program = Uint8Array.from(atob($("module").textContent), (it) => it.charCodeAt(0));

let worker;
let last = 0;
const waiting = new Map();

function start() {
  worker = new Worker(source);
  worker.onmessage = ({ data: { id, failed, ...answer } }) => {
    if (failed !== undefined) {
      restart(`The program failed (${failed}).`);
    } else {
      waiting.get(id)?.resolve(answer);
      waiting.delete(id);
    }
  };
  worker.onerror = (event) => restart(`The program could not run (${event.message}).`);
  worker.postMessage({ module: program });
}

// After a failure nothing in the worker can be relied on: the next run starts another.
function restart(why) {
  worker.terminate();
  worker = undefined;
  const all = [...waiting.values()];
  waiting.clear();
  for (const { reject } of all) reject(new Error(`${why} It was started anew, and the text is kept: change it, and it is judged again.`));
}

// Runs the program; gives its status and what it wrote to both streams.
function run(words, input = "") {
  if (!worker) start();
  last += 1;
  const id = last;
  const late = setTimeout(() => waiting.has(id) && restart(`The program took more than ${PATIENCE / 1000} seconds.`), PATIENCE);
  const answer = new Promise((resolve, reject) => waiting.set(id, { resolve, reject }));
  worker.postMessage({ id, words: ["agent-provider-rke2", ...words], input });
  return answer.finally(() => clearTimeout(late));
}

const withoutName = (sentence) => sentence.replaceAll("agent-provider-rke2: ", "").trim();

let busy = false;
let again = false;

// Judges the text as it is now; a change meanwhile is judged next.
async function judge() {
  again = true;
  if (busy) return;
  busy = true;
  while (again) {
    again = false;
    try {
      await judgeOnce($("text").value);
      $("alert").textContent = "";
    } catch (error) {
      $("findings").replaceChildren();
      $("stages").textContent = $("summary").textContent = "";
      $("alert").textContent = error.message;
    }
  }
  busy = false;
}

async function judgeOnce(text) {
  const version = $("rke2").value.trim();
  const options = version ? [`--rke2=${version}`] : [];
  const found = await run(["check", "--format=json", ...options], text);
  if (found.output === "") throw new Error(withoutName(found.complaint));
  const told = await run(["check", ...options], text);
  const stages = await run(["render", ...($("secrets").checked ? ["--show-secrets"] : [])], text);
  $("findings").replaceChildren(...JSON.parse(found.output).map(item));
  $("stages").textContent = stages.output || withoutName(stages.complaint);
  // The last line says what the text is.
  $("summary").textContent = told.output.trim().split("\n").at(-1).replace(/^-: /, "");
}

function element(name, text, properties = {}) {
  const it = Object.assign(document.createElement(name), properties);
  it.append(text);
  return it;
}

function item(finding) {
  const { severity, code, message, line } = finding;
  const jump = element("button", "", { type: "button", onclick: () => show(finding) });
  jump.append(line ? `line ${line}: ` : "", element("strong", severity), ": ", message);
  const more = element("button", code, { type: "button", onclick: () => explain(code) });
  more.setAttribute("aria-label", `explain ${code}`);
  const li = element("li", jump, { className: severity });
  li.append(more);
  return li;
}

// Where a line and a column are in the text; columns count characters, from 1.
function offset(lines, line, column) {
  const before = lines.slice(0, line - 1).reduce((sum, it) => sum + it.length + 1, 0);
  return before + Array.from(lines[line - 1] ?? "").slice(0, column - 1).join("").length;
}

// Marks in the text what a finding is about: all of the line where no more is known.
function show({ line, column, end }) {
  const area = $("text");
  const lines = area.value.split("\n");
  line = Math.min(line ?? 1, lines.length);
  const from = offset(lines, line, column ?? 1);
  const to = end ? offset(lines, end.line, end.column) : offset(lines, line, Infinity);
  area.focus();
  area.setSelectionRange(from, to);
  area.scrollTop = (line - 1) * parseFloat(getComputedStyle(area).lineHeight) - area.clientHeight / 3;
}

async function explain(word) {
  $("word").value = word;
  try {
    const { output, complaint } = await run(["explain", ...(word ? ["--", word] : [])]);
    $("explained").textContent = output.trimEnd() || withoutName(complaint);
  } catch (error) {
    $("explained").textContent = error.message;
  }
}

let pause;
function changed() {
  clearTimeout(pause);
  pause = setTimeout(judge, PAUSE);
}

$("text").oninput = $("rke2").oninput = changed;
$("secrets").onchange = judge;
$("explain").onsubmit = (event) => {
  event.preventDefault();
  explain($("word").value.trim());
};
$("file").onchange = async ({ target }) => {
  const [file] = target.files;
  if (!file) return;
  $("text").value = await file.text();
  judge();
};

judge();
run(["--version"]).then(({ output }) => ($("version").textContent = `Version ${output.trim().split(" ").slice(1).join(" ")}.`));
run(["versions"]).then(({ output }) => {
  const versions = output.trim().split("\n");
  $("rke2").placeholder = versions[0];
  $("versions").replaceChildren(...versions.map((version) => element("option", version, { value: version })));
});
