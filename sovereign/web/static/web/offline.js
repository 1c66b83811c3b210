// The page for when nothing can be reached goes away by itself, and by its button.

const ASKED_EVERY = 3000; // milliseconds: a server that is back tells nobody, as a network does

async function comeBack() {
  const answer = await fetch("/health/live", { cache: "no-store" }).catch(() => null);
  if (answer?.ok) location.reload();
}

addEventListener("online", comeBack);
setInterval(comeBack, ASKED_EVERY);
document.getElementById("again").addEventListener("click", () => location.reload());
