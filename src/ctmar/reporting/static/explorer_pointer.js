// Mouse and fingers on the tiles of an explorer: drag, wheel, double click, two fingers, and the numbers under the mouse
function shareOf(event, tile) {
  const box = tile.canvas.getBoundingClientRect();
  return { shareX: (event.clientX - box.x) / box.width, shareY: (event.clientY - box.y) / box.height, turns: tile.turns };
}

function draggedChanges(explorer, begun, event) {
  const { state, size } = explorer;
  const { shareX, shareY } = shareOf(event, begun.tile);
  const [right, down] = [shareX - begun.shareX, shareY - begun.shareY];
  if (begun.what === "divider") return { split: clamped(shareX, 0, 1) };
  if (begun.what === "window") return draggedWindow(begun.state, right, down);
  const view = { ...begun.state, zoom: state.zoom };
  const [x, y] = imagePoint(0.5 - right, 0.5 - down, size, view, begun.tile.turns);
  return movedView({ zoom: state.zoom, x, y }, size);
}

// Where tiles are swiped a drag moves the divider; with Shift it does what the other choice is
function dragOf(explorer, event, tile) {
  const { compare, drag } = explorer.state;
  if (compare === "swipe" && tile.both) return event.shiftKey ? drag : "divider";
  if (!event.shiftKey) return drag;
  return drag === "window" ? "position" : "window";
}

function attachPointer(explorer, element) {
  const fingers = new Map();
  let [begun, apart] = [null, null];
  const tileOf = (event) => explorer.tiles.find((tile) => tile.canvas === event.target);
  const distance = () => {
    const [a, b] = [...fingers.values()];
    return Math.hypot(a.clientX - b.clientX, a.clientY - b.clientY);
  };
  element.addEventListener("pointerdown", (event) => {
    const tile = tileOf(event);
    if (!tile || event.button !== 0) return;
    event.preventDefault();
    element.focus({ preventScroll: true });
    tile.canvas.setPointerCapture(event.pointerId);
    fingers.set(event.pointerId, event);
    apart = fingers.size === 2 ? distance() : null;
    begun = { tile, what: dragOf(explorer, event, tile), state: { ...explorer.state }, ...shareOf(event, tile) };
    if (begun.what === "divider") explorer.set(draggedChanges(explorer, begun, event));
  });
  element.addEventListener("pointermove", (event) => {
    const tile = tileOf(event);
    if (!tile) return;
    if (fingers.has(event.pointerId)) fingers.set(event.pointerId, event);
    if (apart !== null && fingers.size === 2) {
      const now = distance();
      explorer.set(zoomedView(explorer.state, now / apart, explorer.size, shareOf(event, tile)));
      apart = now;
    } else if (begun && fingers.has(event.pointerId)) {
      explorer.set(draggedChanges(explorer, begun, event));
    } else if (!fingers.size) {
      explorer.pointAt(imagePoint(...Object.values(shareOf(event, tile)).slice(0, 2), explorer.size, explorer.state, tile.turns));
    }
  });
  const end = (event) => {
    fingers.delete(event.pointerId);
    // a finger that scrolls the page has changed nothing
    if (event.type === "pointercancel" && begun) explorer.set({ ...begun.state });
    [begun, apart] = [null, null];
  };
  element.addEventListener("pointerup", end);
  element.addEventListener("pointercancel", end);
  element.addEventListener("wheel", (event) => {
    const tile = tileOf(event);
    if (!tile || !(event.ctrlKey || explorer.isFull)) return; // the page scrolls
    event.preventDefault();
    explorer.set(zoomedView(explorer.state, 2 ** (-event.deltaY / 240), explorer.size, shareOf(event, tile)));
  }, { passive: false });
  element.addEventListener("dblclick", (event) => {
    const tile = tileOf(event);
    if (tile) explorer.set(zoomedView(explorer.state, 2, explorer.size, shareOf(event, tile)));
  });
}

Object.assign(globalThis, { attachPointer }); // for the other scripts of the explorer
