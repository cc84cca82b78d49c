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
  /**
   * @param {typeof Float64Array | typeof Uint32Array | typeof Uint16Array | typeof Uint8Array} type
   * @param {number} [room] For how many rows at first.
   */
  constructor(type, room = 1 << 12) {
    this.type = type;
    this.values = new type(room);
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

/**
 * @param {Uint8Array} bytes
 * @param {number} room For so many steps there is room from the beginning.
 * @returns {{names: Map<number, Name>, steps: Steps, others: Others}}
 */
function decode(bytes, room) {
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
  const string = () => {
    const length = number();
    at += length;
    return text.decode(bytes.subarray(at - length, at));
  };
  // Columns, each in a loop of its own: most of the time goes here. Up to 28 bits by shifting.
  const numbers = (/** @type {any} */ values, /** @type {number} */ first, /** @type {number} */ count) => {
    const data = bytes;
    let place = at;
    for (let i = first; i < first + count; i++) {
      let byte = data[place++];
      let value = byte & 0x7f;
      if (byte >= 0x80) {
        byte = data[place++];
        value |= (byte & 0x7f) << 7;
        if (byte >= 0x80) {
          byte = data[place++];
          value |= (byte & 0x7f) << 14;
          if (byte >= 0x80) {
            byte = data[place++];
            value |= (byte & 0x7f) << 21;
            for (let factor = 2 ** 28; byte >= 0x80; factor *= 128) {
              byte = data[place++];
              value += (byte & 0x7f) * factor;
            }
          }
        }
      }
      values[i] = value;
    }
    at = place;
  };
  // The same of differences to the one before, with a sign.
  const differences = (/** @type {any} */ values, /** @type {number} */ first, /** @type {number} */ count) => {
    const data = bytes;
    let place = at;
    let sum = 0;
    for (let i = first; i < first + count; i++) {
      let byte = data[place++];
      let value = byte & 0x7f;
      if (byte >= 0x80) {
        byte = data[place++];
        value |= (byte & 0x7f) << 7;
        if (byte >= 0x80) {
          byte = data[place++];
          value |= (byte & 0x7f) << 14;
          if (byte >= 0x80) {
            byte = data[place++];
            value |= (byte & 0x7f) << 21;
            for (let factor = 2 ** 28; byte >= 0x80; factor *= 128) {
              byte = data[place++];
              value += (byte & 0x7f) * factor;
            }
          }
        }
      }
      sum += value < 2 ** 28 ? (value >>> 1) ^ -(value & 1) : value % 2 === 0 ? value / 2 : -(value + 1) / 2;
      values[i] = sum;
    }
    at = place;
  };

  const names = new Map();
  const [task, waker, reason] = [0, 0, 0].map(() => new Column(Uint32Array, room));
  const [begin, length, delay] = [0, 0, 0].map(() => new Column(Float64Array, room));
  const stepLoop = new Column(Uint16Array, room);
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
      differences(task.values, first, count);
      differences(begin.values, first, count);
      for (const column of [length, delay, waker, reason]) numbers(column.values, first, count);
    } else if (block === 3) {
      const loop = number();
      const first = columns(count, [kind, time, subject, detail, otherLoop]);
      otherLoop.values.fill(loop, first, first + count);
      kind.values.set(bytes.subarray(at, at + count), first);
      at += count;
      differences(time.values, first, count);
      for (const column of [subject, detail]) numbers(column.values, first, count);
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
