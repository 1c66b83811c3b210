// What is shown where nothing can be reached, and what makes the chat an app where it is installed.

// A convenience: on plain http, and where a browser has none, the chat is the same without it.
export function keepOfflinePage(scope) {
  navigator.serviceWorker?.register("/service-worker.js", { scope }).catch(() => {});
}
