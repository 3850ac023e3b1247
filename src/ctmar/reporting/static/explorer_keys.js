// Keys of an explorer. Letters, figures and brackets work wherever the focus is within it, but in fields that need them;
// arrows, which belong to fields too, on the images only. The line of help below the images lists them all.
const PAN_STEP = 1 / 8; // of what is in view
const WINDOW_STEP = 1 / 16; // of the width
const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
const CROSS_KEYS = { j: [-1, 0], l: [1, 0], i: [0, -1], k: [0, 1] };
const EXPLORER_KEYS = {
  v: (explorer) => explorer.next("view", 1),
  m: (explorer) => explorer.next("compare", 1),
  b: (explorer) => explorer.set({ compare: explorer.state.compare === "blink" ? "beside" : "blink" }),
  s: (explorer) => explorer.set({ compare: explorer.state.compare === "swipe" ? "beside" : "swipe" }),
  x: (explorer) => explorer.set({ a: explorer.state.b, b: explorer.state.a }),
  n: (explorer) => explorer.next("example", 1),
  p: (explorer) => explorer.next("example", -1),
  r: (explorer) => explorer.next("turns", 1),
  e: (explorer) => explorer.next("limit", 1),
  d: (explorer) => explorer.next("drag", 1),
  o: (explorer) => explorer.control("outline").click(),
  f: (explorer) => explorer.toggleFull(),
  "[": (explorer) => explorer.set({ split: clamped(explorer.state.split - 0.05, 0, 1) }),
  "]": (explorer) => explorer.set({ split: clamped(explorer.state.split + 0.05, 0, 1) }),
  "+": (explorer) => explorer.zoom(1.25),
  "=": (explorer) => explorer.zoom(1.25),
  "-": (explorer) => explorer.zoom(0.8),
  0: (explorer) => explorer.zoom(0),
};

function arrowChanges({ state, size }, [right, down], withShift) {
  if (withShift) return draggedWindow(state, right * WINDOW_STEP, down * WINDOW_STEP);
  const step = (PAN_STEP * size) / state.zoom;
  return movedView({ zoom: state.zoom, x: state.x + right * step, y: state.y + down * step }, size);
}

function pressExplorerKey(explorer, event) {
  if (event.ctrlKey || event.metaKey || event.altKey || event.target.matches("select, [type=number]")) return;
  const key = event.key.length === 1 ? event.key.toLowerCase() : event.key;
  const preset = explorer.facts.windows[Number(key) - 1];
  if (key in ARROWS && event.target === explorer.element) {
    explorer.set(arrowChanges(explorer, ARROWS[key], event.shiftKey));
  } else if (key in CROSS_KEYS) {
    explorer.moveCross(CROSS_KEYS[key]);
  } else if (preset) {
    explorer.set({ low: preset[1], high: preset[2] });
  } else if (Object.hasOwn(EXPLORER_KEYS, key)) {
    EXPLORER_KEYS[key](explorer);
  } else {
    return;
  }
  event.preventDefault();
}

Object.assign(globalThis, { pressExplorerKey }); // for the other scripts of the explorer
