// The address of the page, "#section?key=value&key=value": whoever lets the reader choose something keeps it here, so that
// a link shares it and the back button takes it back. A link to a section has no keys: those of before stay.
const split = () => {
  const [anchor, query = ""] = location.hash.slice(1).split("?");
  return { anchor, keys: new URLSearchParams(query) };
};
let { keys } = split();

function put(how) {
  const query = keys.toString();
  const hash = `#${split().anchor}${query && `?${query}`}`;
  history[how]({ ours: true }, "", location.hash || query ? hash : location.href);
}

globalThis.address = {
  anchor: () => split().anchor,
  /** The keys that the address holds now. */
  keys: () => new URLSearchParams(keys),
  /** Give the address other keys; one step of the back button. */
  write(other) {
    if (other.toString() === keys.toString()) return;
    keys = new URLSearchParams(other);
    put("pushState");
  },
};

addEventListener("popstate", (event) => {
  if (event.state?.ours || location.hash.includes("?")) keys = split().keys;
  put("replaceState");
  document.dispatchEvent(new Event("address"));
});
put("replaceState");
