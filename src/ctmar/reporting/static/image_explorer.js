// The image explorer: its state, its controls and its tiles. Numbers come from explorer_data.js, what is shown from
// explorer_tiles.js, how from explorer_view.js and explorer_drawing.js; mouse and keys have files of their own.
const DRAWN_ONLY = new Set(["low", "high", "limit", "zoom", "x", "y", "split", "second", "outline", "drag", "cross"]);
const BLINK_MILLISECONDS = 600; // below three flashes a second
const CAPTION_PIXELS = 76;
const SMALLEST_TILE = 160; // two of them fit a phone
const TILE_GAP = 12;

class ImageExplorer {
  constructor(root) {
    this.root = root;
    this.element = root.querySelector(".tiles");
    this.facts = JSON.parse(root.querySelector(".facts-of-images").textContent);
    this.texts = [...document.querySelectorAll(`script.packed[data-network="${root.dataset.network}"]`)];
    this.examples = new Map();
    this.bitmaps = new Map();
    this.tiles = [];
    this.isFull = false;
    const { images, size } = this.facts.examples[0];
    const [, low, high] = this.facts.windows[0];
    const places = (name) => images.flatMap((image, index) => (image[name] ? [index] : []));
    const first = places("at_first");
    this.state = {
      example: 0, view: "ct", compare: "beside", images: first, models: places("turned_at_first"), a: Math.min(1, images.length - 1), b: first.at(-1), turns: 1,
      low, high, limit: this.facts.limit_hu, zoom: 1, x: size / 2, y: size / 2, split: 0.5, second: false,
      outline: true, drag: "window", cross: null,
    };
    root.addEventListener("input", (event) => this.takeControl(event.target));
    root.addEventListener("keydown", (event) => pressExplorerKey(this, event));
    for (const button of root.querySelectorAll("[data-zoom]")) {
      button.addEventListener("click", () => this.zoom(Number(button.dataset.zoom)));
    }
    root.querySelector(".full").addEventListener("click", () => this.toggleFull());
    attachPointer(this, this.element);
    new ResizeObserver(() => this.layOut()).observe(this.element);
  }

  get size() {
    return this.facts.examples[this.state.example].size;
  }

  // Images are chosen for themselves, models to turn their input
  get choice() {
    return this.state.view === "turned" ? "models" : "images";
  }

  control(name) {
    return this.root.querySelector(`[data-state="${name}"]`);
  }

  // Examples are unpacked when they are first shown
  example() {
    const { example: index } = this.state;
    if (!this.examples.has(index)) {
      this.examples.set(index, unpackedExample(this.facts.examples[index], this.texts[index].textContent));
    }
    return this.examples.get(index);
  }

  async show() {
    const asked = this.state.example;
    const example = await this.example();
    if (asked !== this.state.example) return;
    this.shown = example;
    this.bitmaps.clear();
    this.build();
  }

  // Outputs for turned inputs are kept of one example: the view of them and the choice of another exclude each other
  possible(changes) {
    const { view, example } = { ...this.state, ...changes };
    if (view !== "turned" || this.facts.examples[example].turned.length) return changes;
    if (changes.view !== "turned") return { ...changes, view: "ct" };
    return { ...changes, example: this.facts.examples.findIndex((other) => other.turned.length) };
  }

  set(wanted) {
    const changes = this.possible(wanted);
    const before = { ...this.state };
    Object.assign(this.state, changes);
    const changed = Object.keys(changes).filter((name) => before[name] !== this.state[name]);
    if (!changed.length) return;
    if (changed.includes("example")) this.show();
    else if (changed.some((name) => !DRAWN_ONLY.has(name))) this.build();
    else this.draw();
    if (["low", "high", "limit"].some((name) => changed.includes(name))) this.bitmaps.clear();
  }

  // The value of a control in the place of a choice; lists and radio buttons turn over at their ends
  next(name, step) {
    const controls = [...this.root.querySelectorAll(`[data-state="${name}"]`)];
    const values = controls[0].tagName === "SELECT" ? [...controls[0].options] : controls;
    const known = values.filter((value) => !value.disabled).map((value) => value.value);
    const index = known.indexOf(String(this.state[name])) + step;
    const value = known[(index + known.length) % known.length];
    this.set({ [name]: typeof this.state[name] === "number" ? Number(value) : value });
  }

