// Numbers that are copied are read by programs: "−0.04" becomes "-0.04", "2.5·10⁻⁴" becomes "2.5e-4"
const SUPERSCRIPT = "⁰¹²³⁴⁵⁶⁷⁸⁹⁻";
const plainDigits = (text) => [...text].map((letter) => "0123456789-"[SUPERSCRIPT.indexOf(letter)]).join("");
const ascii = (text) => text
  .replace(/(?:([\d.]+)·)?\b10([⁰¹²³⁴⁵⁶⁷⁸⁹⁻]+)/g, (_, factor, power) => `${factor ?? 1}e${plainDigits(power)}`)
  .replaceAll("\u2212", "-").replaceAll("\u00a0", " ");

/** What a cell shows: its text, and what stands below it in small letters. */
function partsOf(cell) {
  const own = cell.cloneNode(true);
  own.querySelectorAll(".hidden, .judgement, svg").forEach((element) => element.remove());
  const below = [...own.querySelectorAll("small")].map((element) => element.textContent.trim());
  own.querySelectorAll("small").forEach((element) => element.remove());
  return [own.textContent.trim().replace(/\s+/g, " "), below.join(" ")];
}

const isShown = (row) => row.checkVisibility();

/** The selected cells of a table, a line for each row, tabs between cells. */
function selectedCells(selection, table) {
  const rows = [...table.rows].filter((row) => isShown(row) && selection.containsNode(row, true));
  const cells = (row) => [...row.cells].filter((cell) => selection.containsNode(cell, true));
  return rows.map((row) => cells(row).map((cell) => partsOf(cell).filter(Boolean).join(" ")).join("\t")).join("\n");
}

document.addEventListener("copy", (event) => {
  const selection = getSelection();
  const tables = [...document.querySelectorAll("table")].filter((table) => selection.containsNode(table, true));
  if (selection.isCollapsed || !tables.length || event.target.closest?.("input, textarea")) return;
  const { commonAncestorContainer: within } = selection.getRangeAt(0);
  const inside = (within.closest ? within : within.parentElement).closest("td, th, table");
  const cells = inside?.tagName === "TABLE" || within.tagName === "TR" || within.tagName === "TBODY";
  event.clipboardData.setData("text/plain", ascii(cells ? selectedCells(selection, tables[0]) : selection.toString()));
  event.preventDefault();
});

const quoted = (text) => (/[",\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text);

/** A cell as fields of CSV: every digit of its value, the ends of its interval, and what else stands below. */
function fieldsOf(cell) {
  const [text, below] = partsOf(cell);
  const [interval, low = "", high = ""] = below.match(/^\[(.+), (.+)\]$/) ?? [];
  return { value: cell.dataset.value ?? ascii(text), low: ascii(low), high: ascii(high), note: interval ? "" : ascii(below) };
}

/** The rows shown of a table as CSV; a column has further ones for intervals and notes where any cell has them. */
function csvOf(table) {
  const families = [...table.querySelectorAll(".families > *")].flatMap((cell) => Array(cell.colSpan).fill(cell.textContent));
  const rows = [...table.tBodies].flatMap((body) => [...body.rows])
    .filter((row) => !row.classList.contains("kind") && isShown(row))
    .map((row) => [...row.cells].map(fieldsOf));
  const columns = [...table.tHead.rows[table.tHead.rows.length - 1].cells].map((head, index) => {
    const [title, unit] = partsOf(head);
    const name = ascii([families[index], title, unit && `[${unit}]`].filter(Boolean).join(" "));
    const fields = ["value", "low", "high", "note"].filter((field) => field === "value" || rows.some((row) => row[index][field]));
    return { fields, titles: fields.map((field) => (field === "value" ? name : `${name} ${field}`)) };
  });
  const lines = rows.map((row) => columns.flatMap(({ fields }, index) => fields.map((field) => row[index][field])));
  return [columns.flatMap(({ titles }) => titles), ...lines].map((line) => line.map(quoted).join(",")).join("\n");
}

for (const button of document.querySelectorAll(".copy-csv")) {
  if (!navigator.clipboard) break; // only pages from a file or a safe connection may write there
  const table = document.getElementById(button.dataset.table);
  const [name, said] = [button.textContent, button.nextElementSibling];
  button.hidden = false;
  button.addEventListener("click", async () => {
    await navigator.clipboard.writeText(csvOf(table));
    said.textContent = `${name.replace("Copy", "Copied")}.`;
    setTimeout(() => { said.textContent = ""; }, 4000);
  });
}
