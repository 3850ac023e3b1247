// Tables: sorting moves the rows of all models into one body and hides the kinds; references stay on top
function makeSortable(table) {
  const bodies = [...table.querySelectorAll("tbody.models")];
  const original = bodies.map((body) => [...body.rows]);
  const rows = original.flat().filter((row) => !row.classList.contains("kind"));
  const heads = [...table.tHead.rows[table.tHead.rows.length - 1].cells];
  const text = (row, column) => row.cells[column].dataset.value ?? row.cells[column].textContent.trim();
  heads.forEach((head, column) => {
    head.querySelector("button").addEventListener("click", () => {
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

// Tables with many settings first show the one that validation chose of each method and norm
function makeFilter(label) {
  const box = label.querySelector("input");
  const table = label.nextElementSibling.querySelector("table");
  const apply = () => table.classList.toggle("chosen-only", !box.checked);
  box.addEventListener("change", apply);
  label.hidden = false;
  apply();
}

document.querySelectorAll("table.sortable").forEach(makeSortable);
document.querySelectorAll("label.filter").forEach(makeFilter);
