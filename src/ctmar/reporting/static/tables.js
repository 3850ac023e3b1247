// Tables: sorting moves the rows of all models into one body and hides the kinds; references stay on top
function makeSortable(table) {
  const bodies = [...table.querySelectorAll("tbody.models")];
  const original = bodies.map((body) => [...body.rows]);
  const rows = original.flat().filter((row) => !row.classList.contains("kind"));
  const heads = headsOf(table);
  const text = (row, column) => row.cells[column].dataset.value ?? row.cells[column].textContent.trim();
  heads.forEach((head, column) => {
    head.querySelector("button")?.addEventListener("click", () => {
      const next = { none: "descending", descending: "ascending", ascending: "none" }[head.ariaSort ?? "none"];
      heads.forEach((other) => { other.ariaSort = "none"; });
      head.ariaSort = next;
      table.classList.toggle("sorted", next !== "none");
      if (next === "none") {
        bodies.forEach((body, index) => body.append(...original[index]));
        return;
      }
      const sign = next === "ascending" ? 1 : -1;
      bodies[0].append(...[...rows].sort((one, other) => {
        const [a, b] = [text(one, column), text(other, column)];
        if (a === "" || b === "") return (a === "") - (b === ""); // missing values stay at the end
        const order = Number(a) - Number(b);
        return sign * (Number.isNaN(order) ? a.localeCompare(b) : order);
      }));
    });
  });
}

function headsOf(table) {
  return [...table.tHead.rows[table.tHead.rows.length - 1].cells];
}

// The best of the rows shown, on the screen and, without those that validation did not choose, on paper: all that read
// the same as the best, none where all rows read the same
function markBest(table) {
  const shown = [...table.querySelectorAll("tbody.models tr:not(.kind, .out)")];
  const chosen = shown.filter((row) => !row.classList.contains("other"));
  headsOf(table).forEach((head, column) => {
    if (!head.dataset.better) return;
    table.querySelectorAll(`tbody.models td:nth-child(${column + 1})`).forEach((cell) => {
      cell.classList.remove("best", "best-chosen");
      cell.querySelector(".is-best")?.remove();
    });
    for (const cell of bestOf(shown, column, head.dataset.better)) {
      cell.classList.add("best");
      cell.firstChild.after(Object.assign(document.createElement("span"), { className: "hidden is-best", textContent: " (best)" }));
    }
    for (const cell of bestOf(chosen, column, head.dataset.better)) cell.classList.add("best-chosen");
  });
}

function bestOf(rows, column, better) {
  const cells = rows.map((row) => row.cells[column]).filter((cell) => cell.dataset.value);
  const reads = (cell) => cell.firstChild.textContent;
  if (new Set(cells.map(reads)).size < 2) return [];
  const sign = better === "high" ? 1 : -1;
  const best = cells.reduce((one, other) => (sign * (other.dataset.value - one.dataset.value) > 0 ? other : one));
  return cells.filter((cell) => reads(cell) === reads(best));
}

document.querySelectorAll("table.sortable").forEach(makeSortable);
document.addEventListener("filtered", () => document.querySelectorAll("table.sortable").forEach(markBest));
