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
    const target = document.getElementById(address.anchor());
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
  document.addEventListener("address", openTarget);
  addEventListener("beforeprint", () => folds.forEach((fold) => { fold.open = true; }));
  openTarget();
  // browsers go to a section by themselves, unless the address has keys as well; by then the filter has hidden its rows
  addEventListener("DOMContentLoaded", () => {
    if (location.hash.includes("?")) document.getElementById(address.anchor())?.scrollIntoView({ behavior: "instant" });
  });
  name();
}

followContents();
makeFolds();
