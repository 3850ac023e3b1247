// Search runs in a worker, and browsers refuse workers to pages opened from a file. There the same script runs in a
// hidden frame instead, which has a global scope of its own; messages are handed over as events.
class FileWorker extends EventTarget {
  constructor(address) {
    super();
    this.frame = document.createElement("iframe");
    this.frame.hidden = true;
    this.scope = new Promise((ready) => {
      this.frame.addEventListener("load", () => {
        const scope = this.frame.contentWindow;
        scope.postMessage = (data) => this.dispatchEvent(new MessageEvent("message", { data }));
        scope.importScripts = () => undefined; // stemmers of languages other than English
        const script = scope.document.createElement("script");
        script.addEventListener("load", () => ready(scope));
        script.src = address;
        scope.document.body.append(script);
      }, { once: true });
    });
    document.body.append(this.frame);
  }

  postMessage(data) {
    this.scope.then((scope) => scope.dispatchEvent(new MessageEvent("message", { data })));
  }

  terminate() {
    this.frame.remove();
  }
}

if (location.protocol === "file:") {
  window.Worker = FileWorker;
}
