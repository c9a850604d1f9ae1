// The page in a headless browser, by the pipe of its debugging protocol: it says what the program says, can be used with the keyboard and read
// aloud, outlives a failure, and makes no connection.
//
//   node browser.mjs BROWSER PAGE PROGRAM NODE_MODULES TESTDATA
import assert from "node:assert/strict";
import { execFile, spawn } from "node:child_process";
import { mkdtempSync, readFileSync, readdirSync, rmSync } from "node:fs";
import http from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";

const [browserPath, page, program, modules, testdata] = process.argv.slice(2);
const room = mkdtempSync(join(tmpdir(), "page-"));
// Root needs --no-sandbox. The machine's own network is not there: tests/lab/page runs this in a network of its own.
const flags = ["--headless", "--no-sandbox", "--disable-gpu", "--remote-debugging-pipe", `--user-data-dir=${room}/profile`, "about:blank"];
const browser = spawn(browserPath, flags, { stdio: ["ignore", "ignore", "ignore", "pipe", "pipe"] });
process.on("exit", () => {
  browser.kill("SIGKILL");
  rmSync(room, { recursive: true, force: true, maxRetries: 20, retryDelay: 100 });
});

const waiting = new Map();
const requests = [];
const complaints = [];
let last = 0;
let session;
let received = "";

function ask(method, params = {}, sessionId = session) {
  last += 1;
  browser.stdio[3].write(`${JSON.stringify({ id: last, method, params, sessionId })}\0`);
  return new Promise((resolve, reject) => waiting.set(last, { resolve, reject, method }));
}

browser.stdio[4].setEncoding("utf8").on("data", (data) => {
  const messages = (received + data).split("\0");
  received = messages.pop();
  for (const { id, result, error, method, params } of messages.map((it) => JSON.parse(it))) {
    if (id) {
      const { resolve, reject, method: asked } = waiting.get(id);
      waiting.delete(id);
      if (error) reject(new Error(`${asked}: ${error.message}`));
      else resolve(result);
    } else if (method === "Network.requestWillBeSent") requests.push(params.request.url);
    else if (method === "Log.entryAdded") complaints.push(params.entry.text);
    else if (method === "Runtime.exceptionThrown") complaints.push(params.exceptionDetails.exception?.description ?? params.exceptionDetails.text);
    else if (method === "Target.attachedToTarget" && params.targetInfo.type === "worker") {
      ask("Network.enable", {}, params.sessionId).catch(() => {});
    }
  }
});

// What an expression is in the page; a promise is waited for.
async function evaluate(expression) {
  const { result, exceptionDetails } = await ask("Runtime.evaluate", { expression, awaitPromise: true, returnByValue: true });
  if (exceptionDetails) throw new Error(`${expression.slice(0, 100)}: ${exceptionDetails.exception?.description}`);
  return result.value;
}

async function until(expression, what = expression) {
  for (let tries = 0; tries < 2400; tries += 1) {
    const value = await evaluate(expression);
    if (value) return value;
    await new Promise((resolve) => setTimeout(resolve, 25));
  }
  throw new Error(`never: ${what}\n${await evaluate("document.body.innerText.slice(0, 2000)")}`);
}

const press = async (key, modifiers = 0) => {
  const text = { Enter: "\r", " ": " " }[key];
  const code = { Tab: 9, Enter: 13, " ": 32 }[key];
  const event = { key, modifiers, windowsVirtualKeyCode: code, code: key === " " ? "Space" : key };
  await ask("Input.dispatchKeyEvent", { type: text ? "keyDown" : "rawKeyDown", text, ...event });
  await ask("Input.dispatchKeyEvent", { type: "keyUp", ...event });
};

// As a person types it; the answer is there once the page is no longer busy with it.
async function type(text) {
  await evaluate(`$("text").value = ${JSON.stringify(text)}; $("text").dispatchEvent(new Event("input")); clearTimeout(pause); judge()`);
  await until("!busy");
}

async function open(address) {
  await ask("Page.navigate", { url: address });
  await until("document.readyState === 'complete' && typeof busy !== 'undefined' && !busy && $('summary').textContent !== ''", `${address} answers`);
}

