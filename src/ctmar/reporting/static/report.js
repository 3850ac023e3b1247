"use strict";

// Charts: every mark carries what it says as its title, which browsers show after a while and only to a mouse. Here the
// mark nearest to the pointer, or the next one by arrow keys, says it at once.
const TITLED = ".drawing svg, .panel-chart svg";
const REACH = 24; // pixels
const tip = Object.assign(document.createElement("div"), { className: "tip", hidden: true, role: "status" });
document.body.append(tip);

// Titles become data, or browsers would show them a second time
function marksOf(svg) {
  for (const title of svg.querySelectorAll("title")) {
    title.parentElement.dataset.says = title.textContent;
    title.remove();
  }
  return [...svg.querySelectorAll("[data-says]")];
}

function centre(mark) {
  const box = mark.getBoundingClientRect();
  return [box.x + box.width / 2, box.y + box.height / 2];
}

function quiet() {
  tip.hidden = true;
  document.querySelector(".pointed")?.classList.remove("pointed");
}

function say(mark) {
  quiet();
  if (!mark) return;
  mark.classList.add("pointed");
  tip.textContent = mark.dataset.says;
  tip.hidden = false;
  const [x, y] = centre(mark);
  const { width, height } = tip.getBoundingClientRect();
  tip.style.left = `${Math.max(4, Math.min(x - width / 2, innerWidth - width - 4))}px`;
  tip.style.top = `${y - height - 14 > 0 ? y - height - 14 : y + 14}px`;
}

// Cells of a map are where the pointer is; marks are found within reach
function nearest(svg, x, y) {
  let [found, least] = [null, REACH];
  for (const mark of marksOf(svg)) {
    const box = mark.getBoundingClientRect();
    if (box.width > 2 * REACH) {
      if (x >= box.left && x <= box.right && y >= box.top - 4 && y <= box.bottom + 4) return mark;
      continue;
    }
    const [markX, markY] = centre(mark);
    const distance = Math.hypot(markX - x, markY - y);
    if (distance < least) [found, least] = [mark, distance];
  }
  return found;
}

function followPointer(event) {
  const svg = event.target.closest?.(TITLED);
  if (svg) say(nearest(svg, event.clientX, event.clientY));
  else quiet();
}

function stepByKey(event) {
  const svg = event.currentTarget;
  const step = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key];
  if (event.key === "Escape") quiet();
  if (!step) return;
  event.preventDefault();
  const marks = marksOf(svg);
  const index = marks.indexOf(svg.querySelector(".pointed"));
  say(marks[(index < 0 ? (step > 0 ? 0 : -1) : index + step + marks.length) % marks.length] ?? marks.at(-1));
}

function saveDrawing(figure) {
  const shown = [...figure.querySelectorAll(".drawing svg")].find((svg) => svg.checkVisibility());
  const svg = shown.cloneNode(true);
  svg.setAttribute("xmlns", "http://www.w3.org/2000/svg");
  svg.setAttribute("style", "color: #1c2126; background: #fff; font-family: sans-serif");
  svg.querySelectorAll(".pointed").forEach((mark) => mark.removeAttribute("class"));
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([new XMLSerializer().serializeToString(svg)], { type: "image/svg+xml" }));
  link.download = `${figure.id}.svg`;
  link.click();
  URL.revokeObjectURL(link.href);
}

function makeCharts() {
  document.addEventListener("pointermove", followPointer, { passive: true });
  document.addEventListener("pointerdown", followPointer, { passive: true });
  document.addEventListener("scroll", quiet, { passive: true });
  for (const svg of document.querySelectorAll(TITLED)) {
    svg.tabIndex = 0;
    svg.addEventListener("keydown", stepByKey);
    svg.addEventListener("blur", quiet);
  }
  for (const save of document.querySelectorAll(".chart .save")) {
    save.hidden = false;
    save.addEventListener("click", () => saveDrawing(save.closest("figure")));
  }
}

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

