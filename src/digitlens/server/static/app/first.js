// Applies the stored theme before the first paint; a classic script, because modules are deferred.
try {
  document.documentElement.dataset.theme = localStorage.getItem("digitlens-theme") || "auto";
} catch {
  document.documentElement.dataset.theme = "auto";
}
