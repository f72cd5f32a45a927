// Sets the theme that was chosen before, ahead of the first paint; not a module, so that it blocks.
try {
  document.documentElement.dataset.theme = localStorage.getItem("digitlens-theme") || "auto";
} catch {
  document.documentElement.dataset.theme = "auto";
}
