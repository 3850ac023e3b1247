// Runs: words that are typed leave the rows that hold all of them; the curve of a row under the pointer stands out
function makeRunSearch(section) {
  const [box, input] = [section.querySelector(".search-runs"), section.querySelector(".search-runs input")];
  const [said, rows] = [section.querySelector("output"), [...section.querySelectorAll("tbody tr")]];
  const texts = rows.map((row) => [...row.cells].map((cell) => `${cell.dataset.label ?? ""} ${cell.textContent}`).join(" ").toLowerCase());
  const curves = new Map([...section.querySelectorAll("g[data-run]")].map((curve) => [curve.dataset.run, curve]));

  // "seed 3" is one word, and neither it nor another number is the beginning of a longer one
  const holds = (text, word) => text.split(word).slice(1).some((rest) => !/\d$/.test(word) || !/^[.\d]/.test(rest));

  function search() {
    const words = input.value.toLowerCase().match(/seed\s+\d+|[^\s,]+/g)?.map((word) => word.replace(/\s+/, " ")) ?? [];
    let found = 0;
    rows.forEach((row, index) => {
      const fits = words.every((word) => holds(texts[index], word));
      found += fits;
      row.hidden = !fits;
      curves.get(row.dataset.run)?.classList.toggle("faint", !fits);
    });
    said.value = words.length ? `${found} of ${rows.length}` : "";
  }

  function point(event) {
    section.querySelector("g.found")?.classList.remove("found");
    const curve = curves.get(event.target.closest?.("tr")?.dataset.run);
    curve?.classList.add("found");
    curve?.parentElement.append(curve); // above the others
  }

  input.addEventListener("input", search);
  for (const kind of ["pointerover", "focusin"]) section.querySelector("table").addEventListener(kind, point);
  box.hidden = false;
  search(); // browsers keep what was typed when a page is loaded again
}

document.querySelectorAll("#runs").forEach(makeRunSearch);