// The program itself, on a node of its own that is empty.
function native(words, input) {
  return new Promise((resolve) => {
    const child = execFile(program, ["--root", room, ...words], { maxBuffer: 1 << 28 }, (error, output) => {
      resolve({ status: error ? error.code : 0, output });
    });
    child.stdin.on("error", () => {}).end(input);
  });
}

const inPage = (words, input) => evaluate(`run(${JSON.stringify(words)}, ${JSON.stringify(input)})`);

async function sameAsNative(name, words, input) {
  const [{ status, output }, there] = await Promise.all([native(words, input), inPage(words, input)]);
  assert.deepEqual({ status: there.status, output: there.output }, { status, output }, `${name}: ${words.join(" ")}`);
}

// Every text of testdata, and every case of its values.
async function* texts() {
  for (const entry of readdirSync(testdata, { recursive: true, withFileTypes: true })) {
    const path = join(entry.parentPath ?? entry.path, entry.name);
    if (!entry.isFile() || !/\.ya?ml$/.test(entry.name)) continue;
    const bytes = readFileSync(path);
    const text = bytes.toString("utf8");
    // A browser replaces what is not UTF-8.
    if (Buffer.compare(Buffer.from(text), bytes) !== 0) continue;
    if (entry.name !== "cases.yaml") yield { name: path, text, words: [["check", "--format=json"], ["render"]] };
    else for (const { name, role = "init", rke2, host, env, config } of yaml.parse(text)) {
      const section = { role, cluster_token: "a-token-that-is-long-enough", control_plane_host: host ?? "cp.example", env, config };
      const version = rke2 ? [`--rke2=${rke2}`] : [];
      yield { name: `${path}: ${name}`, text: `#cloud-config\n${JSON.stringify({ cluster: section })}`, words: [["check", "--format=json", ...version]] };
    }
  }
}
const { default: yaml } = await import(pathToFileURL(`${modules}/yaml/dist/index.js`));

const { targetInfos } = await ask("Target.getTargets");
const { targetId } = targetInfos.find((it) => it.type === "page");
({ sessionId: session } = await ask("Target.attachToTarget", { targetId, flatten: true }));
for (const domain of ["Page", "Runtime", "Network", "Log", "Accessibility"]) await ask(`${domain}.enable`);
await ask("Target.setAutoAttach", { autoAttach: true, waitForDebuggerOnStart: false, flatten: true });

// Any static host serves it, and asks for nothing else than the page.
const asked = [];
const host = http.createServer((request, response) => {
  asked.push(request.url);
  response.setHeader("content-type", "text/html");
  response.end(readFileSync(page));
});
await new Promise((resolve) => host.listen(0, "127.0.0.1", resolve));
const address = `http://127.0.0.1:${host.address().port}/`;
await open(address);
assert.deepEqual(asked, ["/"]);
// It could not even if it wanted to.
assert.equal(await evaluate(`fetch("${address}").then(() => "connected", () => "refused")`), "refused");
assert.equal(await evaluate(`new Promise((resolve) => {
  const it = new Worker(URL.createObjectURL(new Blob(['fetch("${address}").then(() => postMessage("connected"), () => postMessage("refused"))'])));
  it.onmessage = ({ data }) => resolve(data);
})`), "refused");
assert.deepEqual(asked, ["/"]);
complaints.length = 0;

// The same from a disk.
await open(pathToFileURL(page).href);
assert.match(await evaluate('$("version").textContent'), /^Version \d/);
assert.match(await evaluate('$("summary").textContent'), /^init, rke2-server, 1 error$/);
const versions = await evaluate('[...$("versions").options].map((it) => it.value)');
const minors = versions.map((it) => Number(/^v1\.(\d+)\.\d+\+rke2r\d+$/.exec(it)[1]));
assert.deepEqual(minors, minors.map((_, at) => minors[0] - at), "one of each minor version, the newest first");
assert.ok(minors.length > 4);

