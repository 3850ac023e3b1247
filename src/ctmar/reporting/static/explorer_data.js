// Images of the explorer as numbers: whole steps of HU in 16 bits. packed_images.py packs them and says how.
async function inflatedBytes(text) {
  const packed = Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
  const stream = new Blob([packed]).stream().pipeThrough(new DecompressionStream("deflate"));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}

function unpackedImages(bytes, bases) {
  const half = bytes.length / 2;
  const nPixels = half / bases.length;
  const images = [];
  bases.forEach((base, index) => {
    const image = new Int16Array(nPixels); // it wraps as the differences did
    const start = index * nPixels;
    let sum = 0;
    for (let pixel = 0; pixel < nPixels; pixel += 1) {
      const folded = bytes[start + pixel] | (bytes[half + start + pixel] << 8);
      sum += (folded >>> 1) ^ -(folded & 1);
      image[pixel] = base === null ? sum : sum + images[base][pixel];
    }
    images.push(image);
  });
  return images;
}

// One example: its facts, and for each image the HU of a pixel. After the images come outputs for turned inputs, turned
// back, and last the mask of the metal.
async function unpackedExample(facts, text) {
  const bases = [...facts.images.map((image) => image.base), ...facts.turned.map((one) => one.upright), null];
  const images = unpackedImages(await inflatedBytes(text), bases);
  const mask = images.pop();
  const step = facts.step_hu;
  return {
    ...facts,
    turned: facts.turned.map((one, index) => ({ ...one, back: facts.images.length + index })),
    mask,
    hu: (image, pixel) => step * images[image][pixel],
    // metal does not count in any metric, so no error is shown there
    difference: (image, against, pixel) => (mask[pixel] ? 0 : step * (images[image][pixel] - images[against][pixel])),
  };
}

Object.assign(globalThis, { unpackedExample }); // for the other scripts of the explorer
