// The one filter of settings. What carries data-facets says which settings it shows; of what is not asked for, rows and
// panels are hidden and marks of charts are pale, all by the class "out". The filter itself stands in the address.
const FACETS = ["kind", "norm", "seeds", "strength", "network"];
const SETTINGS = "[id^=table-models-] tr[data-facets]"; // every setting once

function makeFilter(form) {
  const marked = [...document.querySelectorAll("[data-facets]")].map((element) => {
    const values = element.dataset.facets.split("|");
    return { element, of: Object.fromEntries(FACETS.map((name, index) => [name, values[index]])) };
  });
  const settings = marked.filter(({ element }) => element.matches(SETTINGS));
  const count = form.querySelector(".count");
  const [open, reset] = [form.querySelector(".open"), form.querySelector("[type=reset]")];
  const questions = form.querySelector(".facets");

  // Without a norm a method has nothing to choose a norm by, and what a row does not know it is not asked
  function matches(of, keys) {
    return FACETS.every((name) => {
      const wanted = keys.getAll(name);
      if (!wanted.length || of[name] === "" || (name === "norm" && of.norm === "none")) return true;
      return name === "seeds" ? Number(of.seeds) >= Number(wanted[0]) : wanted.includes(of[name]);
    });
  }

  function hasOther(element, keys) {
    if (!element.classList.contains("other") || keys.has("settings")) return false;
    // which kinds or norms stand beside each other is the reader's choice now, no longer one of each kind
    return !(element.closest(".one-of-kinds") && (keys.has("kind") || keys.has("norm")));
  }

  function tell(keys) {
    const matching = settings.filter(({ of }) => matches(of, keys)).length;
    const inTables = settings.filter(({ element }) => !element.classList.contains("out")).length;
    const strengths = keys.getAll("strength");
    count.textContent = `${matching} of ${settings.length} settings shown`
      + (inTables < matching ? `, in tables the ${inTables} that validation prefers` : "")
      + (strengths.length ? `; ε = ${strengths.join(", ")} where charts show several` : "");
  }

  function apply() {
    const keys = address.keys();
    for (const { element, of } of marked) {
      element.classList.toggle("out", !matches(of, keys) || hasOther(element, keys));
    }
    for (const field of form.querySelectorAll("input, select")) {
      if (field.type === "checkbox") field.checked = keys.getAll(field.name).includes(field.value);
      else field.value = keys.get(field.name) ?? "";
    }
    reset.hidden = ![...FACETS, "settings"].some((name) => keys.has(name));
    tell(keys);
    document.dispatchEvent(new Event("filtered"));
  }

  // keys of others, such as those of the image explorer, stay as they are
  function write(chosen) {
    const keys = address.keys();
    for (const name of [...FACETS, "settings"]) keys.delete(name);
    for (const [name, value] of chosen) if (value) keys.append(name, value);
    address.write(keys);
    apply();
  }

  form.addEventListener("change", () => write(new FormData(form)));
  form.addEventListener("submit", (event) => event.preventDefault());
  form.addEventListener("reset", (event) => {
    event.preventDefault();
    write([]);
    open.focus();
  });
  const show = (shown) => {
    questions.hidden = !shown;
    open.ariaExpanded = String(shown);
  };
  open.addEventListener("click", () => show(questions.hidden));
  form.addEventListener("keydown", (event) => {
    if (event.key !== "Escape" || questions.hidden) return;
    show(false);
    open.focus();
  });
  document.addEventListener("address", apply);
  form.hidden = false;
  apply();
}

document.querySelectorAll(".settings-filter").forEach(makeFilter);