// Images: two panels of one example under a divider or blinking, taken from the pictures of the page
function makeViewer(viewer) {
  const examples = [...viewer.parentElement.querySelectorAll(".example")];
  const [pickExample, pickA, pickB] = ["example", "a", "b"].map((name) => viewer.querySelector(`[name=${name}]`));
  const stage = viewer.querySelector(".stage");
  const [under, over] = ["under", "over"].map((name) => {
    const image = Object.assign(new Image(), { className: name, draggable: false });
    stage.querySelector(".divider").before(image);
    return image;
  });
  const blink = viewer.querySelector(".blink");
  let timer = null;

  const pictures = () => [...examples[pickExample.selectedIndex].querySelectorAll(".pic img")];

  function fillChoices() {
    for (const pick of [pickA, pickB]) {
      for (const [kind, title] of [["ct", "CT image"], ["error", "Error map"]]) {
        const group = document.createElement("optgroup");
        group.label = title;
        pictures().forEach((picture, index) => {
          if (picture.dataset.kind === kind) group.append(new Option(picture.dataset.name, index));
        });
        pick.append(group);
      }
    }
    pickA.selectedIndex = 1; // the input; on the other side the last CT image, the projection where there is one
    pickB.value = pickB.querySelector("optgroup").lastElementChild.value;
  }

  function show() {
    const chosen = [pictures()[pickA.value], pictures()[pickB.value]];
    [under, over].forEach((image, side) => {
      image.src = chosen[side].src;
      image.alt = chosen[side].alt;
    });
    const kinds = { ct: "", error: ", error" };
    stage.querySelector(".tag.a").textContent = `A: ${chosen[0].dataset.name}${kinds[chosen[0].dataset.kind]}`;
    stage.querySelector(".tag.b").textContent = `B: ${chosen[1].dataset.name}${kinds[chosen[1].dataset.kind]}`;
    viewer.querySelector(".reading").textContent = `A – ${chosen[0].alt}. B – ${chosen[1].alt}.`;
    stage.querySelector(".outline")?.remove();
    stage.append(chosen[0].parentElement.querySelector(".outline").cloneNode(true));
  }

  function toggleBlink() {
    const blinking = timer === null;
    if (blinking) {
      timer = setInterval(() => stage.classList.toggle("second"), 600); // below three flashes a second
    } else {
      clearInterval(timer);
      timer = null;
    }
    stage.classList.toggle("blinking", blinking);
    blink.ariaPressed = String(blinking);
  }

  const divider = viewer.querySelector("[name=divider]");
  const moveDivider = () => stage.style.setProperty("--split", `${divider.value}%`);
  examples.forEach((example, index) => pickExample.append(new Option(example.dataset.title, index)));
  fillChoices();
  show();
  moveDivider();
  for (const pick of [pickExample, pickA, pickB]) pick.addEventListener("change", show);
  divider.addEventListener("input", moveDivider);
  const drag = (event) => {
    const box = stage.getBoundingClientRect();
    divider.value = Math.round((100 * (event.clientX - box.left)) / box.width);
    moveDivider();
  };
  stage.addEventListener("pointerdown", (event) => {
    if (event.button !== 0) return;
    stage.setPointerCapture(event.pointerId);
    drag(event);
  });
  stage.addEventListener("pointermove", (event) => { if (stage.hasPointerCapture(event.pointerId)) drag(event); });
  blink.addEventListener("click", toggleBlink);
  viewer.addEventListener("keydown", (event) => {
    if (event.key.toLowerCase() === "b" && event.target.tagName !== "SELECT" && !event.ctrlKey && !event.metaKey) {
      toggleBlink();
    }
  });
  viewer.hidden = false;
}

// Contents: the entry of the section in view is marked
function followContents() {
  const links = new Map([...document.querySelectorAll("nav a")].map((link) => [link.hash.slice(1), link]));
  const observer = new IntersectionObserver((entries) => {
    for (const entry of entries.filter((seen) => seen.isIntersecting)) {
      links.forEach((link) => link.removeAttribute("aria-current"));
      links.get(entry.target.id).setAttribute("aria-current", "true");
    }
  }, { rootMargin: "-15% 0px -75% 0px" });
  document.querySelectorAll("main > section").forEach((section) => observer.observe(section));
}

// Sections fold; a link into a folded one opens it, printing opens all
function makeFolds() {
  const folds = [...document.querySelectorAll("details.fold")];
  const button = document.querySelector(".fold-all");
  const name = () => { button.textContent = folds.some((fold) => fold.open) ? "Fold all sections" : "Open all sections"; };
  const openTarget = () => {
    const target = location.hash && document.getElementById(location.hash.slice(1));
    const fold = target && (target.querySelector("details.fold") ?? target.closest("details.fold"));
    if (fold) fold.open = true;
  };
  button.hidden = false;
  button.addEventListener("click", () => {
    const open = !folds.some((fold) => fold.open);
    folds.forEach((fold) => { fold.open = open; });
  });
  document.querySelectorAll("details").forEach((fold) => fold.addEventListener("toggle", name));
  document.querySelectorAll('a[href^="#"]').forEach((link) => link.addEventListener("click", () => setTimeout(openTarget)));
  addEventListener("hashchange", openTarget);
  addEventListener("beforeprint", () => folds.forEach((fold) => { fold.open = true; }));
  openTarget();
  name();
}

document.querySelectorAll("table.sortable").forEach(makeSortable);
document.querySelectorAll("label.filter").forEach(makeFilter);
document.querySelectorAll(".viewer").forEach(makeViewer);
document.querySelectorAll("[name=outline]").forEach((box) => box.addEventListener("change", () => {
  document.body.classList.toggle("no-outline", !box.checked);
  document.querySelectorAll("[name=outline]").forEach((other) => { other.checked = box.checked; });
}));
addEventListener("beforeprint", () => document.querySelectorAll("img").forEach((image) => { image.loading = "eager"; }));
followContents();
makeFolds();
makeCharts();
