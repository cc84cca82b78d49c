// From the script element to columns of numbers: base64, zlib, then the blocks that page.rs tells of.

/** @param {string} text @returns {Uint8Array} */
function fromBase64(text) {
  if (typeof Uint8Array.fromBase64 === "function") return Uint8Array.fromBase64(text);
  const values = new Uint8Array(128);
  const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  for (let i = 0; i < 64; i++) values[alphabet.charCodeAt(i)] = i;
  let length = text.length;
  while (length > 0 && text.charCodeAt(length - 1) === 61) length--;
  const bytes = new Uint8Array(Math.floor((length * 3) / 4));
  for (let i = 0, at = 0; i < length; i += 4) {
    const word =
      (values[text.charCodeAt(i)] << 18) |
      (values[text.charCodeAt(i + 1)] << 12) |
      ((i + 2 < length ? values[text.charCodeAt(i + 2)] : 0) << 6) |
      (i + 3 < length ? values[text.charCodeAt(i + 3)] : 0);
    bytes[at++] = word >> 16;
    if (at < bytes.length) bytes[at++] = word >> 8;
    if (at < bytes.length) bytes[at++] = word;
  }
  return bytes;
}

/** @param {Uint8Array} bytes @returns {Promise<Uint8Array>} */
async function inflate(bytes) {
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate"));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}

/** A column that grows. */
class Column {
  /** @param {typeof Float64Array | typeof Uint32Array | typeof Uint16Array | typeof Uint8Array} type */
  constructor(type) {
    this.type = type;
    this.values = new type(1 << 12);
    this.length = 0;
  }

  /** Room for more rows. @param {number} count @returns {number} Where they begin. */
  grow(count) {
    const begin = this.length;
    this.length += count;
    if (this.length > this.values.length) {
      const values = new this.type(Math.max(this.length, this.values.length * 2));
      values.set(this.values);
      this.values = values;
    }
    return begin;
  }

  /** @returns {any} */
  finish() {
    return this.values.subarray(0, this.length);
  }
}

/** Kinds of records, as in record.rs. */
const KIND = {
  callback: 2, created: 5, coroutine: 6, named: 7, site: 8, ended: 9, cancelled: 10, block: 11,
  gc: 12, gilWait: 13, poll: 14, queues: 15, lag: 16, short: 17, dropped: 18,
};

/**
 * @typedef {{text: string, file: string, line: number}} Name
 * @typedef {{task: Uint32Array, begin: Float64Array, length: Float64Array, delay: Float64Array,
 *   waker: Uint32Array, reason: Uint32Array, loop: Uint16Array, count: number}} Steps
 * @typedef {{kind: Uint8Array, time: Float64Array, subject: Uint32Array, detail: Float64Array,
 *   loop: Uint16Array, count: number}} Others
 */

/** @param {Uint8Array} bytes @returns {{names: Map<number, Name>, steps: Steps, others: Others}} */
function decode(bytes) {
  let at = 0;
  const text = new TextDecoder();
  // Numbers may have more than 32 bits, so that shifting does not do.
  const number = () => {
    let byte = bytes[at++];
    if (byte < 0x80) return byte;
    let value = byte & 0x7f;
    let factor = 128;
    do {
      byte = bytes[at++];
      value += (byte & 0x7f) * factor;
      factor *= 128;
    } while (byte >= 0x80);
    return value;
  };
  const signed = () => {
    const value = number();
    return value % 2 === 0 ? value / 2 : -(value + 1) / 2;
  };
  const string = () => {
    const length = number();
    at += length;
    return text.decode(bytes.subarray(at - length, at));
  };
  const fill = (column, begin, count, read) => {
    const values = column.values;
    for (let i = begin; i < begin + count; i++) values[i] = read();
  };
  const running = (read) => {
    let value = 0;
    return () => (value += read());
  };

  const names = new Map();
  const [task, waker, reason] = [0, 0, 0].map(() => new Column(Uint32Array));
  const [begin, length, delay] = [0, 0, 0].map(() => new Column(Float64Array));
  const stepLoop = new Column(Uint16Array);
  const kind = new Column(Uint8Array);
  const [time, detail] = [0, 0].map(() => new Column(Float64Array));
  const subject = new Column(Uint32Array);
  const otherLoop = new Column(Uint16Array);
  const columns = (count, list) => list.map((column) => column.grow(count))[0];

  for (;;) {
    const block = at < bytes.length ? bytes[at++] : 0;
    if (block === 0) break;
    const count = number();
    if (block === 1) {
      for (let i = 0; i < count; i++) {
        const key = number();
        const line = number();
        names.set(key, { line, text: string(), file: string() });
      }
    } else if (block === 2) {
      const loop = number();
      const first = columns(count, [task, begin, length, delay, waker, reason, stepLoop]);
      stepLoop.values.fill(loop, first, first + count);
      fill(task, first, count, running(signed));
      fill(begin, first, count, running(signed));
      for (const column of [length, delay, waker, reason]) fill(column, first, count, number);
    } else if (block === 3) {
      const loop = number();
      const first = columns(count, [kind, time, subject, detail, otherLoop]);
      otherLoop.values.fill(loop, first, first + count);
      fill(kind, first, count, () => bytes[at++]);
      fill(time, first, count, running(signed));
      for (const column of [subject, detail]) fill(column, first, count, number);
    } else {
      throw new Error(`a block of kind ${block}`);
    }
  }
  return {
    names,
    steps: {
      task: task.finish(), begin: begin.finish(), length: length.finish(), delay: delay.finish(),
      waker: waker.finish(), reason: reason.finish(), loop: stepLoop.finish(), count: task.length,
    },
    others: {
      kind: kind.finish(), time: time.finish(), subject: subject.finish(), detail: detail.finish(),
      loop: otherLoop.finish(), count: kind.length,
    },
  };
}
