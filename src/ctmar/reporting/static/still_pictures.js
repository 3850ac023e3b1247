// Outlines of the metal on and off; printing loads every picture
document.querySelectorAll("[name=outline]").forEach((box) => box.addEventListener("change", () => {
  document.body.classList.toggle("no-outline", !box.checked);
  document.querySelectorAll("[name=outline]").forEach((other) => { other.checked = box.checked; });
}));
addEventListener("beforeprint", () => document.querySelectorAll("img").forEach((image) => { image.loading = "eager"; }));