// Findings, and from each to its place.
const text = "#cloud-config\ncluster:\n  role: master\n  cluster_token: Zc5vD0rWq8nLk2HsYt\n  config: |\n    # ☃ 𝒳\n    tls-sna: api.example.com\n";
await type(text);
const findings = JSON.parse((await native(["check", "--format=json"], text)).output);
assert.ok(findings.length > 1);
const shown = await evaluate('[...$("findings").children].map((it) => [it.className, it.children[0].textContent, it.children[1].textContent])');
assert.deepEqual(shown, findings.map((it) => [it.severity, `line ${it.line}: ${it.severity}: ${it.message}`, it.code]));
assert.match(await evaluate('$("summary").textContent'), /^no role, 1 refused, 1 warning$/);
assert.match(await evaluate('$("stages").textContent'), /^cluster\.role: "master" is not a role/);

// With the keyboard alone: from the text through all that can be used, in the order of the page.
await evaluate('$("file").focus()');
const order = [];
for (let step = 0; step < 20 && order.at(-1) !== "stages"; step += 1) {
  const at = await evaluate('document.activeElement.id || document.activeElement.textContent.replace(/:.*/s, "")');
  if (order.at(-1) !== at) order.push(at);
  await press("Tab");
}
assert.deepEqual(order, ["file", "rke2", "text", "line 3", "role-unknown", "line 7", "option-unknown", "word", "Explain", "secrets", "stages"]);
const marked = () => evaluate('[document.activeElement.id, $("text").value.slice($("text").selectionStart, $("text").selectionEnd)]');
await evaluate('$("findings").children[0].children[0].focus()');
await press("Enter");
assert.deepEqual(await marked(), ["text", "master"]);
await evaluate('$("findings").children[1].children[0].focus()');
await press(" ");
assert.deepEqual(await marked(), ["text", "tls-sna"]);
await evaluate('$("findings").children[1].children[1].focus()');
await press("Enter");
await until('$("explained").textContent !== ""');
assert.equal(`${await evaluate('$("explained").textContent')}\n`, (await native(["explain", "option-unknown"], "")).output);
await evaluate('$("word").value = "tls-san"; $("word").focus()');
await press("Enter");
await until('$("explained").textContent.startsWith("tls-san")');
assert.equal(`${await evaluate('$("explained").textContent')}\n`, (await native(["explain", "tls-san"], "")).output);

// A finding far below is brought into view.
await type(`${"# filler\n".repeat(500)}cluster:\n  role: master\n`);
await evaluate('[...$("findings").querySelectorAll("button")].find((it) => it.textContent.startsWith("line 502:")).click()');
const { top, height, line } = await evaluate('({ top: $("text").scrollTop, height: $("text").clientHeight, line: 501 * parseFloat(getComputedStyle($("text")).lineHeight) })');
assert.ok(top < line && line < top + height, `line at ${line}, seen from ${top} to ${top + height}`);

// What is read aloud.
await type(text);
const { nodes } = await ask("Accessibility.getFullAXTree");
const spoken = nodes.filter((it) => !it.ignored).map((it) => ({ role: it.role?.value, name: it.name?.value ?? "", properties: Object.fromEntries((it.properties ?? []).map((p) => [p.name, p.value.value])) }));
const has = (role, name, properties = {}) => {
  const found = spoken.find((it) => it.role === role && it.name === name);
  assert.ok(found, `no ${role} named ${name}`);
  for (const [key, value] of Object.entries(properties)) assert.equal(found.properties[key], value, `${role} ${name}: ${key}`);
};
for (const name of ["Cloud-config", "Findings", "Explain", "Boot stages"]) has("heading", name);
has("textbox", "Cloud-config", { multiline: true });
has("textbox", "Code, key, setting or option");
has("combobox", "RKE2 version");
has("checkbox", "with secrets");
has("button", "Explain");
has("button", "explain role-unknown");
has("button", shown[0][1]);
has("list", "Findings");
has("region", "Boot stages");
assert.equal(spoken.find((it) => it.role === "status").properties.live, "polite");
const unnamed = spoken.filter((it) => it.properties.focusable && it.role !== "RootWebArea" && it.name === "");
assert.deepEqual(unnamed, [], "what can have the focus has a name");
assert.equal(await evaluate("document.documentElement.lang"), "en");

