// How times, shares and names read. Scripts of this folder share one scope: page.rs lists them.

/** @param {number} ns @returns {string} A duration with three digits and its unit. */
function duration(ns) {
  const value = Math.abs(ns);
  const [factor, unit] = value >= 1e9 ? [1e9, "s"] : value >= 1e6 ? [1e6, "ms"] : value >= 1e3 ? [1e3, "µs"] : [1, "ns"];
  const scaled = ns / factor;
  const digits = factor === 1 || Math.abs(scaled) >= 100 ? 0 : Math.abs(scaled) >= 10 ? 1 : 2;
  return `${scaled.toFixed(digits)} ${unit}`;
}

/** @param {number} share @returns {string} */
function percent(share) {
  return `${(share * 100).toFixed(share < 0.1 ? 1 : 0)} %`;
}

/** @param {number} value @returns {string} Digits in groups of three. */
function grouped(value) {
  return String(value).replace(/\B(?=(\d{3})+$)/g, "\u202f");
}

/** @param {number} count @param {string} word @returns {string} */
function several(count, word) {
  return `${grouped(count)} ${word}${count === 1 ? "" : "s"}`;
}

/** The last two parts of a path. @param {string} file @returns {string} */
function shortFile(file) {
  return file.split("/").slice(-2).join("/");
}

/**
 * Text for people: nothing that steers a terminal or turns the direction of writing.
 * @param {string} text @returns {string}
 */
function shown(text) {
  return text.replace(/[\p{Cc}\p{Cf}\u2028\u2029]/gu, (sign) => `\\u{${sign.codePointAt(0).toString(16)}}`);
}

/** Steps of a time axis: 1, 2 or 5 times a power of ten. @param {number} least @returns {number} */
function niceStep(least) {
  const power = 10 ** Math.floor(Math.log10(least));
  return [1, 2, 5, 10].map((factor) => factor * power).find((step) => step >= least) ?? power * 10;
}

/**
 * An element; texts become text nodes, never markup.
 * @param {string} tag @param {Object<string, any>} properties @param {...(Node|string)} children
 * @returns {HTMLElement}
 */
function element(tag, properties, ...children) {
  const made = document.createElement(tag);
  for (const [key, value] of Object.entries(properties)) {
    if (key in made) made[key] = value;
    else made.setAttribute(key, value);
  }
  made.append(...children);
  return made;
}
