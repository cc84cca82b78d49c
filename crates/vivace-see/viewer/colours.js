// The colours of the style sheet, for the canvases: they follow light and dark.

const COLOURS = {
  background: "", text: "", faint: "", line: "", row: "", running: "", ready: "", waiting: "",
  blocked: "", callback: "", gc: "", gil: "", arrow: "", select: "", path: "", band: "",
};

/** Reads them again. */
function readColours() {
  const style = getComputedStyle(document.documentElement);
  for (const name of Object.keys(COLOURS)) COLOURS[name] = style.getPropertyValue(`--${name}`).trim();
}

const FONT = "11px system-ui, sans-serif";

/**
 * Makes a canvas as sharp as the screen.
 * @param {HTMLCanvasElement} canvas
 * @returns {{g: CanvasRenderingContext2D, width: number, height: number}}
 */
function prepare(canvas) {
  const ratio = window.devicePixelRatio || 1;
  const { clientWidth: width, clientHeight: height } = canvas;
  const [wide, high] = [Math.round(width * ratio), Math.round(height * ratio)];
  if (canvas.width !== wide || canvas.height !== high) {
    canvas.width = wide;
    canvas.height = high;
  }
  const g = /** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d"));
  g.setTransform(ratio, 0, 0, ratio, 0, 0);
  g.font = FONT;
  g.textBaseline = "middle";
  g.fillStyle = COLOURS.background;
  g.fillRect(0, 0, width, height);
  return { g, width, height };
}

/** Text that ends with … where there is no more room. */
function clipped(/** @type {CanvasRenderingContext2D} */ g, /** @type {string} */ text, /** @type {number} */ room) {
  if (room < 14) return "";
  if (g.measureText(text).width <= room) return text;
  let [low, high] = [0, text.length];
  while (low < high) {
    const middle = (low + high + 1) >> 1;
    if (g.measureText(text.slice(0, middle) + "…").width <= room) low = middle;
    else high = middle - 1;
  }
  return low > 1 ? text.slice(0, low) + "…" : "";
}
