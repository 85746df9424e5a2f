export function render({ model }) {
  const root = document.createElement("div")
  const words = () => model.words
  const can = "Notification" in window
  const here = Intl.DateTimeFormat().resolvedOptions().timeZone
  const swatch = (pair) => `<span class="swatch" aria-hidden="true">${pair.map((c) => `<i style="background:${c}"></i>`).join("")}</span>`
  const radio = (name, value, text, more = "") => `<label><input type="radio" name="${name}" value="${value}">${text}${more}</label>`
  const check = (name, text, small) => `<label><input type="checkbox" name="${name}"><span>${text}<small>${small}</small></span></label>`
  root.innerHTML = `<button type="button" class="icon" aria-haspopup="dialog" title="Preferences" aria-label="Preferences">
      <svg viewBox="0 0 24 24" width="19" height="19" aria-hidden="true" fill="none" stroke="currentColor" stroke-width="1.8" stroke-linecap="round">
      <path d="M4 7h9M19 7h1M4 17h1M11 17h9"/><circle cx="16" cy="7" r="2.6"/><circle cx="8" cy="17" r="2.6"/></svg></button>
    <dialog aria-labelledby="head"><header><h2 id="head">Preferences</h2><button type="button" class="icon close" aria-label="Close preferences">
      <svg viewBox="0 0 24 24" width="18" height="18" aria-hidden="true" stroke="currentColor" stroke-width="1.8" stroke-linecap="round"><path d="M6 6l12 12M18 6L6 18"/></svg></button></header>
    <fieldset><legend>Theme</legend><div class="two">${radio("theme", "dark", "Dark")}${radio("theme", "light", "Light")}</div></fieldset>
    <fieldset><legend>Up and down</legend><div class="two">${model.signs.map(([value, text]) => radio("colours", value, text, `<span class="for" data-for="${value}"></span>`)).join("")}</div></fieldset>
    <fieldset><legend id="zone">Time zone of every time shown; exports stay in UTC</legend><select name="tz" aria-labelledby="zone"></select></fieldset>
    <fieldset><legend>When an alert fires</legend>${check("toasts", "Message in the page", "a few seconds, in a corner")}
      ${check("sound", "Sound", "two tones, three for a critical one")}${check("notify", "Browser notification", "")}</fieldset>
    <p class="note">Kept in this browser. What a link names itself, such as its time zone, has the last word.</p></dialog>`
  const [button, dialog] = root.children
  const select = dialog.querySelector("select"), notify = dialog.querySelector("[name=notify]")

  const group = (label, zones) => {
    const made = document.createElement("optgroup")
    made.label = label
    for (const zone of zones) made.append(new Option(zone.replaceAll("_", " "), zone))
    return made
  }
  const first = [...new Set(["UTC", here, words().tz])]
  select.append(group("UTC and this browser's", first), group("All zones", model.zones.filter((zone) => !first.includes(zone))))

  const draw = () => {
    const w = words()
    for (const input of dialog.querySelectorAll("input[type=radio]")) input.checked = w[input.name] === input.value
    for (const name of ["toasts", "sound"]) dialog.querySelector(`[name=${name}]`).checked = w[name] === "on"
    for (const span of dialog.querySelectorAll(".for")) span.innerHTML = swatch(model.swatches[`${w.theme} ${span.dataset.for}`])
    const denied = can && Notification.permission === "denied"
    notify.disabled = !can || denied
    notify.checked = w.notify === "on" && can && Notification.permission === "granted"
    const label = notify.closest("label")
    label.className = notify.disabled ? "off" : ""
    label.querySelector("small").textContent = !can ? "this browser has none"
      : denied ? "blocked: allow them for this page in the browser's settings" : "also while another tab is in front; the browser asks once"
    select.value = w.tz
  }
  const set = (name, value) => {
    const next = { ...words(), [name]: value }
    document.cookie = `spreadwatch=${new URLSearchParams(next)}; path=/; max-age=31536000; SameSite=Lax`
    if (name === "tz") {
      // Every time on the page is told anew, in the state that the address keeps.
      const query = new URLSearchParams(location.search)
      query.set("tz", value)
      location.search = query.toString().replaceAll("%2F", "/").replaceAll("%3A", ":")
      return
    }
    model.send_msg({ name, value })
  }
  dialog.onchange = async ({ target }) => {
    if (target.type === "radio" || target === select) return set(target.name, target.value)
    if (target === notify && target.checked && await Notification.requestPermission() !== "granted") return draw()
    set(target.name, target.checked ? "on" : "off")
  }
  button.onclick = () => { draw(); dialog.showModal() }
  dialog.querySelector(".close").onclick = () => dialog.close()
  dialog.onclick = (e) => { if (e.target === dialog) dialog.close() }
  model.on("words", draw)
  draw()
  return root
}
