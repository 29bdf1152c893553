// Runs the player, a program for wasm32-wasip1: reads a schedule from standard input, writes a trace to standard output.
const { play } = (() => {
  const SUCCESS = 0;
  const ENOSYS = 52;
  const base64 = document.getElementById("player").textContent;
  const compiled = WebAssembly.compile(Uint8Array.from(atob(base64), (character) => character.charCodeAt(0)));

  /** Returns what the player prints for `schedule`. Each call starts a new instance, so nothing stays between calls. */
  async function play(schedule) {
    const output = [];
    let input = new TextEncoder().encode(schedule);
    let memory;
    const setU32 = (at, value) => new DataView(memory.buffer).setUint32(at, value, true);
    const buffers = (at, count) => Array.from(new Uint32Array(memory.buffer.slice(at, at + 8 * count)))
      .flatMap((start, index, words) => (index % 2 ? [] : [new Uint8Array(memory.buffer, start, words[index + 1])]));
    const functions = {
      fd_read(_file, at, count, read) {
        let got = 0;
        for (const buffer of buffers(at, count)) {
          const part = input.subarray(0, buffer.length);
          buffer.set(part);
          input = input.subarray(part.length);
          got += part.length;
        }
        setU32(read, got);
        return SUCCESS;
      },
      fd_write(file, at, count, written) {
        const parts = buffers(at, count).map((buffer) => buffer.slice());
        output.push(...parts.map((bytes) => ({ file, bytes })));
        setU32(written, parts.reduce((sum, part) => sum + part.length, 0));
        return SUCCESS;
      },
      environ_get: () => SUCCESS,
      environ_sizes_get(count, size) {
        setU32(count, 0);
        setU32(size, 0);
        return SUCCESS;
      },
      proc_exit(code) { throw new Exit(code); },
    };
    const module = await compiled;
    const wanted = WebAssembly.Module.imports(module).map(({ name }) => [name, functions[name] ?? (() => ENOSYS)]);
    const { exports } = await WebAssembly.instantiate(module, { wasi_snapshot_preview1: Object.fromEntries(wanted) });
    memory = exports.memory;
    try {
      exports._start();
    } catch (thrown) {
      if (!(thrown instanceof Exit)) throw thrown;
    }
    const text = (file) => {
      const decoder = new TextDecoder();
      return output.filter((part) => part.file === file).map(({ bytes }) => decoder.decode(bytes, { stream: true })).join("");
    };
    return { output: text(1), error: text(2) };
  }

  class Exit extends Error {}

  return { play };
})();
