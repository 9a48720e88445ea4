// Applies the chosen theme before the first paint, so that a page never flashes. A classic script on purpose: modules run too late.
try {
  const theme = localStorage.getItem('bt-theme');
  if (theme === 'light' || theme === 'dark') document.documentElement.dataset.theme = theme;
} catch {
  // Storage can be forbidden; then the system's theme holds.
}
