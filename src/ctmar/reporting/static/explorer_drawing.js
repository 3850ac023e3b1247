// Numbers to pictures: the colours of images.py, on canvases of one pixel for each pixel of the image
function paintedBitmap(size, paint) {
  const canvas = Object.assign(document.createElement("canvas"), { width: size, height: size });
  const context = canvas.getContext("2d");
  const pixels = context.createImageData(size, size);
  for (let pixel = 0; pixel < size * size; pixel += 1) {
    paint(pixel, pixels.data, 4 * pixel);
    pixels.data[4 * pixel + 3] = 255;
  }
  context.putImageData(pixels, 0, 0);
  return canvas;
}

function greyBitmap(example, image, { low, high }) {
  return paintedBitmap(example.size, (pixel, data, at) => {
    const share = Math.min(1, Math.max(0, (example.hu(image, pixel) - low) / (high - low)));
    data.fill(Math.round(255 * share), at, at + 3);
  });
}

function differenceBitmap(example, image, against, limit, [tooLow, none, tooHigh]) {
  return paintedBitmap(example.size, (pixel, data, at) => {
    const share = Math.min(1, Math.max(-1, example.difference(image, against, pixel) / limit));
    const end = share < 0 ? tooLow : tooHigh;
    for (let channel = 0; channel < 3; channel += 1) {
      data[at + channel] = Math.round(none[channel] + Math.abs(share) * (end[channel] - none[channel]));
    }
  });
}

// Where a tile shows what: all tiles share zoom and centre; one that is turned is turned about its own middle
function placeImage(context, side, size, view, turns) {
  const scale = (view.zoom * side) / size;
  context.translate(side / 2, side / 2);
  context.rotate((-turns * Math.PI) / 2); // counter-clockwise
  context.scale(scale, scale);
  context.translate(-view.x, -view.y);
  return scale;
}

// The point of the image [pixels] under a point of a tile, given as shares of its side
function imagePoint(shareX, shareY, size, view, turns) {
  const angle = (turns * Math.PI) / 2;
  const [x, y] = [shareX - 0.5, shareY - 0.5].map((share) => (share * size) / view.zoom);
  return [view.x + x * Math.cos(angle) - y * Math.sin(angle), view.y + x * Math.sin(angle) + y * Math.cos(angle)];
}

function strokeTwice(context, path, width) {
  for (const [colour, share] of [["rgb(0 0 0 / .55)", 3], ["#f0e442", 1.25]]) {
    context.strokeStyle = colour;
    context.lineWidth = share * width;
    context.stroke(path);
  }
}

// Four arms around a pixel, which stays in view
function crossPath(column, row) {
  const arms = [[-4, 0.5, -1, 0.5], [2, 0.5, 5, 0.5], [0.5, -4, 0.5, -1], [0.5, 2, 0.5, 5]];
  const path = new Path2D();
  for (const [fromX, fromY, toX, toY] of arms) {
    path.moveTo(column + fromX, row + fromY);
    path.lineTo(column + toX, row + toY);
  }
  return path;
}

// Which of two images is seen: A on the left, B on the right
function drawLetter(context, letter, side) {
  const pixels = 22 * devicePixelRatio;
  const left = letter === "A" ? 0 : side - pixels;
  context.fillStyle = "rgb(0 0 0 / .72)";
  context.fillRect(left, 0, pixels, pixels);
  context.fillStyle = "#fff";
  context.font = `${0.7 * pixels}px sans-serif`;
  context.textAlign = "center";
  context.textBaseline = "middle";
  context.fillText(letter, left + pixels / 2, 0.54 * pixels);
}

// Layers share a tile from left to right; marks: the outline of the metal and the cross
function drawTile(canvas, size, layers, view, marks) {
  const side = canvas.width;
  const context = canvas.getContext("2d");
  context.resetTransform();
  context.fillStyle = "#000";
  context.fillRect(0, 0, side, side);
  for (const layer of layers) {
    context.save();
    context.beginPath();
    context.rect(layer.from * side, 0, (layer.to - layer.from) * side, side);
    context.clip();
    const scale = placeImage(context, side, size, view, layer.turns);
    context.imageSmoothingEnabled = scale < 4; // close up, a pixel is a square
    context.drawImage(layer.bitmap, 0, 0);
    for (const mark of marks) strokeTwice(context, mark, devicePixelRatio / scale);
    context.restore();
    if (layer.letter && layer.to > layer.from) drawLetter(context, layer.letter, side);
  }
  for (const layer of layers.slice(1)) {
    context.fillStyle = "#f0e442";
    context.fillRect(layer.from * side - 1, 0, 2, side);
  }
}

Object.assign(globalThis, { crossPath, differenceBitmap, drawTile, greyBitmap, imagePoint }); // for the other scripts of the explorer
