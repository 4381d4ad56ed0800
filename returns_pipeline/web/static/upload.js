// Uploads photos: into the bucket of the intake if it has one and the store allows it, else in parts to the
// web. What was sent before a lost connection is not sent again.
"use strict";
{
const form = document.querySelector(".upload");
const { api, images, csrf } = form.dataset;
const part = Number(form.dataset.part);
const most = Number(form.dataset.most);
const sending = document.querySelector(".sending");
const list = sending.querySelector(".files");
const AT_ONCE = 3;
const MOST_LISTED = 200;

const waiting = [];
const count = { all: 0, sent: 0, known: 0, failed: 0, bytes: 0, done: 0 };
let working = 0;
let paused = false;
// Whether files go to the store: not if it refuses the first ones, for example because of its rules of CORS.
let direct = "direct" in form.dataset;
let hasStored = false;

document.documentElement.classList.add("script");
for (const each of form.querySelectorAll(".with-script")) each.hidden = each.matches("[data-camera]") && !navigator.mediaDevices;

class Refused extends Error {}

// A response, after any number of lost connections and of servers that are busy.
async function ask(path, options = {}) {
  for (let seconds = 1; ; seconds = Math.min(30, 2 * seconds)) {
    try {
      const response = await fetch(api + path, { ...options, headers: { "X-CSRF-Token": csrf, ...options.headers } });
      if (response.ok) {
        resumed();
        return await response.json();
      }
      if (![408, 429, 500, 502, 503, 504].includes(response.status)) {
        const { error, advice } = await response.json().catch(() => ({ error: say("The server refuses it ({status}).", { status: response.status }) }));
        throw new Refused([error, advice].filter(Boolean).join(" "));
      }
    } catch (fault) {
      if (fault instanceof Refused) throw fault;
    }
    paused = true;
    show();
    await new Promise((resolve) => {
      const timer = setTimeout(resolve, seconds * 1000);
      addEventListener("online", () => { clearTimeout(timer); resolve(); }, { once: true });
    });
    // A part whose response was lost has arrived perhaps: the caller asks where to go on.
    if (options.method === "PUT") return null;
  }
}

function resumed() {
  if (!paused) return;
  paused = false;
  show();
}

async function imageOf(sha256) {
  const { known } = await ask("/known", {
    method: "POST", body: JSON.stringify({ sha256: [sha256] }), headers: { "Content-Type": "application/json" },
  });
  return known[0];
}

// Sends a file to the store; false if it must go to the web.
async function sendToStore(file, path, query) {
  try {
    const { url, headers } = await ask(`${path}/address?${query}`, { method: "POST" });
    if (!url) return false;
    // Without a type: a browser that opens the object later saves it.
    const stored = await fetch(url, { method: "PUT", headers, body: file.slice(0, file.size, "") }).catch(() => null);
    const etag = stored?.ok && stored.headers.get("ETag");
    if (!etag) {
      direct = hasStored;
      return false;
    }
    hasStored = true;
    query.set("etag", etag);
    return (await ask(`${path}/confirm?${query}`, { method: "POST" })).done;
  } catch (fault) {
    if (fault instanceof Refused) return false;
    throw fault;
  }
}

async function send({ file, folder, number }) {
  if (!file.size) throw new Refused(say("The file is empty."));
  if (file.size > most) throw new Refused(say("The file has {size} bytes; at most {most} are accepted.", { size: file.size, most }));
  const sha256 = await sha256Of(await file.arrayBuffer());
  const again = form.elements.again.checked;
  const before = again ? null : await imageOf(sha256);
  if (before) return before;
  const intake = form.elements.intake?.value ?? "0";
  const described = new URLSearchParams({ size: file.size, name: file.name, folder, intake });
  if (number) described.set("return", number);
  if (direct && await sendToStore(file, `/${sha256}`, new URLSearchParams(described))) {
    count.done += file.size;
    return null;
  }
  let offset = (await ask(`/${sha256}?intake=${intake}`)).offset;
  let counted = 0;
  for (;;) {
    const query = new URLSearchParams(described);
    query.set("offset", offset);
    const found = await ask(`/${sha256}?${query}`, { method: "PUT", body: file.slice(offset, offset + part) });
    // The part whose response was lost may have been the last one, and a scan may have taken the file since.
    if (!found && !again && await imageOf(sha256)) return null;
    offset = found ? found.offset : (await ask(`/${sha256}?intake=${intake}`)).offset;
    count.done += offset - counted;
    counted = offset;
    show();
    if (found?.done) return null;
  }
}

function add(file, folder = "") {
  // Hidden files, like .DS_Store, are no photos.
  if (file.name.startsWith(".")) return;
  // The number that is in the form now: it may be another one before this photo is sent.
  waiting.push({ file, folder, number: form.elements.return?.value.trim() });
  count.all += 1;
  count.bytes += file.size;
  while (working < AT_ONCE && waiting.length) work();
  show();
}

async function work() {
  working += 1;
  while (waiting.length) {
    const next = waiting.shift();
    try {
      const known = await send(next);
      count[known ? "known" : "sent"] += 1;
      if (known) note(next, `${say("It came in before:")} `, known);
    } catch (fault) {
      count.failed += 1;
      note(next, fault instanceof Refused ? fault.message : say("The browser cannot read the file."));
    }
    show();
  }
  working -= 1;
  show();
}

function note(sent, text, known) {
  if (list.childElementCount >= MOST_LISTED) list.lastElementChild.remove();
  const line = document.createElement("li");
  const name = sent ? `${sent.folder ? `${sent.folder}/` : ""}${sent.file.name}: ` : "";
  line.append(`${name}${text}`);
  if (known) {
    const link = document.createElement("a");
    link.href = `${images}/${known.image}`;
    const moment = new Date(known.received_at).toLocaleString(country);
    link.textContent = say("photo {number}, {moment}", { number: String(known.image), moment });
    line.append(link);
  }
  list.prepend(line);
}

function show() {
  sending.hidden = !count.all;
  const finished = count.sent + count.known + count.failed;
  const bar = sending.querySelector("progress");
  bar.max = count.all;
  bar.value = working ? Math.max(finished, 0.01) : finished;
  const texts = [say("{sent} of {all} sent.", { sent: count.sent, all: count.all })];
  if (count.known) texts.push(say("Came in before: {count}.", { count: count.known }));
  if (count.failed) texts.push(say("Not accepted: {count}.", { count: count.failed }));
  if (paused) texts.push(say("No connection, trying again."));
  sending.querySelector("[data-counts]").textContent = texts.join(" ");
}

addEventListener("beforeunload", (event) => { if (working) event.preventDefault(); });

for (const input of form.querySelectorAll("input[type=file]"))
  input.addEventListener("change", () => {
    for (const file of input.files) {
      const path = file.webkitRelativePath || "";
      add("capture" in input.dataset ? named(file) : file, path.slice(0, Math.max(0, path.lastIndexOf("/"))));
    }
    input.value = "";
  });

// Folders that are dropped are read with everything in them.
const place = form.querySelector(".place-files");
for (const kind of ["dragover", "dragleave", "drop"])
  place.addEventListener(kind, (event) => {
    event.preventDefault();
    place.classList.toggle("over", kind === "dragover");
    if (kind !== "drop") return;
    // The list is empty after this event, so the entries are taken first.
    const entries = [...event.dataTransfer.items].map((item) => item.webkitGetAsEntry?.()).filter(Boolean);
    if (entries.length) entries.forEach((entry) => walk(entry, ""));
    else for (const file of event.dataTransfer.files) add(file);
  });
document.addEventListener("paste", (event) => { for (const file of event.clipboardData.files) add(named(file)); });

async function walk(entry, folder) {
  if (entry.isFile) {
    entry.file((file) => add(file, folder));
    return;
  }
  const inside = folder ? `${folder}/${entry.name}` : entry.name;
  const reader = entry.createReader();
  const some = () => new Promise((resolve) => { reader.readEntries(resolve, () => resolve([])); });
  // A reader gives at most 100 entries at a time.
  for (let entries = await some(); entries.length; entries = await some())
    for (const each of entries) await walk(each, inside);
}

// Cameras name every photo alike.
let taken = 0;
function named(file) {
  taken += 1;
  const moment = new Date().toISOString().slice(0, 19).replace(/[-:]/g, "").replace("T", "-");
  const kind = /\.\w+$/.exec(file.name)?.[0] ?? ".jpg";
  return new File([file], `camera-${moment}-${String(taken).padStart(3, "0")}${kind}`, { type: file.type });
}

const camera = document.querySelector(".camera");
const video = camera.querySelector("video");
form.querySelector("[data-camera]").addEventListener("click", async () => {
  try {
    video.srcObject = await navigator.mediaDevices.getUserMedia({
      video: { facingMode: "environment", width: { ideal: 4096 }, height: { ideal: 4096 } },
    });
    camera.hidden = false;
    await video.play();
    camera.querySelector("[data-shutter]").focus();
  } catch {
    note(null, say("The browser may not use the camera. Allow it, or use “Take a photo”."));
    sending.hidden = false;
  }
});
camera.querySelector("[data-shutter]").addEventListener("click", () => {
  const canvas = document.createElement("canvas");
  canvas.width = video.videoWidth;
  canvas.height = video.videoHeight;
  canvas.getContext("2d").drawImage(video, 0, 0);
  canvas.toBlob((photo) => { if (photo) add(named(new File([photo], "photo.jpg", { type: "image/jpeg" }))); }, "image/jpeg", 0.92);
});
camera.querySelector("[data-close]").addEventListener("click", () => {
  for (const track of video.srcObject.getTracks()) track.stop();
  camera.hidden = true;
});
}
