// What of the images is seen, and how: changes of the state of an explorer that mouse, fingers and keys share.
const LARGEST_ZOOM = 32;
const clamped = (value, least, most) => Math.min(most, Math.max(least, value));

// The part of the image in view stays within the image
function movedView({ zoom, x, y }, size) {
  const half = size / (2 * zoom);
  return { zoom, x: clamped(x, half, size - half), y: clamped(y, half, size - half) };
}

// Zoom by a factor about a point of a tile, which keeps what it shows
function zoomedView(view, factor, size, { shareX, shareY, turns } = { shareX: 0.5, shareY: 0.5, turns: 0 }) {
  const zoom = clamped(view.zoom * factor, 1, LARGEST_ZOOM);
  const [x, y] = imagePoint(shareX, shareY, size, view, turns);
  const [newX, newY] = imagePoint(shareX, shareY, size, { ...view, zoom }, turns);
  return movedView({ zoom, x: view.x + x - newX, y: view.y + y - newY }, size);
}

// Window of a level and a width in whole HU
function windowOf(level, width) {
  const wide = clamped(Math.round(width), 1, 60000);
  const low = Math.round(clamped(level, -30000, 30000) - wide / 2);
  return { low, high: low + wide };
}

// To the right the window widens, upwards the picture brightens
function draggedWindow({ low, high }, shareX, shareY) {
  const width = high - low;
  return windowOf((low + high) / 2 + shareY * width, width * 4 ** shareX);
}

Object.assign(globalThis, { clamped, draggedWindow, movedView, windowOf, zoomedView }); // for the other scripts of the explorer