  zoom(factor) {
    const fit = { zoom: 1, x: this.size / 2, y: this.size / 2 };
    this.set(factor ? zoomedView(this.state, factor, this.size) : fit);
  }

  takeControl({ dataset: { state: name }, type, value, checked }) {
    const { low, high } = this.state;
    if (name === "image") {
      const others = this.state[this.choice].filter((one) => one !== Number(value));
      this.set({ [this.choice]: checked ? [...others, Number(value)].sort((a, b) => a - b) : others });
    } else if (name === "window" && value !== "own") {
      const [, newLow, newHigh] = this.facts.windows[value];
      this.set({ low: newLow, high: newHigh });
    } else if (name === "level" || name === "width") {
      if (value === "") return; // while somebody types
      const own = { level: (low + high) / 2, width: high - low, [name]: Number(value) };
      this.set(windowOf(own.level, own.width));
    } else if (name === "split") {
      this.set({ split: value / 100 });
    } else if (name === "outline") {
      this.set({ outline: checked });
    } else if (name in this.state) {
      this.set({ [name]: typeof this.state[name] === "number" ? Number(value) : value });
    }
  }

  pointAt([x, y]) {
    const [column, row] = [x, y].map(Math.floor);
    const inside = [column, row].every((place) => place >= 0 && place < this.size);
    this.set({ cross: inside ? { column, row } : null });
  }

  moveCross([right, down]) {
    const { column, row } = this.state.cross ?? { column: Math.floor(this.state.x), row: Math.floor(this.state.y) };
    this.pointAt([column + right, row + down].map((place) => clamped(place, 0, this.size - 1)));
  }

  bitmap({ kind, image, against }) {
    const key = `${kind} ${image} ${against}`;
    if (!this.bitmaps.has(key)) {
      const { limit } = this.state;
      this.bitmaps.set(key, kind === "ct" ? greyBitmap(this.shown, image, this.state)
        : differenceBitmap(this.shown, image, against, limit, this.facts.colours));
    }
    return this.bitmaps.get(key);
  }

  build() {
    const template = this.root.querySelector("template.tile").content;
    this.tiles = tilesShown(this.shown, this.state).map((tile) => {
      const figure = template.cloneNode(true).firstElementChild;
      const [canvas, name, shows, quality] = ["canvas", ".name", ".shows", ".quality"].map((one) => figure.querySelector(one));
      name.textContent = tile.name;
      shows.textContent = tile.shows;
      quality.textContent = tile.quality;
      canvas.ariaLabel = [`${tile.name}: ${tile.shows}`, tile.quality].filter(Boolean).join(", ");
      return { ...tile, figure, canvas, turns: tile.layers[0].turns, value: figure.querySelector(".value") };
    });
    const empty = () => Object.assign(document.createElement("div"), { className: "empty" });
    this.element.replaceChildren(...this.tiles.flatMap((tile) => (tile.places > 1 ? [tile.figure, empty()] : [tile.figure])));
    this.root.querySelector(".nothing").hidden = this.tiles.length > 0;
    this.layOut();
    clearInterval(this.timer);
    if (this.state.compare === "blink") this.timer = setInterval(() => this.blink(), BLINK_MILLISECONDS);
  }

  blink() {
    this.state.second = !this.state.second;
    this.draw();
  }

  // As many columns as make the tiles largest without scrolling; what belongs together stays in one line or column
  layOut() {
    const n = this.tiles.reduce((sum, tile) => sum + (tile.places ?? 1), 0);
    if (!n) return;
    const inGroup = tilesInGroup(this.state);
    const width = this.element.clientWidth;
    const height = this.isFull ? this.element.parentElement.clientHeight - CAPTION_PIXELS : 0.85 * innerHeight;
    const sideOf = (columns) => {
      const rows = Math.ceil(n / columns);
      return Math.min((width - TILE_GAP * (columns - 1)) / columns, height / rows - CAPTION_PIXELS);
    };
    const columns = Array.from({ length: n }, (_, index) => index + 1)
      .filter((count) => count % inGroup === 0 || inGroup % count === 0);
    const best = columns.reduce((one, other) => (sideOf(other) > sideOf(one) ? other : one));
    const side = Math.floor(Math.max(Math.min(SMALLEST_TILE, width), sideOf(best)));
    const fitting = columns.findLast((count) => count <= best && side * count + TILE_GAP * (count - 1) <= width) ?? 1;
    this.element.style.setProperty("--side", `${side}px`);
    this.element.style.setProperty("--columns", fitting);
    this.element.classList.toggle("one-column", fitting === 1);
    for (const { canvas } of this.tiles) canvas.width = canvas.height = Math.round(side * devicePixelRatio);
    this.draw();
  }