// The version, and secrets, as a person asks for them.
const cis = "#cloud-config\ncluster:\n  role: init\n  cluster_token: Zc5vD0rWq8nLk2HsYt\n  config:\n    profile: cis\n";
for (const version of ["v1.25.3+rke2r1", "v1.36.1+rke2r1"]) {
  await evaluate(`$("rke2").value = "${version}"`);
  await type(cis);
  const codes = JSON.parse((await native(["check", "--format=json", `--rke2=${version}`], cis)).output).map((it) => it.code);
  assert.deepEqual(await evaluate('[...$("findings").children].map((it) => it.children[1].textContent)'), codes, version);
}
await evaluate('$("rke2").value = "soon"');
await type(cis);
assert.match(await evaluate('$("alert").textContent'), /expected a version of RKE2/);
await evaluate('$("rke2").value = ""');
await type(cis);
assert.equal(await evaluate('$("alert").textContent'), "");
assert.equal(await evaluate('$("stages").textContent'), (await native(["render"], cis)).output);
assert.ok(!(await evaluate('$("stages").textContent')).includes("Zc5vD0rWq8nLk2HsYt"));
await evaluate('$("secrets").click()');
await until('!busy && $("stages").textContent.includes("Zc5vD0rWq8nLk2HsYt")');

// A failure: a module that does nothing else, then one that never ends, each in the place of ours.
const failing = (code) => [0, 97, 115, 109, 1, 0, 0, 0, 1, 4, 1, 96, 0, 0, 3, 2, 1, 0, 5, 3, 1, 0, 1, 7, 19, 2, 6, ...Buffer.from("memory"), 2, 0, 6, ...Buffer.from("_start"), 0, 0, 10, code.length + 4, 1, code.length + 2, 0, ...code, 11];
await evaluate("{ const wait = setTimeout; window.setTimeout = (it, time) => wait(it, time === PATIENCE ? 300 : time); }");
for (const [code, told] of [[[0], /^The program failed \(RuntimeError: unreachable\)\./], [[3, 64, 12, 0, 11], /^The program took more than 20 seconds\./]]) {
  await evaluate(`window.before = worker; worker.postMessage({ module: new Uint8Array(${JSON.stringify(failing(code))}) })`);
  await type(text);
  const alert = await evaluate('$("alert").textContent');
  assert.match(alert, told);
  assert.match(alert, /started anew, and the text is kept/);
  assert.equal(await evaluate('$("text").value'), text);
  await type(`${text}# more\n`);
  assert.equal(await evaluate('$("alert").textContent'), "");
  assert.equal(await evaluate('$("findings").children.length'), findings.length);
  assert.ok(await evaluate("worker !== before"));
}
await open(pathToFileURL(page).href);

// What needs more memory than a machine should give ends as a failure too, or is answered; then the page answers.
const began = Date.now();
for (const large of ["a: {".repeat(1 << 20), "[".repeat(1 << 22), "- &a [*a]\n".repeat(1 << 20), `cluster:\n  config: ${"x".repeat(15 << 20)}`, `cluster:\n${"  a: b\n".repeat(1 << 21)}`, "x".repeat((16 << 20) + 1)]) {
  await evaluate(`run(["check", "--format=json"], ${JSON.stringify(large)}).then((it) => it.status, (it) => it.message)`);
}
await type(text);
assert.equal(await evaluate('$("findings").children.length'), findings.length);
const largeSeconds = (Date.now() - began) / 1000;

// Every text that the tests have is judged and rendered alike.
const counted = Date.now();
let count = 0;
const queue = texts();
await Promise.all([1, 2].map(async () => {
  for await (const { name, text: input, words } of queue) {
    for (const verb of words) await sameAsNative(name, verb, input);
    count += 1;
  }
}));
assert.ok(count > 1000, `${count} texts`);
await sameAsNative("all words", ["explain"], "");

const outside = requests.filter((it) => !/^(blob|data|file):/.test(it) && it !== address);
assert.deepEqual(outside, [], "nothing is asked of anybody");
assert.deepEqual(complaints, [], "the browser has nothing to say of the page");
console.log(`page: ${count} texts alike in ${((Date.now() - counted) / 1000).toFixed(1)} s, large ones in ${largeSeconds.toFixed(1)} s`);
process.exit(0);
