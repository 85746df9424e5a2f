export function render({ model }) {
  const KEY = "spreadwatch.bell"
  const can = "Notification" in window
  const b = document.createElement("button")
  b.type = "button"
  const on = () => can && Notification.permission === "granted" && localStorage.getItem(KEY) === "on"
  const draw = () => {
    const denied = can && Notification.permission === "denied"
    const text = !can ? "This browser has no notifications"
      : denied ? "Notifications are blocked: allow them for this page in the browser's settings"
      : on() ? "Notifications of firing alerts are on" : "Notify me of firing alerts"
    b.className = on() ? "on" : ""; b.disabled = !can || denied
    b.title = text; b.setAttribute("aria-label", text); b.setAttribute("aria-pressed", on())
    b.innerHTML = `<svg viewBox="0 0 24 24" width="18" height="18" aria-hidden="true" fill="none" stroke="currentColor" stroke-width="1.8"
      stroke-linecap="round" stroke-linejoin="round"><path d="M6 9a6 6 0 0 1 12 0c0 6 2.5 7 2.5 7h-17S6 15 6 9"/><path d="M10 20a2 2 0 0 0 4 0"/>
      ${on() ? "" : '<path d="M4 3l16 18"/>'}</svg>`
  }
  b.onclick = async () => {
    if (on()) localStorage.setItem(KEY, "off")
    else if (await Notification.requestPermission() === "granted") {
      localStorage.setItem(KEY, "on")
      show({ id: "bell", title: "Spreadwatch", text: "Firing alerts will show like this." })
    }
    draw()
  }
  const show = ({ id, title, text }) => {
    try {
      const note = new Notification(title, { body: text, tag: id })
      note.onclick = () => { window.focus(); note.close(); if (id !== "bell") model.send_msg({ open: id }) }
    } catch { /* a phone that wants a service worker: the page's own message is there */ }
  }
  // The same event in several tabs has one tag, so that it shows once.
  model.on("news", () => { if (on()) model.news.forEach(show) })
  draw()
  return b
}
