"use strict";
// Before anything is drawn: the colours that were chosen, or else the system's.
const chosen = localStorage.getItem("theme");
if (chosen) document.documentElement.dataset.theme = chosen;

const isDark = () =>
  (document.documentElement.dataset.theme ?? (matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light")) === "dark";

document.addEventListener("DOMContentLoaded", () => {
  const button = document.getElementById("theme"), lost = document.getElementById("components-reconnect-modal");
  const tell = () => button.setAttribute("aria-pressed", isDark());
  tell();
  button.addEventListener("click", () => {
    localStorage.setItem("theme", document.documentElement.dataset.theme = isDark() ? "light" : "dark");
    tell();
    document.dispatchEvent(new Event("themechange"));
  });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => {
    tell();
    document.dispatchEvent(new Event("themechange"));
  });
  if (!lost) return;                                                                     // a page that needs no connection
  document.getElementById("reload").addEventListener("click", () => location.reload());
  // A server that was started anew knows nothing of this page.
  lost.addEventListener("components-reconnect-state-changed", e => { if (e.detail.state === "rejected") location.reload(); });
});
