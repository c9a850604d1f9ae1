// The YAML language server as an editor runs it: with the program's schema it completes, explains and complains.
//
//   node editor.mjs NODE_MODULES SCHEMA
import { spawn } from "node:child_process";
import { pathToFileURL } from "node:url";

const [modules, schema] = process.argv.slice(2);
const server = spawn(process.execPath, [`${modules}/yaml-language-server/bin/yaml-language-server`, "--stdio"]);
const waiting = new Map();
let received = Buffer.alloc(0);
let last = 0;

function send(message) {
  const text = JSON.stringify({ jsonrpc: "2.0", ...message });
  server.stdin.write(`Content-Length: ${Buffer.byteLength(text)}\r\n\r\n${text}`);
}

function ask(method, params) {
  last += 1;
  send({ id: last, method, params });
  return new Promise((resolve) => waiting.set(last, resolve));
}

server.stdout.on("data", (data) => {
  received = Buffer.concat([received, data]);
  for (;;) {
    const head = received.indexOf("\r\n\r\n");
    if (head < 0) return;
    const length = Number(/Content-Length: (\d+)/i.exec(received.subarray(0, head))[1]);
    if (received.length < head + 4 + length) return;
    const message = JSON.parse(received.subarray(head + 4, head + 4 + length));
    received = received.subarray(head + 4 + length);
    if (message.method === "textDocument/publishDiagnostics") {
      waiting.get(message.params.uri)?.(message.params.diagnostics);
    } else if (message.method && message.id !== undefined) {
      send({ id: message.id, result: message.method === "workspace/configuration" ? message.params.items.map(() => null) : null });
    } else if (message.id !== undefined) {
      waiting.get(message.id)?.(message.result);
    }
  }
});

const timeout = setTimeout(() => fail("the language server does not answer"), 60_000);

function fail(sentence) {
  console.log(`editor: ${sentence}`);
  server.kill();
  process.exit(1);
}

await ask("initialize", {
  processId: process.pid,
  rootUri: null,
  capabilities: { textDocument: { completion: { completionItem: { documentationFormat: ["markdown"] } }, hover: {} } },
});
send({ method: "initialized", params: {} });
const settings = { yaml: { validate: true, hover: true, completion: true, schemaStore: { enable: false } } };
send({ method: "workspace/didChangeConfiguration", params: { settings } });

let number = 0;

// Opens a cloud-config with the modeline of the documentation; gives its name and what is said of it.
async function open(section) {
  const uri = `file:///${(number += 1)}.yaml`;
  const text = `#cloud-config\n# yaml-language-server: $schema=${pathToFileURL(schema)}\n${section}`;
  const said = new Promise((resolve) => waiting.set(uri, resolve));
  send({ method: "textDocument/didOpen", params: { textDocument: { uri, languageId: "yaml", version: 1, text } } });
  return { uri, said: await said };
}

const at = (uri, line, character) => ({ textDocument: { uri }, position: { line, character } });

async function completed(section, line, character) {
  const { uri } = await open(section);
  const result = await ask("textDocument/completion", at(uri, line, character));
  return (result.items ?? result).map((item) => item.label);
}

async function expectCompletions(section, line, character, labels) {
  const found = await completed(section, line, character);
  const missing = labels.filter((label) => !found.includes(label));
  if (missing.length > 0) fail(`line ${line + 1} of ${JSON.stringify(section)}: ${missing} is not among ${found}`);
}

async function expectHover(section, line, character, words) {
  const { uri } = await open(section);
  const hover = await ask("textDocument/hover", at(uri, line, character));
  const text = JSON.stringify(hover?.contents ?? "");
  const missing = words.filter((word) => !text.includes(word));
  if (missing.length > 0) fail(`line ${line + 1} of ${JSON.stringify(section)}: ${missing} is not in ${text}`);
}

async function expectSaid(section, lines) {
  const { said } = await open(section);
  const found = said.map((it) => it.range.start.line + 1);
  if (JSON.stringify(found) !== JSON.stringify(lines)) fail(`${JSON.stringify(section)}: ${JSON.stringify(said)}`);
}

await expectCompletions("cluster:\n  \n", 3, 2, ["role", "cluster_token", "control_plane_host", "config", "providerConfig", "env"]);
await expectCompletions("cluster:\n  role: \n", 3, 8, ["init", "controlplane", "worker"]);
await expectCompletions("cluster:\n  role: init\n  config:\n    cn\n", 5, 6, ["cni", "tls-san", "kubelet-arg"]);
await expectCompletions("cluster:\n  role: init\n  config:\n    cni: \n", 5, 9, ["cilium", "canal"]);
await expectCompletions("cluster:\n  role: init\n  providerConfig:\n    sw\n", 5, 6, ["swap", "reset_timeout"]);
await expectHover("cluster:\n  role: init\n  config:\n    tls-san: [a]\n", 5, 6, ["certificate", "servers"]);
await expectHover("cluster:\n  role: init\n", 3, 3, ["founds"]);
await expectSaid("cluster:\n  role: init\n  config:\n    cni: cilium\n    tls-san: [a]\n", []);
await expectSaid("cluster:\n  role: init\n  config: |\n    cni: cilium\n", []);
await expectSaid("cluster:\n  role: master\n", [4]);
await expectSaid("cluster:\n  role: init\n  config:\n    tls-sna: [a]\n", [6]);
await expectSaid("cluster:\n  role: init\n  colour: red\n", [5]);
console.log("editor: completions, hovers and mistakes are as expected");
clearTimeout(timeout);
server.kill();