  draw() {
    this.waiting ??= requestAnimationFrame(() => {
      this.waiting = null;
      this.showControls();
      if (this.shown) this.drawTiles();
    });
  }

  drawTiles() {
    const { state, shown, size } = this;
    const marks = [];
    if (state.outline) marks.push(new Path2D(shown.outline));
    if (state.cross) marks.push(crossPath(state.cross.column, state.cross.row));
    const pixel = state.cross ? state.cross.row * size + state.cross.column : null;
    for (const tile of this.tiles) {
      const layers = tile.both ? comparedLayers(state, ...tile.both) : tile.layers;
      drawTile(tile.canvas, size, layers.map((layer) => ({ ...layer, bitmap: this.bitmap(layer) })), state, marks);
      tile.value.textContent = pixel === null ? "" : tileValue(shown, tile, pixel);
    }
    this.root.querySelector(".place").textContent = pixel === null ? "Rest the mouse on an image, or move the cross by I, J, K and L, to read Hounsfield units." : this.words(pixel);
  }

  words(pixel) {
    const { row, column } = this.state.cross;
    const values = this.tiles.map((tile) => `${tile.name}, ${tile.shows}: ${tile.value.textContent}`);
    return `Row ${row}, column ${column}${this.shown.mask[pixel] ? ", metal" : ""}. ${values.join("; ")}`;
  }

  showControls() {
    const { state } = this;
    const { low, high } = state;
    const preset = this.facts.windows.findIndex((window) => window[1] === low && window[2] === high);
    const shown = {
      ...state, window: preset < 0 ? "own" : preset, level: (low + high) / 2, width: high - low,
      split: Math.round(100 * state.split),
    };
    for (const control of this.root.querySelectorAll("[data-state]")) {
      const value = shown[control.dataset.state];
      if (control.dataset.state === "image") control.checked = state[this.choice].includes(Number(control.value));
      else if (control.type === "radio") control.checked = control.value === String(value);
      else if (control.type === "checkbox") control.checked = value;
      else if (control !== document.activeElement || control.type !== "number") control.value = value;
    }
    for (const part of this.root.querySelectorAll("[data-for]")) {
      const now = [state.compare, state.view];
      part.hidden = !part.dataset.for.split(" ").some((one) => now.includes(one)) || now.includes(part.dataset.notFor);
    }
    this.root.querySelector(".low").textContent = plainHu(low);
    this.root.querySelector(".high").textContent = plainHu(high);
    this.root.querySelectorAll(".limit").forEach((place, index) => {
      place.textContent = signedHu(index ? state.limit : -state.limit);
    });
  }

  // A dialogue as large as the window; Escape and F close it
  toggleFull() {
    if (this.isFull) {
      this.dialog.close();
      return;
    }
    this.dialog = document.createElement("dialog");
    this.dialog.className = "explorer-dialog";
    this.dialog.ariaLabel = this.root.ariaLabel;
    const place = document.createElement("div");
    place.style.height = `${this.root.offsetHeight}px`; // the page behind stays where it is
    this.root.replaceWith(place);
    this.dialog.append(this.root);
    document.body.append(this.dialog);
    this.isFull = true;
    this.dialog.addEventListener("close", () => {
      this.isFull = false;
      place.replaceWith(this.root);
      this.dialog.remove();
      this.root.querySelector(".full").ariaPressed = "false";
      this.element.focus({ preventScroll: true });
      this.layOut();
    });
    this.dialog.showModal();
    this.root.querySelector(".full").ariaPressed = "true";
    this.element.focus({ preventScroll: true });
    this.layOut();
  }
}

// Nothing is unpacked before a reader comes near
function makeExplorer(root) {
  if (!("DecompressionStream" in window)) return; // the still pictures remain
  root.hidden = false;
  root.parentElement.querySelector(".glance").open = false;
  const observer = new IntersectionObserver((entries) => {
    if (!entries.some((entry) => entry.isIntersecting)) return;
    observer.disconnect();
    root.explorer = new ImageExplorer(root);
    root.explorer.show();
  }, { rootMargin: "400px" });
  observer.observe(root);
}

document.querySelectorAll(".explorer").forEach(makeExplorer);
