// Runs the module: each message is one run of the program, with its arguments and standard input, in memory of its own. The module asks the
// system for nothing but arguments, standard streams, random bytes and its end (WASI preview 1); all else is answered with "not supported".
"use strict";

const NOT_SUPPORTED = 58;
let program;
let module;

onmessage = ({ data }) => {
  if (data.module) {
    program = data.module;
    module = undefined;
    return;
  }
  try {
    module ??= new WebAssembly.Module(program);
    postMessage({ id: data.id, ...run(data.words, data.input) });
  } catch (error) {
    // A panic or an end of memory. This worker is not asked again.
    postMessage({ id: data.id, failed: String(error) });
  }
};

class Exit {
  constructor(status) {
    this.status = status;
  }
}

function run(words, input) {
  const text = new TextEncoder();
  const given = words.map((word) => text.encode(`${word}\0`));
  const streams = ["", ""].map(() => ({ text: "", decoder: new TextDecoder() }));
  let rest = text.encode(input);
  let instance;
  const bytes = (at, length) => new Uint8Array(instance.exports.memory.buffer, at, length);
  const write = (at, number) => new DataView(instance.exports.memory.buffer).setUint32(at, number, true);
  // The pieces of memory that a read or write names.
  const pieces = (at, count) => {
    const view = new DataView(instance.exports.memory.buffer, at, 8 * count);
    return Array.from({ length: count }, (_, it) => bytes(view.getUint32(8 * it, true), view.getUint32(8 * it + 4, true)));
  };
  const system = {
    args_sizes_get: (count, size) => {
      write(count, given.length);
      write(size, given.reduce((sum, it) => sum + it.length, 0));
      return 0;
    },
    args_get: (pointers, buffer) => {
      for (const [number, word] of given.entries()) {
        write(pointers + 4 * number, buffer);
        bytes(buffer, word.length).set(word);
        buffer += word.length;
      }
      return 0;
    },
    environ_sizes_get: (count, size) => {
      write(count, 0);
      write(size, 0);
      return 0;
    },
    environ_get: () => 0,
    random_get: (at, length) => {
      crypto.getRandomValues(bytes(at, length));
      return 0;
    },
    fd_read: (_, at, count, read) => {
      let sum = 0;
      for (const piece of pieces(at, count)) {
        const part = rest.subarray(0, piece.length);
        piece.set(part);
        rest = rest.subarray(part.length);
        sum += part.length;
      }
      write(read, sum);
      return 0;
    },
    fd_write: (stream, at, count, written) => {
      const to = streams[stream - 1];
      let sum = 0;
      for (const piece of pieces(at, count)) {
        to.text += to.decoder.decode(piece, { stream: true });
        sum += piece.length;
      }
      write(written, sum);
      return 0;
    },
    proc_exit: (status) => {
      throw new Exit(status);
    },
  };
  const imports = new Proxy(system, { get: (own, name) => own[name] ?? (() => NOT_SUPPORTED) });
  instance = new WebAssembly.Instance(module, { wasi_snapshot_preview1: imports });
  let status = 0;
  try {
    instance.exports._start();
  } catch (error) {
    if (!(error instanceof Exit)) throw error;
    status = error.status;
  }
  const [output, complaint] = streams.map((it) => it.text);
  return { status, output, complaint };
}
