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

document.querySelectorAll(".viewer").forEach(makeViewer);
document.querySelectorAll("[name=outline]").forEach((box) => box.addEventListener("change", () => {
  document.body.classList.toggle("no-outline", !box.checked);
  document.querySelectorAll("[name=outline]").forEach((other) => { other.checked = box.checked; });
}));
addEventListener("beforeprint", () => document.querySelectorAll("img").forEach((image) => { image.loading = "eager"; }));
