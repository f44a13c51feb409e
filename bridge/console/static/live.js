// Brings the parts of the page that change up to date every few seconds. Without it, reload the page.
"use strict";
(() => {
  const every = 5000;
  const mark = document.querySelector("footer .live");
  async function refresh() {
    if (document.visibilityState !== "visible") return;
    try {
      const answer = await fetch(location.href, { credentials: "same-origin", redirect: "error" });
      if (!answer.ok) throw new Error(answer.statusText);
      const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
      for (const part of document.querySelectorAll("[data-live]")) {
        const next = fresh.querySelector(`[data-live="${CSS.escape(part.dataset.live)}"]`);
        if (!next) { location.reload(); return; }
        const open = [...part.querySelectorAll("details")].map((d) => d.open);
        part.replaceChildren(...next.childNodes);
        part.querySelectorAll("details").forEach((d, i) => { d.open = !!open[i]; });
      }
      document.querySelector("footer").firstChild.replaceWith(fresh.querySelector("footer").firstChild);
      mark.textContent = " · live";
    } catch {
      mark.textContent = " · not up to date: the bridge does not answer";
    }
  }
  mark.textContent = " · live";
  setInterval(refresh, every);
})();
