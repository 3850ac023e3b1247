// Which tiles the explorer shows. A layer is an image of the example in grey or, against another one, as a difference;
// `turns` are quarter turns. Every tile says its name, what it shows, and the numbers under the cross.
const signedHu = (value) => `${value > 0 ? "+" : value < 0 ? "−" : ""}${Math.abs(value)} HU`;
const plainHu = (value) => `${value < 0 ? "−" : ""}${Math.abs(value)} HU`;

function imageLayer(image, kind, against = 0, turns = 0) {
  return { image, kind, against, turns, from: 0, to: 1 };
}

function layerValue(example, layer, pixel) {
  if (layer.kind === "ct") return plainHu(example.hu(layer.image, pixel));
  return example.mask[pixel] ? "metal" : signedHu(example.difference(layer.image, layer.against, pixel));
}

// The numbers under the cross; two images in one tile are told apart by their letters
function tileValue(example, tile, pixel) {
  if (!tile.both) return layerValue(example, tile.layers[0], pixel);
  return tile.both.map((layer, index) => `${"AB"[index]} ${layerValue(example, layer, pixel)}`).join(", ");
}

// Two layers in one tile: beside a divider, or one after the other
function comparedLayers(state, first, second) {
  const [a, b] = [{ ...first, letter: "A" }, { ...second, letter: "B" }];
  if (state.compare === "blink") return [state.second ? b : a];
  return [{ ...a, to: state.split }, { ...b, from: state.split }];
}

// The truth has no error: beside its CT image a place stays empty
function tilesBeside(example, state) {
  const kinds = { ct: ["ct"], error: ["error"], both: ["ct", "error"] }[state.view];
  return state.images.flatMap((image) => kinds.filter((kind) => kind === "ct" || image !== 0).map((kind) => ({
    name: example.images[image].name,
    shows: kind === "ct" ? "CT image" : "Error against the ground truth",
    quality: example.images[image].quality,
    layers: [imageLayer(image, kind)],
    places: image === 0 && state.view === "both" ? 2 : 1,
  })));
}

// How many tiles belong beside each other
function tilesInGroup(state) {
  if (state.view === "turned") return state.compare === "beside" ? 4 : 3;
  return state.view === "both" ? 2 : 1;
}

function tilesCompared(example, state) {
  const kinds = { ct: ["ct"], error: ["error"], both: ["ct", "error"] }[state.view];
  const [a, b] = [state.a, state.b].map((image) => example.images[image]);
  return kinds.map((kind) => ({
    name: `A: ${a.name}; B: ${b.name}`,
    shows: kind === "ct" ? "CT images" : "Errors against the ground truth",
    quality: `A: ${a.quality}. B: ${b.quality}.`,
    both: [imageLayer(state.a, kind), imageLayer(state.b, kind)],
    layers: comparedLayers(state, imageLayer(state.a, kind), imageLayer(state.b, kind)),
  }));
}

// Root mean square and largest difference of two images outside the metal [HU]
function differenceInWords(example, image, against) {
  let [squares, largest, n] = [0, 0, 0];
  for (let pixel = 0; pixel < example.mask.length; pixel += 1) {
    if (example.mask[pixel]) continue;
    const difference = Math.abs(example.difference(image, against, pixel));
    squares += difference ** 2;
    largest = Math.max(largest, difference);
    n += 1;
  }
  return `${Math.sqrt(squares / n).toFixed(1)} HU root mean square, ${largest} HU at most, outside the metal`;
}

function tilesTurned(example, state) {
  const turned = example.turned.filter((one) => one.turns === state.turns && state.models.includes(one.upright));
  return turned.flatMap(({ upright, back }) => {
    const { name } = example.images[upright];
    const input = example.images.findIndex((image) => image.name === "Input");
    const [first, second] = [imageLayer(upright, "ct"), imageLayer(back, "ct")];
    const outputs = [
      { name, shows: "Output for the upright input", quality: example.images[upright].quality, layers: [first] },
      { name, shows: "Output for the turned input, turned back", quality: "", layers: [second] },
    ];
    const compared = {
      name, shows: "A: output for the upright input; B: for the turned one, turned back", quality: "",
      both: [first, second], layers: comparedLayers(state, first, second),
    };
    return [
      { name, shows: `Input, turned by ${90 * state.turns}°`, quality: "", layers: [imageLayer(input, "ct", 0, state.turns)] },
      ...(state.compare === "beside" ? outputs : [compared]),
      {
        name, shows: "Turned back minus upright: zero for an equivariant network",
        quality: differenceInWords(example, back, upright), layers: [imageLayer(back, "difference", upright)],
      },
    ];
  });
}

function tilesShown(example, state) {
  if (state.view === "turned") return tilesTurned(example, state);
  return state.compare === "beside" ? tilesBeside(example, state) : tilesCompared(example, state);
}

Object.assign(globalThis, { comparedLayers, plainHu, signedHu, tileValue, tilesInGroup, tilesShown }); // for the other scripts of the explorer
